//! What a change lets a role do, and no longer do, by action and resource.
//!
//! Compares the documents that the plan has: inline policies, and the managed policies that the plan changes. A policy
//! that the plan does not change counts on neither side, so a line may name access that such a policy gives, too.

use super::diff_node::{DiffNode, Sign};
use super::risk::is_severe;
use super::statement::{conditions, conditions_text};
use crate::access::changes::{Difference, Permissions, gained};
use crate::model::address::{Address, OrphanKind};
use crate::plan::change::Action;
use crate::plan::file::{ChangeV2, PlanV2};
use crate::policy::{PolicyDocument, Statement};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// More lines than this for each sign, or more actions than this in a line, are counted.
const MAX_LINES: usize = 3;
const MAX_ACTIONS: usize = 4;

/// Actions that a change gives or takes on one resource, under the same conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PermissionChange {
    sign: Sign,
    /// `gains`, `its roles lose`, …
    words: &'static str,
    actions: Vec<String>,
    /// ` on RESOURCE`, and the conditions.
    rest: String,
}

impl PermissionChange {
    /// With at most `most` actions.
    fn text(&self, most: usize) -> String {
        let mut text = self.actions.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
        if self.actions.len() > most {
            // writing to a String cannot fail
            let _ = write!(text, " and {} more actions", self.actions.len() - most);
        }
        text + &self.rest
    }
}

/// The documents of the customer managed policies that a plan changes.
#[derive(Default)]
pub(crate) struct ManagedDocuments(BTreeMap<String, Versions>);

/// Before and after. `None` if the policy does not exist then.
type Versions = (Option<PolicyDocument>, Option<PolicyDocument>);

impl ManagedDocuments {
    pub(crate) fn of(plan: &PlanV2) -> Self {
        let refused = plan.refused_addresses();
        let mut found: BTreeMap<String, Versions> = BTreeMap::new();
        let mut ambiguous = BTreeSet::new();
        for change in plan.changes.iter().filter(|change| is_policy(&change.address)) {
            let object = if change.after.is_null() { &change.before } else { &change.after };
            let text = |key: &str| object[key].as_str().unwrap_or_default();
            let name = format!("{}{}", text("path"), text("name"));
            let document = |side: &Value| (!side.is_null()).then(|| read(&side["document"]));
            let before = document(&change.before);
            let refused = refused.contains(change.address.as_str());
            let after = if refused { before.clone() } else { document(&change.after) };
            let versions = (before, after);
            // a plan file does not say which account has which id
            if found.get(&name).is_some_and(|other| *other != versions) {
                ambiguous.insert(name.clone());
            }
            found.insert(name, versions);
        }
        found.retain(|name, _| !ambiguous.contains(name));
        Self(found)
    }

    fn get(&self, arn: &str) -> Option<&Versions> {
        self.0.get(arn.split_once(":policy")?.1)
    }
}

fn is_policy(address: &str) -> bool {
    matches!(address.parse(), Ok(Address::Policy { .. } | Address::Orphan { kind: OrphanKind::Policy, .. }))
}

fn read(document: &Value) -> PolicyDocument {
    PolicyDocument::live(&document.as_str().map_or_else(|| document.to_string(), str::to_owned))
}

/// What an update or an adoption gives and takes. Empty if a document cannot be parsed, and for other changes, whose
/// statements say it.
pub(crate) fn of_change(action: Action, change: &ChangeV2, managed: &ManagedDocuments) -> Vec<PermissionChange> {
    if !matches!(action, Action::Update | Action::Adopt) {
        return Vec::new();
    }
    let differs = |path: &str| change.fields.iter().any(|field| field.path.split('.').next() == Some(path));
    if differs("document") {
        let (before, after) = (read(&change.before["document"]), read(&change.after["document"]));
        let side = |document| Side { policies: vec![document], boundary: None };
        return both(&side(before), &side(after), ["its roles gain", "its roles lose"]);
    }
    if !["inline", "attached", "permissions-boundary"].into_iter().any(differs) {
        return Vec::new();
    }
    let (mut before, mut after) = (Side::inline(&change.before), Side::inline(&change.after));
    let (old, new) = (texts(&change.before["attached"]), texts(&change.after["attached"]));
    for arn in old.union(&new) {
        let Some((earlier, later)) = managed.get(arn) else { continue };
        // the block of the policy says what its own change gives
        let [earlier, later] = if old.contains(arn) && new.contains(arn) { [later; 2] } else { [earlier, later] };
        before.policies.extend(earlier.clone().filter(|_| old.contains(arn)));
        after.policies.extend(later.clone().filter(|_| new.contains(arn)));
    }
    // a boundary is compared only if both sides are known
    let boundaries = [&change.before, &change.after].map(|side| side["permissions-boundary"].as_str());
    let known = boundaries.map(|arn| arn.map(|arn| managed.get(arn)));
    if !known.contains(&Some(None)) {
        let [old, new] = known.map(Option::flatten);
        let same = boundaries[0] == boundaries[1];
        before.boundary = old.and_then(|(earlier, later)| if same { later } else { earlier }.clone());
        after.boundary = new.and_then(|(_, later)| later.clone());
    }
    both(&before, &after, ["gains", "loses"])
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The documents of one side of a change.
struct Side {
    policies: Vec<PolicyDocument>,
    boundary: Option<PolicyDocument>,
}

impl Side {
    fn inline(role: &Value) -> Self {
        let policies = role["inline"].as_object().into_iter().flat_map(|map| map.values()).map(read).collect();
        Self { policies, boundary: None }
    }

    /// `None` if a document is not parsed.
    fn permissions(&self) -> Option<Permissions<'_>> {
        let parsed = self.policies.iter().chain(&self.boundary).all(PolicyDocument::is_parsed);
        parsed.then(|| Permissions { policies: self.policies.iter().collect(), boundary: self.boundary.as_ref() })
    }
}

