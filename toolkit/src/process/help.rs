//! The text of `--help`.

use std::fmt::Write as _;

use super::{
    own::OwnVariable,
    variables::{self, Default, Variable},
};

pub(super) fn text(service: &str, own: &[OwnVariable]) -> String {
    let mut text = format!(
        "The {service} service, on PostgreSQL and Kafka.\n\n\
         Usage: {service} [--help | --check-config]\n\n\
         \x20 --help          this text\n\
         \x20 --check-config  check the configuration and show what is in force, without secrets\n\n\
         Variables (the environment goes before the file):\n"
    );
    for variable in variables::ALL {
        describe(&mut text, variable);
    }
    if !own.is_empty() {
        text.push_str("\nThe service's own, from the environment alone:\n");
    }
    for OwnVariable { name, form, default, what } in own {
        // Writing to a string succeeds.
        let _ = write!(text, "\n  {name}\n      {what}\n      {form}; default {default}\n");
    }
    text.push_str(
        "\nSpans go where OpenTelemetry's own variables say: OTEL_EXPORTER_OTLP_ENDPOINT, as in\n\
         http://localhost:4318 (http/protobuf), and OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES and so on.\n\
         \nSIGTERM or SIGINT drains and ends with 0; a second one ends at once, which is always safe.\n\
         /livez answers from the beginning; /readyz says whether, and if not why; /metrics\n\
         counts, for Prometheus.\n",
    );
    text
}

fn describe(text: &mut String, variable: &Variable) {
    let default = match variable.default {
        Default::Required => "required".to_owned(),
        Default::Is(value) => format!("default {value}"),
        Default::None(meaning) => format!("default: {meaning}"),
    };
    let (name, form, what) = (variable.full_name(), variable.form, variable.what);
    // Writing to a string succeeds.
    let _ = write!(text, "\n  {name}\n      {what}\n      {form}; {default}\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_variable_is_there_with_form_and_default() {
        let own = super::OwnVariable {
            name: "ORDER_COLOUR",
            form: "a colour",
            default: "red",
            what: "how it looks",
        };
        let text = super::text("order", &[own]);
        assert!(text.contains("ORDER_COLOUR\n      how it looks\n      a colour; default red"));
        for variable in super::variables::ALL {
            assert!(text.contains(&variable.full_name()) && text.contains(variable.form));
        }
        assert!(text.contains("seconds, 1 to 3600; default 30"), "{text}");
        assert!(text.contains("; required"), "{text}");
    }
}
