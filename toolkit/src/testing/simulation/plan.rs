//! Which fault happens where: drawn from the seed, or given.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

use super::{
    chance::{Dice, StableHash},
    faults::{Fault, FaultCounts, FaultKind, Faults},
};

/// A place where something can go wrong: the n-th call of a kind by an instance. It keeps its name when
/// other instances do something else, so that a run can be repeated with some of its faults left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    /// The instance, as `service/number`; `world` for what comes from outside.
    pub(super) place: Arc<str>,
    /// What is called.
    pub(super) op: Cow<'static, str>,
    /// Counted from 1 through all lives of the instance.
    pub(super) nth: u32,
}

impl Site {
    /// Chance that belongs to this place alone.
    pub(super) fn dice(&self, seed: u64, purpose: &str) -> Dice {
        let mut hash = StableHash::new();
        hash.text(&self.place);
        hash.text(&self.op);
        Dice::of(seed ^ hash.value(), purpose, u64::from(self.nth))
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}#{}", self.place, self.op, self.nth)
    }
}

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (place, rest) = text.split_once(':')?;
            let (op, nth) = rest.split_once('#')?;
            Some(Self { place: place.into(), op: op.to_owned().into(), nth: nth.parse().ok()? })
        };
        parse().ok_or_else(|| format!("{text:?} is no place of a fault: `service/0:append#3`"))
    }
}

/// Where faults come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// From the seed.
    Draw(Faults),
    /// These and no others.
    Given(BTreeMap<Site, Fault>),
}

/// The occasions of a run.
///
/// A call that an instance repeats while nothing in the world has changed since it made the same call is no
/// new one: what goes wrong there has gone wrong at the first, but for the time.
#[derive(Debug, Default)]
pub(super) struct Occasions {
    pub(super) list: Vec<(Site, Vec<Fault>)>,
    seen: BTreeSet<(Arc<str>, Cow<'static, str>, u64)>,
    /// Occasions that were none for this reason.
    pub(super) repeated: u64,
}

impl Occasions {
    fn note(&mut self, site: &Site, possible: &[Fault], changes: u64) {
        if self.seen.insert((site.place.clone(), site.op.clone(), changes)) {
            self.list.push((site.clone(), possible.to_vec()));
        } else {
            self.repeated += 1;
        }
    }
}

/// Decides, and remembers what it decided.
#[derive(Debug)]
pub(super) struct Plan {
    seed: u64,
    source: Source,
    swarm: BTreeMap<FaultKind, f64>,
    on: bool,
    pub(super) taken: Vec<(Site, Fault)>,
    pub(super) counts: FaultCounts,
    /// Every occasion and what could have happened there; only when asked for.
    pub(super) occasions: Option<Occasions>,
}

impl Plan {
    pub(super) fn new(seed: u64, source: Source) -> Self {
        let swarm = FaultKind::ALL.iter().map(|kind| (*kind, swarm(seed, *kind))).collect();
        let counts = FaultCounts::default();
        Self { seed, source, swarm, on: true, taken: vec![], counts, occasions: None }
    }

    /// From now on nothing goes wrong any more.
    pub(super) fn stop(&mut self) {
        self.on = false;
    }

    pub(super) fn decide(
        &mut self,
        site: &Site,
        possible: &[Fault],
        changes: u64,
    ) -> Option<Fault> {
        if !self.on {
            return None;
        }
        if let Some(occasions) = &mut self.occasions {
            occasions.note(site, possible, changes);
        }
        let fault = match &self.source {
            Source::Given(given) => given.get(site).copied().filter(|f| possible.contains(f)),
            Source::Draw(faults) if self.taken.len() < faults.max => {
                self.draw(faults, site, possible)
            }
            Source::Draw(_) => None,
        }?;
        self.taken.push((site.clone(), fault));
        self.counts.add(fault);
        Some(fault)
    }

    /// One number decides: each possible fault has its share of it.
    fn draw(&self, faults: &Faults, site: &Site, possible: &[Fault]) -> Option<Fault> {
        let mut left = site.dice(self.seed, "fault").fraction();
        for fault in possible {
            let of_its_kind = possible.iter().filter(|f| f.kind() == fault.kind()).count();
            let weight = self.swarm.get(&fault.kind()).copied().unwrap_or(1.0);
            // At most a handful of faults at a place: the cast is exact.
            #[allow(clippy::cast_precision_loss)]
            let share = faults.probability(fault.kind()) * weight / of_its_kind as f64;
            if left < share {
                return Some(*fault);
            }
            left -= share;
        }
        None
    }
}

/// How a seed weighs a kind: a third of the kinds are left out, and one in nine comes five times as often.
fn swarm(seed: u64, kind: FaultKind) -> f64 {
    match Dice::of(seed, kind.name(), 0).below(9) {
        0..3 => 0.0,
        8 => 5.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(nth: u32) -> Site {
        Site { place: "pay/0".into(), op: "append".into(), nth }
    }

    #[test]
    fn a_site_is_read_as_it_is_written() {
        assert_eq!(site(3).to_string().parse(), Ok(site(3)));
        assert!("pay/0".parse::<Site>().is_err() && "pay/0:append#x".parse::<Site>().is_err());
    }

    #[test]
    fn what_is_given_happens_there_and_nowhere_else() {
        let given = BTreeMap::from([(site(2), Fault::Conflict)]);
        let mut plan = Plan::new(1, Source::Given(given));
        let possible = [Fault::Conflict, Fault::CrashAfter];
        assert_eq!(plan.decide(&site(1), &possible, 0), None);
        assert_eq!(plan.decide(&site(2), &possible, 0), Some(Fault::Conflict));
        plan.stop();
        assert_eq!(plan.decide(&site(2), &possible, 0), None);
        assert_eq!((plan.taken.len(), plan.counts.of(Fault::Conflict)), (1, 1));
    }

    #[test]
    fn drawn_faults_come_as_often_as_they_should_and_end_at_their_maximum() {
        let faults = Faults { max: 10, ..Faults::none().with(FaultKind::StoreConflict, 1.0) };
        // A seed that leaves this kind as it is.
        let seed = (0..).find(|s| swarm(*s, FaultKind::StoreConflict) == 1.0).unwrap();
        let mut plan = Plan::new(seed, Source::Draw(faults));
        let drawn = |nth| plan.decide(&site(nth), &[Fault::CrashAfter, Fault::Conflict], 0);
        let count = (0..20).filter_map(drawn).filter(|f| *f == Fault::Conflict).count();
        assert_eq!(count, 10);
    }
}
