//! Questions on the terminal: the confirmation of a plan, and an MFA code.

use super::Confirmation;
use crate::model::sanitize::scrub;
use crate::render::{Ink, Style};
use std::io::{BufRead, Write};

/// Asks, and reads one line. Only `yes` confirms: no spaces, no capitals, no `y`.
pub(super) fn ask(question: &str, style: &Style, input: &mut dyn BufRead, out: &mut dyn Write) -> Confirmation {
    let prompt = format!(
        "\n{}\n  Only `yes` goes on.\n\n  {} ",
        style.paint(Ink::Strong, &scrub(question)),
        style.paint(Ink::Note, "Answer:")
    );
    if out.write_all(prompt.as_bytes()).and_then(|()| out.flush()).is_err() {
        // nobody can have read the question
        return Confirmation::No;
    }
    let mut line = String::new();
    let read = input.read_line(&mut line);
    let _ = out.write_all(b"\n");
    match read {
        Ok(1..) if line.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)) == Some("yes") => {
            Confirmation::Yes
        }
        _ => Confirmation::No,
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
mod tests;
