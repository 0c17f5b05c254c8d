//! Two policy documents statement by statement.
//!
//! Statements that mean the same are counted, not shown. The others are matched by `Sid`, then to the most similar, so
//! that one added action is one line. A document that is not understood is compared as lines of text.

use super::entry::{Entry, Mark};
use super::spelling;
pub(crate) use super::spelling::Body;
use super::value::{self, keys, shown, unchanged};
use crate::policy::Statement;
use serde_json::{Map, Value};
use similar::{Algorithm, ChangeTag, TextDiff};

/// Two statements of which less than this is the same are two statements.
const SIMILAR: f32 = 0.35;
/// More pairs than this are not weighed: every policy that AWS takes is far below.
const MOST_PAIRS: usize = 40_000;

/// The lines of a document that is made, goes or changes; nothing if there is nothing to tell.
pub(crate) fn compare(name: &str, before: &Value, after: &Value) -> Option<Entry> {
    let mark = match (before.is_null(), after.is_null()) {
        (true, true) => return None,
        (true, false) => Mark::Added,
        (false, true) => Mark::Removed,
        (false, false) => Mark::Changed,
    };
    let children = match (statements(before), statements(after)) {
        (Some(old), Some(new)) => {
            let mut children = elements(before, after);
            children.extend(lists(&old, &new));
            children
        }
        _ => lines(before, after),
    };
    Some(Entry::name(mark, name, children))
}

/// The statements of a document; none for one that is not there, `None` for one that is not understood.
pub(crate) fn statements(document: &Value) -> Option<Vec<&Body>> {
    match document {
        Value::Null => Some(Vec::new()),
        Value::Object(map) => match map.get("Statement")? {
            Value::Array(list) => list.iter().map(Value::as_object).collect(),
            Value::Object(single) => Some(vec![single]),
            _ => None,
        },
        _ => None,
    }
}

/// The statements of both sides, those that correspond to each other in one spelling.
pub(crate) fn in_one_spelling(old: &[&Body], new: &[&Body]) -> (Vec<Body>, Vec<Body>) {
    let clone = |list: &[&Body]| -> Vec<Body> { list.iter().map(|body| (*body).clone()).collect() };
    let (mut before, mut after) = (clone(old), clone(new));
    let matched = Matched::of(old, new);
    for (one, other) in matched.same.into_iter().chain(matched.pairs) {
        (before[one], after[other]) = spelling::in_one(old[one], new[other]);
    }
    (before, after)
}

/// The statements of each side to which the other has none that means the same.
pub(crate) fn differing<'a>(old: &[&'a Body], new: &[&'a Body]) -> (Vec<&'a Body>, Vec<&'a Body>) {
    let (mut left, mut right): (Vec<usize>, Vec<usize>) = ((0..old.len()).collect(), (0..new.len()).collect());
    pair(&mut left, &mut right, |one, other| equal(old[one], new[other]));
    (left.into_iter().map(|index| old[index]).collect(), right.into_iter().map(|index| new[index]).collect())
}

/// What a document has beside its statements; the usual version goes without saying.
fn elements(before: &Value, after: &Value) -> Vec<Entry> {
    let (old, new) = (before.as_object(), after.as_object());
    let usual = |key: &str, value: &Value| key == "Version" && value == "2012-10-17";
    // the version where none is named
    // (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html)
    let old_version = |key: &str| if key == "Version" { Value::from("2008-10-17") } else { Value::Null };
    let mut list = Vec::new();
    for key in keys([old, new]).into_iter().filter(|key| *key != "Statement") {
        let side = |map: Option<&Map<String, Value>>| match map {
            Some(map) => map.get(key).cloned().unwrap_or_else(|| old_version(key)),
            None => Value::Null,
        };
        let (one, other) = (side(old), side(new));
        let alone = old.is_none() || new.is_none();
        if !(alone && (usual(key, &one) || usual(key, &other))) {
            list.extend(value::compare(key, &one, &other));
        }
    }
    list
}

/// A statement and its place in its document, from 1.
type Placed<'a> = (usize, &'a Body);

