//! The text: a row for each ServiceAccount and a column for each link, then each failure and each reason, once for all
//! links and ServiceAccounts that share it. With a width, text is wrapped, and the links of a table that is too wide stand
//! below their ServiceAccount.

use super::super::wrap::wrap;
use super::super::{Ink, Style, write_inert};
use super::SummaryV1;
use crate::model::sanitize::scrub;
use crate::verify::{ChainLinks, LinkKind, Status};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// The addresses that one reason lists; more are counted.
const LISTED: usize = 10;

/// The column of the role, the last one before the links.
const ROLE: usize = 1;

/// Writes the text. With `all`, also what was proved.
///
/// # Errors
/// If `out` does not take all bytes.
pub fn text(chains: &[ChainLinks], all: bool, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    if !chains.is_empty() {
        table(&mut text, chains, style);
        text.push('\n');
    }
    for ((status, kinds, reason, hints), addresses) in reasons(chains, all) {
        let words = kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
        let lead = format!("{} {words}: ", style.paint(ink(status), sign(status)));
        wrapped(&mut text, style, &lead, sign(status).len() + words.len() + 3, &scrub(&reason));
        for address in addresses.iter().take(LISTED) {
            // a string takes everything
            let _ = writeln!(text, "    {}", scrub(address));
        }
        if let Some(more @ 1..) = addresses.len().checked_sub(LISTED) {
            let _ = writeln!(text, "    and {more} more");
        }
        for hint in hints {
            wrapped(&mut text, style, "    -> ", 7, &scrub(&hint));
        }
        text.push('\n');
    }
    let SummaryV1 { service_accounts, ok, failed, unknown, missing } = SummaryV1::of(chains);
    let noun = if service_accounts == 1 { "ServiceAccount" } else { "ServiceAccounts" };
    let missing = if missing == 0 { String::new() } else { format!(", {missing} not there") };
    let _ = writeln!(
        text,
        "Verified {service_accounts} {noun}: {ok} ok, {failed} broken, {unknown} not fully seen{missing}."
    );
    write_inert(&text, out)
}

/// Writes a text behind `lead`, which is `column` wide and to which further lines are indented. A command line is not
/// broken, so that it can be copied.
fn wrapped(text: &mut String, style: &Style, lead: &str, column: usize, words: &str) {
    let room = style.width().map(|width| width.saturating_sub(column));
    for (index, line) in wrap(&with_whole_commands(words), room).iter().enumerate() {
        let line = line.replace(NO_BREAK, " ");
        let _ = if index == 0 { writeln!(text, "{lead}{line}") } else { writeln!(text, "{:column$}{line}", "") };
    }
}

/// A space at which `wrap` does not break.
const NO_BREAK: char = '\u{a0}';

/// The text with `NO_BREAK` in what stands in backticks, and from `kubectl` to the end.
fn with_whole_commands(text: &str) -> String {
    let whole = |text: &str| text.replace(' ', NO_BREAK.encode_utf8(&mut [0; 4]));
    let pieces = text.split('`').enumerate().map(|(index, piece)| match piece.find("kubectl ") {
        _ if index % 2 == 1 => whole(piece),
        Some(at) => format!("{}{}", &piece[..at], whole(&piece[at..])),
        None => piece.to_owned(),
    });
    pieces.collect::<Vec<_>>().join("`")
}

/// Sorted as printed: what is broken last, next to the summary.
type Reason = (Status, Vec<LinkKind>, String, Vec<String>);

/// What links of one ServiceAccount share. A link that is proved has its kind, and shares nothing.
type Shared<'a> = (Status, Option<LinkKind>, &'a str, &'a [String]);

/// The addresses by reason. Links of one ServiceAccount with the same reason are one, unless they are proved.
fn reasons(chains: &[ChainLinks], all: bool) -> BTreeMap<Reason, Vec<&str>> {
    let mut reasons: BTreeMap<Reason, Vec<&str>> = BTreeMap::new();
    for chain in chains {
        let mut kinds: BTreeMap<Shared<'_>, Vec<LinkKind>> = BTreeMap::new();
        for link in chain.links.iter().filter(|link| all || link.status >= Status::Unknown) {
            let apart = (link.status < Status::Unknown).then_some(link.kind);
            kinds.entry((link.status, apart, &link.text, &link.hints)).or_default().push(link.kind);
        }
        for ((status, _, text, hints), kinds) in kinds {
            reasons.entry((status, kinds, text.to_owned(), hints.to_vec())).or_default().push(&chain.address);
        }
    }
    reasons
}

fn sign(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::NotApplicable => "-",
        Status::Unknown => "?",
        Status::Failed => "FAIL",
    }
}

fn ink(status: Status) -> Ink {
    match status {
        Status::Ok => Ink::Added,
        Status::NotApplicable => Ink::Dim,
        Status::Unknown => Ink::Warning,
        Status::Failed => Ink::Refused,
    }
}

fn table(text: &mut String, chains: &[ChainLinks], style: &Style) {
    let mut rows = vec![vec![("SERVICE ACCOUNT".to_owned(), Ink::Strong), ("ROLE".to_owned(), Ink::Strong)]];
    rows[0].extend(LinkKind::ALL.iter().map(|kind| (kind.word().to_owned(), Ink::Strong)));
    rows.extend(chains.iter().map(|chain| {
        let ChainLinks { cluster, namespace, name, role, links, .. } = chain;
        let subject = scrub(&format!("{cluster} {namespace}/{name}")).into_owned();
        let role = scrub(role.strip_prefix("role/").unwrap_or(role)).into_owned();
        let links = links.iter().map(|link| (sign(link.status).to_owned(), ink(link.status)));
        [(subject, Ink::Plain), (role, Ink::Plain)].into_iter().chain(links).collect()
    }));
    let columns = rows[0].len();
    let width = |column: usize| rows.iter().map(|row| row[column].0.width()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_wide = style.width().is_some_and(|width| widths.iter().sum::<usize>() + 2 * (columns - 1) > width);
    for row in &rows {
        for (column, (cell, ink)) in row.iter().enumerate() {
            text.push_str(&style.paint(*ink, cell));
            if is_wide && column == ROLE {
                text.push_str("\n  ");
            } else if column + 1 < columns {
                text.push_str(&" ".repeat(widths[column] - cell.width() + 2));
            }
        }
        text.push('\n');
    }
}
