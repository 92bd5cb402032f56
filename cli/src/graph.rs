//! `quadrille graph`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use quadrille::choreography::{Choreography, Graph};

use crate::output::{self, Failure};

/// Draw who consumes, emits and compensates what
#[derive(Debug, Args)]
#[command(
    long_about = "Draws the choreography as its services declare it in their types: who consumes, emits \
and compensates what. Solid arrows are events that are handled, thick ones the pivot (after it nothing is \
undone), dashed ones events because of which a step is undone. Problems in the declarations are listed on \
standard error, and the exit code is then 1.",
    after_help = EXAMPLES
)]
pub(crate) struct Arguments {
    /// How to draw it
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// Write to FILE instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  quadrille graph                                  a Mermaid flowchart, for a README or an issue
  quadrille graph --format dot | dot -Tsvg > story.svg
  quadrille graph --format json --output story.json
  quadrille graph --format json | jq -r '.events[] | select(.pivot).type'";

/// The forms in which a graph can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A flowchart that Markdown viewers draw
    Mermaid,
    /// Graphviz
    Dot,
    /// All that is known, for other programs
    Json,
}

impl Format {
    fn draw(self, graph: &Graph) -> String {
        match self {
            Self::Mermaid => graph.mermaid(),
            Self::Dot => graph.dot(),
            Self::Json => graph.json(),
        }
    }
}

/// Draws the graph, then lists the problems of the declarations.
pub(crate) fn run(arguments: &Arguments, choreography: &Choreography) -> Result<(), Failure> {
    let text = arguments.format.draw(&choreography.graph());
    output::write(&text, arguments.output.as_deref())?;
    let problems = choreography.problems();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::Found(problems.iter().map(ToString::to_string).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::story;

    #[test]
    fn problems_are_a_failure_that_names_the_mend() {
        let services = story().services().to_vec();
        // Each service twice.
        let doubled = services.into_iter().fold(story(), Choreography::described);
        let file = std::env::temp_dir().join(format!("quadrille-graph-{}", std::process::id()));
        let arguments = Arguments { format: Format::Dot, output: Some(file.clone()) };
        let failure = run(&arguments, &doubled).expect_err("two services share a name");
        assert!(failure.to_string().starts_with("duplicate-service: "), "{failure}");
        // It is drawn all the same: one wants to see what is wrong.
        let drawn = std::fs::read_to_string(&file).expect("the drawing");
        assert!(drawn.starts_with("digraph"), "{drawn}");
        std::fs::remove_file(file).expect("the drawing goes");
    }
}