/// Which statement of one side is which of the other, by their places.
struct Matched {
    /// Those that mean the same.
    same: Vec<(usize, usize)>,
    /// Those that changed.
    pairs: Vec<(usize, usize)>,
    /// Those of the old side alone, and of the new one.
    left: Vec<usize>,
    right: Vec<usize>,
}

impl Matched {
    fn of(old: &[&Body], new: &[&Body]) -> Self {
        let place = |list: &[&'_ Body]| -> Vec<usize> { (0..list.len()).collect() };
        let (mut left, mut right) = (place(old), place(new));
        let same = pair(&mut left, &mut right, |one, other| equal(old[one], new[other]));
        let mut pairs =
            pair(&mut left, &mut right, |one, other| sid(old[one]).is_some() && sid(old[one]) == sid(new[other]));
        pairs.extend(most_similar(&mut left, &mut right, old, new));
        Self { same, pairs, left, right }
    }
}

/// The statements in which two documents differ.
pub(crate) struct Difference<'a> {
    /// Before and after, in one spelling.
    pub changed: Vec<(Body, Body)>,
    pub added: Vec<&'a Body>,
    pub removed: Vec<&'a Body>,
    /// What differs beside the statements.
    pub elements: Vec<Entry>,
}

impl<'a> Difference<'a> {
    /// `None` for documents that are not understood.
    pub(crate) fn of(before: &'a Value, after: &'a Value) -> Option<Self> {
        let (old, new) = (statements(before)?, statements(after)?);
        let Matched { same: _, mut pairs, left, right } = Matched::of(&old, &new);
        pairs.sort_by_key(|(_, other)| *other);
        Some(Self {
            changed: pairs.into_iter().map(|(one, other)| spelling::in_one(old[one], new[other])).collect(),
            added: right.into_iter().map(|index| new[index]).collect(),
            removed: left.into_iter().map(|index| old[index]).collect(),
            elements: elements(before, after),
        })
    }
}

fn lists(old: &[&Body], new: &[&Body]) -> Vec<Entry> {
    let Matched { same, pairs, left, right } = Matched::of(old, new);
    let mut lines: Vec<(usize, Entry)> = Vec::new();
    for (one, other) in pairs {
        let (before, after) = spelling::in_one(old[one], new[other]);
        lines.push((other, changed((one + 1, &before), (other + 1, &after))));
    }
    lines.extend(right.iter().map(|&index| (index, entire(Mark::Added, (index + 1, new[index])))));
    lines.sort_by_key(|(index, _)| *index);
    let mut entries: Vec<Entry> = lines.into_iter().map(|(_, entry)| entry).collect();
    entries.extend(left.iter().map(|&index| entire(Mark::Removed, (index + 1, old[index]))));
    entries.extend(unchanged(same.len(), "statement", "statements"));
    entries
}

/// Takes the pairs that `fits` out of both lists, first come first served.
fn pair(left: &mut Vec<usize>, right: &mut Vec<usize>, fits: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    left.retain(|&one| match right.iter().position(|&other| fits(one, other)) {
        Some(found) => {
            pairs.push((one, right.remove(found)));
            false
        }
        None => true,
    });
    pairs
}

/// Takes the pairs out of both lists that have most in common, the best first.
fn most_similar(left: &mut Vec<usize>, right: &mut Vec<usize>, old: &[&Body], new: &[&Body]) -> Vec<(usize, usize)> {
    if left.len().saturating_mul(right.len()) > MOST_PAIRS {
        return Vec::new();
    }
    let all = |list: &[usize], bodies: &[&Body]| -> Vec<(usize, Vec<String>)> {
        list.iter().map(|&index| (index, facts(bodies[index]))).collect()
    };
    let (before, after) = (all(left, old), all(right, new));
    let mut scores = Vec::new();
    for (one, old_facts) in &before {
        for (other, new_facts) in &after {
            if old[*one].get("Effect") == new[*other].get("Effect") {
                let score = likeness(old_facts, new_facts);
                if score >= SIMILAR {
                    scores.push((score, *one, *other));
                }
            }
        }
    }
    // the same input gives the same pairs: a tie goes to the earlier statement
    scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut pairs = Vec::new();
    for (_, one, other) in scores {
        if left.contains(&one) && right.contains(&other) {
            left.retain(|index| *index != one);
            right.retain(|index| *index != other);
            pairs.push((one, other));
        }
    }
    pairs
}

