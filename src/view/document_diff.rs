//! `DocumentDiff`: how one policy document becomes another, statement by statement.
//!
//! Made once for each changed document; the fields (`-v`), the summary, the lines about access and the risk all use it.
//! Statements are paired if they mean the same, else by `Sid`, else with the most similar one, so that one added action
//! is one line.

use super::diff_node::{DiffNode, Sign};
use super::spelling::in_one_spelling;
use super::statement::{RawStatement, equal, sid, statements};
use super::value_diff::{self, compare_maps, display, keys, unchanged};
use serde_json::{Map, Value};
use similar::{Algorithm, ChangeTag, TextDiff};

/// Two statements with less than this part in common are not paired.
const MIN_SIMILARITY: f32 = 0.35;
/// With more possible pairs than this, statements are not paired by similarity. Every policy that AWS accepts has fewer.
const MAX_PAIRS: usize = 40_000;

/// A statement and its position in its document, from 1.
type Numbered<'a> = (usize, &'a RawStatement);

/// The statements of two documents. Paired statements are in the spelling of the newer one.
pub(crate) struct DocumentDiff<'a> {
    /// The older and the newer statement of pairs that mean the same.
    pub same: Vec<(RawStatement, RawStatement)>,
    /// In the order of the newer document.
    pub changed: Vec<ChangedStatement>,
    pub added: Vec<Numbered<'a>>,
    pub removed: Vec<Numbered<'a>>,
    /// The differences outside of the statements.
    pub elements: Vec<DiffNode>,
}

/// A statement on both sides of a diff, with different meanings.
pub(crate) struct ChangedStatement {
    /// The position in the newer document, from 1.
    number: usize,
    pub before: RawStatement,
    pub after: RawStatement,
    /// The elements that differ.
    pub elements: Vec<DiffNode>,
}

impl<'a> DocumentDiff<'a> {
    /// None if irsa cannot parse one of the documents. Null is an empty document.
    pub(crate) fn of(before: &'a Value, after: &'a Value) -> Option<Self> {
        let (old, new) = (statements(before)?, statements(after)?);
        let (mut left, mut right): (Vec<usize>, Vec<usize>) = ((0..old.len()).collect(), (0..new.len()).collect());
        let same = take_pairs(&mut left, &mut right, |one, other| equal(old[one], new[other]));
        let mut pairs =
            take_pairs(&mut left, &mut right, |one, other| sid(old[one]).is_some() && sid(old[one]) == sid(new[other]));
        pairs.extend(take_most_similar(&mut left, &mut right, &old, &new));
        pairs.sort_by_key(|(_, other)| *other);
        let changed = |(one, other): (usize, usize)| {
            let (before, after) = in_one_spelling(old[one], new[other]);
            ChangedStatement { number: other + 1, elements: compare_maps(&before, &after), before, after }
        };
        Some(Self {
            same: same.into_iter().map(|(one, other)| in_one_spelling(old[one], new[other])).collect(),
            changed: pairs.into_iter().map(changed).collect(),
            added: right.into_iter().map(|index| (index + 1, new[index])).collect(),
            removed: left.into_iter().map(|index| (index + 1, old[index])).collect(),
            elements: elements(before, after),
        })
    }

    /// All lines of the diff, in the order of the newer document; removed statements follow.
    fn nodes(&self) -> Vec<DiffNode> {
        let changed = self.changed.iter().map(|change| {
            let title = title(change.number, &change.after);
            (change.number, DiffNode::name(Sign::Changed, &title, change.elements.clone()))
        });
        let added = self.added.iter().map(|&(number, statement)| (number, whole(Sign::Added, number, statement)));
        let mut numbered: Vec<(usize, DiffNode)> = changed.chain(added).collect();
        numbered.sort_by_key(|(number, _)| *number);
        let removed = self.removed.iter().map(|&(number, statement)| whole(Sign::Removed, number, statement));
        let statements = numbered.into_iter().map(|(_, node)| node).chain(removed);
        let unchanged = unchanged(self.same.len(), "statement", "statements");
        self.elements.iter().cloned().chain(statements).chain(unchanged).collect()
    }
}

/// Whether a field of an object is a policy document.
pub(crate) fn is_document(path: &str) -> bool {
    path == "trust" || is_permissions(path)
}

/// Whether a field of an object is a policy document that grants permissions.
pub(crate) fn is_permissions(path: &str) -> bool {
    path == "document" || path.starts_with("inline.")
}

/// The lines of a document. Compares a document that irsa cannot parse (no `diff`) as text.
pub(crate) fn document_node(name: &str, before: &Value, after: &Value, diff: Option<&DocumentDiff<'_>>) -> DiffNode {
    let children = diff.map_or_else(|| text_lines(before, after), DocumentDiff::nodes);
    DiffNode::name(Sign::of(before, after), name, children)
}

