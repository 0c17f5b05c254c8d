//! Shows a page of the documentation on a terminal: links as text, each row of a table as a block, lines wrapped.

use super::wrap::wrap;
use crate::explain::without_links;
use std::fmt::Write;

/// A page of `irsa explain`. `markdown` has paragraphs, lists, tables and fenced code. Without a `width` only rows of
/// tables change their form.
pub(crate) fn page(markdown: &str, width: Option<usize>) -> String {
    let text = without_links(markdown);
    let mut page = Page { text: String::new(), width };
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            page.line(line);
            for code in lines.by_ref() {
                page.line(code);
                if code.starts_with("```") {
                    break;
                }
            }
        } else if let Some(heads) = cells(line) {
            let rows = std::iter::from_fn(|| lines.next_if(|line| line.starts_with('|')));
            for (index, row) in rows.filter_map(cells).filter(|row| !row[0].starts_with("--")).enumerate() {
                if index > 0 {
                    page.line("");
                }
                for (head, cell) in heads.iter().zip(row) {
                    page.wrapped(&format!("  {head}: "), cell, 4);
                }
            }
        } else {
            let marker = marker(line);
            let mut text = line[marker..].to_owned();
            // what follows a line without an empty one belongs to the same paragraph or item
            while let Some(next) = lines.next_if(|next| width.is_some() && is_continued(line, next)) {
                text.extend([" ", next.trim()]);
            }
            page.wrapped(&line[..marker], &text, marker);
        }
    }
    page.text
}

/// The cells of a row of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(row.split(" | ").collect())
}

/// The length of the indentation and of the marker of a list item in front of a text: `- `, `1. `.
fn marker(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    let item = &line[indent..];
    let digits = item.chars().take_while(char::is_ascii_digit).count();
    match item {
        _ if item.starts_with("- ") => indent + 2,
        _ if digits > 0 && item[digits..].starts_with(". ") => indent + digits + 2,
        _ => indent,
    }
}

fn is_continued(line: &str, next: &str) -> bool {
    let starts = ["#", "|", "```"].iter().any(|start| next.starts_with(start));
    let indent = next.len() - next.trim_start().len();
    !line.trim().is_empty() && !line.starts_with('#') && !next.trim().is_empty() && !starts && marker(next) == indent
}

struct Page {
    text: String,
    width: Option<usize>,
}

impl Page {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    /// `lead` and `text`. Further lines are indented by `indent`, which is at least the indentation of `lead`.
    fn wrapped(&mut self, lead: &str, text: &str, indent: usize) {
        let own = &lead[..lead.len() - lead.trim_start().len()];
        let room = self.width.map(|width| width.saturating_sub(indent));
        for (index, line) in wrap(&format!("{}{text}", lead.trim_start()), room).iter().enumerate() {
            let indent = if index == 0 { own } else { &" ".repeat(indent) };
            self.line(&format!("{indent}{line}"));
        }
    }
}

#[cfg(test)]
mod tests;
