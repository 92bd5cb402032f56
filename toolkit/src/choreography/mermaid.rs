//! The graph as a Mermaid flowchart.

use std::fmt::Write;

use crate::choreography::{Edge, EdgeKind, Graph, Party, ServiceNode};

impl Graph {
    /// Draws it as a Mermaid flowchart: solid arrows are events that are handled, thick ones the pivot,
    /// dashed ones events because of which a step is undone.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for service in &self.services {
            line(&mut text, format_args!("{}[\"{}\"]", self.id(service.name), label(service)));
        }
        for party in self.strangers() {
            line(&mut text, stranger(party));
        }
        for edge in &self.edges {
            line(&mut text, self.arrow(edge));
        }
        text
    }

    fn arrow(&self, edge: &Edge) -> String {
        let (from, to) = (self.end(edge.from), self.end(edge.to));
        let label = escape(edge.label);
        match edge.kind {
            EdgeKind::Command | EdgeKind::Event => format!("{from} -->|\"{label}\"| {to}"),
            EdgeKind::Pivot => format!("{from} ==>|\"{label} (pivot)\"| {to}"),
            EdgeKind::Compensation => format!("{from} -.->|\"{label}\"| {to}"),
        }
    }

    fn end(&self, party: Party) -> String {
        match party {
            Party::Service(name) => self.id(name),
            Party::Absent(name) => absent_id(name),
            Party::Outside => "outside".to_owned(),
        }
    }

    /// An id of letters and digits; a bare name may be a word of Mermaid's own, such as `end`.
    fn id(&self, name: &str) -> String {
        let place = self.services.iter().position(|s| s.name == name);
        place.map_or_else(|| absent_id(name), |place| format!("s{place}"))
    }
}

fn absent_id(name: &str) -> String {
    name.bytes().fold(String::from("absent"), |mut id, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(id, "_{byte:02x}");
        id
    })
}

fn stranger(party: Party) -> String {
    match party {
        Party::Absent(name) => {
            format!("{}[/\"{} (not in this graph)\"/]", absent_id(name), escape(name))
        }
        Party::Service(_) | Party::Outside => "outside((\"outside\"))".to_owned(),
    }
}

fn label(service: &ServiceNode) -> String {
    let mut text = format!("<b>{}</b>", escape(service.name));
    for step in &service.steps {
        let _ = write!(text, "<br/>{} {}", step.kind, escape(step.event));
    }
    text
}

fn line(text: &mut String, line: impl std::fmt::Display) {
    let _ = writeln!(text, "    {line}");
}

/// Within double quotes Mermaid knows no backslash, only entity codes with `#` instead of `&`.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | ';' | '|' => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
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
        assert_eq!(escape("ORDER_CREATED v1.2"), "ORDER_CREATED v1.2");
        assert_eq!(escape("a\"b#c<d>\n"), "a#34;b#35;c#60;d#62; ");
    }
}
