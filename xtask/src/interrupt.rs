//! SIGINT, SIGTERM and SIGHUP. The first one asks: whoever waits sees it, returns
//! [`Interrupted`], and destructors end the children in order. The second one insists:
//! xtask exits at once and its watchdog ends what is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often a waiting loop looks again.
pub(crate) const POLL: Duration = Duration::from_millis(20);

static ASKED: AtomicBool = AtomicBool::new(false);

/// The command was ended by a signal.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Starts to listen for signals.
pub(crate) fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("\nxtask: stopping (once more to stop at once)");
    })
    .context("cannot listen for signals")
}

/// Whether a signal has asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Sleeps for one poll, unless a signal has asked to stop.
pub(crate) fn pause() -> Result<(), Interrupted> {
    if asked() {
        return Err(Interrupted);
    }
    std::thread::sleep(POLL);
    Ok(())
}

/// Polls `probe` until it gives a value. It gives up when `check` fails, when a signal asks
/// to stop, or after `limit`; then the error is what `probe` said last.
pub(crate) fn wait_for<T>(
    limit: Duration,
    mut check: impl FnMut() -> Result<()>,
    mut probe: impl FnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("not ready after {limit:?}")));
            }
            Err(_) => {
                check()?;
                pause()?;
            }
        }
    }
}

#[cfg(test)]
mod test {
    use anyhow::bail;

    use super::*;

    #[test]
    fn waiting_ends_with_a_value_a_failed_check_or_the_limit() {
        let mut left = 3;
        let counts_down = || {
            left -= 1;
            if left == 0 { Ok("done") } else { bail!("not yet") }
        };
        assert_eq!(wait_for(Duration::from_secs(10), || Ok(()), counts_down).unwrap(), "done");

        let dead = wait_for::<()>(Duration::from_secs(10), || bail!("dead"), || bail!("not yet"));
        assert_eq!(dead.unwrap_err().to_string(), "dead");

        let late = wait_for::<()>(Duration::ZERO, || Ok(()), || bail!("not yet"));
        assert!(format!("{:#}", late.unwrap_err()).contains("not yet"));
    }
}
