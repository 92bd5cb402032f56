//! One thread, virtual time: tasks run one at a time, in an order that the seed chooses, and the clock
//! jumps to the next timer when nothing is ready.
//!
//! What is ready is a set, not a queue: the order in which wakers were called (which some primitives
//! leave to chance) cannot reach the schedule.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use super::chance::Dice;
use crate::runtime::{BoxFuture, Timestamp};

/// Tasks that live, pause and die together: one incarnation of an instance, or the world outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupId(pub(super) u64);

/// The world outside: clients, the network, accidents. It never dies.
pub(super) const WORLD: GroupId = GroupId(0);

/// In which order ready tasks run.
#[derive(Clone, Debug)]
pub(super) enum Schedule {
    /// The oldest first.
    Calm,
    /// As the dice fall.
    Random(Dice),
}

struct Task {
    group: GroupId,
    future: Option<BoxFuture<'static, ()>>,
    waker: Waker,
}

struct State {
    now: Timestamp,
    tasks: BTreeMap<u64, Task>,
    ready: BTreeSet<u64>,
    timers: BTreeMap<(Timestamp, u64), Waker>,
    paused: BTreeMap<GroupId, Timestamp>,
    dead: BTreeSet<GroupId>,
    /// Groups whose tasks are still to be dropped.
    doomed: Vec<GroupId>,
    schedule: Schedule,
    tasks_made: u64,
    timers_made: u64,
    groups_made: u64,
}

struct Inner {
    state: Mutex<State>,
    woken: Arc<Mutex<Vec<u64>>>,
}

/// A handle; clones are the same executor.
#[derive(Clone)]
pub(super) struct Executor(Arc<Inner>);

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Executor at {}", self.now())
    }
}

