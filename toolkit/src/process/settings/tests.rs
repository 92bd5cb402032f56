use super::*;

const GOOD: &[(&str, &str)] = &[
    ("QUADRILLE_KAFKA_BROKERS", "localhost:9092"),
    ("QUADRILLE_DATABASE_URL", "postgres://order:sesame@localhost:5432/order"),
];

fn settings(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    read(Sources::from_variables(GOOD.iter().chain(pairs).map(owned)))
}

fn errors(pairs: &[(&str, &str)]) -> Vec<String> {
    settings(pairs).unwrap_err().0
}

#[test]
fn defaults_hold_where_nothing_is_said() {
    let settings = settings(&[]).unwrap();
    assert_eq!((settings.lanes, settings.shards), (6, 1));
    assert_eq!(settings.namespace, "quadrille");
    assert_eq!(settings.drain, Duration::from_secs(30));
    assert_eq!(settings.http_address.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.log, "info");
    assert_eq!(settings.start_at, StartAt::First);
    let (engine, usual) = (settings.engine(), crate::engine::Limits::default());
    assert_eq!(engine.limits, usual, "what is said here is what the engine has by itself");
    assert!(engine.topics.is_empty());
    assert!(settings.instance.is_none() && settings.database_owner_url.is_none());
}

#[test]
fn everything_wrong_is_told_at_once_with_name_value_and_mend() {
    let wrong = [
        ("QUADRILLE_KAFKA_BROKERS", "localhost"),
        ("QUADRILLE_DATABASE_URL", "mysql://order:sesame@localhost/order"),
        ("QUADRILLE_NAMESPACE", "a b"),
        ("QUADRILLE_LANES", "many"),
        ("QUADRILLE_SHARDS", "0"),
        ("QUADRILLE_HTTP_ADDRESS", "8080"),
        ("QUADRILLE_DRAIN_SECONDS", "-1"),
        ("QUADRILLE_LOG", "=,="),
        ("QUADRILLE_START_AT", "last"),
        ("QUADRILLE_KAFKA_PLAINTEXT_OK", "perhaps"),
        ("QUADRILLE_INSTANCE", "a/b"),
        ("QUADRILLE_DATABASE_OWNER_URL", "sesame"),
        ("QUADRILLE_OPERATOR_TOKEN", "sesame"),
        ("QUADRILLE_ALERT_WEBHOOK_URL", "ftp://sesame"),
        ("QUADRILLE_ALERT_WEBHOOK_SECRET", "sesame"),
        ("QUADRILLE_TOPICS", "legacy.invoices"),
        ("QUADRILLE_INBOX_KEPT_HOURS", "0"),
        ("QUADRILLE_ANSWERS_KEPT_HOURS", "1d"),
        ("QUADRILLE_AGGREGATES_CACHED", "2 GB"),
        ("QUADRILLE_CONFIG", "/nowhere/at/all.json"),
    ];
    let errors = errors(&wrong);
    assert_eq!(errors.len(), wrong.len(), "{errors:#?}");
    for (name, value) in wrong {
        let told = errors.iter().find(|e| e.starts_with(&format!("{name} = "))).unwrap();
        assert!(told.contains(value) || told.contains("(not shown)"), "{told}");
        assert!(told.contains(';'), "no mend: {told}");
        assert!(!told.contains("sesame"), "{told}");
    }
}

#[test]
fn what_is_missing_is_told_with_the_misspelt_name_beside_it() {
    let sources = [("QUADRILLE_KAKFA_BROKERS".to_owned(), "localhost:9092".to_owned())];
    let error = read(Sources::from_variables(sources)).unwrap_err();
    assert_eq!(error.0.len(), 3, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("3 things are wrong"), "{text}");
    assert!(text.contains("QUADRILLE_DATABASE_URL is not set"), "{text}");
    assert!(text.contains("is it QUADRILLE_KAFKA_BROKERS?"), "{text}");
}

#[test]
fn plaintext_off_loopback_needs_an_explicit_yes() {
    let far = ("QUADRILLE_KAFKA_BROKERS", "kafka:9092");
    let [error] = &errors(&[far])[..] else { panic!() };
    assert!(error.contains("QUADRILLE_KAFKA_PLAINTEXT_OK=yes"), "{error}");
    assert!(errors(&[far, ("QUADRILLE_KAFKA_PLAINTEXT_OK", "no")]).len() == 1);
    let settings = settings(&[far, ("QUADRILLE_KAFKA_PLAINTEXT_OK", "yes")]).unwrap();
    assert!(settings.kafka().plaintext_off_loopback);
}

#[test]
fn what_contradicts_is_told_beside_what_is_wrong_by_itself() {
    let errors = errors(&[
        ("QUADRILLE_KAFKA_BROKERS", "kafka:9092"),
        ("QUADRILLE_LANES", "2"),
        ("QUADRILLE_SHARDS", "3"),
        ("QUADRILLE_HTTP_ADDRESS", "x"),
    ]);
    assert_eq!(errors.len(), 3, "{errors:#?}");
}

#[test]
fn more_shards_than_lanes_contradict() {
    let errors = errors(&[("QUADRILLE_LANES", "2"), ("QUADRILLE_SHARDS", "3")]);
    assert_eq!(errors, ["QUADRILLE_SHARDS = \"3\": is more than the 2 lanes; write 1 to 2"]);
}

