//! The environment of the process, before anything reads it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts the program anew in this very process without the variables that are set to nothing: `AWS_PROFILE=` means the
/// same as no `AWS_PROFILE`, as it does to the aws CLI. The SDK reads the environment of the process wherever it likes and
/// takes an empty address for an address, and a process cannot change its own environment safely.
pub(crate) fn without_blank_variables() {
    let blank: Vec<OsString> =
        std::env::vars_os().filter(|(name, value)| is_setting(name) && is_blank(value)).map(|(name, _)| name).collect();
    if blank.is_empty() {
        return;
    }
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next() else { return };
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let mut again = Command::new(program);
    again.arg0(name).args(arguments);
    for name in &blank {
        again.env_remove(name);
    }
    // comes back only where that is not possible: then they are taken as they are
    drop(again.exec());
}

/// Whether it is one that irsa, the SDK or a kubeconfig's plugin reads.
fn is_setting(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("AWS_") || name.starts_with("IRSA_") || name == "KUBECONFIG"
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_say_nothing_count() {
        for (name, value, counts) in [
            ("AWS_PROFILE", "", true),
            ("AWS_ENDPOINT_URL_STS", " \n", true),
            ("IRSA_CONFIG", "", true),
            ("KUBECONFIG", "", true),
            ("AWS_REGION", "eu-west-1 ", false),
            ("HOME", "", false),
            ("NO_PROXY", "", false),
        ] {
            assert_eq!(is_setting(name.as_ref()) && is_blank(value.as_ref()), counts, "{name}={value:?}");
        }
    }
}
