//! Where settings come from: the environment, then a file.

use std::{collections::BTreeMap, fmt, path::Path};

use serde_json::Value;

use super::variables::{self, PREFIX, Variable};

/// Variables under the prefix that belong to the repository's own tests.
const TEST_PREFIX: &str = "QUADRILLE_TEST_";

/// What was said, by variable name without the prefix.
#[derive(Default)]
pub(super) struct Sources {
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    file_name: String,
    /// `RUST_LOG`, the usual name for what `QUADRILLE_LOG` says.
    pub(super) rust_log: Option<String>,
}

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The environment.
    Environment,
    /// The file of this name.
    File(String),
    /// Nobody.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::File(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Sources {
    /// Takes the variables with our prefix. An empty one counts as not said: so do files of containers
    /// pass on what is not set.
    pub(super) fn from_variables(all: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut sources = Self::default();
        for (name, value) in all {
            if value.is_empty() {
                continue;
            }
            if name == "RUST_LOG" {
                sources.rust_log = Some(value);
            } else if let Some(short) = name.strip_prefix(PREFIX)
                && !name.starts_with(TEST_PREFIX)
            {
                sources.environment.insert(short.to_owned(), value);
            }
        }
        sources
    }

    /// Adds what the file says; the environment goes before it. All that is wrong goes to `errors`.
    pub(super) fn read_file(&mut self, path: &Path, errors: &mut Vec<String>) {
        let name = variables::CONFIG.full_name();
        self.file_name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                errors.push(format!(
                    "{name} = {:?}: cannot be read: {error}; give the path of a JSON file that this \
                     user can read, or unset it",
                    self.file_name
                ));
                return;
            }
        };
        self.take_file(&text, errors);
    }

    pub(super) fn take_file(&mut self, text: &str, errors: &mut Vec<String>) {
        let object = match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                errors.push(format!(
                    "{}: is not one JSON object; write {{\"namespace\": \"quadrille\"}} and the like",
                    self.file_name
                ));
                return;
            }
            Err(error) => {
                // The position only: the text around it may be a password.
                errors.push(format!(
                    "{}: is not JSON at line {}, column {}; mend it there",
                    self.file_name,
                    error.line(),
                    error.column()
                ));
                return;
            }
        };
        for (key, value) in object {
            match self.entry(&key, &value) {
                Ok((name, value)) => drop(self.file.insert(name, value)),
                Err(error) => errors.push(error),
            }
        }
    }

    fn entry(&self, key: &str, value: &Value) -> Result<(String, String), String> {
        let file = &self.file_name;
        let known = |variable: &&&Variable| variable.key() == key && variable.name != "CONFIG";
        let Some(variable) = variables::ALL.iter().find(known) else {
            let meant = variables::nearest(&key.to_ascii_uppercase());
            let mend = meant.map_or("remove it".to_owned(), |v| format!("write {:?}", v.key()));
            return Err(format!("{file}: {key:?}: there is no such setting; {mend}"));
        };
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            _ => {
                return Err(format!(
                    "{file}: {key:?}: is no single value; write {}",
                    variable.form
                ));
            }
        };
        Ok((variable.name.to_owned(), value))
    }

    /// What was said about a variable, and by whom.
    pub(super) fn get(&self, variable: &Variable) -> Option<(&str, Origin)> {
        if let Some(value) = self.environment.get(variable.name) {
            return Some((value, Origin::Environment));
        }
        let value = self.file.get(variable.name)?;
        Some((value, Origin::File(self.file_name.clone())))
    }

    /// Variables under our prefix that mean nothing to us. No error: a cluster may put its own there.
    pub(super) fn unknown(&self) -> Vec<String> {
        let known = |name: &str| variables::ALL.iter().any(|variable| variable.name == name);
        let unknown = self.environment.keys().filter(|name| !known(name));
        unknown
            .map(|name| match variables::nearest(name) {
                Some(meant) => {
                    format!("{PREFIX}{name} means nothing; is it {}?", meant.full_name())
                }
                None => format!("{PREFIX}{name} means nothing"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Sources {
        Sources::from_variables(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let mut sources = environment(&[("QUADRILLE_LANES", "3"), ("QUADRILLE_SHARDS", "")]);
        let mut errors = vec![];
        sources.take_file(r#"{"lanes": 5, "shards": 2, "kafka_plaintext_ok": true}"#, &mut errors);
        assert_eq!(errors, [""; 0]);
        let said = |variable| sources.get(variable).map(|(value, _)| value);
        assert_eq!(said(&variables::LANES), Some("3"));
        assert_eq!(said(&variables::SHARDS), Some("2"));
        assert_eq!(said(&variables::KAFKA_PLAINTEXT_OK), Some("yes"));
        assert_eq!(said(&variables::INSTANCE), None);
    }

    #[test]
    fn all_that_is_wrong_in_a_file_is_told() {
        let mut errors = vec![];
        let mut sources = environment(&[]);
        sources.take_file(r#"{"lane": 5, "config": "x", "shards": [1]}"#, &mut errors);
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(errors.iter().any(|e| e.contains("write \"lanes\"")), "{errors:?}");
    }

    #[test]
    fn a_broken_file_does_not_show_what_is_in_it() {
        let mut errors = vec![];
        environment(&[]).take_file("{\"database_url\": \"sesame\" oops", &mut errors);
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert!(error.contains("line 1") && !error.contains("sesame"), "{error}");
    }

    #[test]
    fn unknown_variables_are_told_apart_from_those_of_tests() {
        let sources = environment(&[
            ("QUADRILLE_KAKFA_BROKERS", "a:1"),
            ("QUADRILLE_TEST_KAFKA", "b:1"),
            ("HOME", "/"),
        ]);
        let unknown = sources.unknown();
        assert_eq!(unknown.len(), 1, "{unknown:?}");
        assert!(unknown[0].ends_with("is it QUADRILLE_KAFKA_BROKERS?"), "{unknown:?}");
    }
}
