//! `wrap`: breaks text into lines by the width that a terminal shows it with.

use unicode_width::UnicodeWidthStr;

/// Lines are never narrower than this, so that a name or two fit.
const MIN_WIDTH: usize = 24;

/// The lines of `text`, each at most `width` columns wide. A longer word is not broken, so that an ARN can be copied.
pub(crate) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.map(|width| width.max(MIN_WIDTH)) else {
        return vec![text.to_owned()];
    };
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.trim().is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() || !lines.is_empty() && word.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests;
