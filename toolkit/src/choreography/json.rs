//! The graph as a JSON document.

use crate::choreography::Graph;

impl Graph {
    /// Draws it as JSON, indented, with a line break at its end. The keys are the names of the fields of
    /// [`Graph`] and its parts.
    #[must_use]
    pub fn json(&self) -> String {
        // Strings, lists and booleans only, so there is nothing that could fail to be written.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
