use super::*;

fn read(said: &[(&str, &str)]) -> Result<Option<OtlpSettings>, OtlpSettingsError> {
    OtlpSettings::from_variables(|name| {
        said.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

#[test]
fn without_an_endpoint_there_are_no_spans() {
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[("OTEL_SERVICE_NAME", "shop"), ("OTEL_TRACES_SAMPLER", "odd")]), Ok(None));
    assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
    assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
    assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
}

#[test]
fn the_usual_variables_count() {
    let settings = read(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_SERVICE_NAME", "shop-order"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test, team=a"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ])
    .unwrap()
    .unwrap();
    assert_eq!(settings.endpoint, "http://collector:4318/v1/traces");
    assert_eq!(settings.sampler, Sampler::named("traceidratio", Some("0.5")).unwrap());
    assert_eq!(settings.delay, Duration::from_millis(50));
    let resource: Vec<(&str, &str)> =
        settings.resource.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        resource,
        [("deployment.environment.name", "test"), ("team", "a"), ("service.name", "shop-order")]
    );
}

#[test]
fn the_variable_for_traces_goes_before_the_one_for_all_and_is_taken_as_it_is() {
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other:1/in");
    assert_eq!(read(&[ENDPOINT, own]).unwrap().unwrap().endpoint, "http://other:1/in");
    let protocols = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
    ];
    assert!(read(&[ENDPOINT, protocols[0], protocols[1]]).is_ok());
}

#[test]
fn what_is_not_built_in_is_told_all_at_once() {
    let error = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ])
    .unwrap_err();
    for part in ["TLS", "\"grpc\"", "http/protobuf", "jaeger_remote", "zipkin", "QUEUE_SIZE"] {
        assert_eq!(error.0.iter().filter(|e| e.contains(part)).count(), 1, "{part}: {error}");
    }
    let error = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]).unwrap_err();
    assert!(error.to_string().contains("http://host:4318"), "{error}");
}

#[test]
fn a_password_is_never_shown() {
    let settings = OtlpSettings::new("http://me:secret@collector:4318");
    assert_eq!(settings.shown_endpoint(), "http://…@collector:4318/v1/traces");
    let error =
        read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:secret@collector")]).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}
