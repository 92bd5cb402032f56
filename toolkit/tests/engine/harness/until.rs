//! Waiting for a condition, never for a time.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// A test that waits longer than this for something has failed.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Waits until `condition` gives a value; panics, saying what was missing, when the deadline passes.
pub async fn until<T, F>(what: &str, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// As [`until`], for a yes or no.
pub async fn until_true<F>(what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    until(what, || {
        let holds = condition();
        async move { holds.await.then_some(()) }
    })
    .await
}
