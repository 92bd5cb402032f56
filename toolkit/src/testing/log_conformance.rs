//! What every [`EventLog`] must do, as tests.
//!
//! ```text
//! async fn fresh() -> MyLogUnderTest { … }
//! quadrille::log_conformance!(fresh);
//! ```
//!
//! The suite makes topics, groups and transactional ids with names of its own, so that a shared
//! cluster can be tested. It waits for conditions, never for a time, and panics when one is not met
//! before the deadline.
//!
//! A transaction over several partitions becomes visible in each of them at one moment, but on Kafka
//! not in all at the same moment: the marks are written one by one. So the suite asks for atomicity in
//! each partition at every moment, and over all of them in the end.

mod fencing;
mod finding;
mod ground;
mod groups;
mod publishing;
mod reading_back;
mod seeking;
mod topics;
mod wanted;

use std::time::Duration;

use async_trait::async_trait;

pub use self::{
    fencing::*, finding::*, groups::*, publishing::*, reading_back::*, seeking::*, topics::*,
    wanted::*,
};
use crate::{
    id::SourceLane,
    log::{EventLog, NewRecord, TopicSpec},
};

/// A log, and what a test must be able to do to it behind its back.
///
/// An accident that cannot be arranged with this log is left as it is: it says `false`, and the
/// properties that need it are not tested.
#[async_trait]
pub trait LogUnderTest: Send + Sync {
    /// The log.
    fn log(&self) -> &dyn EventLog;

    /// For how long to wait for a condition.
    fn deadline(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Deletes the records of a lane before an offset, as retention does.
    async fn delete_records_before(&self, _source: &SourceLane, _offset: i64) -> bool {
        false
    }

    /// Writes a record of a foreign producer, outside of transactions.
    async fn produce_raw(&self, _topic: &str, _record: NewRecord) -> bool {
        false
    }

    /// Writes records in a transaction of this id, durably, and leaves it open, as a crash does.
    async fn leave_open(&self, _id: &str, _topic: &str, _records: Vec<NewRecord>) -> bool {
        false
    }

    /// Makes a compacted topic.
    async fn make_compacted(&self, _spec: &TopicSpec) -> bool {
        false
    }
}

/// Expands to one `#[tokio::test]` for each property of the suite. The argument is an `async fn` that
/// gives a [`LogUnderTest`](crate::testing::log_conformance::LogUnderTest). The calling crate needs
/// tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! log_conformance {
    ($fresh:path) => {
        $crate::log_conformance! { @each $fresh;
            a_lane_keeps_the_order_of_publishing
            keys_values_and_headers_come_back_byte_for_byte
            publishing_nothing_is_fine
            p06_aborting_what_hangs_touches_nothing_else
            a_transaction_is_seen_whole_or_not_at_all
            p06_nothing_is_stable_behind_an_open_transaction
            p09_a_fenced_publisher_writes_nothing
            p09_fencing_reaches_every_lane_of_the_id
            p07_a_new_publisher_aborts_what_its_predecessor_left_open
            p07_after_a_doubt_the_tail_is_stable_and_tells_what_was_committed
            publishers_of_different_ids_do_not_fence_each_other
            p06_read_back_gives_the_last_records_oldest_first
            p06_read_back_gives_all_when_there_are_fewer
            p06_read_back_of_an_empty_lane_says_so
            p06_read_back_passes_over_marks_and_aborted_records
            p06_read_back_shows_foreign_records
            p06_a_lane_emptied_by_retention_keeps_its_end_and_its_topic_id
            p06_topics_have_ids_of_their_own
            p03_find_gives_the_offset_of_a_number
            p03_find_tells_a_loss_from_a_number_that_is_there
            p03_find_sees_neither_aborted_nor_foreign_records
            p03_find_knows_where_a_shortened_lane_starts
            a_group_covers_every_lane_exactly_once
            who_joins_gets_lanes_and_who_leaves_gives_them_back
            every_group_reads_everything
            a_topic_made_after_subscribing_is_assigned
            p02_noted_progress_moves_nobody
            nothing_comes_from_a_lane_before_its_seek
            a_seek_back_brings_the_same_records_again
            a_seek_before_the_start_begins_at_the_start
            a_seek_beyond_the_end_begins_at_the_start
            a_paused_lane_brings_nothing_until_its_seek
            a_delivery_has_no_more_records_than_asked_for
            a_dropped_next_loses_nothing
            of_a_type_that_is_not_wanted_its_place_is_brought
            a_topic_is_made_once
            another_number_of_partitions_is_refused
            a_topic_whose_records_are_too_small_is_refused
            p06_a_compacted_topic_is_refused
        }
    };
    (@each $fresh:path; $($property:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                let under_test = $fresh().await;
                $crate::testing::log_conformance::$property(&under_test).await;
            }
        )*
    };
}
