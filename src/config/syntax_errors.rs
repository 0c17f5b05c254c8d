//! Diagnostics for files that are not valid TOML. For a duplicate key they also point at the first one.

use super::diagnostics::Diagnostic;
use super::reader::FileReader;
use super::schema::defined_twice;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The most errors reported for one file. Finding the first of two duplicate keys scans the file from its start.
const ERROR_LIMIT: usize = 500;

/// The syntax errors of one file, at most one for each line because the parser guesses at the rest of a broken line;
/// and the broken lines.
pub(crate) fn syntax_errors(
    file: &FileReader,
    table: &DeTable<'_>,
    errors: &[toml::de::Error],
) -> (Vec<Diagnostic>, BTreeSet<usize>) {
    let mut lines = BTreeSet::new();
    let mut list = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let origin = file.origin(span.clone());
        if !lines.insert(origin.line) || list.len() >= ERROR_LIMIT {
            continue;
        }
        let first =
            first_definition(&file.source.text, table, &span).filter(|_| error.message().starts_with("duplicate key"));
        list.push(match first {
            Some((name, first)) => defined_twice(&name, &origin, &file.origin(first)),
            None => Diagnostic::at(&origin, error.message().trim().to_owned()),
        });
    }
    (list, lines)
}

/// The full name of the duplicate key at `span`, and the bytes of its first definition.
fn first_definition(text: &str, table: &DeTable<'_>, span: &Range<usize>) -> Option<(String, Range<usize>)> {
    let before = text.get(..span.start)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    if let Some(path) = text[line_start..].lines().next().and_then(header) {
        // the parser keeps only the second position of such a table
        let mut start = 0;
        let first = before.split_inclusive('\n').find_map(|line| {
            let here = start;
            start += line.len();
            (header(line)? == path && here + line.len() <= span.start).then(|| here..here + line.trim_end().len())
        })?;
        return Some((format!("[{}]", path.join(".")), first));
    }
    let key = text.get(span.clone())?.trim_matches(['"', '\'']);
    let mut table = table;
    for part in before.lines().rev().find_map(header).unwrap_or_default() {
        table = match table.get(part)?.get_ref() {
            DeValue::Table(table) => table,
            DeValue::Array(list) => match list.iter().last()?.get_ref() {
                DeValue::Table(table) => table,
                _ => return None,
            },
            _ => return None,
        };
    }
    let first = table.get_key_value(key)?.0.span();
    (first.start < span.start).then(|| (key.to_owned(), first))
}

/// The keys in a line like `[roles.reports]`.
fn header(line: &str) -> Option<Vec<&str>> {
    let inside = line.trim_start().strip_prefix('[')?.split(']').next()?;
    Some(inside.trim_start_matches('[').split('.').map(|part| part.trim().trim_matches(['"', '\''])).collect())
}

#[cfg(test)]
mod tests;
