//! Finds a few flags in a command line that clap rejects, to report the usage error where CI looks for the result.

use super::Cli;
use clap::{Command, CommandFactory};
use std::ffi::OsString;
use std::path::PathBuf;

/// The arguments of a wrong command line.
pub(crate) struct BrokenArguments {
    command: Option<String>,
    words: Vec<OsString>,
}

impl BrokenArguments {
    pub(crate) fn of_process() -> Self {
        Self::of(std::env::args_os().skip(1))
    }

    /// Reads up to `--`: no flags follow it.
    fn of(words: impl Iterator<Item = OsString>) -> Self {
        let words: Vec<OsString> = words.take_while(|word| word != "--").collect();
        let cli = Cli::command();
        let mut rest = words.iter().map(|word| word.to_string_lossy());
        let mut command = None;
        while let Some(word) = rest.next() {
            if takes_value(&cli, &word) {
                rest.next();
            } else if !word.starts_with('-') {
                command = Some(word.into_owned());
                break;
            }
        }
        Self { command, words }
    }

    /// The last value of a flag.
    fn value(&self, flag: &str) -> Option<OsString> {
        let value = |(index, word): (usize, &OsString)| match word.to_str()?.strip_prefix(flag)? {
            "" => self.words.get(index + 1).filter(|next| *next == "-" || !is_flag(next)).cloned(),
            joined => joined.strip_prefix('=').map(OsString::from),
        };
        self.words.iter().enumerate().filter_map(value).next_back().filter(|value| !value.is_empty())
    }

    /// The file of `irsa drift --metrics-file FILE`.
    pub(crate) fn metrics_file(&self) -> Option<PathBuf> {
        self.command.as_deref().filter(|command| *command == "drift")?;
        self.value("--metrics-file").map(PathBuf::from)
    }

    /// Whether the command prints annotations with `--format github`.
    pub(crate) fn wants_annotations(&self) -> bool {
        let command = self.command.as_deref().unwrap_or_default();
        ["validate", "plan", "apply", "drift", "show"].contains(&command)
            && self.value("--format").is_some_and(|format| format == "github")
    }
}

fn is_flag(word: &OsString) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

/// Whether the next word is the value of this one.
fn takes_value(cli: &Command, word: &str) -> bool {
    cli.get_arguments().filter(|flag| flag.get_action().takes_values()).any(|flag| {
        word.strip_prefix("--").is_some_and(|long| flag.get_long() == Some(long))
            || word.strip_prefix('-').is_some_and(|short| flag.get_short().is_some_and(|own| short == own.to_string()))
    })
}

#[cfg(test)]
mod tests;
