//! Whether any broker still answers. librdkafka tells nothing of one that hangs: requests stay open, and a
//! lane without news looks like one without answers. Its statistics count the answers.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::Statistics;

use crate::log::Contact;

/// When an answer was last seen.
#[derive(Debug)]
pub(super) struct Heard {
    /// Above the pauses between two signs of life of an idle member.
    silence_max: Duration,
    deaf_max: Duration,
    last: Mutex<(u64, Instant)>,
}

impl Heard {
    pub(super) fn new(silence_max: Duration, deaf_max: Duration) -> Self {
        Self { silence_max, deaf_max, last: Mutex::new((0, Instant::now())) }
    }

    /// Why a new client is to take over, when it is. Asked by the handle: the thread itself may be stuck in a call of
    /// librdkafka, and says nothing then.
    pub(super) fn deaf(&self) -> Option<String> {
        self.silent_for(self.deaf_max).map(|it| format!("{it}: a new client takes over"))
    }

    fn silent_for(&self, max: Duration) -> Option<String> {
        let since = self.last.lock().unwrap_or_else(PoisonError::into_inner).1.elapsed();
        (since > max).then(|| format!("no broker has answered for {} s", since.as_secs()))
    }

    pub(super) fn note(&self, statistics: &Statistics) {
        let answers = statistics.brokers.values().fold(0, |sum: u64, it| sum.wrapping_add(it.rx));
        self.answers(answers);
    }

    /// Any change is an answer: the count of a broker that was removed is gone with it.
    fn answers(&self, answers: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != answers {
            *last = (answers, Instant::now());
        }
    }
}

impl Contact for Heard {
    fn silence(&self) -> Option<String> {
        self.silent_for(self.silence_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_beyond_its_limit_until_an_answer_comes() {
        const HOUR: Duration = Duration::from_secs(3600);
        let heard = Heard::new(Duration::ZERO, HOUR);
        assert_eq!(heard.silence().unwrap(), "no broker has answered for 0 s");
        assert_eq!(heard.deaf(), None);
        let patient = Heard::new(HOUR, Duration::ZERO);
        assert_eq!(patient.silence(), None);
        assert!(patient.deaf().unwrap().contains("a new client takes over"));
        let before = heard.last.lock().unwrap().1;
        heard.answers(0);
        assert_eq!(heard.last.lock().unwrap().1, before, "the same count is no answer");
        heard.answers(1);
        assert!(heard.last.lock().unwrap().1 > before);
    }
}
