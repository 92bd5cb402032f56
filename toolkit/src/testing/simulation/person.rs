//! Whoever looks after dead letters: looks at them now and then, and rules.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures_util::FutureExt as _;

use super::{actors::Crowd, chance::StableHash, executor::WORLD, report::Broken, view::View};
use crate::{
    operator::LetterView,
    runtime::Timestamp,
    store::{
        Action, AgendaQuery, AgendaState, EventStore as _, HeldState, Letter, NewRuling, Ruled,
        memory::MemoryStore,
    },
};

/// How often a person looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a person may think, in milliseconds.
const THINK_MS_MAX: u64 = 8_000;
/// Letters of one state that are looked at.
const LETTERS_MAX: usize = 1_000;

/// What a person does about a dead letter, if anything.
#[derive(Clone)]
pub(super) struct Rule(pub(super) Arc<dyn Fn(&LetterView, &View) -> Option<Action> + Send + Sync>);

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule")
    }
}

impl Default for Rule {
    /// What the simulation did is tried again; what the user's own code did is left, and is found.
    fn default() -> Self {
        let rule = |letter: &LetterView, _: &View| by_a_fault(letter).then_some(Action::Replay);
        Self(Arc::new(rule))
    }
}

/// Whether a fault has killed it: it says so, or nothing came back from outside in time.
pub(super) fn by_a_fault(letter: &LetterView) -> bool {
    let unanswered = letter.kind == "effect" && letter.reason.contains("no answer within");
    unanswered || letter.reason.contains("simulated:")
}

/// The dead letters of a store.
pub(super) fn dead(store: &MemoryStore) -> Vec<Letter> {
    let mut letters = vec![];
    for state in [HeldState::Dead, HeldState::Aside] {
        let held = store.held_in(state, LETTERS_MAX).now_or_never().and_then(Result::ok);
        letters.extend(held.into_iter().flatten().map(|held| Letter::Message(Box::new(held))));
    }
    let query =
        AgendaQuery { state: Some(AgendaState::Dead), limit: LETTERS_MAX, ..Default::default() };
    let items = store.agenda(&query).now_or_never().and_then(Result::ok);
    letters.extend(items.into_iter().flatten().map(|item| Letter::Item(Box::new(item))));
    letters
}

/// A dead letter of a service on which the person will rule.
pub(super) fn awaits_ruling(
    crowd: &Crowd,
    service: usize,
    rule: &Rule,
    view: &View,
) -> Option<String> {
    let of = &crowd.core.services[service];
    let letters = dead(&of.store);
    let letter =
        letters.iter().find(|letter| (rule.0)(&LetterView::of(of.name, letter), view).is_some())?;
    Some(format!("{} waits for a ruling on {}", of.name, letter.id()))
}

/// Looks after dead letters for ever.
pub(super) fn begin(crowd: &Arc<Crowd>, rule: &Rule, sagas: &[usize]) {
    let (crowd, rule, sagas) = (crowd.clone(), rule.clone(), sagas.to_vec());
    let exec = crowd.core.exec.clone();
    exec.clone().spawn(
        WORLD,
        Box::pin(async move {
            let mut thinking = BTreeMap::new();
            loop {
                exec.sleep(LOOK_EVERY).await;
                for service in 0..crowd.core.services.len() {
                    look(&crowd, service, &rule, &sagas, &mut thinking);
                }
            }
        }),
    );
}

/// Until when the person thinks about a letter: by service, letter and attempts.
type Thinking = BTreeMap<(usize, String, u32), Timestamp>;

fn look(crowd: &Arc<Crowd>, service: usize, rule: &Rule, sagas: &[usize], thinking: &mut Thinking) {
    let core = &crowd.core;
    let of = &core.services[service];
    if core.is_out(service) {
        return;
    }
    let letters = dead(&of.store);
    if letters.is_empty() {
        return;
    }
    let view = View::new(core.clone(), crowd.kinds.clone(), sagas.to_vec());
    for letter in letters {
        let Some(action) = (rule.0)(&LetterView::of(of.name, &letter), &view) else { continue };
        let name = (service, letter.id().to_string(), letter.attempts());
        let now = core.exec.now();
        let until = *thinking.entry(name.clone()).or_insert_with(|| {
            core.changed();
            now.plus(thinks(core.seed, core.calm, &name.1, name.2))
        });
        if now >= until {
            rule_on(crowd, service, &letter, action);
        }
    }
}

fn thinks(seed: u64, calm: bool, letter: &str, attempts: u32) -> Duration {
    let mut hash = StableHash::new();
    hash.text(letter);
    let mut dice = super::chance::Dice::of(seed ^ hash.value(), "thinks", u64::from(attempts));
    Duration::from_millis(if calm { 0 } else { dice.below(THINK_MS_MAX) })
}

fn rule_on(crowd: &Arc<Crowd>, service: usize, letter: &Letter, action: Action) {
    let core = &crowd.core;
    let of = &core.services[service];
    let name = action.name();
    let new = NewRuling {
        letter: letter.id(),
        attempts: letter.attempts(),
        action,
        who: "simulation".to_owned(),
        note: "as the simulation was told".to_owned(),
        at: core.exec.now(),
    };
    let ruled = of.store.rule(&new).now_or_never().and_then(Result::ok);
    core.note(of.name, name, 0);
    core.changed();
    core.tell("person", || format!("rules on {} of {}: {name}", letter.id(), of.name));
    if let Some(Ruled::Unfit(why)) = ruled {
        let told = format!("{name} on {} of {}: {why}", letter.id(), of.name);
        core.fail(Broken::invariant("rulings can be done", told));
    }
}
