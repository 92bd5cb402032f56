//! `quadrille letters`: what waits for a person, and what the person does about it.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use quadrille::operator::{LetterView, RulingRequest};
use serde_json::Value;

use super::{
    Services,
    line::{Line, Trouble, encoded},
    name_the_silent,
    names::user_at_host,
    talk, to_json,
};
use crate::output::{self, Failure};

/// Dead letters: messages, deadlines and effects that wait for a person.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists what is dead, in all services that answer.
    List {
        #[command(flatten)]
        services: Services,
    },
    /// Shows one letter whole: reason, headers, payload.
    Show {
        /// Its name, as `list` shows it.
        letter: String,
        #[command(flatten)]
        services: Services,
    },
    /// Tries it again, in its place before the later ones of its key.
    Replay(Rule),
    /// Takes it away: it is not needed. The later ones of its key go on.
    Skip(Rule),
    /// Takes it away: what it should have done was done by hand. The later ones of its key go on.
    Resolve(Rule),
    /// Gives an effect the outcome that you have found out; it comes to its handler.
    Answer {
        /// The payload of the outcome's event, as JSON.
        #[arg(long, value_name = "JSON", value_parser = json)]
        outcome: Value,
        #[command(flatten)]
        rule: Rule,
    },
}

#[derive(Debug, Args)]
struct Rule {
    /// The letter's name, as `list` shows it.
    letter: String,
    /// Why: it is kept with your name and the time.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who you are; $USER@host by default.
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    #[command(flatten)]
    services: Services,
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::List { services } => talk(list(services)),
        Action::Show { letter, services } => talk(show(letter, services)),
        Action::Replay(rule) => talk(do_rule("replay", rule, None)),
        Action::Skip(rule) => talk(do_rule("skip", rule, None)),
        Action::Resolve(rule) => talk(do_rule("resolve", rule, None)),
        Action::Answer { outcome, rule } => talk(do_rule("answer", rule, Some(outcome.clone()))),
    }
}

async fn list(services: &Services) -> Result<(), Failure> {
    let lines = services.lines()?;
    let (mut letters, mut silent) = (vec![], vec![]);
    for line in &lines {
        match line.get::<Vec<LetterView>>("/operator/letters").await {
            Ok(found) => letters.extend(found),
            Err(trouble) => silent.push((line.name.clone(), trouble)),
        }
    }
    name_the_silent(&silent, lines.len())?;
    letters.sort_by(|a, b| (&a.since, &a.letter).cmp(&(&b.since, &b.letter)));
    let text = if services.json { to_json(&letters)? } else { listed(&letters) };
    output::write(&text, None)
}

fn listed(letters: &[LetterView]) -> String {
    if letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let mut text = String::new();
    for letter in letters {
        // Writing to a string succeeds.
        let _ = writeln!(text, "{}", letter.letter);
        let _ = writeln!(text, "  {}", headline(letter));
        let _ = writeln!(text, "  {}", letter.reason);
    }
    let _ = writeln!(text, "{} in all; `quadrille letters show LETTER` tells more", letters.len());
    text
}

fn headline(letter: &LetterView) -> String {
    let event = if letter.event_type.is_empty() { "unreadable" } else { &letter.event_type };
    let key = if letter.key.is_empty() { "-" } else { &letter.key };
    let saga = letter.saga.as_deref().unwrap_or("-");
    let tries = if letter.attempts == 1 { "attempt" } else { "attempts" };
    let done = if letter.may_be_done { ", may have reached the outside" } else { "" };
    format!(
        "{} {} {event}  key {key}  {} since {}, {} {tries}{done}  saga {saga}",
        letter.service, letter.kind, letter.state, letter.since, letter.attempts
    )
}

async fn show(name: &str, services: &Services) -> Result<(), Failure> {
    let lines = services.lines()?;
    let (_, letter) = find(name, &lines).await?;
    let text = if services.json { to_json(&letter)? } else { whole(&letter)? };
    output::write(&text, None)
}

fn whole(letter: &LetterView) -> Result<String, Failure> {
    let mut text = format!("{}\n  {}\n", letter.letter, headline(letter));
    if let Some(next) = &letter.next_at {
        text += &format!("  next at {next}\n");
    }
    text += &format!("  reason   {}\n", letter.reason);
    if !letter.headers.is_null() {
        text +=
            &format!("  headers  {}", to_json(&letter.headers)?.replace('\n', "\n  ").trim_end());
        text += "\n";
    }
    text += &format!("  payload  {}\n", to_json(&letter.payload)?.replace('\n', "\n  ").trim_end());
    Ok(text)
}

/// The letter, and the service that has it.
async fn find<'a>(name: &str, lines: &'a [Line]) -> Result<(&'a Line, LetterView), Failure> {
    let mut silent = vec![];
    for line in lines {
        match line.get(&format!("/operator/letter?id={}", encoded(name))).await {
            Ok(letter) => return Ok((line, letter)),
            Err(Trouble::Said(404, _)) => {}
            Err(Trouble::Said(400, why)) => return Err(Failure::Usage(why)),
            Err(trouble) => silent.push((line.name.clone(), trouble)),
        }
    }
    name_the_silent(&silent, lines.len())?;
    Err(Failure::Said(format!("no service that answers has a letter {name}")))
}

async fn do_rule(action: &str, rule: &Rule, outcome: Option<Value>) -> Result<(), Failure> {
    let note = rule.note.clone().filter(|note| !note.trim().is_empty()).ok_or_else(|| {
        Failure::Usage(format!(
            "`{action}` needs a reason, for whoever asks later why this was done: add --note \"the shelf was mended\""
        ))
    })?;
    let who = rule.who.clone().or_else(user_at_host).ok_or_else(|| {
        Failure::Usage("nobody knows who you are: add --who NAME, or set USER".to_owned())
    })?;
    let lines = rule.services.lines()?;
    let (line, letter) = find(&rule.letter, &lines).await?;
    let request = RulingRequest {
        letter: rule.letter.clone(),
        attempts: letter.attempts,
        action: action.to_owned(),
        who: who.clone(),
        note,
        outcome,
    };
    let done = line.post::<Value>("/operator/rulings", &request).await;
    let done = done.map_err(|trouble| Failure::Said(format!("{}: {trouble}", line.name)))?;
    let text = if rule.services.json {
        to_json(&done)?
    } else {
        format!(
            "{}: {action} of {} {} (key {}) by {who}, ruling {}\n",
            letter.service, letter.kind, letter.event_type, letter.key, done["number"]
        )
    };
    output::write(&text, None)
}
