//! Formats messages, warnings and errors. Control characters are replaced: a text may quote a file name or AWS.

use crate::model::sanitize::{inert, scrub};
use crate::render::{Ink, Style};

pub(super) fn plain(text: &str) -> String {
    inert(&format!("{}\n", scrub(text))).into_owned()
}

pub(super) fn warning(style: &Style, text: &str) -> String {
    labelled(style, Ink::Warning, "warning:", text)
}

/// An error, with a line for each detail and each hint.
pub(super) fn error(style: &Style, text: &str, details: &[String], hints: &[String]) -> String {
    let details = details.iter().map(|detail| inert(&format!("  {}\n", scrub(detail))).into_owned());
    let hints = hints.iter().map(|hint| labelled(style, Ink::Note, "hint:", hint));
    std::iter::once(labelled(style, Ink::Refused, "error:", text)).chain(details).chain(hints).collect()
}

fn labelled(style: &Style, ink: Ink, label: &str, text: &str) -> String {
    inert(&format!("{} {}\n", style.paint(ink, label), scrub(text))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_and_hints_follow_the_error() {
        let hints = ["run `aws sso login`".to_owned(), "or set `AWS_PROFILE`".to_owned()];
        let details = ["role/a: gone\n::error::x".to_owned(), "::error::y".to_owned()];
        let text = error(&Style::plain(), "account/prod: no credentials\u{1b}[2J", &details, &hints);
        assert_eq!(
            text,
            "error: account/prod: no credentials<U+001B>[2J\n  role/a: gone<U+000A>::error::x\n  \\::error::y\n\
             hint: run `aws sso login`\nhint: or set `AWS_PROFILE`\n"
        );
        assert_eq!(warning(&Style::colored(), "old"), "\u{1b}[1m\u{1b}[33mwarning:\u{1b}[0m old\n");
    }

    #[test]
    fn control_characters_and_ci_commands_are_escaped() {
        assert_eq!(plain("one\ntwo\u{202e}"), "one<U+000A>two<U+202E>\n");
        assert_eq!(plain("::set-output name=x::y ##vso[z]"), "\\::set-output name=x::y ##vso\\[z]\n");
    }
}
