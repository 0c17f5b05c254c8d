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
        let unseen = is_invisible(character) && character != '\n';
        if unseen || character == '[' && ends_in_marker(&text) {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn invisible_characters_become_their_code_points() {
        // one of each kind that the Unicode database has, with the ends of its ranges
        let unseen = [
            0x00, 0x1b, 0x7f, 0x85, 0x9b, 0xa0, 0xad, 0x34f, 0x600, 0x61c, 0x70f, 0x115f, 0x1160, 0x1680, 0x17b4,
            0x17b5, 0x180b, 0x180f, 0x2000, 0x200b, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x202f, 0x205f, 0x2060,
            0x2065, 0x206f, 0x2800, 0x3000, 0x3164, 0xe000, 0xf8ff, 0xfdd0, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xfff0,
            0xfff8, 0xfff9, 0xfffc, 0xffff, 0x110bd, 0x13430, 0x13441, 0x16fe4, 0x1bca0, 0x1d159, 0x1d173, 0x1d17a,
            0xe0000, 0xe0001, 0xe0020, 0xe007f, 0xe0080, 0xe0100, 0xe01ef, 0xe0fff, 0xf0000, 0x10_ffff,
        ];
        for code in unseen {
            let character = char::from_u32(code).unwrap();
            assert!(is_invisible(character), "U+{code:04X}");
            assert_eq!(scrub(&format!("a{character}b")), format!("a<U+{code:04X}>b"));
        }
        for seen in " ~aü漢あ한नक्षि€→…“”–—✓😀\u{301}".chars() {
            assert!(!is_invisible(seen), "{seen:?}");
        }
    }

    #[test]
    fn default_ignorable_code_points_are_invisible() {
        let set = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let all: Vec<char> = ('\0'..=char::MAX).filter(|character| set.contains(*character)).collect();
        assert!(all.len() > 4_000, "{}", all.len());
        assert!(all.into_iter().all(is_invisible));
    }

    #[test]
    fn scrubbed_text_is_one_line_without_commands() {
        for (dirty, wanted) in [
            ("reads the reports ü 漢", "reads the reports ü 漢"),
            ("a\u{1b}[2Jb", "a<U+001B>[2Jb"),
            ("a\nb\tc\r", "a<U+000A>b<U+0009>c<U+000D>"),
            ("role/\u{202e}nimda", "role/<U+202E>nimda"),
            ("##[error]x", "##\\[error]x"),
            ("a ##[debug]b", "a ##\\[debug]b"),
            ("###[x", "###\\[x"),
            ("x##vso[task.setvariable variable=y]z", "x##vso\\[task.setvariable variable=y]z"),
            ("##VSO[x] ##teamcity[y]", "##VSO\\[x] ##teamcity\\[y]"),
            ("##v\u{ad}so[x]", "##v<U+00AD>so[x]"),
            ("## [x] #[x] ##x [y]", "## [x] #[x] ##x [y]"),
        ] {
            assert_eq!(scrub(dirty), wanted);
        }
        assert_ne!(scrub("ab"), scrub("a\u{200d}b"));
    }

    #[test]
    fn commands_in_finished_lines_are_disabled() {
        for (dirty, wanted) in [
            ("::error::x\n", "\\::error::x\n"),
            ("one\n  ::set-output name=x::y\ntwo", "one\n  \\::set-output name=x::y\ntwo"),
            ("\u{1b}[1m\u{1b}[31m::error::x", "\u{1b}[1m\u{1b}[31m\\::error::x"),
            ("  a ##[group]x", "  a ##\\[group]x"),
            ("::add-mask::x ##vso[y]\n", "\\::add-mask::x ##vso\\[y]\n"),
            ("--- folded\n+++\n~~~ x\n^^^ +++", "\\--- folded\n\\+++\n\\~~~ x\n\\^^^ +++"),
            // no commands
            ("arn:aws:iam::111122223333:role/a\n", "arn:aws:iam::111122223333:role/a\n"),
            ("  ::: other.toml:3:1\n", "  ::: other.toml:3:1\n"),
            ("  --> irsa.toml:3:1\n--no-color\n + a", "  --> irsa.toml:3:1\n--no-color\n + a"),
        ] {
            assert_eq!(inert(dirty), wanted);
            assert_eq!(inert(wanted), wanted, "once is enough");
        }
    }

    #[test]
    fn printable_json_keeps_its_data() {
        assert_eq!(
            printable("[\n \"##\", [\"a\u{ad}##vso[b\u{e0041}\"]]"),
            "[\n \"##\", [\"a\\u00ad##vso\\u005bb\\udb40\\udc41\"]]"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_harmless_afterwards(text in any::<String>(), command in "(##|::|---|)[a-z]{0,3}(\\[|::| )?") {
            let text = text + &command;
            let clean = scrub(&text).into_owned();
            prop_assert!(!clean.chars().any(is_invisible));
            prop_assert_eq!(scrub(&clean), clean.as_str());
            let line = inert(&clean).into_owned();
            prop_assert!(command_free(&line), "{}", line);
            let json = printable(&serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(is_invisible) && command_free(&json), "{}", json);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    /// Looks for commands as CI systems do.
    fn command_free(line: &str) -> bool {
        let begin = line.trim_start();
        let v2 = begin.starts_with("::") && begin[2..].contains("::") && !begin.starts_with(":::");
        !v2 && !line.contains("##[") && !line.contains("##vso[")
    }
}
