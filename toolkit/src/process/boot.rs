//! The start of an engine that may have to wait for its servers.

use std::{fmt::Display, sync::Arc, time::Duration};

use super::{front::Front, settings::Settings};
use crate::{
    alert::DeadLetter,
    engine::{Engine, Running, StartError},
    log::{LogError, kafka::KafkaLog},
    service::Service,
    store::{StoreError, postgres::PostgresStore},
    telemetry::Traces,
    webhook::AlertWebhook,
};

/// The first pause after a server did not answer; it doubles up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(3);

/// Tries until it runs. What only a person can mend is an error.
pub(super) async fn start<S: Service + Clone>(
    service: &S,
    settings: &Settings,
    traces: &Traces,
    front: &Front,
) -> Result<Running<S>, StartError> {
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match attempt(service, settings, traces).await {
            Ok(running) => return Ok(running),
            Err(error) if needs_a_person(&error) => return Err(error),
            Err(error) => reason(&error),
        };
        if front.waits_for(error.clone()) {
            tracing::warn!(%error, "not started yet, trying again");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LAST);
    }
}

async fn attempt<S: Service + Clone>(
    service: &S,
    settings: &Settings,
    traces: &Traces,
) -> Result<Running<S>, StartError> {
    if let Some(owner) = &settings.database_owner_url {
        PostgresStore::migrate(owner.expose()).await?;
        if owner.role() != settings.database_url.role() {
            let role = settings.database_url.role();
            PostgresStore::grant_service_role(owner.expose(), role).await?;
        }
    }
    let store = PostgresStore::connect(settings.database_url.expose()).await?;
    let log =
        KafkaLog::new(settings.kafka()).map_err(|error| StartError::Config(error.to_string()))?;
    let mut config = settings.engine();
    config.traces = traces.clone();
    let mut engine = Engine::new(service.clone(), Arc::new(store), Arc::new(log), config);
    if let Some(endpoint) = settings.alert_webhook.clone() {
        engine = engine.performer::<DeadLetter>(AlertWebhook::new(endpoint));
    }
    engine.start().await
}

fn needs_a_person(error: &StartError) -> bool {
    match error {
        StartError::Store(error) => !matches!(error, StoreError::Unavailable(_)),
        StartError::Log(error) => matches!(error, LogError::Mismatch { .. }),
        StartError::Config(_) => true,
    }
}

/// With the server's name, which the error alone does not tell.
fn reason(error: &StartError) -> String {
    let named = |server: &str, error: &dyn Display| format!("{server}: {error}");
    match error {
        StartError::Store(error) => named("PostgreSQL", error),
        StartError::Log(error) => named("Kafka", error),
        StartError::Config(error) => error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_time_can_mend_is_waited_for() {
        let away = || "connection refused".into();
        assert!(!needs_a_person(&StoreError::Unavailable(away()).into()));
        assert!(!needs_a_person(&LogError::Unavailable(away()).into()));
        assert!(!needs_a_person(&LogError::Fenced("order.relay.0".into()).into()));
        assert!(needs_a_person(&StoreError::Mismatch("another service's".into()).into()));
        let topic = "t".to_owned();
        assert!(needs_a_person(&LogError::Mismatch { topic, reason: "compacted".into() }.into()));
        assert!(reason(&StoreError::Unavailable(away()).into()).starts_with("PostgreSQL: "));
    }
}
