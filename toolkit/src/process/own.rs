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
        self.take(variable, |text| format!("{text:?}"), parse)
    }

    /// As [`read`](Self::read), for a value that is never shown.
    pub fn read_secret<T>(
        &mut self,
        variable: &OwnVariable,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        self.take(variable, |_| "(not shown)".to_owned(), parse)
    }

    /// What was read of a variable without which the service cannot run: that it is missing is an error too.
    pub fn required<T>(&mut self, variable: &OwnVariable, read: Option<Option<T>>) -> Option<T> {
        let read = read?;
        if read.is_none() {
            let OwnVariable { name, form, what, .. } = variable;
            self.errors.push(format!("{name} is not set: {what}; set it to {form}"));
        }
        read
    }

    fn take<T>(
        &mut self,
        variable: &OwnVariable,
        show: fn(&str) -> String,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let name = variable.name;
        let Some(text) = (self.lookup)(name).filter(|text| !text.is_empty()) else {
            self.in_force.push(format!("{name} = {}  (default)", variable.default));
            return Some(None);
        };
        let shown = show(&text);
        match parse(&text) {
            Ok(value) => {
                self.in_force.push(format!("{name} = {shown}  (environment)"));
                Some(Some(value))
            }
            Err(error) => {
                self.errors.push(format!("{name} = {shown}: {error}"));
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

    #[test]
    fn what_is_required_is_missed_by_name() {
        let mut own = Own::from(|_| None);
        let read = own.read(&COLOUR, colour);
        assert_eq!(own.required(&COLOUR, read), None);
        assert_eq!(own.errors, ["COLOUR is not set: how it looks; set it to a colour"]);
    }

    #[test]
    fn a_secret_is_never_shown() {
        for text in ["blue", "green"] {
            let lookup: fn(&str) -> Option<String> = match text {
                "blue" => |_| Some("blue".to_owned()),
                _ => |_| Some("green".to_owned()),
            };
            let mut own = Own::from(lookup);
            assert_eq!(own.read_secret(&COLOUR, colour).is_some(), text == "blue");
            assert!(!format!("{own:?}").contains(text), "{own:?}");
        }
    }
}
