//! What the server's errors mean to the caller.

use sqlx::{
    Error,
    postgres::{PgDatabaseError, PgSeverity},
};

use crate::store::{AppendError, StoreError};

/// SQLSTATEs that our own functions raise.
pub(super) mod own {
    pub(crate) const POSITION_LOST: &str = "QD002";
    pub(crate) const HELD_CHANGED: &str = "QD003";
    pub(crate) const STREAM_MOVED: &str = "QD004";
    pub(crate) const NO_SUCH_LANE: &str = "QD005";
    pub(crate) const AGENDA_CHANGED: &str = "QD006";
    pub(crate) const SEEN_BEFORE: &str = "QD007";
}

const UNIQUE_VIOLATION: &str = "23505";

/// What an append failed of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A cause was used before; which one must be looked up.
    CauseUsed,
    /// Places of positions, from 0.
    PositionLost(Vec<usize>),
    /// Places of changes, from 0.
    HeldChanged(Vec<usize>),
    /// Items of the agenda are not as they were claimed; which ones must be looked up.
    AgendaChanged,
    /// Heads have moved; which ones must be looked up.
    StreamsMoved,
    /// Events of foreign producers were taken before; which ones must be looked up.
    SeenBefore,
    /// Others were in the way (40P01, 40001).
    Collision,
    /// The data cannot be stored.
    Refused,
    /// Surely not committed; it may work later.
    NotNow,
    /// The commit may have happened.
    InDoubt,
}

fn database_error(error: &Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Whether the server has refused the statement and goes on: the session may be used again.
pub(super) fn is_of_the_statement(error: &Error) -> bool {
    match error {
        Error::Encode(_) | Error::ColumnDecode { .. } | Error::Decode(_) => true,
        _ => database_error(error).is_some_and(|e| !ends_session(e)),
    }
}

/// A server that goes down, a connection that it closes, or one that has become a replica.
fn ends_session(error: &PgDatabaseError) -> bool {
    matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
        || ["57P", "08", "25006"].iter().any(|class| error.code().starts_with(class))
}

pub(super) fn store_error(error: Error) -> StoreError {
    match &error {
        Error::ColumnDecode { .. } | Error::Decode(_) | Error::ColumnNotFound(_) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.into()),
    }
}

/// What the failure of the one statement of an append means.
pub(super) fn failure(error: &Error) -> Failure {
    if matches!(error, Error::Encode(_)) {
        return Failure::Refused;
    }
    // Anything but an answer of the server leaves open how far it came.
    let Some(error) = database_error(error) else { return Failure::InDoubt };
    match (error.code(), error.constraint()) {
        (UNIQUE_VIOLATION, Some("causes_id")) => Failure::CauseUsed,
        (own::POSITION_LOST, _) => Failure::PositionLost(places(error)),
        (own::HELD_CHANGED, _) => Failure::HeldChanged(places(error)),
        (own::STREAM_MOVED, _) | (UNIQUE_VIOLATION, Some("events_stream")) => Failure::StreamsMoved,
        (own::AGENDA_CHANGED, _) => Failure::AgendaChanged,
        (own::SEEN_BEFORE, _) => Failure::SeenBefore,
        (own::NO_SUCH_LANE, _) => Failure::Refused,
        // The counters are behind the events: nothing that is decided again can mend it.
        (UNIQUE_VIOLATION, Some("events_lane")) | ("25006", _) => Failure::NotNow,
        _ if ends_session(error) => Failure::InDoubt,
        (code, _) => by_class(code),
    }
}

fn by_class(code: &str) -> Failure {
    match code.get(..2) {
        Some("40") => Failure::Collision,
        // Data, constraints, limits such as the size of an index entry, and what a trigger raises.
        Some("22" | "23" | "54" | "P0") => Failure::Refused,
        _ => Failure::NotNow,
    }
}

/// The server counts from 1: `{1,3}`.
fn places(error: &PgDatabaseError) -> Vec<usize> {
    let numbers = error.detail().unwrap_or_default().split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|number| number.parse::<usize>().ok()?.checked_sub(1)).collect()
}

/// For what a store says outside of an append.
pub(super) fn unavailable(error: StoreError) -> AppendError {
    match error {
        StoreError::Unavailable(error) => AppendError::Unavailable(error),
        other => AppendError::Unavailable(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p05_sqlstates_of_transactions_that_met_are_collisions() {
        for (code, expected) in [
            ("40P01", Failure::Collision),
            ("40001", Failure::Collision),
            ("22021", Failure::Refused),
            ("54000", Failure::Refused),
            ("57014", Failure::NotNow),
            ("55P03", Failure::NotNow),
            ("53300", Failure::NotNow),
        ] {
            assert_eq!(by_class(code), expected, "{code}");
        }
    }

    #[test]
    fn what_is_no_answer_of_the_server_leaves_the_outcome_open() {
        let lost = Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(failure(&lost), Failure::InDoubt);
        assert!(!is_of_the_statement(&lost));
    }
}
