//! Runs the cases and says what came of it.

mod json;
mod table;

use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{args::Args, case::Case, cases::ALL, context::Context};

/// Runs what is asked for. `false` when a case could not be measured; a figure that misses its target is
/// no failure: a busy machine misses it too.
///
/// # Errors
/// An unknown name, or servers that do not answer.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the program's output")]
pub async fn run(args: &Args) -> Result<bool> {
    if args.list {
        for case in ALL {
            println!("{:<10} {}", case.name, case.what);
        }
        return Ok(true);
    }
    let cases = choose(&args.names)?;
    let context = Context::from_environment(args.quick)?;
    let mut failed = vec![];
    for case in &cases {
        eprintln!("bench: {}: {}", case.name, case.what);
        let started = Instant::now();
        if let Err(error) = (case.run)(&context).await {
            eprintln!("bench: {} failed: {error:#}", case.name);
            failed.push((case.name, format!("{error:#}")));
        }
        eprintln!("bench: {} took {:.0} s", case.name, started.elapsed().as_secs_f64());
    }
    context.grounds.remove().await.context("cannot tidy up")?;
    let figures = context.figures();
    println!("{}", table::of(&figures));
    for (name, error) in &failed {
        println!("{name} was not measured: {error}");
    }
    println!("{}", table::LEGEND);
    if args.quick {
        println!("A smoke run: sizes and times are too small to judge by.");
    }
    if args.json {
        println!("{}", json::of(&figures, args.quick, &failed));
    }
    Ok(failed.is_empty())
}

fn choose(names: &[String]) -> Result<Vec<&'static Case>> {
    for name in names {
        if !ALL.iter().any(|case| case.name.starts_with(name.as_str())) {
            let known: Vec<String> =
                ALL.iter().map(|case| format!("{:<10} {}", case.name, case.what)).collect();
            bail!("there is no case {name}; there are\n  {}", known.join("\n  "));
        }
    }
    let wanted = |case: &&Case| {
        names.is_empty() || names.iter().any(|name| case.name.starts_with(name.as_str()))
    };
    Ok(ALL.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_all_that_begin_with_it() {
        let names = |wanted: &[&str]| -> Vec<&str> {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            choose(&wanted).unwrap().iter().map(|case| case.name).collect()
        };
        assert_eq!(names(&[]).len(), ALL.len());
        assert_eq!(names(&["r1"]), ["r1"]);
        assert!(names(&["r6"]).len() > 1);
        let error = choose(&["r9".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no case r9") && error.contains("r1 "), "{error}");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ALL.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
