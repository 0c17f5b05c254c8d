//! What the TOML parser refuses, with the other place where a key stands twice.

use super::diagnostics::Diagnostic;
use super::reader::Gather;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The mistakes of one file, one for each line: what the parser says of the rest of a broken line is guesswork. The
/// lines come with them.
pub(crate) fn mistakes(
    gather: &Gather,
    table: &DeTable<'_>,
    errors: &[toml::de::Error],
) -> (Vec<Diagnostic>, BTreeSet<usize>) {
    let mut lines = BTreeSet::new();
    let mut list = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let origin = gather.origin(span.clone());
        if !lines.insert(origin.line) {
            continue;
        }
        let first =
            first_place(&gather.source.text, table, &span).filter(|_| error.message().starts_with("duplicate key"));
        list.push(match first {
            Some((name, first)) => {
                let first = gather.origin(first);
                Diagnostic::at(&origin, format!("`{name}` is defined twice"))
                    .label("again here")
                    .and(&first, "first here")
            }
            None => Diagnostic::at(&origin, error.message().trim().to_owned()),
        });
    }
    (list, lines)
}

/// What the key at `span` is called in full, and where it stood first.
fn first_place(text: &str, table: &DeTable<'_>, span: &Range<usize>) -> Option<(String, Range<usize>)> {
    let before = text.get(..span.start)?;
    let own = line_at(text, before.rfind('\n').map_or(0, |newline| newline + 1));
    let (name, path) = if let Some(path) = header(own) {
        (format!("[{}]", path.join(".")), path)
    } else {
        let above = before.lines().rev().find_map(header).unwrap_or_default();
        let key = text.get(span.clone())?.trim_matches(['"', '\'']);
        (key.to_owned(), above.into_iter().chain([key]).collect())
    };
    let (last, parents) = path.split_last()?;
    let mut table = table;
    for part in parents {
        table = match table.get(*part)?.get_ref() {
            DeValue::Table(table) => table,
            DeValue::Array(list) => match list.iter().last()?.get_ref() {
                DeValue::Table(table) => table,
                _ => return None,
            },
            _ => return None,
        };
    }
    let first = table.get_key_value(*last)?.0.span();
    (first.start < span.start).then_some((name, first))
}

fn line_at(text: &str, start: usize) -> &str {
    text[start..].lines().next().unwrap_or_default()
}

/// The path in a line like `[roles.reports]`.
fn header(line: &str) -> Option<Vec<&str>> {
    let inside = line.trim_start().strip_prefix('[')?.split(']').next()?;
    Some(inside.trim_start_matches('[').split('.').map(|part| part.trim().trim_matches(['"', '\''])).collect())
}
