//! From the first line of the log to the exit status.

use std::{
    io::IsTerminal as _,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use tracing_subscriber::EnvFilter;

use super::{
    boot,
    front::{Front, Server},
    settings::Settings,
    signals::Signals,
};
use crate::{
    engine::{Client, Running},
    service::Service,
    telemetry::{
        Traces,
        otlp::{OtlpSettings, OtlpTraces},
    },
};

/// For open requests to get their answers, once the engine has drained.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(2);
/// For threads of the drivers to end; none of them holds anything that matters.
const THREADS_END_MAX: Duration = Duration::from_millis(500);

/// Runs until a signal, or until only a person can help.
pub(super) fn run<S: Service + Clone>(
    service: S,
    router: impl FnOnce(Client<S>) -> Router + Send + 'static,
    settings: Settings,
) -> ExitCode {
    start_logging(&settings);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no threads: {error}")),
    };
    let status = runtime.block_on(async {
        match live(service, router, &settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        }
    });
    runtime.shutdown_timeout(THREADS_END_MAX);
    status
}

fn failed(error: &str) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::FAILURE
}

fn start_logging(settings: &Settings) {
    let filter = EnvFilter::try_new(&settings.log).unwrap_or_default();
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // Somebody else may have set up another one; that is theirs to choose.
    let _ = logging.try_init();
}

async fn live<S: Service + Clone>(
    service: S,
    router: impl FnOnce(Client<S>) -> Router,
    settings: &Settings,
) -> Result<(), String> {
    let mut signals = Signals::listen().map_err(|error| format!("no signals: {error}"))?;
    let front = Front::new(settings.operator_access());
    let server = front
        .serve(S::NAME, settings.http_address)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", settings.http_address))?;
    announce::<S>(settings, &server);
    let spans = match &settings.otlp {
        Some(otlp) => Some(OtlpTraces::start(otlp, S::NAME).map_err(|error| error.to_string())?),
        None => None,
    };
    let traces = spans.clone().map_or_else(Traces::off, |spans| Traces::to(spans));
    let running = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(signal = signal.name(), "ended before it had started");
            return Ok(());
        }
        started = boot::start(&service, settings, &traces, &front) => {
            started.map_err(|error| format!("cannot start: {error}"))?
        }
    };
    front.open(router(running.client()));
    tracing::info!(service = S::NAME, "started");
    let signal = signals.next().await;
    tracing::info!(signal = signal.name(), within = ?settings.drain, "draining");
    exit_at_next(signals);
    drain(running, server, spans, settings.drain).await
}

fn announce<S: Service>(settings: &Settings, server: &Server) {
    for unknown in &settings.unknown {
        tracing::warn!("{unknown}");
    }
    tracing::info!(
        service = S::NAME,
        http = %server.address,
        database = %settings.database_url,
        kafka = %settings.kafka_brokers,
        namespace = %settings.namespace,
        lanes = settings.lanes,
        shards = settings.shards,
        spans = settings.otlp.as_ref().map(OtlpSettings::shown_endpoint),
        "starting"
    );
}

/// A second signal insists. Killing is always safe: what is not committed did not happen.
fn exit_at_next(mut signals: Signals) {
    drop(tokio::spawn(async move {
        let signal = signals.next().await;
        tracing::warn!(signal = signal.name(), "ended at once");
        std::process::exit(signal.exit_status());
    }));
}

/// The HTTP server stays until the engine has drained: `/readyz` tells, and commands get their answers.
async fn drain<S: Service>(
    running: Running<S>,
    server: Server,
    spans: Option<Arc<OtlpTraces>>,
    within: Duration,
) -> Result<(), String> {
    let started = Instant::now();
    let drained = running.shutdown(within).await;
    let left = within.saturating_sub(started.elapsed());
    server.stop(left.min(LAST_ANSWERS_MAX)).await;
    if let Some(spans) = spans {
        let left = within.saturating_sub(started.elapsed());
        if tokio::time::timeout(left, spans.flush()).await.is_err() {
            tracing::warn!("the last spans were not exported in time");
        }
    }
    if drained {
        tracing::info!(seconds = started.elapsed().as_secs_f64(), "drained");
        Ok(())
    } else {
        Err(format!("not drained within {within:?}; what is left goes on at the next start"))
    }
}
