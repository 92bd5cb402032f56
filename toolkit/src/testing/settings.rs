//! Configuration without a process: for those who feed it what nobody expects.

use crate::process::{Settings, SettingsError, settings_of};

/// Reads these variables, and this file unless there is none, as a process reads its own at the start.
///
/// # Errors
/// Everything that is wrong.
pub fn read(
    variables: impl IntoIterator<Item = (String, String)>,
    file: Option<&str>,
) -> Result<Settings, SettingsError> {
    settings_of(variables, file)
}
