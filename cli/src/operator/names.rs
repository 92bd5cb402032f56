//! Who rules, when nobody says.

use std::{env, fs};

/// `user@host`, as this machine has it; `None` when it does not know its user.
pub(crate) fn user_at_host() -> Option<String> {
    let said = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let user = said("USER").or_else(|| said("LOGNAME"))?;
    let kernel = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = said("HOSTNAME").or_else(|| kernel().map(|name| name.trim().to_owned()));
    Some(match host.filter(|host| !host.is_empty()) {
        Some(host) => format!("{user}@{host}"),
        None => user,
    })
}
