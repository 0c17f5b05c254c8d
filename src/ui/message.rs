//! Messages, warnings and errors as text. Every line is scrubbed: a message may quote the configuration, or AWS.

use crate::render::{Ink, Style};
use crate::view::scrub::scrub_lines;

/// A message.
pub(crate) fn plain(text: &str) -> String {
    format!("{}\n", scrub_lines(text))
}

/// A warning.
pub(crate) fn warning(style: &Style, text: &str) -> String {
    format!("{} {}\n", style.paint(Ink::Warning, "warning:"), scrub_lines(text))
}

/// An error and its hints.
pub(crate) fn error(style: &Style, text: &str, hints: &[String]) -> String {
    let hints = hints.iter().map(|hint| format!("{} {}\n", style.paint(Ink::Note, "hint:"), scrub_lines(hint)));
    let error = format!("{} {}\n", style.paint(Ink::Refused, "error:"), scrub_lines(text));
    std::iter::once(error).chain(hints).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_hints_below() {
        let hints = ["run `aws sso login`".to_owned(), "or set `AWS_PROFILE`".to_owned()];
        let text = error(&Style::plain(), "account/prod: no credentials\u{1b}[2J", &hints);
        assert_eq!(
            text,
            "error: account/prod: no credentials<U+001B>[2J\nhint: run `aws sso login`\nhint: or set `AWS_PROFILE`\n"
        );
        assert_eq!(warning(&Style::colored(), "old"), "\u{1b}[1m\u{1b}[33mwarning:\u{1b}[0m old\n");
        assert_eq!(plain("one\ntwo\u{202e}"), "one\ntwo<U+202E>\n");
    }
}
