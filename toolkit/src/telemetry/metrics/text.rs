//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

/// A text that grows. Every name gets the prefix, every sample the service.
pub(super) struct Text {
    service: &'static str,
    text: String,
}

const PREFIX: &str = "quadrille_";

impl Text {
    pub(super) fn of(service: &'static str) -> Self {
        Self { service, text: String::with_capacity(8 * 1024) }
    }

    pub(super) fn done(self) -> String {
        self.text
    }

    pub(super) fn counter(&mut self, name: &str, what: &str, value: u64) {
        let name = format!("{name}_total");
        self.head(&name, "counter", what);
        self.sample(&name, &[], value);
    }

    pub(super) fn gauge(&mut self, name: &str, what: &str, value: impl Display) {
        self.head(name, "gauge", what);
        self.sample(name, &[], value);
    }

    // Writing to a string succeeds.

    pub(super) fn head(&mut self, name: &str, kind: &str, what: &str) {
        let what = what.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {PREFIX}{name} {what}");
        let _ = writeln!(self.text, "# TYPE {PREFIX}{name} {kind}");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{PREFIX}{name}{{service=\"{}\"", self.service);
        for (label, is) in labels {
            let is = is.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, ",{label}=\"{is}\"");
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}
