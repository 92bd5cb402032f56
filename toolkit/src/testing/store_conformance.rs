//! What every [`EventStore`] must hold to, as tests that anyone can run against a store.
//!
//! Write a [`StorePlace`] and let [`store_conformance!`](crate::store_conformance) make one test of each
//! property:
//!
//! ```ignore
//! quadrille::store_conformance!(MyPlace::fresh().await);
//! ```
//!
//! The expression is evaluated once for each test, in an async context, and must give a place with
//! nothing in it. The crate that calls the macro needs tokio with `macros` and `rt-multi-thread`.
//! The names begin with the protocol rule that they watch over: `cargo test p05` runs those of P5.

mod agenda;
mod atomicity;
mod causes;
mod concurrency;
pub(crate) mod fixtures;
mod held;
mod identity;
mod inbox;
mod lanes;
mod leases;
mod letters;
mod model;
mod payloads;
mod positions;
mod streams;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::{
    agenda::*, atomicity::*, causes::*, concurrency::*, held::*, identity::*, inbox::*, lanes::*,
    leases::*, letters::*, model::*, payloads::*, positions::*, streams::*,
};
use crate::store::EventStore;

/// Where the data of one store lives. Dropping it may remove the data.
#[async_trait]
pub trait StorePlace: Send + Sync + 'static {
    /// Opens a handle on the data of this place, as a process does that starts: the first one makes
    /// the store. Handles are used side by side.
    async fn open(&self) -> Arc<dyn EventStore>;
}

/// Makes one `#[tokio::test]` of each property of a conforming [`EventStore`](crate::store::EventStore).
/// Takes an expression that gives a fresh
/// [`StorePlace`](crate::testing::store_conformance::StorePlace).
#[macro_export]
macro_rules! store_conformance {
    ($place:expr) => {
        $crate::store_conformance! { @each $place;
            p01_an_append_is_all_or_nothing
            p01_checks_have_an_order
            p01_a_malformed_append_is_rejected_whole
            p02_a_position_moves_by_compare_and_set
            p02_a_stale_epoch_loses_its_lanes_alone
            p02_a_guard_keeps_the_last_id
            p02_one_of_many_wins_a_position
            p03_where_a_lane_starts_is_stored
            p03_gaps_are_kept
            p04_a_foreign_event_is_taken_once
            p04_what_was_seen_has_its_place_in_the_order
            p04_source_and_id_are_kept_exactly
            p04_an_append_that_fails_leaves_nothing_in_the_inbox
            p04_one_of_many_takes_a_foreign_event
            p04_the_inbox_forgets_by_age
            p05_numbers_in_a_lane_follow_the_append
            p05_lanes_are_dense_under_concurrent_writers
            p05_reading_a_lane_is_limited
            p08_an_append_says_what_it_follows
            p06_floors_are_kept
            p06_a_stale_floor_does_not_replace_a_newer_one
            p09_a_closed_map_is_opened_by_the_last_to_close_it
            p09_a_store_belongs_to_one_service
            p09_shards_change_only_on_purpose
            p09_a_lease_has_one_holder
            p09_a_lease_expires
            p09_one_of_many_gets_a_lease
            p10_a_moved_head_is_a_conflict
            p10_streams_only_read_are_checked
            p10_a_gap_above_the_head_is_refused
            p10_conflicts_name_the_streams
            p10_write_skew_is_refused
            p11_held_messages_keep_their_order
            p11_a_held_message_changes_by_compare_and_set
            p11_heads_are_the_first_of_their_keys
            p11_position_and_held_are_one_snapshot
            p11_held_messages_are_listed_by_state
            p11_a_message_set_aside_holds_nobody_back
            p12_rulings_on_messages_are_done_and_kept
            p12_a_ruling_that_does_not_fit_is_not_done
            p12_rulings_on_the_agenda_are_done_and_kept
            p12_one_of_many_rules_on_a_letter
            p12_dead_letters_are_counted_by_kind
            p12_what_went_wrong_is_kept_however_it_is_worded
            a_saga_is_found_in_events_and_held_messages
            p12_a_claim_that_consumes_less_is_refused
            p12_payloads_are_kept_exactly
            p12_odd_texts_are_kept_exactly
            p13_items_are_kept_exactly
            p13_a_put_replaces_an_item
            p13_a_clear_takes_an_item_away
            p13_an_ending_needs_its_token
            p13_changes_of_an_item_have_an_order
            p13_an_append_and_its_agenda_are_one
            p13_an_item_is_changed_once_in_each_way
            p13_the_agenda_is_shown_by_saga_and_state
            p13_a_claim_takes_the_earliest_first
            p13_a_claim_ends_with_its_lease
            p13_no_item_goes_to_two_claimers
            p13_an_item_ends_once_whoever_has_claimed_it
            p14_a_try_is_kept
            p14_a_claim_says_whether_an_effect_was_begun
            p15_what_was_appended_is_there_after_a_restart
            p17_an_outcome_can_be_asked_for
            p17_a_cause_is_used_once
            p17_one_of_many_uses_a_cause
            p17_answers_are_kept
            p17_a_dropped_append_is_whole_or_nothing
            p17_old_causes_can_be_pruned
            streams_are_loaded_in_the_order_of_the_question
            many_streams_are_loaded_and_written_at_once
            snapshots_of_another_shape_are_ignored
            an_older_snapshot_does_not_replace_a_newer_one
            random_appends_do_what_a_naive_model_does
        }
    };
    (@each $place:expr; $($property:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                let place = $place;
                $crate::testing::store_conformance::$property(&place).await;
            }
        )*
    };
}
