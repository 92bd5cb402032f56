//! Variables that are a service's own.

use super::settings::{Settings, SettingsError};

/// A variable that only one service has. Its name carries the service's, and not the toolkit's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnVariable {
    /// Its whole name in the environment, such as `ORDER_FINISH_WITHIN`.
    pub name: &'static str,
    /// The form and the unit of its value.
    pub form: &'static str,
    /// What holds when it is not set, for people.
    pub default: &'static str,
    /// What it says.
    pub what: &'static str,
}

/// Reads a service's own variables, and remembers what is wrong with them.
#[derive(Debug)]
pub struct Own {
    lookup: fn(&str) -> Option<String>,
    errors: Vec<String>,
    in_force: Vec<String>,
}

impl Own {
    pub(super) fn from_environment() -> Self {
        // What is not Unicode cannot be read as anything, and is shown with the error.
        Self::from(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    fn from(lookup: fn(&str) -> Option<String>) -> Self {
        Self { lookup, errors: vec![], in_force: vec![] }
    }

    /// Reads a variable: `Some(None)` when it is not set or empty, `None` when it is wrong. An error of `parse`
    /// says what is wrong with the value, and after a semicolon the mend. Values are shown: no secrets here.
    pub fn read<T>(
        &mut self,
        variable: &OwnVariable,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let name = variable.name;
        let Some(text) = (self.lookup)(name).filter(|text| !text.is_empty()) else {
            self.in_force.push(format!("{name} = {}  (default)", variable.default));
            return Some(None);
        };
        match parse(&text) {
            Ok(value) => {
                self.in_force.push(format!("{name} = {text:?}  (environment)"));
                Some(Some(value))
            }
            Err(error) => {
                self.errors.push(format!("{name} = {text:?}: {error}"));
                None
            }
        }
    }

    /// What is in force, beside the settings; or all that is wrong in either.
    pub(super) fn beside(
        self,
        settings: Result<Settings, SettingsError>,
    ) -> Result<(Settings, String), SettingsError> {
        match settings {
            Ok(settings) if self.errors.is_empty() => {
                let shown = self.in_force.iter().map(|line| format!("{line}\n")).collect();
                Ok((settings, shown))
            }
            Ok(_) => Err(SettingsError(self.errors)),
            Err(SettingsError(mut errors)) => {
                errors.extend(self.errors);
                Err(SettingsError(errors))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOUR: OwnVariable =
        OwnVariable { name: "COLOUR", form: "a colour", default: "red", what: "how it looks" };

    fn colour(text: &str) -> Result<String, String> {
        if text == "blue" { Ok(text.to_owned()) } else { Err("is none; write blue".to_owned()) }
    }

    #[test]
    fn a_value_is_read_and_a_missing_one_is_no_error() {
        let mut own = Own::from(|name| (name == "COLOUR").then(|| "blue".to_owned()));
        assert_eq!(own.read(&COLOUR, colour), Some(Some("blue".to_owned())));
        assert_eq!(Own::from(|_| None).read(&COLOUR, colour), Some(None));
        assert_eq!(Own::from(|_| Some(String::new())).read(&COLOUR, colour), Some(None));
        assert_eq!(own.in_force, ["COLOUR = \"blue\"  (environment)"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_all_else() {
        let mut own = Own::from(|_| Some("green".to_owned()));
        assert_eq!(own.read(&COLOUR, colour), None);
        let other = SettingsError(vec!["other".to_owned()]);
        let SettingsError(errors) = own.beside(Err(other)).unwrap_err();
        assert_eq!(errors, ["other", "COLOUR = \"green\": is none; write blue"]);
    }
}