/// Between 0 and 1: how much of two sorted lists is the same.
fn likeness(old: &[String], new: &[String]) -> f32 {
    let operations = similar::capture_diff_slices(Algorithm::Myers, old, new);
    similar::diff_ratio(&operations, old.len(), new.len())
}

/// Everything that a statement says, one text for each thing in lower case, sorted.
fn facts(statement: &Body) -> Vec<String> {
    fn gather(path: &str, value: &Value, list: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| gather(path, item, list)),
            Value::Object(map) => map.iter().for_each(|(key, value)| gather(&format!("{path}\n{key}"), value, list)),
            other => list.push(format!("{path}\n{}", shown(other)).to_ascii_lowercase()),
        }
    }
    let mut list = Vec::new();
    for (key, value) in statement.iter().filter(|(key, _)| *key != "Sid" && *key != "Effect") {
        gather(key, value, &mut list);
    }
    list.sort();
    list
}

/// Whether two statements mean the same.
pub(crate) fn equal(one: &Body, other: &Body) -> bool {
    if one == other {
        return true;
    }
    let read = |body: &Body| Statement::parse(&Value::Object(body.clone()), None).ok();
    matches!((read(one), read(other)), (Some(one), Some(other)) if one == other)
}

fn sid(statement: &Body) -> Option<&str> {
    statement.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty())
}

fn title((number, statement): Placed<'_>) -> String {
    let name = sid(statement).map_or_else(|| number.to_string(), |sid| format!("`{sid}`"));
    match statement.get("Effect").and_then(Value::as_str) {
        Some(effect) => format!("statement {name} ({effect})"),
        None => format!("statement {name}"),
    }
}

fn entire(mark: Mark, statement: Placed<'_>) -> Entry {
    let named = statement.1.get("Effect").is_some_and(Value::is_string);
    let told = |key: &str| (key == "Sid" && sid(statement.1).is_some()) || (key == "Effect" && named);
    let keys = keys([Some(statement.1), None]).into_iter().filter(|key| !told(key));
    let children = keys.map(|key| value::whole(mark, key, &statement.1[key])).collect();
    Entry::name(mark, &title(statement), children)
}

fn changed(before: Placed<'_>, after: Placed<'_>) -> Entry {
    let side = |body: &Body, key: &str| body.get(key).cloned().unwrap_or(Value::Null);
    let lines: Vec<Entry> = keys([Some(before.1), Some(after.1)])
        .into_iter()
        .filter_map(|key| value::compare(key, &side(before.1, key), &side(after.1, key)))
        .collect();
    Entry::name(Mark::Changed, &title(after), lines)
}

/// Two texts line by line; runs of equal lines are counted.
fn lines(before: &Value, after: &Value) -> Vec<Entry> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(read) => serde_json::to_string_pretty(&read).unwrap_or_default(),
            Err(_) => text.clone(),
        },
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    let (old, new) = (text(before), text(after));
    let difference = TextDiff::from_lines(old.as_str(), new.as_str());
    let mut entries = Vec::new();
    let mut equal = 0;
    for change in difference.iter_all_changes() {
        let mark = match change.tag() {
            ChangeTag::Equal => {
                equal += 1;
                continue;
            }
            ChangeTag::Delete => Mark::Removed,
            ChangeTag::Insert => Mark::Added,
        };
        entries.extend(unchanged(std::mem::take(&mut equal), "line", "lines"));
        entries.push(Entry::item(mark, change.value().trim_end_matches(['\n', '\r'])));
    }
    entries.extend(unchanged(equal, "line", "lines"));
    entries
}