struct TaskWaker {
    task: u64,
    woken: Arc<Mutex<Vec<u64>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.woken).push(self.task);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    pub(super) fn new(start: Timestamp, schedule: Schedule) -> Self {
        let state = State {
            now: start,
            tasks: BTreeMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeMap::new(),
            paused: BTreeMap::new(),
            dead: BTreeSet::new(),
            doomed: vec![],
            schedule,
            tasks_made: 0,
            timers_made: 0,
            groups_made: 0,
        };
        Self(Arc::new(Inner { state: Mutex::new(state), woken: Arc::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.lock().now
    }

    pub(super) fn new_group(&self) -> GroupId {
        let mut state = self.lock();
        state.groups_made += 1;
        GroupId(state.groups_made)
    }

    /// Starts a task; what a dead group starts never runs.
    pub(super) fn spawn(&self, group: GroupId, future: BoxFuture<'static, ()>) {
        let mut state = self.lock();
        if state.dead.contains(&group) {
            return;
        }
        state.tasks_made += 1;
        let task = state.tasks_made;
        let waker = Waker::from(Arc::new(TaskWaker { task, woken: self.0.woken.clone() }));
        state.tasks.insert(task, Task { group, future: Some(future), waker });
        state.ready.insert(task);
    }

    /// Nothing of this group runs any more. Its tasks are dropped when the present one yields.
    pub(super) fn kill(&self, group: GroupId) {
        let mut state = self.lock();
        if state.dead.insert(group) {
            state.doomed.push(group);
        }
    }

    /// Nothing of this group runs before `until`; its timers then find that they are late.
    pub(super) fn pause(&self, group: GroupId, until: Timestamp) {
        self.lock().paused.insert(group, until);
    }

    pub(super) fn is_paused(&self, group: GroupId) -> bool {
        self.lock().paused.contains_key(&group)
    }

    /// Ends all pauses.
    pub(super) fn resume_all(&self) {
        self.lock().paused.clear();
    }

    pub(super) fn sleep(&self, duration: Duration) -> Sleep {
        let deadline = self.now().plus(duration);
        Sleep { executor: self.clone(), deadline, timer: None }
    }

    /// Drops all tasks: they hold on to what holds on to this executor.
    pub(super) fn clear(&self) {
        let tasks = {
            let mut state = self.lock();
            let groups: Vec<_> = state.tasks.values().map(|task| task.group).collect();
            state.dead.extend(groups);
            std::mem::take(&mut state.tasks)
        };
        drop(tasks);
        let timers = std::mem::take(&mut self.lock().timers);
        drop(timers);
    }

    /// Runs one task, or else moves the clock to the next timer, but not beyond `limit`. False when
    /// nothing is left to do before the limit.
    pub(super) fn step(&self, limit: Timestamp) -> bool {
        self.bury();
        if let Some(task) = self.next_task() {
            self.poll(task);
            return true;
        }
        self.advance(limit)
    }

    fn next_task(&self) -> Option<u64> {
        let woken = std::mem::take(&mut *lock(&self.0.woken));
        let mut state = self.lock();
        let State { tasks, ready, paused, schedule, .. } = &mut *state;
        ready.extend(woken.into_iter().filter(|task| tasks.contains_key(task)));
        let runs = |task: &&u64| {
            paused.is_empty() || tasks.get(task).is_some_and(|t| !paused.contains_key(&t.group))
        };
        let count = ready.iter().filter(runs).count();
        let nth = match schedule {
            _ if count < 2 => 0,
            Schedule::Calm => 0,
            Schedule::Random(dice) => dice.index(count),
        };
        let task = ready.iter().filter(runs).nth(nth).copied()?;
        ready.remove(&task);
        Some(task)
    }

    fn poll(&self, id: u64) {
        let Some((mut future, waker)) = ({
            let mut state = self.lock();
            let task = state.tasks.get_mut(&id);
            task.and_then(|task| Some((task.future.take()?, task.waker.clone())))
        }) else {
            return;
        };
        let done = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let mut state = self.lock();
        if done {
            state.tasks.remove(&id);
        } else if let Some(task) = state.tasks.get_mut(&id) {
            task.future = Some(future);
            return;
        }
        drop(state);
        drop(future);
    }

    /// Drops the tasks of groups that have died.
    fn bury(&self) {
        let tasks: Vec<Task> = {
            let mut state = self.lock();
            if state.doomed.is_empty() {
                return;
            }
            let doomed = std::mem::take(&mut state.doomed);
            state.paused.retain(|group, _| !doomed.contains(group));
            let of_doomed = |task: &Task| doomed.contains(&task.group);
            let ids: Vec<u64> =
                state.tasks.iter().filter(|(_, t)| of_doomed(t)).map(|(id, _)| *id).collect();
            state.ready.retain(|id| !ids.contains(id));
            ids.into_iter().filter_map(|id| state.tasks.remove(&id)).collect()
        };
        drop(tasks);
    }

    fn advance(&self, limit: Timestamp) -> bool {
        let due: Vec<Waker> = {
            let mut state = self.lock();
            let timer = state.timers.keys().next().map(|(at, _)| *at);
            let resume = state.paused.values().min().copied();
            let Some(next) = timer.into_iter().chain(resume).min().filter(|at| *at <= limit) else {
                state.now = state.now.max(limit);
                return false;
            };
            state.now = state.now.max(next);
            let now = state.now;
            state.paused.retain(|_, until| *until > now);
            let later = state.timers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.timers, later).into_values().collect()
        };
        due.into_iter().for_each(Waker::wake);
        true
    }
}

/// Resolves when the virtual clock has come so far.
#[derive(Debug)]
pub(super) struct Sleep {
    executor: Executor,
    deadline: Timestamp,
    timer: Option<u64>,
}

impl Sleep {
    fn cancel(&mut self) {
        if let Some(timer) = self.timer.take() {
            let waker = self.executor.lock().timers.remove(&(self.deadline, timer));
            drop(waker);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.cancel();
        let executor = self.executor.clone();
        let mut state = executor.lock();
        if state.now >= self.deadline {
            return Poll::Ready(());
        }
        state.timers_made += 1;
        let timer = state.timers_made;
        state.timers.insert((self.deadline, timer), cx.waker().clone());
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}
