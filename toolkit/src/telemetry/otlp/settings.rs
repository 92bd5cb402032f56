//! OpenTelemetry's variables, as far as they concern traces.

use std::time::Duration;

use crate::telemetry::Sampler;

/// Spans that wait to be sent; beyond it they are dropped. `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise.
const QUEUE_SPANS_MAX: usize = 16 * 1024;
/// Spans of one request. `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` says otherwise.
const BATCH_SPANS_MAX: usize = 512;
/// How long a span waits for others at most. Shorter than the SDK's 5 s: a process that is killed loses
/// what waits. `OTEL_BSP_SCHEDULE_DELAY` says otherwise, in milliseconds.
const DELAY: Duration = Duration::from_secs(1);
/// Where spans go under the endpoint that serves all signals.
const TRACES_PATH: &str = "v1/traces";

/// Where spans go, and which.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OtlpSettings {
    /// The collector's URL for traces, such as `http://localhost:4318/v1/traces`.
    pub endpoint: String,
    /// Which traces are recorded.
    pub sampler: Sampler,
    /// The resource attribute `service.namespace`.
    pub namespace: Option<String>,
    /// The resource attribute `service.instance.id`.
    pub instance: Option<String>,
    /// Further resource attributes; they go before those above, and before the service's own name.
    pub resource: Vec<(String, String)>,
    /// Spans that wait to be sent; beyond it they are dropped.
    pub queue_spans_max: usize,
    /// Spans of one request.
    pub batch_spans_max: usize,
    /// How long a span waits for others at most.
    pub delay: Duration,
}

/// Everything that is wrong with the variables, a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct OtlpSettingsError(pub Vec<String>);

impl OtlpSettings {
    /// To a collector, everything else by default. `endpoint` is its URL for all signals, such as
    /// `http://localhost:4318`.
    #[must_use]
    pub fn new(endpoint: &str) -> Self {
        Self {
            endpoint: format!("{}/{TRACES_PATH}", endpoint.trim_end_matches('/')),
            sampler: Sampler::default(),
            namespace: None,
            instance: None,
            resource: vec![],
            queue_spans_max: QUEUE_SPANS_MAX,
            batch_spans_max: BATCH_SPANS_MAX,
            delay: DELAY,
        }
    }

    /// The endpoint as people may see it: without a password.
    #[must_use]
    pub fn shown_endpoint(&self) -> String {
        shown(&self.endpoint)
    }

    /// By OpenTelemetry's variables; `None` when no endpoint is set, or traces are switched off. Headers,
    /// time-out and compression are read by the SDK's exporter itself.
    ///
    /// # Errors
    /// Everything that is wrong, and protocols, TLS and samplers that are not built in.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, OtlpSettingsError> {
        // An empty one counts as not set, by the specification.
        let said = |name: &str| {
            variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let mut read = Read { said: &said, errors: vec![] };
        let settings = read.settings();
        if read.errors.is_empty() { Ok(settings) } else { Err(OtlpSettingsError(read.errors)) }
    }
}

struct Read<'a> {
    said: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<String>,
}

impl Read<'_> {
    fn settings(&mut self) -> Option<OtlpSettings> {
        let off = |text: String| text.eq_ignore_ascii_case("true");
        if (self.said)("OTEL_SDK_DISABLED").is_some_and(off) {
            return None;
        }
        match (self.said)("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(other) => self.errors.push(format!(
                "OTEL_TRACES_EXPORTER = {other:?}: is not built in; write otlp or none"
            )),
        }
        let endpoint = self.endpoint()?;
        self.protocol();
        let sampler = self.sampler();
        let mut settings = OtlpSettings {
            endpoint,
            sampler,
            resource: self.resource(),
            queue_spans_max: self.number("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SPANS_MAX),
            batch_spans_max: self.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH_SPANS_MAX),
            ..OtlpSettings::new("")
        };
        let millis = usize::try_from(DELAY.as_millis()).unwrap_or(usize::MAX);
        let delay = self.number("OTEL_BSP_SCHEDULE_DELAY", millis);
        settings.delay = Duration::from_millis(delay as u64);
        Some(settings)
    }

    fn endpoint(&mut self) -> Option<String> {
        let of_traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let (name, said, endpoint) = if let Some(said) = (self.said)(of_traces) {
            (of_traces, said.clone(), said)
        } else {
            let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
            let said = (self.said)(name)?;
            let endpoint = format!("{}/{TRACES_PATH}", said.trim_end_matches('/'));
            (name, said, endpoint)
        };
        let seen = shown(&said);
        if said.starts_with("https://") {
            self.errors.push(format!(
                "{name} = {seen:?}: TLS to a collector is not built in; send to one near by with http://, \
                 and let it send on"
            ));
        } else if said.strip_prefix("http://").is_none_or(str::is_empty) {
            self.errors.push(format!("{name} = {seen:?}: is no URL; write http://host:4318"));
        }
        Some(endpoint)
    }

    fn protocol(&mut self) {
        let of_traces = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
        let of_all = "OTEL_EXPORTER_OTLP_PROTOCOL";
        let name = if (self.said)(of_traces).is_some() { of_traces } else { of_all };
        let Some(protocol) = (self.said)(name) else { return };
        if protocol != "http/protobuf" {
            self.errors.push(format!(
                "{name} = {protocol:?}: is not built in; write http/protobuf, or nothing, and the collector's \
                 port for it, 4318 as a rule"
            ));
        }
    }

    fn sampler(&mut self) -> Sampler {
        let name = "OTEL_TRACES_SAMPLER";
        let Some(said) = (self.said)(name) else { return Sampler::default() };
        let argument = (self.said)("OTEL_TRACES_SAMPLER_ARG");
        Sampler::named(&said, argument.as_deref()).unwrap_or_else(|error| {
            self.errors.push(format!("{name} = {said:?}: {error}"));
            Sampler::default()
        })
    }

    /// The SDK reads these too, but puts `unknown_service` before a name that is given nowhere.
    fn resource(&mut self) -> Vec<(String, String)> {
        let said = (self.said)("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let pairs = said.split(',').filter_map(|pair| pair.split_once('='));
        let mut resource: Vec<(String, String)> =
            pairs.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect();
        if let Some(name) = (self.said)("OTEL_SERVICE_NAME") {
            resource.push(("service.name".to_owned(), name));
        }
        resource
    }

    fn number(&mut self, name: &str, default: usize) -> usize {
        let Some(said) = (self.said)(name) else { return default };
        said.parse().ok().filter(|number| *number > 0).unwrap_or_else(|| {
            self.errors.push(format!("{name} = {said:?}: is no number from 1"));
            default
        })
    }
}

/// A URL without what stands before its host's `@`.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
