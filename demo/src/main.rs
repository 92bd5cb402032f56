//! The four services in one process: `cargo demo`.

mod args;
mod books;
mod drive;
mod merchant;
mod narrator;
mod parts;
mod progress;
mod report;
mod serve;
mod stage;
mod till;
mod timeline;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use args::Args;
use clap::Parser;
use demo::{
    audit::{self, Audit, Law},
    script::{self, Script},
};
use merchant::Merchant;
use narrator::Narrator;
use progress::Progress;
use report::Figures;
use stage::Stage;
use till::Till;
use timeline::Timeline;

/// How often the demo looks how far the orders are.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse_from(args::without_divider(std::env::args_os()));
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            say(&format!("demo: {error:#}"));
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> Result<bool> {
    let folder = Folder::open(args.data.as_deref())?;
    let script = Script { seed: args.seed, sagas: args.sagas, skus: args.skus };
    folder.check_story(&script, args)?;
    let till = match args.local_accounts {
        true => None,
        false => Some(Till::open(&folder.path, gateway_port(args)).await?),
    };
    let merchant = match args.merchant {
        true => Some(Merchant::open().await?),
        false => None,
    };
    let stage = Stage::open(&folder.path, till, merchant.as_ref()).await?;
    drive::prepare(&stage, &script).await?;
    let (calm, seconds) = tell_parts(&stage, &script, args).await?;

    let audit = audit(&stage).await?;
    let laws = audit.laws(&books::read(&stage, &script).await?);
    let figures = Figures {
        sagas: args.sagas,
        calm,
        seconds,
        held: stage.held().await? + stage.pending().await?,
        events: audit.events,
        trouble: stage.till.as_ref().map(|till| till.totals().trouble),
    };
    if !args.json {
        tell(&stage, &audit, &laws, &figures).await?;
        if let Some(merchant) = &merchant {
            show(&merchant.says());
        }
    }
    if args.serve {
        serve::until_interrupted(&stage, args.port).await?;
    }
    let drained = stage.close().await;
    let holds = laws.iter().all(Law::holds) && audit.unfinished() == 0 && figures.held == 0;
    if args.json {
        show(&report::json(&audit, &laws, &figures).to_string());
    }
    if !drained {
        say("demo: the services did not drain in time");
    }
    Ok(holds && drained)
}

/// Behind those of the four services.
fn gateway_port(args: &Args) -> u16 {
    if args.serve && args.port != 0 { args.port.saturating_add(4) } else { 0 }
}

/// One part after the other. Returns how many orders the first one had, and how many seconds it took.
async fn tell_parts(stage: &Stage, script: &Script, args: &Args) -> Result<(u64, f64)> {
    let (mut speed, orders) = (None, stage.orders());
    let progress = Progress::new(args.sagas);
    let mut watch = Watch::on(stage);
    for part in parts::of(args.sagas, args.seed, stage.till.is_some()) {
        if part.orders.is_empty() && speed.is_some() {
            continue;
        }
        if let Some(till) = &stage.till {
            till.trouble(part.trouble)?;
        }
        progress.part(part.title);
        let started = Instant::now();
        let placing = drive::place_all(&orders, script, &part, |placed| progress.placed(placed));
        let watching = watch.until_ended(part.orders.end, args, &progress);
        tokio::try_join!(placing, watching)?;
        let calm = part.orders.end - part.orders.start;
        speed.get_or_insert((calm, started.elapsed().as_secs_f64()));
    }
    // What was asked of a gateway in trouble gets its answer now.
    if let Some(till) = &stage.till {
        till.trouble(gateway::Trouble::default())?;
    }
    until_quiet(stage, args).await?;
    progress.done();
    Ok(speed.unwrap_or_default())
}

/// Counts the orders that have ended.
struct Watch<'a> {
    stage: &'a Stage,
    narrator: Narrator,
    ended: u64,
}

impl<'a> Watch<'a> {
    fn on(stage: &'a Stage) -> Self {
        let (name, store) = &stage.stores[0];
        Self { stage, narrator: Narrator::new(name, store.clone()), ended: 0 }
    }

