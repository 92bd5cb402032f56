//! Two ways to do the same, measured in turns.

use anyhow::{Context as _, Result};

use crate::{
    context::Context,
    figure::{Costs, Figure, Target, Unit},
    meter::Run,
    sample::Spread,
};

/// What the turns of a duel gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Duel {
    toolkit: Vec<Run>,
    baseline: Vec<Run>,
}

impl Duel {
    /// Alternates, and begins with the other side each time: what comes second in a round finds warmer
    /// caches and fuller tables. The first round is warm-up, unless only one is wanted.
    pub(crate) async fn fight(
        rounds: usize,
        mut toolkit: impl AsyncFnMut(usize) -> Result<Run>,
        mut baseline: impl AsyncFnMut(usize) -> Result<Run>,
    ) -> Result<Self> {
        let mut duel = Self::default();
        let warm_up = usize::from(rounds > 1);
        for round in 0..rounds + warm_up {
            let (ours, theirs) = if round % 2 == 0 {
                let ours = toolkit(round).await.context("the toolkit's turn")?;
                (ours, baseline(round).await.context("the hand-written turn")?)
            } else {
                let theirs = baseline(round).await.context("the hand-written turn")?;
                (toolkit(round).await.context("the toolkit's turn")?, theirs)
            };
            if round >= warm_up {
                duel.toolkit.push(ours);
                duel.baseline.push(theirs);
            }
        }
        Ok(duel)
    }

    /// How fast the toolkit is, as a part of the other.
    pub(crate) fn speed(&self, key: &str, what: &str, target: Target) -> Result<Figure> {
        self.ratio(key, what, target, |ours, theirs| ours.per_second() / theirs.per_second())
    }

    /// What one item costs in the first, as a multiple of the second.
    pub(crate) fn cost(&self, key: &str, what: &str, target: Target) -> Result<Figure> {
        let mut figure = self.ratio(key, what, target, |a, b| b.per_second() / a.per_second())?;
        figure.by_cpu = figure.by_cpu.map(|ratio| 1.0 / ratio);
        Ok(figure)
    }

    fn ratio(
        &self,
        key: &str,
        what: &str,
        target: Target,
        ratio: impl Fn(&Run, &Run) -> f64,
    ) -> Result<Figure> {
        let ratios: Vec<f64> =
            self.toolkit.iter().zip(&self.baseline).map(|(a, b)| ratio(a, b)).collect();
        let spread = Spread::of(&ratios).with_context(|| format!("nothing measured for {key}"))?;
        let mut figure = Figure::new(key, what, Unit::Ratio, spread, target);
        let (ours, theirs) = (Costs::of(&self.ours()), Costs::of(&self.theirs()));
        figure.by_cpu = ours.total.zip(theirs.total).map(|(ours, theirs)| theirs / ours);
        figure.costs = Some((ours, theirs));
        Ok(figure)
    }

    fn ours(&self) -> Run {
        self.toolkit.iter().fold(Run::default(), |sum, run| sum.plus(run))
    }

    fn theirs(&self) -> Run {
        self.baseline.iter().fold(Run::default(), |sum, run| sum.plus(run))
    }

    /// Items a second of both sides, for figures of their own.
    pub(crate) fn rates(&self) -> (Option<Spread>, Option<Spread>) {
        let rates =
            |runs: &[Run]| Spread::of(&runs.iter().map(Run::per_second).collect::<Vec<_>>());
        (rates(&self.toolkit), rates(&self.baseline))
    }

    /// The turns of the hand-written side.
    pub(crate) fn baseline(&self) -> &[Run] {
        &self.baseline
    }
}

/// Hands over the figures of rate and CPU of one way to run sagas.
pub(crate) fn sagas(
    context: &Context,
    key: &str,
    what: &str,
    runs: &[Run],
    target: Target,
) -> Result<()> {
    let rates: Vec<f64> = runs.iter().map(Run::per_second).collect();
    let spread = Spread::of(&rates).with_context(|| format!("nothing measured for {key}"))?;
    context.figure(Figure::new(key, what, Unit::SagasPerSecond, spread, target));
    cpu(context, key, what, runs);
    Ok(())
}

/// Hands over CPU time a saga, by who used it.
pub(crate) fn cpu(context: &Context, key: &str, what: &str, runs: &[Run]) {
    let costs: Vec<Costs> = runs.iter().map(Costs::of).collect();
    let parts: [(&str, fn(&Costs) -> Option<f64>); 4] = [
        ("cpu", |c| c.total),
        ("cpu.client", |c| c.client),
        ("cpu.postgres", |c| c.postgres),
        ("cpu.kafka", |c| c.kafka),
    ];
    for (part, of) in parts {
        let values: Vec<f64> = costs.iter().filter_map(of).collect();
        let Some(spread) = Spread::of(&values) else { continue };
        let what = format!("{what}: {part} a saga");
        context.figure(Figure::new(
            format!("{key}.{part}"),
            what,
            Unit::Micros,
            spread,
            Target::None,
        ));
    }
}
