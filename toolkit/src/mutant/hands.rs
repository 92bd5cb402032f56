//! Breaks that take more than a condition. Only in a build with the mutants.

use std::sync::Arc;

use super::{Mutant, broken};
use crate::store::{Append, AppendError, Appended, EventStore, StreamRead};

/// How often [`Mutant::OldDecisions`] insists before it gives in.
const INSISTS_MAX: usize = 20;

/// The append as a broken commit makes it; `None` where nothing of it is broken.
pub(crate) async fn append_otherwise(
    store: &dyn EventStore,
    append: &Arc<Append>,
) -> Option<Result<Appended, AppendError>> {
    if broken(Mutant::PositionApart) && append.held.is_empty() && !append.positions.is_empty() {
        return Some(apart(store, append).await);
    }
    if broken(Mutant::OldDecisions) {
        return Some(insist(store, append).await);
    }
    None
}

/// [`Mutant::PositionApart`]: the events, and then the position.
async fn apart(store: &dyn EventStore, append: &Append) -> Result<Appended, AppendError> {
    let mut events = append.clone();
    let positions = std::mem::take(&mut events.positions);
    let appended = store.append(&events).await?;
    store.append(&Append { at: append.at, positions, ..Append::default() }).await?;
    Ok(appended)
}

/// [`Mutant::OldDecisions`]: what was decided is appended whatever the streams hold by now.
async fn insist(store: &dyn EventStore, append: &Append) -> Result<Appended, AppendError> {
    let mut again = append.clone();
    for _ in 0..INSISTS_MAX {
        match store.append(&again).await {
            Err(AppendError::Conflict { .. }) => rebase(store, append, &mut again).await?,
            ended => return ended,
        }
    }
    Err(AppendError::Conflict { streams: vec![] })
}

async fn rebase(store: &dyn EventStore, old: &Append, new: &mut Append) -> Result<(), AppendError> {
    let read =
        |(stream, _): &(_, _)| StreamRead { stream: Clone::clone(stream), snapshot_version: 1 };
    let reads: Vec<StreamRead> = old.reads.iter().map(read).collect();
    let slices = store.load(&reads).await.map_err(|e| AppendError::Unavailable(e.into()))?;
    for (((stream, before), (_, after)), slice) in old.reads.iter().zip(&mut new.reads).zip(slices)
    {
        *after = slice.version;
        for (decided, event) in old.events.iter().zip(&mut new.events) {
            if decided.stream == *stream {
                event.version = decided.version - before + slice.version;
            }
        }
    }
    Ok(())
}
