use super::*;

fn wrong(config: &KafkaConfig) -> Vec<String> {
    config.check().err().map(|error| error.0).unwrap_or_default()
}

#[test]
fn plaintext_off_loopback_needs_a_yes() {
    for local in ["localhost:9092", "127.0.0.1:9092,[::1]:9092", "PLAINTEXT://127.3.2.1:1"] {
        assert_eq!(wrong(&KafkaConfig::new(local)), [""; 0], "{local}");
    }
    let mut config = KafkaConfig::new("localhost:9092, kafka:9092,10.0.0.1:9092");
    assert_eq!(wrong(&config).len(), 2);
    config.plaintext_off_loopback = true;
    assert_eq!(wrong(&config), [""; 0]);
}

#[test]
fn all_errors_come_at_once() {
    let mut config = KafkaConfig::new("");
    config.limits.delivery_timeout = config.limits.transaction_timeout;
    config.limits.heartbeat_every = config.limits.session_timeout;
    config.limits.deaf_max = config.limits.session_timeout;
    config.limits.membership_max = config.limits.session_timeout * 2;
    config.limits.standstill_max = Duration::from_secs(3);
    config.limits.lookups_max = 0;
    config.properties.insert("isolation.level".into(), "read_uncommitted".into());
    assert_eq!(wrong(&config).len(), 8, "{:?}", wrong(&config));
}

#[test]
fn secrets_are_not_shown() {
    let mut config = KafkaConfig::new("localhost:9092");
    config.properties.insert("ssl.key.password".into(), "opensesame".into());
    config.security = Security::SaslTls {
        mechanism: "PLAIN".into(),
        username: "order".into(),
        password: "opensesame".into(),
    };
    let shown = format!("{config:?}");
    assert!(shown.contains("order") && shown.contains("ssl.key.password"), "{shown}");
    assert!(!shown.contains("opensesame"), "{shown}");
}

#[test]
fn batches_stay_below_what_the_topic_allows() {
    let config = KafkaConfig::new("localhost:9092");
    let small = config.producer("id", 10_000);
    assert_eq!(small.get("batch.size"), Some("10000"));
    let large = config.producer("id", 100_000_000);
    assert_eq!(large.get("batch.size"), Some("900000"));
    assert_eq!(large.get("message.max.bytes"), Some("100000000"));
}
