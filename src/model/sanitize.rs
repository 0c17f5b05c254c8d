//! Makes text from outside safe to print in terminals, CI logs and JSON.
//!
//! A role description may contain an escape sequence that repaints the terminal, a tag an invisible letter, a condition
//! value a command for the log of a CI job. Control and invisible characters become their code point, `<U+202E>`, so that
//! two values that differ only in them look different. A backslash disables a command, `##\[error]`. JSON has escapes for
//! both, and keeps its data.
//!
//! - `scrub` makes a text from outside one safe line. Every such text passes through it before it enters a message.
//! - `inert` disables the commands in finished lines, right before they are printed.
//! - `printable` does both for finished JSON.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;
use std::fmt::Write;

/// Blank characters in categories that Unicode calls visible: the blank Braille pattern, the object replacement character,
/// a null note head, blank hieroglyphs and a filler.
const BLANK: [char; 6] = ['\u{2800}', '\u{fffc}', '\u{1d159}', '\u{13441}', '\u{13442}', '\u{16fe4}'];

/// Whether a terminal obeys a character or does not show it: control and format characters, all of
/// `Default_Ignorable_Code_Point` (<https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>), every space but
/// U+0020, and private or unassigned code points.
pub(crate) fn is_invisible(character: char) -> bool {
    // nearly all of a plan is ASCII
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let visible = !matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    !visible || BLANK.contains(&character) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Whether a reader sees nothing of the text.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || is_invisible(character))
}

/// The text as one line, with invisible characters as `<U+202E>` and without commands.
pub(crate) fn scrub(text: &str) -> Cow<'_, str> {
    if !text.contains("##") && !text.chars().any(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut clean = Sanitized { text: String::with_capacity(text.len() + 8) };
    text.chars().for_each(|character| clean.push(character));
    Cow::Owned(clean.text)
}

/// Collects text character by character, as `scrub` returns it.
#[derive(Debug, Default)]
pub(crate) struct Sanitized {
    pub text: String,
}

impl Sanitized {
    pub(crate) fn push(&mut self, character: char) {
        if is_invisible(character) {
            // writing to a String cannot fail
            let _ = write!(self.text, "<U+{:04X}>", u32::from(character));
            return;
        }
        if character == '[' && ends_in_marker(&self.text) {
            self.text.push('\\');
        }
        self.text.push(character);
    }
}

/// Whether a `[` after this text begins a command: `##[group]` and `##[debug]` of GitHub and Azure, `##vso[task.…]` of
/// Azure, `##teamcity[…]`. CI systems find them anywhere in a line
/// (<https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>,
/// <https://learn.microsoft.com/en-us/azure/devops/pipelines/scripts/logging-commands>).
fn ends_in_marker(text: &str) -> bool {
    text.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).ends_with("##")
}

/// Finished lines, which may have irsa's colour codes, without commands for the log of a CI job.
pub(crate) fn inert(text: &str) -> Cow<'_, str> {
    if !text.contains("##") && !text.lines().any(|line| command(line).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for line in text.split_inclusive('\n') {
        let begin = command(line);
        let (before, rest) = line.split_at(begin.unwrap_or(0));
        safe.push_str(before);
        if begin.is_some() {
            safe.push('\\');
        }
        // like `Sanitized`, but keeps colour codes
        for character in rest.chars() {
            if character == '[' && ends_in_marker(&safe) {
                safe.push('\\');
            }
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// The position of a command that is one only at the start of a line: `::error::` of GitHub, also after white space
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>), and the groups of
/// Buildkite, which hide the following lines (<https://buildkite.com/docs/pipelines/configure/managing-log-output>).
fn command(line: &str) -> Option<usize> {
    let text = without_color(line);
    let begin = text.trim_start();
    let workflow = begin.starts_with("::") && !begin.starts_with(":::");
    let group = ["---", "+++", "~~~", "^^^"]
        .iter()
        .any(|marker| text.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\n'])));
    if workflow { Some(line.len() - begin.len()) } else { group.then(|| line.len() - text.len()) }
}

/// The line without the colour codes at its beginning.
fn without_color(line: &str) -> &str {
    let mut rest = line;
    while let Some((_, behind)) = rest.strip_prefix("\u{1b}[").and_then(|code| code.split_once('m')) {
        rest = behind;
    }
    rest
}

/// Finished JSON with the same data, in which control and invisible characters and commands are escaped. Outside of
/// strings, JSON has no such characters except line breaks.
pub(crate) fn printable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        let hidden = is_invisible(character) && character != '\n';
        if hidden || character == '[' && ends_in_marker(&text) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // writing to a String cannot fail
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests;