#[test]
fn the_engine_hears_of_topics_and_of_what_is_kept_and_cached() {
    let settings = settings(&[
        ("QUADRILLE_TOPICS", "billing=legacy.invoices"),
        ("QUADRILLE_INBOX_KEPT_HOURS", "720"),
        ("QUADRILLE_ANSWERS_KEPT_HOURS", "1"),
        ("QUADRILLE_AGGREGATES_CACHED", "250000"),
    ]);
    let engine = settings.unwrap().engine();
    assert_eq!(engine.topic_of("billing"), "legacy.invoices");
    assert_eq!(engine.topic_of("order"), "quadrille.order.events");
    assert_eq!(engine.limits.inbox_kept, Duration::from_secs(720 * 3600));
    assert_eq!(engine.limits.aggregates_cached_max, 250_000);
    assert_eq!(engine.limits.answers_kept, crate::engine::KEPT_MIN, "the least that there is");
}

#[test]
fn secrets_are_never_shown() {
    let owner = ("QUADRILLE_DATABASE_OWNER_URL", "postgres://own:open@localhost:5432/order");
    let settings = settings(&[owner]).unwrap();
    let shown = format!("{settings:?}\n{settings}");
    assert!(shown.contains("postgres://own:***@localhost:5432/order"), "{shown}");
    assert!(!shown.contains("sesame") && !shown.contains("open@"), "{shown}");
}

#[test]
fn the_report_says_who_said_it() {
    let report = settings(&[("QUADRILLE_LANES", "3"), ("QUADRILLE_LANE", "4")]).unwrap().report();
    assert!(report.contains("QUADRILLE_LANES = \"3\"  (environment)"), "{report}");
    assert!(report.contains("QUADRILLE_SHARDS = \"1\"  (default)"), "{report}");
    assert!(report.contains("warning: QUADRILLE_LANE means nothing"), "{report}");
}

#[test]
fn the_usual_variable_sets_the_log_too() {
    let usual = ("RUST_LOG", "warn");
    assert_eq!(settings(&[usual]).unwrap().log, "warn");
    assert_eq!(settings(&[usual, ("QUADRILLE_LOG", "debug")]).unwrap().log, "debug");
    assert_eq!(settings(&[("RUST_LOG", "=,=")]).unwrap().log, "info");
}

#[test]
fn a_file_fills_in_and_its_errors_name_it() {
    let folder = std::env::temp_dir().join(format!("quadrille-settings-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("order.json");
    std::fs::write(&file, r#"{"lanes": 4, "shards": "two"}"#).unwrap();
    let path = file.to_str().unwrap();
    let wrong = errors(&[("QUADRILLE_CONFIG", path)]);
    let good = settings(&[("QUADRILLE_CONFIG", path), ("QUADRILLE_SHARDS", "2")]);
    std::fs::remove_dir_all(&folder).unwrap();
    let [error] = &wrong[..] else { panic!("{wrong:?}") };
    assert!(error.starts_with(&format!("{path}: \"shards\" = \"two\": ")), "{error}");
    let good = good.unwrap();
    assert_eq!((good.lanes, good.shards), (4, 2));
}

#[test]
fn what_is_wrong_with_spans_is_told_beside_the_rest() {
    let grpc = OtlpSettings::from_variables(|name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://localhost:4317".to_owned()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".to_owned()),
        _ => None,
    });
    let ours = settings(&[("QUADRILLE_PROCESS_SPANS", "parent")]);
    let told = with_otlp(ours, grpc).unwrap_err().0;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("write child or link") && told[1].contains("\"grpc\""), "{told:?}");

    let otlp = OtlpSettings::new("http://localhost:4318");
    let good = with_otlp(settings(&[("QUADRILLE_INSTANCE", "a")]), Ok(Some(otlp))).unwrap();
    assert!(good.report().contains("spans go to http://localhost:4318/v1/traces"));
    let otlp = good.otlp.unwrap();
    assert_eq!(
        (otlp.namespace.as_deref(), otlp.instance.as_deref()),
        (Some("quadrille"), Some("a"))
    );
}

#[test]
fn the_operators_interface_is_open_on_loopback_or_by_a_token() {
    let access =
        |pairs: &[(&str, &str)]| format!("{:?}", settings(pairs).unwrap().operator_access());
    assert_eq!(access(&[]), "this machine");
    let everywhere = ("QUADRILLE_HTTP_ADDRESS", "0.0.0.0:8080");
    assert_eq!(access(&[everywhere]), "nobody");
    let token = ("QUADRILLE_OPERATOR_TOKEN", "sesame-sesame-sesame");
    assert_eq!(access(&[everywhere, token]), "whoever has the token");
    let told = settings(&[token]).unwrap();
    assert!(!format!("{told} {told:?}").contains("sesame-sesame"), "{told:?}");
}

#[test]
fn alerts_go_to_a_webhook_that_is_shown_without_its_secrets() {
    let url = ("QUADRILLE_ALERT_WEBHOOK_URL", "http://hooks:81/s3cr3t");
    let secret = ("QUADRILLE_ALERT_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let settings = settings(&[url, secret]).unwrap();
    assert_eq!(settings.alert_webhook.as_ref().unwrap().to_string(), "http://hooks:81/…, signed");
    let shown = format!("{settings} {settings:?}");
    assert!(!shown.contains("s3cr3t") && !shown.contains("MfKQ9"), "{shown}");
}
