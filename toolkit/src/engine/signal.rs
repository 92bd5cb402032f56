//! Waiting for a flag of a watch channel. No guard of the channel lives across an await.

use tokio::sync::watch;

use super::status::Gate;

/// Resolves when the flag is raised, or its owner is gone. May be dropped and called again.
pub(crate) async fn raised(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|raised| *raised).await.is_ok();
}

/// Resolves when the comparison of log and store is done: whether they agree.
async fn checked(gate: &mut watch::Receiver<Gate>) -> bool {
    gate.wait_for(|gate| *gate != Gate::Checking).await.is_ok_and(|gate| *gate == Gate::Open)
}

/// As [`checked`], but false as well when the engine is to end before that.
pub(crate) async fn opened(
    gate: &mut watch::Receiver<Gate>,
    shutdown: &mut watch::Receiver<bool>,
) -> bool {
    tokio::select! {
        biased;
        open = checked(gate) => open,
        () = raised(shutdown) => false,
    }
}

/// Resolves when the service has halted.
pub(crate) async fn halted(gate: &mut watch::Receiver<Gate>) {
    let _ = gate.wait_for(|gate| matches!(gate, Gate::Halted(_))).await.is_ok();
}