    /// Waits until so many orders have an end.
    async fn until_ended(&mut self, orders: u64, args: &Args, progress: &Progress) -> Result<()> {
        let Self { stage, narrator, ended } = self;
        let mut last_progress = Instant::now();
        while *ended < orders {
            tokio::time::sleep(LOOK_EVERY).await;
            let told = narrator
                .tell(|event| {
                    *ended += u64::from(matches!(
                        &*event.event_type,
                        "ORDER_CONCLUDED" | "ORDER_FAILED" | "ORDER_CANCELLED"
                    ));
                    Ok(())
                })
                .await?;
            progress.ended(*ended);
            if told > 0 {
                last_progress = Instant::now();
            } else if last_progress.elapsed() > Duration::from_secs(args.patience) {
                bail!(
                    "no progress for {} s, {ended} of {orders} orders have ended{}",
                    args.patience,
                    why(stage).await
                );
            }
        }
        Ok(())
    }
}

/// Waits until nothing is unread, parked or dead, and no effect and no deadline is pending.
async fn until_quiet(stage: &Stage, args: &Args) -> Result<()> {
    let since = Instant::now();
    while !stage.is_quiet().await? {
        if since.elapsed() > Duration::from_secs(args.patience) {
            bail!(
                "all orders have ended, but the services are not quiet after {} s{}",
                args.patience,
                why(stage).await
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn why(stage: &Stage) -> String {
    let mut reasons = stage.troubles();
    match stage.held().await {
        Ok(0) => {}
        Ok(held) => reasons.push(format!("{held} messages are held back")),
        Err(error) => reasons.push(error.to_string()),
    }
    match stage.pending().await {
        Ok(0) => {}
        Ok(pending) => reasons.push(format!("{pending} deadlines and effects are pending")),
        Err(error) => reasons.push(error.to_string()),
    }
    if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) }
}

async fn audit(stage: &Stage) -> Result<Audit> {
    let mut audit = Audit::default();
    for (name, store) in &stage.stores {
        Narrator::new(name, store.clone()).tell(|event| audit.note(event)).await?;
    }
    Ok(audit)
}

/// The tables, the timelines and the laws.
async fn tell(stage: &Stage, audit: &Audit, laws: &[Law], figures: &Figures) -> Result<()> {
    show(&report::ends_table(audit));
    let examples = audit.examples();
    let mut timelines: BTreeMap<&str, Timeline> = BTreeMap::new();
    for (name, store) in &stage.stores {
        let mut narrator = Narrator::new(name, store.clone());
        let service = narrator.service;
        narrator
            .tell(|event| {
                let key = event.published.as_ref().map(|published| &*published.key);
                if let Some(order) =
                    key.and_then(|key| examples.values().find(|order| *order == key))
                {
                    timelines.entry(order).or_default().note(service, event);
                }
                Ok(())
            })
            .await?;
    }
    for (end, order) in &examples {
        if let Some(timeline) = timelines.get_mut(order.as_str()) {
            show(&timeline.print(&format!("{}: {order}", end.name().replace('_', " "))));
        }
    }
    show(&report::laws_text(laws));
    if let Some(trouble) = report::trouble_text(figures) {
        show(&trouble);
    }
    show(&report::speed(figures));
    Ok(())
}

/// Where the stores are; a temporary folder goes when the demo ends.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn open(data: Option<&Path>) -> Result<Self> {
        let (path, temporary) = match data {
            Some(path) => (path.to_owned(), false),
            None => {
                (std::env::temp_dir().join(format!("quadrille-demo-{}", std::process::id())), true)
            }
        };
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self { path, temporary })
    }

    /// A folder belongs to one story: another seed would place its orders among those of the first, and
    /// money is in one place.
    fn check_story(&self, script: &Script, args: &Args) -> Result<()> {
        let file = self.path.join("story.json");
        let mut story = serde_json::json!({
            "seed": script.seed,
            "sagas": script.sagas,
            "skus": script.skus,
            "local_accounts": args.local_accounts,
        });
        // A merchant who comes later would miss what the log has let go.
        if args.merchant {
            story["merchant"] = true.into();
        }
        let story = story.to_string();
        match std::fs::read_to_string(&file) {
            Ok(found) if found == story => Ok(()),
            Ok(found) => bail!(
                "{} holds another story, {found}: use the same --seed, --sagas, --skus, --local-accounts and --merchant, or another folder",
                self.path.display()
            ),
            Err(_) => {
                // Written whole or not at all: the demo may be killed at any moment.
                let draft = self.path.join("story.json.new");
                std::fs::write(&draft, &story)?;
                std::fs::rename(&draft, &file)
                    .with_context(|| format!("cannot write {}", file.display()))
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            say(&format!("demo: cannot remove {}: {error}", self.path.display()));
        }
    }
}

/// The demo's output.
#[allow(clippy::print_stdout)]
fn show(text: &str) {
    println!("{text}");
}

/// What is for people only.
#[allow(clippy::print_stderr)]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
