//! The graph in Graphviz's DOT language.

use std::fmt::Write;

use crate::choreography::{Edge, EdgeKind, Graph, Party, ServiceNode};

impl Graph {
    /// Draws it for Graphviz: solid arrows are events that are handled, bold ones the pivot, dashed ones
    /// events because of which a step is undone.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut text =
            String::from("digraph choreography {\n    rankdir=LR;\n    node [shape=box];\n");
        for service in &self.services {
            line(&mut text, node(Party::Service(service.name), &label(service), "shape=box"));
        }
        for party in self.strangers() {
            line(&mut text, stranger(party));
        }
        for edge in &self.edges {
            line(&mut text, arrow(edge));
        }
        text.push_str("}\n");
        text
    }
}

fn arrow(edge: &Edge) -> String {
    let style = match edge.kind {
        EdgeKind::Command | EdgeKind::Event => "solid",
        EdgeKind::Pivot => "bold",
        EdgeKind::Compensation => "dashed",
    };
    let mark = if edge.kind == EdgeKind::Pivot { " (pivot)" } else { "" };
    let label = escape(edge.label);
    format!("{} -> {} [label=\"{label}{mark}\", style={style}];", id(edge.from), id(edge.to))
}

fn node(party: Party, label: &str, attributes: &str) -> String {
    format!("{} [label=\"{label}\", {attributes}];", id(party))
}

fn stranger(party: Party) -> String {
    match party {
        Party::Absent(name) => {
            node(party, &format!("{} (not in this graph)", escape(name)), "style=dotted")
        }
        Party::Service(_) | Party::Outside => node(party, "outside", "shape=circle"),
    }
}

/// A quoted id. The prefix keeps a service that is called `outside` apart from what is outside.
fn id(party: Party) -> String {
    match party {
        Party::Service(name) => format!("\"service {}\"", escape(name)),
        Party::Absent(name) => format!("\"absent {}\"", escape(name)),
        Party::Outside => "\"outside\"".to_owned(),
    }
}

fn label(service: &ServiceNode) -> String {
    let mut text = escape(service.name);
    for step in &service.steps {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "\\n{} {}", step.kind, escape(step.event));
    }
    text
}

fn line(text: &mut String, line: impl std::fmt::Display) {
    let _ = writeln!(text, "    {line}");
}

/// In a quoted DOT string a quote ends it and a backslash starts an escape.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn escapes_what_would_end_a_label() {
        assert_eq!(escape("ORDER_CREATED"), "ORDER_CREATED");
        assert_eq!(escape("a\"b\\\n"), "a\\\"b\\\\ ");
    }
}
