//! How a story acts: commands to services, as an impatient client gives them, and time that passes.

use std::{
    any::{Any, TypeId, type_name},
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;

use super::{
    chance::Dice,
    core::{Core, Seat},
    executor::Sleep,
    node::Node,
    report::Broken,
    services::{Instance, Kind},
};
use crate::{
    aggregate::{Aggregate, Command},
    engine::{Client, ClientError, Receipt},
    id::CauseId,
    list::AcceptedBy,
    runtime::Timestamp,
    service::Service,
    store::EventStore as _,
};

/// How long a client waits for an answer before it asks again, perhaps another instance.
const PATIENCE: Duration = Duration::from_secs(4);

/// The instances that run now: by service and number.
pub(super) type Instances = Vec<Vec<Option<Box<dyn Instance>>>>;

pub(super) struct Crowd {
    pub(super) core: Arc<Core>,
    pub(super) kinds: Arc<[Kind]>,
    instances: Mutex<Instances>,
    /// The present life of each instance that is not dead.
    nodes: Mutex<BTreeMap<Seat, Node>>,
}

impl Crowd {
    pub(super) fn new(core: Arc<Core>, kinds: Arc<[Kind]>) -> Arc<Self> {
        let empty = kinds.iter().map(|kind| (0..kind.instances).map(|_| None).collect());
        let instances = Mutex::new(empty.collect());
        Arc::new(Self { instances, nodes: Mutex::default(), core, kinds })
    }

    pub(super) fn instances(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn nodes(&self) -> MutexGuard<'_, BTreeMap<Seat, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance of a node is up, unless the node has died meanwhile.
    pub(super) fn arrived(&self, node: &Node, instance: Box<dyn Instance>) {
        if !node.is_dead() {
            let (service, number) = node.seat();
            self.instances()[service][number] = Some(instance);
        }
    }

    fn client(&self, service: usize, dice: &mut Dice) -> Option<Arc<dyn Any + Send + Sync>> {
        let instances = self.instances();
        let up: Vec<_> = instances[service].iter().flatten().collect();
        up.get(dice.index(up.len())).map(|instance| instance.client())
    }
}

/// The world as one actor of a story sees it: a saga's customer, or whoever prepares the ground.
///
/// A clone is the same actor.
#[derive(Clone)]
pub struct Actor {
    crowd: Arc<Crowd>,
    name: Arc<str>,
    commands: Arc<AtomicU64>,
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Actor {
    pub(super) fn new(crowd: Arc<Crowd>, name: &str) -> Self {
        Self { crowd, name: name.into(), commands: Arc::default() }
    }

    /// A service to give commands to.
    ///
    /// # Panics
    /// When the simulation has no such service.
    #[must_use]
    pub fn at<S: Service>(&self) -> Desk<S> {
        let of = |kind: &Kind| kind.type_id == TypeId::of::<S>();
        let service = self.crowd.kinds.iter().position(of);
        let service = service.unwrap_or_else(|| panic!("{} is not simulated", type_name::<S>()));
        Desk { actor: self.clone(), service, of: PhantomData }
    }

    /// Lets virtual time pass.
    pub async fn sleep(&self, duration: Duration) {
        self.nap(duration).await;
    }

    /// What actors remember, of one type: laws read it with [`View::outside`](super::View::outside).
    pub fn remember<T: Default + Send + 'static, R>(&self, what: impl FnOnce(&mut T) -> R) -> R {
        what(&mut *super::outside::lock(&self.crowd.core.places.of::<T>()))
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.crowd.core
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn nap(&self, duration: Duration) -> Sleep {
        self.crowd.core.exec.sleep(duration)
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.crowd.core.exec.now()
    }

    /// Chance of this actor's own, from the seed; another `purpose` gives other numbers.
    #[must_use]
    pub fn dice(&self, purpose: &str) -> Dice {
        dice_of(self.crowd.core.seed, &self.name, purpose)
    }
}

/// A service, as a client reaches it.
#[derive(Clone, Debug)]
pub struct Desk<S: Service> {
    actor: Actor,
    service: usize,
    of: PhantomData<fn(S)>,
}

impl<S: Service> Desk<S> {
    /// Has a command decided, and asks again until there is an answer: under one id, so that it is decided
    /// once (P17), of whichever instance is up.
    ///
    /// Never resolves when no answer can be had; the run then fails, for it is never quiet.
    ///
    /// # Errors
    /// The business's refusal.
    pub async fn execute<C, I>(
        &self,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Result<Receipt, C::Refusal>
    where
        C: Command + AcceptedBy<S::Commands, I>,
    {
        let core = &self.actor.crowd.core;
        let number = self.actor.commands.fetch_add(1, Ordering::Relaxed);
        let mut dice = self.actor.dice(&format!("command {number}"));
        let cause = cause(&mut dice);
        core.asking.fetch_add(1, Ordering::Relaxed);
        core.tell(&self.actor.name, || {
            format!(
                "asks {}: {} for {id}",
                core.services[self.service].name,
                crate::service::short_name::<C>()
            )
        });
        let answer = self.insist(cause, id, &command, &mut dice).await;
        self.check_durable(cause);
        core.asking.fetch_sub(1, Ordering::Relaxed);
        core.note(&self.actor.name, "answered", u64::from(answer.is_ok()));
        core.tell(&self.actor.name, || match &answer {
            Ok(receipt) => format!("is answered: version {}", receipt.version),
            Err(refusal) => format!("is refused: {refusal:?}"),
        });
        answer
    }

    /// What is answered is durable (P15), and so is the answer (P17).
    fn check_durable(&self, cause: CauseId) {
        let core = &self.actor.crowd.core;
        let stored = core.services[self.service].store.answer(cause).now_or_never();
        let fell_back = core.witness().fell_back(self.service);
        if matches!(stored, Some(Ok(None))) && !fell_back {
            let told = format!("{}: {cause} is answered, and no store has it", self.actor.name);
            core.fail(Broken::invariant("nobody is answered before it is durable", told));
        }
    }

    /// Has a command decided that has no id: asks once, of one instance, and waits for a while. `None` when no
    /// answer came; it was then decided once or not at all.
    ///
    /// # Errors
    /// The business's refusal.
    pub async fn execute_unnamed<C, I>(
        &self,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Option<Result<Receipt, C::Refusal>>
    where
        C: Command + AcceptedBy<S::Commands, I>,
    {
        let core = &self.actor.crowd.core;
        let number = self.actor.commands.fetch_add(1, Ordering::Relaxed);
        let mut dice = self.actor.dice(&format!("command {number}"));
        let client = self.actor.crowd.client(self.service, &mut dice)?;
        let client = client.downcast_ref::<Client<S>>()?;
        let name = crate::service::short_name::<C>();
        core.tell(&self.actor.name, || format!("asks once: {name} for {id}"));
        let answer = tokio::select! {
            biased;
            answer = client.execute(id, command) => answer.ok(),
            () = self.actor.nap(PATIENCE) => None,
        };
        core.note(&self.actor.name, "answered once", u64::from(answer.is_some()));
        core.tell(&self.actor.name, || match &answer {
            Some(Ok(receipt)) => format!("is answered: version {}", receipt.version),
            Some(Err(refusal)) => format!("is refused: {refusal:?}"),
            None => "has no answer".to_owned(),
        });
        answer
    }

    async fn insist<C, I>(
        &self,
        cause: CauseId,
        id: &<C::Aggregate as Aggregate>::Id,
        command: &C,
        dice: &mut Dice,
    ) -> Result<Receipt, C::Refusal>
    where
        C: Command + AcceptedBy<S::Commands, I>,
    {
        loop {
            let client = self.actor.crowd.client(self.service, dice);
            if let Some(client) = client.as_ref().and_then(|c| c.downcast_ref::<Client<S>>()) {
                let asked = tokio::select! {
                    biased;
                    answer = client.execute_once(cause, id, command.clone()) => Some(answer),
                    () = self.actor.nap(PATIENCE) => None,
                };
                match asked {
                    Some(Ok(answer)) => return answer,
                    Some(Err(ClientError::Rejected(why))) => {
                        let name = crate::service::short_name::<C>();
                        let broken =
                            Broken::invariant("commands can be decided", format!("{name}: {why}"));
                        self.actor.crowd.core.fail(broken);
                        std::future::pending::<()>().await;
                    }
                    Some(Err(_)) | None => {}
                }
            }
            self.actor.nap(Duration::from_millis(dice.between(20, 400))).await;
        }
    }
}

/// Chance of an actor's own.
pub(super) fn dice_of(seed: u64, actor: &str, purpose: &str) -> Dice {
    Dice::of(seed, &format!("{actor} {purpose}"), 0)
}

/// An id that the same command has in every run.
fn cause(dice: &mut Dice) -> CauseId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&dice.bits().to_be_bytes());
    bytes[8..].copy_from_slice(&dice.bits().to_be_bytes());
    CauseId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
