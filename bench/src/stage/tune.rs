//! Limits from the environment, to try others without building again:
//! `QUADRILLE_BENCH_TUNE=pace=20,relay_pace=40,works=512,records=1000,shards=1,fetch_wait=50` (milliseconds and
//! counts).

use std::time::Duration;

use quadrille::{engine::Config, log::kafka::KafkaConfig};

const VARIABLE: &str = "QUADRILLE_BENCH_TUNE";

pub(super) fn from_environment(config: &mut Config) {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    for setting in text.split(',') {
        if let Some((name, value)) = setting.split_once('=') {
            apply(config, name, value.parse().unwrap_or_default());
        }
    }
}

/// The same for the clients of Kafka.
pub(crate) fn kafka_from_environment(config: &mut KafkaConfig) {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    for setting in text.split(',') {
        let Some((name, value)) = setting.split_once('=') else { continue };
        let Ok(millis) = value.parse().map(Duration::from_millis) else { continue };
        match name {
            "fetch_wait" => config.limits.fetch_wait = millis,
            "rest" => config.limits.commit_rest = millis,
            _ => {}
        }
    }
}

fn apply(config: &mut Config, name: &str, value: u16) {
    let millis = Duration::from_millis(value.into());
    match name {
        "pace" => config.limits.pace_under_load = millis,
        "relay_pace" => config.limits.relay_pace_under_load = millis,
        "works" => config.limits.batch_works_max = value.into(),
        "records" => config.limits.relay_records_max = value.into(),
        "cache" => config.limits.aggregates_cached_max = value.into(),
        "fresh" => config.limits.relay_fresh_max = value.into(),
        "shards" => config.shards = value.into(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_changes_its_limit_alone() {
        let (mut config, default) = (Config::new("x"), Config::new("x"));
        apply(&mut config, "pace", 7);
        assert_eq!(config.limits.pace_under_load, Duration::from_millis(7));
        assert_eq!(config.limits.batch_works_max, default.limits.batch_works_max);
    }
}
