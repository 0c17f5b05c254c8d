//! Questions on the terminal: the confirmation of a plan, and an MFA code.

use super::Answer;
use crate::model::sanitize::scrub;
use crate::render::{Ink, Style};
use std::io::{BufRead, Write};

/// Asks, and reads one line. Only `yes` confirms: no spaces, no capitals, no `y`.
pub(super) fn ask(question: &str, style: &Style, input: &mut dyn BufRead, out: &mut dyn Write) -> Answer {
    let prompt = format!(
        "\n{}\n  Only `yes` goes on.\n\n  {} ",
        style.paint(Ink::Strong, &scrub(question)),
        style.paint(Ink::Note, "Answer:")
    );
    if out.write_all(prompt.as_bytes()).and_then(|()| out.flush()).is_err() {
        // nobody can have read the question
        return Answer::No;
    }
    let mut line = String::new();
    let read = input.read_line(&mut line);
    let _ = out.write_all(b"\n");
    match read {
        Ok(1..) if line.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)) == Some("yes") => {
            Answer::Yes
        }
        _ => Answer::No,
    }
}

/// Asks, and returns the line. None at the end of the input.
pub(super) fn line(question: &str, style: &Style, input: &mut dyn BufRead, out: &mut dyn Write) -> Option<String> {
    let prompt = format!("{} ", style.paint(Ink::Strong, &scrub(question)));
    out.write_all(prompt.as_bytes()).and_then(|()| out.flush()).ok()?;
    let mut line = String::new();
    match input.read_line(&mut line) {
        Ok(1..) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn line_is_returned_without_its_end() {
        for (typed, read) in [("123456\n", Some("123456")), ("\r\n", Some("")), ("12", Some("12")), ("", None)] {
            let mut out = Vec::new();
            let line = line("Code\u{1b}:", &Style::plain(), &mut io::Cursor::new(typed), &mut out);
            assert_eq!((line.as_deref(), String::from_utf8(out).unwrap().as_str()), (read, "Code<U+001B>: "));
        }
    }

    fn answer(typed: &[u8]) -> Answer {
        ask("Apply?", &Style::plain(), &mut io::Cursor::new(typed), &mut Vec::new())
    }

    #[test]
    fn only_yes_confirms() {
        assert_eq!(answer(b"yes\n"), Answer::Yes);
        assert_eq!(answer(b"yes\r\n"), Answer::Yes);
        for typed in [
            "",
            "\n",
            "y\n",
            "Yes\n",
            "YES\n",
            " yes\n",
            "yes \n",
            "yes please\n",
            "no\n",
            "no\nyes\n",
            "yes",
            "yes\r\r\n",
        ] {
            assert_eq!(answer(typed.as_bytes()), Answer::No, "{typed:?}");
        }
        assert_eq!(answer(b"\xff\xfe\n"), Answer::No);
    }

    #[test]
    fn question_is_printed_without_control_characters() {
        let mut out = Vec::new();
        ask("Apply 3 changes?\u{1b}[8m", &Style::plain(), &mut io::Cursor::new(b"yes\n"), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\nApply 3 changes?<U+001B>[8m\n  Only `yes` goes on.\n\n  Answer: \n"
        );
    }

    #[test]
    fn question_on_a_closed_stream_is_not_confirmed() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(ask("?", &Style::plain(), &mut io::Cursor::new(b"yes\n"), &mut Closed), Answer::No);
    }
}