/// The differences outside of the statements. Leaves out the usual version of an added or removed document.
fn elements(before: &Value, after: &Value) -> Vec<DiffNode> {
    let (old, new) = (before.as_object(), after.as_object());
    let usual = |key: &str, value: &Value| key == "Version" && value == "2012-10-17";
    // a document without a version has this one
    // (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html)
    let default = |key: &str| if key == "Version" { Value::from("2008-10-17") } else { Value::Null };
    let mut list = Vec::new();
    for key in keys([old, new].into_iter().flatten()).into_iter().filter(|key| *key != "Statement") {
        let side = |map: Option<&Map<String, Value>>| match map {
            Some(map) => map.get(key).cloned().unwrap_or_else(|| default(key)),
            None => Value::Null,
        };
        let (one, other) = (side(old), side(new));
        let alone = old.is_none() || new.is_none();
        if !(alone && (usual(key, &one) || usual(key, &other))) {
            list.extend(value_diff::compare(key, &one, &other));
        }
    }
    list
}

/// Removes from both lists every pair that `fits`, and returns the pairs. The first match wins.
fn take_pairs(
    left: &mut Vec<usize>,
    right: &mut Vec<usize>,
    fits: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
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

/// Removes from both lists the pairs of similar statements with the same effect, the most similar first.
fn take_most_similar(
    left: &mut Vec<usize>,
    right: &mut Vec<usize>,
    old: &[&RawStatement],
    new: &[&RawStatement],
) -> Vec<(usize, usize)> {
    if left.len().saturating_mul(right.len()) > MAX_PAIRS {
        return Vec::new();
    }
    let all = |list: &[usize], side: &[&RawStatement]| -> Vec<(usize, Vec<String>)> {
        list.iter().map(|&index| (index, facts(side[index]))).collect()
    };
    let (before, after) = (all(left, old), all(right, new));
    let mut scores = Vec::new();
    for (one, old_facts) in &before {
        for (other, new_facts) in &after {
            if old[*one].get("Effect") == new[*other].get("Effect") {
                let score = similarity(old_facts, new_facts);
                if score >= MIN_SIMILARITY {
                    scores.push((score, *one, *other));
                }
            }
        }
    }
    // of equal scores the earlier statement wins, so that the same input gives the same pairs
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

/// The common part of two sorted lists, from 0 to 1.
fn similarity(old: &[String], new: &[String]) -> f32 {
    let operations = similar::capture_diff_slices(Algorithm::Myers, old, new);
    similar::diff_ratio(&operations, old.len(), new.len())
}

/// Each value of a statement with its path, in lower case and sorted. Without `Sid` and `Effect`.
fn facts(statement: &RawStatement) -> Vec<String> {
    fn gather(path: &str, value: &Value, list: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| gather(path, item, list)),
            Value::Object(map) => map.iter().for_each(|(key, value)| gather(&format!("{path}\n{key}"), value, list)),
            other => list.push(format!("{path}\n{}", display(other)).to_ascii_lowercase()),
        }
    }
    let mut list = Vec::new();
    for (key, value) in statement.iter().filter(|(key, _)| *key != "Sid" && *key != "Effect") {
        gather(key, value, &mut list);
    }
    list.sort();
    list
}

/// ``statement `SID` (Allow)``, or the number in place of the `Sid`.
fn title(number: usize, statement: &RawStatement) -> String {
    let name = sid(statement).map_or_else(|| number.to_string(), |sid| format!("`{sid}`"));
    match statement.get("Effect").and_then(Value::as_str) {
        Some(effect) => format!("statement {name} ({effect})"),
        None => format!("statement {name}"),
    }
}

/// A statement that is added or removed. The title has its `Sid` and its effect.
fn whole(sign: Sign, number: usize, statement: &RawStatement) -> DiffNode {
    let in_title = |key: &str, value: &Value| match key {
        "Sid" => sid(statement).is_some(),
        "Effect" => value.is_string(),
        _ => false,
    };
    let keys = keys([statement]).into_iter().filter(|key| !in_title(key, &statement[*key]));
    let children = keys.map(|key| value_diff::whole(sign, key, &statement[key])).collect();
    DiffNode::name(sign, &title(number, statement), children)
}

/// Two texts line by line. Runs of equal lines are counted.
fn text_lines(before: &Value, after: &Value) -> Vec<DiffNode> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => serde_json::from_str::<Value>(text).map_or_else(|_| text.clone(), |read| pretty(&read)),
        other => pretty(other),
    };
    let (old, new) = (text(before), text(after));
    let difference = TextDiff::from_lines(old.as_str(), new.as_str());
    let mut nodes = Vec::new();
    let mut equal = 0;
    for change in difference.iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Equal => {
                equal += 1;
                continue;
            }
            ChangeTag::Delete => Sign::Removed,
            ChangeTag::Insert => Sign::Added,
        };
        nodes.extend(unchanged(std::mem::take(&mut equal), "line", "lines"));
        nodes.push(DiffNode::item(sign, change.value().trim_end_matches(['\n', '\r'])));
    }
    nodes.extend(unchanged(equal, "line", "lines"));
    nodes
}
