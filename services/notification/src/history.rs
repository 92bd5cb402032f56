//! The history of one notification: each try, and when the next one is due.

use quadrille::{
    effect::{OpenEffect, Tries},
    engine::{Client, ClientError},
    runtime::Timestamp,
};
use schemas::OrderId;

use crate::{Answer, Ending, Finished, Notification, Notifications, State, TellMerchant};

/// How often two readings that do not fit together are made anew.
const READINGS_MAX: usize = 4;

/// What has become of a notification so far.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// What is told.
    pub ending: Ending,
    /// Where it stands.
    pub state: State,
    /// Every try, in the order of time.
    pub tries: Vec<Try>,
    /// When it is tried next; `None` when it is not, or when the try is waiting for a person.
    pub next_at: Option<Timestamp>,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Try {
    /// Of which telling, from 1: those after the first were asked for.
    pub telling: u32,
    /// Which try of the telling, from 1.
    pub attempt: u32,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub result: TryResult,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryResult {
    /// The merchant's server took it.
    Delivered,
    /// It did not, or nobody knows.
    Failed {
        /// What is known.
        error: String,
    },
}

impl History {
    /// Reads the history of an order's notification; `None` when there is none.
    ///
    /// # Errors
    /// A store that cannot answer.
    pub async fn read(
        client: &Client<Notifications>,
        order: &OrderId,
    ) -> Result<Option<Self>, ClientError> {
        let mut history = None;
        for _ in 0..READINGS_MAX {
            let Some(known) = client.load::<Notification>(order).await? else { return Ok(None) };
            let (Some(ending), Some(state)) = (known.ending().cloned(), known.state()) else {
                return Ok(None);
            };
            let tries = client.tries::<TellMerchant>(ending.saga, order.as_str()).await?;
            // The two were read one after the other, and something may have ended in between.
            let fits = (state == State::Pending) != tries.open.is_empty();
            history = Some(Self::of(ending, state, &known, &tries));
            if fits {
                break;
            }
        }
        Ok(history)
    }

    fn of(ending: Ending, state: State, known: &Notification, tries: &Tries) -> Self {
        let finished = known.finished();
        let mut all: Vec<Try> = vec![];
        for failed in &tries.failed {
            let ended = finished.iter().find(|ended| ended.effect.0 == failed.effect.0);
            all.push(Try {
                telling: ended.map_or(known.tellings(), |ended| ended.telling),
                attempt: failed.attempt,
                at: failed.at,
                result: TryResult::Failed { error: failed.reason.clone() },
            });
        }
        all.extend(finished.iter().map(Try::last_of));
        all.sort_by_key(|one| (one.telling, one.attempt));
        let next = tries.open.first().and_then(|OpenEffect { due, .. }| *due);
        let next_at = next.filter(|_| state == State::Pending);
        Self { ending, state, tries: all, next_at }
    }
}

impl Try {
    fn last_of(finished: &Finished) -> Self {
        let result = match &finished.answer {
            Answer::Delivered => TryResult::Delivered,
            Answer::GivenUp { reason } => TryResult::Failed { error: reason.clone() },
        };
        Self { telling: finished.telling, attempt: finished.attempts, at: finished.at, result }
    }
}
