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
mod tests;
