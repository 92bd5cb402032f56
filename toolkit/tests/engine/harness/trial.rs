//! A service that does what its events tell it to.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use quadrille::{
    engine::RetryPolicy,
    handler::{Behind, Role},
    prelude::*,
};

use super::{events::*, stock::*};

/// What its handlers were called for; how often each has failed on purpose.
#[derive(Debug, Default)]
pub struct Script {
    calls: Mutex<Vec<String>>,
    failures: Mutex<HashMap<String, u32>>,
    mended: AtomicBool,
}

impl Script {
    /// How often a handler ran for an event of this type and key, tries that lost included.
    pub fn calls(&self, event_type: &str, key: &str) -> usize {
        let name = format!("{event_type} {key}");
        self.calls.lock().unwrap().iter().filter(|call| **call == name).count()
    }

    /// What fails for ever does it no more.
    pub fn mend(&self) {
        self.mended.store(true, Ordering::Relaxed);
    }

    fn called(&self, event_type: &str, key: &str) {
        self.calls.lock().unwrap().push(format!("{event_type} {key}"));
    }

    /// The failures that an event asks for.
    async fn obey(&self, how: &How, event_type: &str, key: &str) -> Result<(), HandlerError> {
        match how {
            How::Fail if self.mended.load(Ordering::Relaxed) => Ok(()),
            How::Fail => Err(HandlerError::retryable("told to fail")),
            How::FailTimes(times) => {
                let mut failures = self.failures.lock().unwrap();
                let failed = failures.entry(format!("{event_type} {key}")).or_default();
                *failed += 1;
                if *failed <= *times {
                    return Err(HandlerError::retryable(format!("failure {failed}")));
                }
                Ok(())
            }
            How::Terminal => Err("told to fail for good").terminal(),
            How::Panic => panic!("told to panic"),
            How::AwaitOther => {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
pub struct Trial {
    pub script: Arc<Script>,
}

impl Service for Trial {
    const NAME: &'static str = "trial";
    type Commands = (Fill, SetStatus, TakeOne, Announce);
    type Handles = (Ask, Outcome, AskCharge, AskShip, Note, Loose, Take, Look, Cancel, RivalNote);
    type Steps = (Compensatable<Done>, Compensatable<Charged>, Pivot<Shipped>);
}

#[handler]
impl EventHandler<Ask> for Trial {
    type Emits = (Done, Declined);
    async fn handle(
        &self,
        ask: &Incoming<Ask>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.script.called("ASK", &ask.key);
        self.script.obey(&ask.how, "ASK", &ask.key).await?;
        let key = ask.key.clone();
        match &ask.how {
            How::Refuse => turn.record(Declined { key }),
            How::Begin => turn.begin::<Done, _>(),
            How::UnderKey(key) => turn.record(Done { key: key.clone() }),
            _ => turn.record(Done { key }),
        }
        Ok(())
    }
}

#[handler]
impl EventHandler<Outcome> for Trial {
    type Emits = (Done, Declined);
    const ROLE: Role = Role::Outcome;
    async fn handle(
        &self,
        outcome: &Incoming<Outcome>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.script.called("OUTCOME", &outcome.key);
        let key = outcome.key.clone();
        match outcome.how {
            How::Refuse => turn.record(Declined { key }),
            _ => turn.record(Done { key }),
        }
        Ok(())
    }
}

#[handler]
impl Undo<Done> for Trial {
    type Because = (Failed,);
    type Emits = (Reverted,);
    async fn undo(
        &self,
        done: &Done,
        _: &Cause,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.script.called("UNDO", &done.key);
        turn.record(Reverted { key: done.key.clone() });
        Ok(())
    }
}

#[handler]
impl EventHandler<AskCharge> for Trial {
    type Emits = (Charged,);
    async fn handle(
        &self,
        ask: &Incoming<AskCharge>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let (key, account) = (ask.key.clone(), ask.account.clone());
        let Ok(()) = turn.execute(&*ask.account, Charge { key, account }).await?;
        Ok(())
    }
}

#[handler]
impl Undo<Charged> for Trial {
    type Because = (ChargeFailed,);
    type Emits = (Refunded,);
    async fn undo(
        &self,
        done: &Charged,
        _: &Cause,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let (key, account) = (done.key.clone(), done.account.clone());
        let Ok(()) = turn.execute(&*done.account, Refund { key, account }).await?;
        Ok(())
    }
}

#[handler]
impl EventHandler<AskShip> for Trial {
    type Emits = (Shipped, NotShipped);
    async fn handle(
        &self,
        ask: &Incoming<AskShip>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let key = ask.key.clone();
        match ask.how {
            How::Refuse => turn.record(NotShipped { key }),
            How::Begin => turn.begin::<Shipped, _>(),
            _ => turn.record(Shipped { key }),
        }
        Ok(())
    }
}

#[handler]
impl EventHandler<Cancel> for Trial {
    type Emits = (Cancelled, TooLate);
    async fn handle(
        &self,
        cancel: &Incoming<Cancel>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let key = cancel.key.clone();
        match turn.forestall::<Shipped>().await? {
            Forestall::InTime => turn.record(Cancelled { key }),
            Forestall::TooLate => turn.record(TooLate { key }),
            Forestall::Already => {}
        }
        Ok(())
    }
}

#[handler]
impl EventHandler<Note> for Trial {
    type Emits = (Noted,);
    async fn handle(
        &self,
        note: &Incoming<Note>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.script.called("NOTE", &note.key);
        self.script.obey(&note.how, "NOTE", &note.key).await?;
        let (key, text) = match &note.how {
            How::Bytes(bytes) => (note.key.clone(), "x".repeat(*bytes)),
            How::UnderKey(key) => (key.clone(), note.text.clone()),
            _ => (note.key.clone(), note.text.clone()),
        };
        turn.record(Noted { key, text });
        Ok(())
    }
}

/// Each stands for itself; it is tried twice, whatever the engine's policy.
#[handler]
impl EventHandler<Loose> for Trial {
    type Emits = (Noted,);
    const BEHIND_A_DEAD_ONE: Behind = Behind::Pass;

    fn retry(&self) -> Option<RetryPolicy> {
        let mut policy = RetryPolicy::default();
        policy.delay_first = std::time::Duration::from_millis(1);
        policy.attempts_max = 2;
        Some(policy)
    }

    async fn handle(
        &self,
        loose: &Incoming<Loose>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.script.called("LOOSE", &loose.key);
        self.script.obey(&loose.how, "LOOSE", &loose.key).await?;
        turn.record(Noted { key: loose.key.clone(), text: loose.text.clone() });
        Ok(())
    }
}

#[handler]
impl EventHandler<RivalNote> for Trial {
    type Emits = (Noted,);
    async fn handle(
        &self,
        note: &Incoming<RivalNote>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        turn.record(Noted { key: note.key.clone(), text: note.text.clone() });
        Ok(())
    }
}

/// Takes a piece of stock, and then fails if it is told to.
#[handler]
impl EventHandler<Take> for Trial {
    type Emits = (Taken, Took, SoldOut);
    async fn handle(
        &self,
        take: &Incoming<Take>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.script.called("TAKE", &take.key);
        let key = take.key.clone();
        match turn.execute(&*take.sku, TakeOne).await? {
            Ok(()) => {
                let left = turn.load::<Stock>(&take.sku).await?.available;
                turn.record(Took { key, left });
            }
            Err(NothingLeft) => turn.record(SoldOut { key }),
        }
        self.script.obey(&take.how, "TAKE", &take.key).await
    }
}

/// Says what it sees, unless that is `PENDING`: then it has nothing to say, or `FORBIDDEN`: then it fails.
#[handler]
impl EventHandler<Look> for Trial {
    type Emits = (Looked,);
    async fn handle(
        &self,
        look: &Incoming<Look>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        self.script.called("LOOK", &look.key);
        let status = turn.load::<Stock>(&look.sku).await?.status.clone();
        if status == "FORBIDDEN" {
            return Err(HandlerError::terminal("it must not look"));
        }
        if status != "PENDING" {
            turn.record(Looked { key: look.key.clone(), status });
        }
        Ok(())
    }
}

impl Trial {
    /// The types that it consumes, sorted.
    pub fn consumes() -> Vec<String> {
        let description = quadrille::choreography::ServiceDescription::of::<Self>();
        let handled = description.handlers.iter().map(|h| h.consumes.event_type);
        let because = description.undos.iter().flat_map(|u| u.because.iter().map(|e| e.event_type));
        let mut types: Vec<String> = handled.chain(because).map(str::to_owned).collect();
        types.sort();
        types.dedup();
        types
    }
}
