//! What can be read of a command line that is wrong: enough to say so to the programs that wait for the result.

use super::Cli;
use clap::{Command, CommandFactory};
use std::ffi::OsString;
use std::path::PathBuf;

/// The words of a command line.
pub(crate) struct Typed {
    command: Option<String>,
    words: Vec<OsString>,
}

impl Typed {
    pub(crate) fn of_process() -> Self {
        Self::of(std::env::args_os().skip(1))
    }

    /// Up to `--`, behind which there are no flags.
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
        let behind = |(place, word): (usize, &OsString)| match word.to_str()?.strip_prefix(flag)? {
            // a flag is no value of the one before it
            "" => self.words.get(place + 1).filter(|next| *next == "-" || !is_flag(next)).cloned(),
            joined => joined.strip_prefix('=').map(OsString::from),
        };
        self.words.iter().enumerate().filter_map(behind).next_back().filter(|value| !value.is_empty())
    }

    /// Of `irsa drift --metrics-file FILE`.
    pub(crate) fn metrics_file(&self) -> Option<PathBuf> {
        let is_drift = self.command.as_deref() == Some("drift");
        is_drift.then(|| self.value("--metrics-file").map(PathBuf::from)).flatten()
    }

    /// Whether annotations are asked for, of a command that has them.
    pub(crate) fn annotated(&self) -> bool {
        let has = ["validate", "plan", "apply", "drift", "show"];
        self.command.as_deref().is_some_and(|command| has.contains(&command))
            && self.value("--format").is_some_and(|form| form == "github")
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
mod tests {
    use super::*;

    #[test]
    fn the_file_of_metrics_is_found_on_a_line_that_is_wrong() {
        for (line, found) in [
            ("drift --bogus --metrics-file m", Some("m")),
            ("-c drift.toml drift --metrics-file=m --shard 9/3", Some("m")),
            ("--format sarif drift --metrics-file m", Some("m")),
            ("drift --metrics-file a --metrics-file b", Some("b")),
            ("drift --metrics-file - --bogus", Some("-")),
            ("drift --metrics-file --bogus", None),
            ("drift --metrics-file", None),
            ("drift --metrics-file=", None),
            ("drift --bogus -- --metrics-file m", None),
            ("drift --metrics-files m", None),
            ("plan --metrics-file m", None),
            ("-c drift plan --metrics-file m", None),
            ("", None),
        ] {
            let typed = Typed::of(line.split_whitespace().map(OsString::from));
            assert_eq!(typed.metrics_file(), found.map(PathBuf::from), "{line}");
        }
    }

    #[test]
    fn annotations_are_for_commands_that_have_them() {
        for (line, annotated) in [
            ("plan --format github --bogus", true),
            ("--format=github plan --bogus", true),
            ("plan --format text --bogus", false),
            ("schema --format github --bogus", false),
        ] {
            assert_eq!(Typed::of(line.split_whitespace().map(OsString::from)).annotated(), annotated, "{line}");
        }
    }
}
