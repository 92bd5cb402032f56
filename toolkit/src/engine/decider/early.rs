//! [`Mutant::AnsweredEarly`]: commands are answered when they are decided. Only in a build with the mutants.

use super::{open::Open, work::Work};
use crate::mutant::{Mutant, broken};

/// Answers what can be answered, and forgets it: should the append fail, it is not decided again.
pub(super) fn answer(open: &mut Open) {
    if !broken(Mutant::AnsweredEarly) || !open.failed_jobs.is_empty() {
        return;
    }
    let receipts = std::mem::take(&mut open.receipts);
    let works = std::mem::take(&mut open.works).into_iter().enumerate();
    open.works = works
        .filter_map(|(index, work)| match (work, receipts.get(&index)) {
            (Work::Command(job), Some(receipt)) => {
                job.succeed(*receipt);
                None
            }
            (work, _) => Some(work),
        })
        .collect();
}
