//! One test of each property, on the store that an expression gives: a place that other instances can open,
//! too.

macro_rules! agenda_suite {
    ($place:expr) => {
        crate::suite::agenda_suite! { @each $place;
            p13: p13_a_deadline_comes_back_at_its_time_once
            p13: p13_a_cleared_deadline_does_not_come
            p13: p13_a_deadline_of_a_dead_instance_fires_after_its_lease
            p14: p14_the_outcome_comes_back_as_an_event
            p14: p14_a_lost_answer_is_asked_for_and_not_sent_again
            p14: p14_what_is_surely_not_done_is_sent_again_without_asking_until_a_person_decides
            letters: p12_a_dead_deadline_fires_once_when_it_is_replayed
            letters: p12_a_dead_deadline_that_is_skipped_does_not_come
            letters: p12_a_dead_outcome_that_is_resolved_does_not_come
            letters: p12_a_dead_outcome_comes_to_its_handler_when_it_is_replayed_and_is_not_performed_again
            letters: p12_an_effect_that_gave_up_gets_its_outcome_from_a_person
            letters: p12_an_effect_that_gave_up_is_performed_again_when_it_is_replayed
        }

        crate::suite::agenda_suite! { @place $place;
            p13_killed_at_every_call_between_setting_a_deadline_and_its_firing
            p14_killed_at_every_call_between_an_effect_and_its_outcome
            p14_killed_at_every_call_of_an_effect_whose_answer_is_lost
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn p13_two_engines_fire_each_deadline_once() {
            let place = $place;
            let world = crate::booking::World::on(place.open().await);
            crate::p13::p13_two_engines_fire_each_deadline_once(world, place.open().await).await;
        }
    };
    (@each $place:expr; $($module:ident: $property:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                let place = $place;
                let world = crate::booking::World::on(place.open().await);
                crate::$module::$property(world).await;
            }
        )*
    };
    (@place $place:expr; $($property:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                crate::killed::$property(&$place).await;
            }
        )*
    };
}
pub(crate) use agenda_suite;
