//! Test output, shown as it comes and counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// After the test program's end, for what it wrote last. A process it left behind may
/// hold the pipe open; nobody waits for that.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sums of the `test result:` lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

impl Counts {
    fn add_line(&mut self, line: &str) {
        let Some((_, results)) = line.split_once("test result: ") else { return };
        for part in results.split([';', '.']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("failed")) => self.failed += number,
                (Some(number), Some("ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// A count that goes on.
#[derive(Debug)]
pub(super) struct Counting {
    counts: Receiver<Counts>,
}

/// Copies `output` to `terminal`, line by line, and counts.
pub(super) fn show_and_count(
    output: impl Read + Send + 'static,
    mut terminal: impl Write + Send + 'static,
) -> Counting {
    let (sender, counts) = channel();
    std::thread::spawn(move || {
        let mut total = Counts::default();
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            // A closed terminal does not stop the count.
            let _ = terminal.write_all(&line).and_then(|()| terminal.flush());
            total.add_line(&String::from_utf8_lossy(&line));
            let _ = sender.send(total);
            line.clear();
        }
    });
    Counting { counts }
}

impl Counting {
    /// The last count.
    pub(super) fn finish(self) -> Counts {
        let mut last = Counts::default();
        while let Ok(counts) = self.counts.recv_timeout(LAST_WORDS) {
            last = counts;
        }
        last
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn results_of_several_programs_are_summed() {
        let output = "running 2 tests\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; \
            finished in 0.00s\nnoise 9 passed; 9 failed\n\
            test result: FAILED. 5 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; \
            finished in 1.20s\n";
        let counts = show_and_count(output.as_bytes(), std::io::sink()).finish();
        assert_eq!(counts, Counts { passed: 7, failed: 3, ignored: 1 });
    }
}
