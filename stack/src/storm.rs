//! Minutes of orders and faults, both drawn from a seed; then quiet, and the independent checker.
//!
//! | module | is |
//! |---|---|
//! | [`options`] | how long, how hard, from which seed |
//! | [`schedule`] | which faults, and when |
//! | `strike` | the doing of a fault |
//! | `load` | orders at a steady rate |
//! | `recovery` | how long it took until all was well again |
//! | [`outcome`] | what is told at the end |

mod load;
pub mod options;
pub mod outcome;
mod recovery;
pub mod schedule;
mod strike;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use checker::{
    judge::judge,
    live::Watcher,
    read::{self, Source, Sources},
    report::Report,
    unseen::unseen,
};
use demo::script::Script;

pub use options::Options;
pub use outcome::Outcome;

use crate::{
    processes::{SERVICES, Stack},
    quiet,
    servers::OwnServers,
    story, tables, wait,
};
use load::Load;
use recovery::Recovery;
use strike::Field;

/// From the last fault to the last event, on a busy machine.
const QUIET_LIMIT: Duration = Duration::from_secs(180);
/// From the last event to its sight by the live reader.
const SIGHT_LIMIT: Duration = Duration::from_secs(30);
/// Articles in stock: few, so that orders meet.
const SKUS: u64 = 12;

/// Runs a storm from beginning to end. Lines for people go to standard error. Data and output are in
/// `options.folder`, and are removed when all was well.
///
/// # Errors
/// When it could not be run; what it found is in the outcome.
pub async fn run(options: &Options) -> Result<Outcome> {
    let began = Instant::now();
    let schedule = schedule::draw(options);
    tell(&format!("storm: seed {}, {} faults to come:", options.seed, schedule.len()));
    for fault in &schedule {
        tell(&format!("  {fault}"));
    }
    std::fs::create_dir_all(&options.folder)?;
    let servers = OwnServers::start_in(&options.name(), &options.xtask, &options.folder).await?;
    let mut stack = Stack::prepare(servers.place(&options.program)?).await?;
    stack.keep_output_in(options.folder.join("services"))?;
    let mut field = Field::set(stack, servers).await?;
    let script = Script { seed: options.seed, sagas: options.orders_max(), skus: SKUS };
    let driver = story::begin(&mut field.stack, script, options.instances).await?;
    let topics = SERVICES.map(|service| field.stack.topic(service));
    let watcher = Watcher::start(&field.stack.kafka, &topics)?;

    tell("storm: all is ready; it begins");
    let load = Load::start(driver, options.rate);
    let mut recovery = Recovery::default();
    let mut troubles = brew(&mut field, &schedule, &load, &mut recovery, options).await?;
    tell("storm: the faults are over; waiting for the orders, and for quiet");
    let placed = load.finish().await;
    troubles.extend(placed.troubles);
    let quiet = quiet::until_quiet(&field.stack, placed.orders, QUIET_LIMIT).await;
    troubles.extend(quiet.err().map(|error| format!("it does not get quiet: {error:#}")));
    if let Err(error) = quiet::until_no_transaction_is_open(&field.stack).await {
        troubles.push(format!("{error:#}"));
    }
    troubles.extend(field.stack.ended_by_themselves()?);
    let ready = recovery.finish().await;

    let report = check(&field, watcher, &mut troubles).await?;
    let concluded = recovery::conclusions(&field.stack.url("order")).await?;
    let outcome = Outcome {
        seed: options.seed,
        minutes: options.minutes,
        rate: options.rate,
        instances: options.instances,
        orders: placed.orders,
        faults: ready.len(),
        troubles,
        recovery: recovery::by_role(&ready, &concluded),
        report,
        seconds: began.elapsed().as_secs_f64(),
        folder: options.folder.clone(),
    };
    field.clear(outcome.holds()).await?;
    if outcome.holds() {
        std::fs::remove_dir_all(&options.folder)?;
    } else {
        // Beside what it is about: whoever finds the folder knows what to look for.
        std::fs::write(options.folder.join("outcome.txt"), outcome.to_string())?;
    }
    Ok(outcome)
}

/// Strikes at the times of the schedule; gives what went wrong that is no invariant of the checker.
async fn brew(
    field: &mut Field,
    schedule: &[schedule::Fault],
    load: &Load,
    recovery: &mut Recovery,
    options: &Options,
) -> Result<Vec<String>> {
    let began = Instant::now();
    let mut troubles = vec![];
    for fault in schedule {
        tokio::time::sleep(fault.at.saturating_sub(began.elapsed())).await;
        troubles.extend(field.stack.ended_by_themselves()?);
        let at = began.elapsed();
        tell(&format!(
            "{:7.1} s  {}  ({} orders placed)",
            at.as_secs_f64(),
            fault.what(),
            load.placed()
        ));
        let blow = field.strike(fault).await.with_context(|| format!("at the fault: {fault}"))?;
        recovery.watch(fault, blow, &field.stack.addresses());
    }
    tokio::time::sleep(options.duration().saturating_sub(began.elapsed())).await;
    Ok(troubles)
}

/// The checker's verdict, once the live reader has seen everything.
async fn check(field: &Field, watcher: Watcher, troubles: &mut Vec<String>) -> Result<Report> {
    let mut events = 0;
    for service in SERVICES {
        let count = tables::count_public(&field.stack.url(service)).await?;
        events += usize::try_from(count)?;
    }
    let all = wait::until("the live reader", SIGHT_LIMIT, async || Ok(watcher.count() >= events));
    let saw_all = all.await.is_ok();
    let (count, standing) = (watcher.count(), watcher.standing().join("; "));
    let seen = tokio::task::spawn_blocking(move || watcher.stop()).await?;
    let seen = match seen {
        Ok(seen) => Some(seen),
        Err(error) => {
            troubles.push(format!("{error:#}"));
            None
        }
    };
    let sources = sources(&field.stack);
    tell(&format!("storm: checking {events} public events"));
    let evidence = read::gather(&sources, seen).await?;
    if !saw_all {
        let missed: Vec<String> = unseen(&evidence).iter().map(ToString::to_string).collect();
        let missed = missed.join("; ");
        troubles.push(format!(
            "the live reader saw {count} of {events} events, and not {missed}; it stands at {standing}"
        ));
    }
    Ok(judge(&evidence))
}

/// What the checker is told of a stack: addresses and names.
#[must_use]
pub fn sources(stack: &Stack) -> Sources {
    let services = SERVICES.map(|name| Source::of(&stack.namespace, name, &stack.url(name)));
    Sources {
        kafka: stack.kafka.clone(),
        namespace: stack.namespace.clone(),
        services: services.into(),
    }
}

#[allow(clippy::print_stderr)]
fn tell(line: &str) {
    eprintln!("{line}");
}

/// Microseconds since 1970, as the services' events have them.
fn micros() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?)
}
