//! The parts of the story: a day like any other, a payment gateway in trouble, and orders whose time runs
//! out.

use std::{ops::Range, time::Duration};

use gateway::Trouble;
use order::FINISH_WITHIN;

/// Of so many orders, one meets a gateway in trouble.
const TROUBLED_ONE_IN: u64 = 20;
const TROUBLED_MAX: u64 = 500;
/// Of so many orders, one is not finished in time.
const EXPIRING_ONE_IN: u64 = 100;
const EXPIRING_MAX: u64 = 50;
/// How long those have.
const TOO_SHORT: Duration = Duration::from_millis(50);
/// Longer than payment waits for an answer, so that the orders' time runs out first.
const STUCK_MS: u64 = 2_000;

/// A part of the story.
#[derive(Debug)]
pub(crate) struct Part {
    /// For people.
    pub(crate) title: &'static str,
    /// The numbers of its orders.
    pub(crate) orders: Range<u64>,
    /// How long each has to end.
    pub(crate) finish_within: Duration,
    /// What the gateway does meanwhile.
    pub(crate) trouble: Trouble,
}

/// Divides a story of `sagas` orders. The first part is the one whose speed counts.
pub(crate) fn of(sagas: u64, seed: u64, with_gateway: bool) -> Vec<Part> {
    let few = |one_in: u64, most: u64| if with_gateway { (sagas / one_in).min(most) } else { 0 };
    let (troubled, expiring) =
        (few(TROUBLED_ONE_IN, TROUBLED_MAX), few(EXPIRING_ONE_IN, EXPIRING_MAX));
    let (calm, storm) = (sagas - troubled - expiring, sagas - expiring);
    vec![
        Part {
            title: "a day like any other",
            orders: 0..calm,
            finish_within: FINISH_WITHIN,
            trouble: Trouble::default(),
        },
        Part {
            title: "the gateway is slow, fails and loses its answers",
            orders: calm..storm,
            finish_within: FINISH_WITHIN,
            trouble: Trouble {
                seed,
                delay_ms: 20,
                delay_answer_ms: 20,
                delay_percent: 20,
                fail_before_percent: 10,
                fail_after_percent: 10,
                lose_answer_percent: 10,
            },
        },
        Part {
            title: "the gateway is stuck, and the orders' time runs out",
            orders: storm..sagas,
            finish_within: TOO_SHORT,
            trouble: Trouble { delay_ms: STUCK_MS, delay_percent: 100, ..Trouble::default() },
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_in_one_part() {
        for (sagas, with_gateway) in
            [(0, true), (1, true), (100, true), (20_000, true), (99, false)]
        {
            let parts = of(sagas, 1, with_gateway);
            let numbers: Vec<u64> = parts.into_iter().flat_map(|part| part.orders).collect();
            assert_eq!(numbers, (0..sagas).collect::<Vec<_>>());
        }
    }
}
