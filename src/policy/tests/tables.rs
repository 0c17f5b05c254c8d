//! The results of two documents for all requests for which they can differ.

use super::evaluator::Piece::{Exact, Folded};
use super::evaluator::{Context, Document, Key, Place, Statement, names};
use super::vocabulary::{ASKED_ACTIONS, ASKED_BY, ASKED_RESOURCES};
use serde_json::Value;
use std::collections::BTreeSet;

/// The possible values of each key in requests.
const ASKED_WITH: [(Key, &[&[&str]]); 11] = [
    (&[Folded("aws:username")], &[&["ann"], &["Ann"], &["x"]]),
    (&[Folded("aws:PrincipalTag/"), Exact("Team")], &[&["x"], &["X"], &["true"]]),
    (&[Folded("aws:PrincipalTag/"), Exact("team")], &[&["x"], &["false"]]),
    (&[Folded("oidc.example.com"), Exact("/id/A"), Folded(":sub")], &[&["n:a"], &["n:b"], &["N:a"]]),
    (&[Folded("oidc.example.com"), Exact("/id/a"), Folded(":sub")], &[&["n:a"], &["n:b"]]),
    (&[Folded("aws:SecureTransport")], &[&["true"], &["false"]]),
    (&[Folded("aws:MultiFactorAuthAge")], &[&["5"], &["10"], &["10.5"], &["15"], &["20"], &["30"]]),
    (
        &[Folded("aws:CurrentTime")],
        &[&["2023-01-01T00:00:00Z"], &["2024-01-01T00:00:00Z"], &["2024-06-01T00:00:00Z"], &["2025-01-01T00:00:00Z"]],
    ),
    (&[Folded("aws:SourceIp")], &[&["203.0.113.7"], &["203.0.113.8"], &["203.0.113.200"], &["198.51.100.1"]]),
    (
        &[Folded("aws:SourceArn")],
        &[
            &["arn:aws:sns:eu-west-1:111122223333:t"],
            &["arn:aws:sns:us-east-1:111122223333:t"],
            &["arn:aws:sns:us-east-1:111122223333:T"],
            &["arn:aws:sns:us-east-1:444455556666:t"],
        ],
    ),
    (&[Folded("aws:TagKeys")], &[&["a"], &["a", "b"], &["A"], &["a", "c"], &["c"], &[]]),
];

/// Every context in which the documents can differ.
pub(super) fn contexts(texts: [&str; 2]) -> Vec<Context> {
    let mut named = BTreeSet::new();
    for text in texts {
        let document: Value = serde_json::from_str(text).unwrap();
        name_keys(&document, &mut named);
    }
    let mut list = vec![Context::default()];
    for (key, choices) in ASKED_WITH.iter().filter(|(key, _)| named.iter().any(|name| names(key, name))) {
        let with = |context: &Context, values: &[&'static str]| {
            let mut context = context.clone();
            context.0.push((key, values.to_vec()));
            context
        };
        let more: Vec<Context> =
            list.iter().flat_map(|context| choices.iter().map(|values| with(context, values))).collect();
        list.extend(more);
    }
    list
}

/// The keys in conditions and variables.
fn name_keys(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            named.extend(map.keys().cloned());
            map.values().for_each(|value| name_keys(value, named));
        }
        Value::Array(list) => list.iter().for_each(|value| name_keys(value, named)),
        Value::String(text) => {
            let variables = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            named.extend(variables.map(|(name, _)| name.to_owned()));
        }
        _ => {}
    }
}

/// The results of a document for all requests for which two documents can differ: for each context, kind of document,
/// principal and action, the allowed and the denied resources.
pub(super) struct Table(pub(super) Vec<(u8, u8)>);

/// The tables of two documents over the same requests.
pub(super) fn tables(one: &str, other: &str) -> [Table; 2] {
    let contexts = contexts([one, other]);
    [one, other].map(|text| table(&Document::of(text), &contexts))
}

fn table(document: &Document, contexts: &[Context]) -> Table {
    let rows: Vec<Row<'_>> = document.statements().iter().map(Row::of).collect();
    let mut cells = Vec::new();
    for context in contexts {
        let held: Vec<&Row<'_>> = rows.iter().filter(|row| row.statement.holds(context)).collect();
        for (index, place) in PLACES.into_iter().enumerate() {
            let mut line = vec![(0, 0); ASKED_BY.len() * ASKED_ACTIONS.len()];
            for row in &held {
                let bits = row.fixed.map_or_else(|| covered(row.statement, place, context), |fixed| fixed[index]);
                for (cell, asked) in line.iter_mut().zip(&row.asked[index]) {
                    let bits = if *asked { bits } else { 0 };
                    *cell = if row.statement.denies() { (cell.0, cell.1 | bits) } else { (cell.0 | bits, cell.1) };
                }
            }
            // a deny overrides an allow
            cells.extend(line.into_iter().map(|(allowed, denied): (u8, u8)| (allowed & !denied, denied)));
        }
    }
    Table(cells)
}

const PLACES: [Place; 2] = [Place::Trust, Place::Identity];

/// A statement with what does not depend on the context, by kind of document.
struct Row<'a> {
    statement: &'a Statement,
    /// Whether it applies to a principal and an action.
    asked: [Vec<bool>; 2],
    /// The resources, if they have no variables.
    fixed: Option<[u8; 2]>,
}

impl<'a> Row<'a> {
    fn of(statement: &'a Statement) -> Self {
        let actions = ASKED_ACTIONS.map(|action| statement.covers_action(action));
        let asked = PLACES.map(|place| {
            let meant = ASKED_BY.map(|who| statement.means(place, who));
            meant.iter().flat_map(|meant| actions.iter().map(move |covered| *meant && *covered)).collect()
        });
        let fixed = statement.is_fixed().then(|| PLACES.map(|place| covered(statement, place, &Context::default())));
        Self { statement, asked, fixed }
    }
}

/// The resources that a statement covers, one bit each.
fn covered(statement: &Statement, place: Place, context: &Context) -> u8 {
    let covers = ASKED_RESOURCES.map(|resource| statement.covers_resource(place, resource, context));
    covers.iter().rev().fold(0, |bits, covers| bits << 1 | u8::from(*covers))
}
