//! Removes blank environment variables before anything reads them.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Executes the program again, in the same process, without blank settings: like in the aws CLI, `AWS_PROFILE=` means no
/// `AWS_PROFILE`. The SDKs read the environment themselves and take a blank URL for a URL, and a process cannot change
/// its own environment safely.
pub(super) fn restart_without_blank_variables() {
    let is_removed = |(name, value): &(OsString, OsString)| is_setting(name) && is_blank(value);
    let blank: Vec<OsString> = std::env::vars_os().filter(is_removed).map(|(name, _)| name).collect();
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next().filter(|_| !blank.is_empty()) else { return };
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into()));
    command.arg0(name).args(arguments);
    for name in &blank {
        command.env_remove(name);
    }
    // returns only if it fails: then the variables stay
    drop(command.exec());
}

/// Whether irsa, an SDK or a kubeconfig plugin reads the variable.
fn is_setting(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("AWS_") || name.starts_with("IRSA_") || name == "KUBECONFIG"
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.trim().is_empty())
}

#[cfg(test)]
mod tests;
