//! When a failed effect is tried again.

use std::{fmt, str::FromStr, time::Duration};

use crate::engine::RetryPolicy;

/// The most pauses of a schedule that is read from text.
pub const PAUSES_MAX: usize = 32;
/// The longest pause of a schedule that is read from text: 30 days.
pub const PAUSE_MAX: Duration = Duration::from_secs(30 * 86_400);

/// The units of a pause, in milliseconds, the longest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// When a failed effect is tried again.
///
/// [`Steps`](Self::Steps) have a text form, which is read and shown:
///
/// ```
/// # use quadrille::effect::Schedule;
/// let schedule: Schedule = "1m 5m 10m 30m 1h 2h 5h 10h".parse()?;
/// assert_eq!(schedule, Schedule::notification());
/// assert_eq!(schedule.to_string(), "1m 5m 10m 30m 1h 2h 5h 10h");
/// # Ok::<(), quadrille::effect::NotASchedule>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Exponential pauses with jitter.
    Backoff(RetryPolicy),
    /// These pauses, one after each failed try; after the last one it is over.
    Steps(Vec<Duration>),
}

impl Schedule {
    /// `1m 5m 10m 30m 1h 2h 5h 10h`: for notifications that nothing depends on.
    #[must_use]
    pub fn notification() -> Self {
        let minutes = [1, 5, 10, 30, 60, 120, 300, 600];
        Self::Steps(minutes.into_iter().map(|m| Duration::from_secs(m * 60)).collect())
    }

    /// The pause after the `attempts`th failed try; `None` when it is over.
    #[must_use]
    pub fn pause(&self, attempts: u32, since: Duration, jitter: u64) -> Option<Duration> {
        match self {
            Self::Backoff(policy) => {
                let over = attempts >= policy.attempts_max || since >= policy.total_max;
                (!over).then(|| policy.delay(attempts, jitter))
            }
            Self::Steps(pauses) => pauses.get(attempts.saturating_sub(1) as usize).copied(),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backoff(policy) => write!(
                f,
                "from {:?} doubling to {:?}, {} tries, {:?} in all",
                policy.delay_first, policy.delay_max, policy.attempts_max, policy.total_max
            ),
            Self::Steps(pauses) => {
                let shown: Vec<String> = pauses.iter().map(|pause| shown(*pause)).collect();
                f.write_str(&shown.join(" "))
            }
        }
    }
}

/// A text that is no schedule: what is wrong with it, and after a semicolon the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotASchedule {
    /// There is no pause in it.
    #[error("has no pause; write at least one, as in 1m 5m 10m")]
    Empty,
    /// There are more than [`PAUSES_MAX`].
    #[error("has {0} pauses; write at most {PAUSES_MAX}")]
    TooMany(usize),
    /// One of its words is no pause.
    #[error("{0:?} is no pause; write a whole number and ms, s, m, h or d, as in 1m 5m 10m")]
    NotAPause(String),
    /// One of its pauses is zero, or longer than [`PAUSE_MAX`].
    #[error("{0:?} is out of range; write 1ms to 30d")]
    OutOfRange(String),
}

impl FromStr for Schedule {
    type Err = NotASchedule;

    /// Reads [`Steps`](Self::Steps): pauses with blanks between them.
    fn from_str(text: &str) -> Result<Self, NotASchedule> {
        match text.split_whitespace().count() {
            0 => Err(NotASchedule::Empty),
            1..=PAUSES_MAX => text.split_whitespace().map(pause).collect::<Result<_, _>>(),
            many => Err(NotASchedule::TooMany(many)),
        }
        .map(Self::Steps)
    }
}

fn pause(word: &str) -> Result<Duration, NotASchedule> {
    let not_a_pause = || NotASchedule::NotAPause(word.to_owned());
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not_a_pause)?;
    if number.is_empty() {
        return Err(not_a_pause());
    }
    // More digits than a number has are a pause, and a long one.
    let pause = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*millis));
    match pause.map(Duration::from_millis) {
        Some(pause) if !pause.is_zero() && pause <= PAUSE_MAX => Ok(pause),
        _ => Err(NotASchedule::OutOfRange(word.to_owned())),
    }
}

/// In the largest unit that gives a whole number.
fn shown(pause: Duration) -> String {
    let millis = u64::try_from(pause.as_millis()).unwrap_or(0);
    if millis == 0 || Duration::from_millis(millis) != pause {
        return format!("{pause:?}");
    }
    let unit = UNITS.iter().find(|(_, unit)| millis.is_multiple_of(*unit));
    unit.map_or_else(String::new, |(name, unit)| format!("{}{name}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Schedule, NotASchedule> {
        text.parse()
    }

    #[test]
    fn the_text_of_a_schedule_is_read_and_shown() {
        assert_eq!(read("1m 5m 10m 30m 1h 2h 5h 10h"), Ok(Schedule::notification()));
        let seconds = |seconds| Duration::from_secs(seconds);
        let mixed = vec![Duration::from_millis(250), seconds(90), seconds(86_400)];
        assert_eq!(read("  250ms\t90s 1d "), Ok(Schedule::Steps(mixed.clone())));
        assert_eq!(Schedule::Steps(mixed).to_string(), "250ms 90s 1d");
        let odd = Schedule::Steps(vec![Duration::from_micros(1), Duration::ZERO, seconds(60)]);
        assert_eq!(odd.to_string(), "1µs 0ns 1m");
    }

    #[test]
    fn what_is_no_schedule_says_why_and_how_to_mend_it() {
        assert_eq!(read(" "), Err(NotASchedule::Empty));
        assert_eq!(read(&"1s ".repeat(33)), Err(NotASchedule::TooMany(33)));
        assert!(read(&"1s ".repeat(32)).is_ok());
        for word in ["5", "m", "-1m", "1.5m", "1 m", "1w", "1M", "m1", "1m,5m", "é"] {
            let error = read(word).unwrap_err();
            assert!(matches!(error, NotASchedule::NotAPause(_)), "{word}: {error}");
        }
        for word in ["0s", "31d", "721h", "99999999999999999999d"] {
            assert_eq!(read(word), Err(NotASchedule::OutOfRange(word.to_owned())));
        }
        let said = read("1m 5x").unwrap_err().to_string();
        assert!(said.starts_with("\"5x\" is no pause; write "), "{said}");
    }

    #[test]
    fn there_is_a_pause_after_each_failed_try_and_then_none() {
        let schedule = read("1m 5m").unwrap();
        let pause = |attempts| schedule.pause(attempts, Duration::ZERO, 7);
        assert_eq!(pause(1), Some(Duration::from_secs(60)));
        assert_eq!(pause(2), Some(Duration::from_secs(300)));
        assert_eq!(pause(3), None);
    }
}
