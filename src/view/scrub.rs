//! The one scrubber: what comes from the configuration or from afar is shown, never obeyed.
//!
//! A role description may hold an escape sequence that repaints the terminal, a tag a bidirectional override that turns
//! an ARN around, a log line a workflow command. Such characters are replaced by their code point, so that two values
//! which differ in them alone also look different.

use std::borrow::Cow;
use std::fmt::Write;

pub(crate) use crate::model::unseen::is_unseen;

/// The text on one line, with control, format and bidirectional characters as `<U+202E>`.
pub(crate) fn scrub(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unseen(character) {
            // writing to a String cannot fail
            let _ = write!(clean, "<U+{:04X}>", u32::from(character));
        } else {
            clean.push(character);
        }
    }
    Cow::Owned(clean)
}

/// A text of our own that may have several lines, each scrubbed.
pub(crate) fn scrub_lines(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(|line| harmless(line.trim_end_matches('\r'))).collect();
    lines.join("\n")
}

/// A whole line, scrubbed, and not to be taken for a workflow command by the log of a CI job
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).
fn harmless(line: &str) -> Cow<'_, str> {
    let clean = scrub(line);
    if is_command(&clean) { Cow::Owned(format!("\\{}", clean.trim_start())) } else { clean }
}

/// Whether a CI job would take the line for a command.
pub(crate) fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("::") || line.starts_with("##[")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_obeyed_and_nothing_vanishes() {
        assert_eq!(scrub("reads the reports ü 漢"), "reads the reports ü 漢");
        assert_eq!(scrub("a\u{1b}[2Jb"), "a<U+001B>[2Jb");
        assert_eq!(scrub("a\nb\tc\r"), "a<U+000A>b<U+0009>c<U+000D>");
        assert_eq!(scrub("\u{9b}31m"), "<U+009B>31m");
        assert_eq!(scrub("role/\u{202e}nimda"), "role/<U+202E>nimda");
        assert_eq!(scrub("a\u{200b}b\u{e0041}\u{feff}"), "a<U+200B>b<U+E0041><U+FEFF>");
        assert_ne!(scrub("ab"), scrub("a\u{200d}b"));
    }

    #[test]
    fn lines_stay_lines_and_are_no_commands() {
        assert_eq!(scrub_lines("one\r\ntwo\u{7}\n"), "one\ntwo<U+0007>\n");
        assert_eq!(
            scrub_lines("it said:\n  ::set-output name=x::y\n##[error]"),
            "it said:\n\\::set-output name=x::y\n\\##[error]"
        );
    }

    proptest! {
        #[test]
        fn what_is_clean_stays_as_it_is(text in "\\PC*") {
            let clean = scrub(&text).into_owned();
            prop_assert!(!clean.chars().any(is_unseen));
            prop_assert_eq!(scrub(&clean), clean.as_str());
        }

        #[test]
        fn whatever_comes_is_clean_after(text in any::<String>()) {
            prop_assert!(!scrub(&text).chars().any(is_unseen));
            prop_assert!(!scrub_lines(&text).chars().any(|c| c != '\n' && is_unseen(c)));
        }
    }
}