fn both(before: &Side, after: &Side, [gains, loses]: [&'static str; 2]) -> Vec<PermissionChange> {
    let (Some(before), Some(after)) = (before.permissions(), after.permissions()) else { return Vec::new() };
    let side = |sign, words, otherwise, differences: Option<Vec<Difference<'_>>>| {
        let too_many = || PermissionChange {
            sign,
            words,
            actions: vec!["more than can be compared".to_owned()],
            rest: "; see its statements".to_owned(),
        };
        differences.map_or_else(|| vec![too_many()], |differences| grouped(sign, words, otherwise, differences))
    };
    let mut list = side(Sign::Added, gains, "until now only if", gained(&before, &after));
    list.extend(side(Sign::Removed, loses, "from now on only if", gained(&after, &before)));
    list
}

/// One for each resource and its conditions. Those about permissions themselves come first.
fn grouped(
    sign: Sign,
    words: &'static str,
    otherwise: &str,
    differences: Vec<Difference<'_>>,
) -> Vec<PermissionChange> {
    let mut list: Vec<PermissionChange> = Vec::new();
    for Difference { pair, otherwise: others } in differences {
        let mut rest = format!(" on {}", pair.resource_text());
        for (words, statements, joined) in [("if", &pair.statements, " and "), (otherwise, &others, " or ")] {
            let texts: BTreeSet<String> = statements.iter().map(|statement| condition(statement)).collect();
            let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
            if !texts.is_empty() {
                let _ = write!(rest, ", {words} {}", texts.join(joined));
            }
        }
        let action = pair.action_text();
        match list.iter_mut().find(|change| change.rest == rest) {
            Some(change) if change.actions.contains(&action) => {}
            Some(change) => change.actions.push(action),
            None => list.push(PermissionChange { sign, words, actions: vec![action], rest }),
        }
    }
    list.sort_by_key(|change| !change.actions.iter().any(|action| is_severe(action)));
    list
}

fn condition(statement: &Statement) -> String {
    statement.to_value().as_object().map(|raw| conditions_text(&conditions(raw))).unwrap_or_default()
}

/// The first lines of each sign, and the number of the others.
pub(crate) fn first(changes: &[PermissionChange]) -> Vec<(Sign, String)> {
    let mut lines = Vec::new();
    for sign in [Sign::Added, Sign::Removed] {
        let of_sign: Vec<&PermissionChange> = changes.iter().filter(|change| change.sign == sign).collect();
        let shown = of_sign.iter().take(MAX_LINES);
        lines.extend(shown.map(|change| (sign, format!("{} {}", change.words, change.text(MAX_ACTIONS)))));
        let more: usize = of_sign.iter().skip(MAX_LINES).map(|change| change.actions.len()).sum();
        if more > 0 {
            lines.push((sign, format!("{} {more} more actions, which `-v` lists", of_sign[0].words)));
        }
    }
    lines
}

/// All of them, below their words.
pub(crate) fn nodes(changes: &[PermissionChange]) -> Vec<DiffNode> {
    let mut nodes: Vec<DiffNode> = Vec::new();
    for change in changes {
        let item = DiffNode::item(change.sign, &change.text(usize::MAX));
        match nodes.last_mut() {
            Some(node) if node.sign == change.sign => node.children.push(item),
            _ => nodes.push(DiffNode::heading(change.sign, change.words, vec![item])),
        }
    }
    nodes
}
