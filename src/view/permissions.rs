//! What a change lets a role do, and no longer do, by action and resource.
//!
//! Compares inline policies, the managed policies that the plan changes, and others that irsa read for the plan, as they
//! are before and after all changes of the plan. The documents of other policies are not known, and a remark names them: a
//! line may name access that such a policy gives, too, and a deny that goes gives as much as such a policy allows.
//! `irsa show` knows only what the plan file has.

use super::diff_node::{DiffNode, Sign};
use super::risk::is_severe;
use super::statement::{conditions, conditions_text};
use super::words::{count, policy_name};
use crate::access::changes::{Difference, Permissions, gained};
use crate::ids::Key;
use crate::model::address::{Address, OrphanKind};
use crate::plan::ConfigKeys;
use crate::plan::change::Action;
use crate::plan::file::ChangeV2;
use crate::policy::permission_effects::pairs::Pair;
use crate::policy::{PolicyDocument, Statement};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

/// The most lines for each sign. More are counted.
const MAX_LINES: usize = 3;
/// The most actions in a line. More are counted.
const MAX_ACTIONS: usize = 4;

/// Actions that a change gives or takes on one resource, under the same conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PermissionChange {
    sign: Sign,
    /// `gains`, `no longer allows`, … Empty for a remark.
    words: &'static str,
    actions: Vec<String>,
    /// Whether the only action is `everything but ACTIONS`.
    is_all_but: bool,
    /// ` on RESOURCE`, and the conditions.
    rest: String,
}

impl PermissionChange {
    fn remark(text: &str) -> Self {
        Self { sign: Sign::Changed, words: "", actions: vec![text.to_owned()], is_all_but: false, rest: String::new() }
    }

    /// With at most `most` actions.
    fn text(&self, most: usize) -> String {
        let mut text = self.actions.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
        if self.actions.len() > most {
            // writing to a String cannot fail
            let _ = write!(text, " and {}", count(self.actions.len() - most, "more action", "more actions"));
        }
        text + &self.rest
    }
}

/// The documents of managed policies: of those that the plan changes, and of those that irsa read for it.
pub(crate) struct ManagedDocuments<'a> {
    /// The changes by account, and path with name; and whether each is refused.
    changes: BTreeMap<(Key, String), (&'a ChangeV2, bool)>,
    keys: &'a ConfigKeys,
}

/// Before and after. `None` if the policy does not exist then.
type Versions = (Option<PolicyDocument>, Option<PolicyDocument>);

impl<'a> ManagedDocuments<'a> {
    /// `changes` are those of the plan.
    pub(crate) fn of(changes: &'a [ChangeV2], refused: &HashSet<&str>, keys: &'a ConfigKeys) -> Self {
        let of_policy = |change: &'a ChangeV2| {
            let account = account_of_policy(&change.address)?;
            let object = if change.after.is_null() { &change.before } else { &change.after };
            let text = |key: &str| object[key].as_str().unwrap_or_default();
            let refused = refused.contains(change.address.as_str());
            Some(((account, format!("{}{}", text("path"), text("name"))), (change, refused)))
        };
        Self { changes: changes.iter().filter_map(of_policy).collect(), keys }
    }

    /// `None` if its document is not known.
    fn get(&self, arn: &str) -> Option<Versions> {
        let (head, name) = arn.split_once(":policy")?;
        let id = head.rsplit(':').next()?;
        let changed = match self.keys.accounts.get(id) {
            Some(account) => self.changes.get(&(account.clone(), name.to_owned())).map(versions),
            // a plan file does not say which account has which id
            None if id == "aws" || !self.keys.accounts.is_empty() => None,
            None => {
                let mut of_name = self.changes.iter().filter(|((_, other), _)| other == name);
                let first = of_name.next().map(|(_, change)| versions(change))?;
                of_name.all(|(_, other)| versions(other) == first).then_some(first)
            }
        };
        let unchanged =
            || self.keys.documents.get(arn).map(|document| (Some(document.clone()), Some(document.clone())));
        changed.or_else(unchanged)
    }
}

/// A refused change leaves the document as it is.
fn versions((change, refused): &(&ChangeV2, bool)) -> Versions {
    let document = |side: &Value| (!side.is_null()).then(|| read(&side["document"]));
    (document(&change.before), document(if *refused { &change.before } else { &change.after }))
}

fn account_of_policy(address: &str) -> Option<Key> {
    match address.parse() {
        Ok(Address::Policy { account, .. } | Address::Orphan { kind: OrphanKind::Policy, account, .. }) => {
            Some(account)
        }
        Ok(_) | Err(_) => None,
    }
}

fn read(document: &Value) -> PolicyDocument {
    PolicyDocument::live(&document.as_str().map_or_else(|| document.to_string(), str::to_owned))
}

/// What an update or an adoption gives and takes. Empty for other changes, whose statements say it.
pub(crate) fn of_change(action: Action, change: &ChangeV2, managed: &ManagedDocuments<'_>) -> Vec<PermissionChange> {
    if !matches!(action, Action::Update | Action::Adopt) {
        return Vec::new();
    }
    let differs = |path: &str| change.fields.iter().any(|field| field.path.split('.').next() == Some(path));
    if differs("document") {
        // a role with this policy may also have other policies, of which this change says nothing
        let side = |side: &Value| Side { policies: vec![read(&side["document"])], boundary: None, unread: true };
        return both(&side(&change.before), &side(&change.after), OF_POLICY);
    }
    if !["inline", "attached", "permissions-boundary"].into_iter().any(differs) {
        return Vec::new();
    }
    let (mut before, mut after) = (Side::inline(&change.before), Side::inline(&change.after));
    let (old, new) = (texts(&change.before["attached"]), texts(&change.after["attached"]));
    let mut not_read = Vec::new();
    for arn in old.union(&new) {
        let (was, will) = (old.contains(arn), new.contains(arn));
        let Some((earlier, later)) = managed.get(arn) else {
            before.unread |= was;
            after.unread |= will;
            not_read.push(policy_name(arn));
            continue;
        };
        before.policies.extend(earlier.filter(|_| was));
        after.policies.extend(later.filter(|_| will));
    }
    let boundaries = [&change.before, &change.after].map(|side| side["permissions-boundary"].as_str());
    let known = boundaries.map(|arn| arn.map(|arn| managed.get(arn)));
    let same = boundaries[0] == boundaries[1];
    let remark = if !known.contains(&Some(None)) {
        let [old, new] = known.map(Option::flatten);
        before.boundary = old.and_then(|(earlier, _)| earlier);
        after.boundary = new.and_then(|(_, later)| later);
        None
    } else if same {
        Some("its boundary, of which irsa has not read the document, may allow less")
    } else {
        Some("what its boundary changes is not known: irsa has not read its document")
    };
    let changes = both(&before, &after, OF_ROLE);
    let of_boundary = remark.filter(|_| !same || !changes.is_empty()).map(PermissionChange::remark);
    let of_policies = (!not_read.is_empty() && !changes.is_empty()).then(|| {
        not_read.sort_unstable();
        let rest = not_read.len().saturating_sub(MAX_ACTIONS);
        not_read.truncate(MAX_ACTIONS);
        not_read.extend((rest > 0).then(|| format!("{rest} more")));
        PermissionChange::remark(&format!("without {}, which irsa has not read", not_read.join(", ")))
    });
    changes.into_iter().chain(of_boundary).chain(of_policies).collect()
}

/// The words for what a change gives and what it takes, each by an allow and by a deny.
type Words = [[&'static str; 2]; 2];

const OF_ROLE: Words = [["gains", "gains"], ["loses", "loses"]];
const OF_POLICY: Words = [["allows", "no longer denies"], ["no longer allows", "denies"]];

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The documents of one side of a change.
struct Side {
    policies: Vec<PolicyDocument>,
    boundary: Option<PolicyDocument>,
    unread: bool,
}

impl Side {
    fn inline(role: &Value) -> Self {
        let policies = role["inline"].as_object().into_iter().flat_map(|map| map.values()).map(read).collect();
        Self { policies, boundary: None, unread: false }
    }

    /// `None` if a document is not parsed.
    fn permissions(&self) -> Option<Permissions<'_>> {
        let parsed = self.policies.iter().chain(&self.boundary).all(PolicyDocument::is_parsed);
        parsed.then(|| Permissions {
            policies: self.policies.iter().collect(),
            boundary: self.boundary.as_ref(),
            unread: self.unread,
        })
    }
}

fn both(before: &Side, after: &Side, words: Words) -> Vec<PermissionChange> {
    let (Some(before), Some(after)) = (before.permissions(), after.permissions()) else {
        return vec![PermissionChange::remark("its actions are not compared: a document cannot be parsed")];
    };
    let [gives, takes] = words;
    let mut list = grouped(Sign::Added, gives, "until now only", gained(&before, &after));
    list.extend(grouped(Sign::Removed, takes, "from now on only", gained(&after, &before)));
    list
}

/// One for each resource and its conditions. Those about permissions themselves come first.
fn grouped(
    sign: Sign,
    [of_allow, of_deny]: [&'static str; 2],
    otherwise: &str,
    differences: Option<Vec<Difference<'_>>>,
) -> Vec<PermissionChange> {
    let Some(differences) = differences else {
        let (actions, rest) = (vec!["more than can be compared".to_owned()], "; see its statements".to_owned());
        return vec![PermissionChange { sign, words: of_allow, actions, is_all_but: false, rest }];
    };
    let mut list: Vec<PermissionChange> = Vec::new();
    for difference in differences {
        let Difference { pair, by_unread, .. } = &difference;
        let words = if *by_unread { of_deny } else { of_allow };
        let mut rest = format!(" on {}{}", pair.resource_text(), limits(&difference, otherwise));
        if *by_unread && of_allow == of_deny {
            rest.push_str(", as far as another policy allows it");
        }
        let action = pair.action_text();
        // the commas of `everything but A, B` must not meet those of other actions
        let joined = |change: &&mut PermissionChange| {
            change.words == words && change.rest == rest && !pair.is_all_but() && !change.is_all_but
        };
        match list.iter_mut().find(joined) {
            Some(change) if change.actions.contains(&action) => {}
            Some(change) => change.actions.push(action),
            None => {
                list.push(PermissionChange { sign, words, actions: vec![action], is_all_but: pair.is_all_but(), rest });
            }
        }
    }
    for change in &mut list {
        change.actions.sort_by_key(|action| !is_severe(action));
    }
    list.sort_by_key(|change| !change.actions.iter().any(|action| is_severe(action)));
    list
}

/// The conditions of a difference, what the other side has of it, and whether something is denied.
fn limits(Difference { pair, otherwise, parts, denied_in_part, .. }: &Difference<'_>, other_side: &str) -> String {
    let mut text = String::new();
    for (words, statements, joined) in
        [("if".to_owned(), &pair.statements, " and "), (format!("{other_side} if"), otherwise, " or ")]
    {
        let texts: BTreeSet<String> = statements.iter().map(|statement| condition(statement)).collect();
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        if !texts.is_empty() {
            // writing to a String cannot fail
            let _ = write!(text, ", {words} {}", texts.join(joined));
        }
    }
    let part = |part: &Pair<'_>| match (part.action_text(), part.resource_text()) {
        (action, resource) if resource == pair.resource_text() => action,
        (action, resource) => format!("{action} on {resource}"),
    };
    if !parts.is_empty() {
        let mut texts: Vec<String> = parts.iter().take(MAX_ACTIONS).map(part).collect();
        texts.extend((parts.len() > MAX_ACTIONS).then(|| format!("{} more", parts.len() - MAX_ACTIONS)));
        let _ = write!(text, ", {other_side} {}", texts.join(" and "));
    }
    if *denied_in_part {
        text.push_str(", except what is denied");
    }
    text
}

fn condition(statement: &Statement) -> String {
    statement.to_value().as_object().map(|raw| conditions_text(&conditions(raw))).unwrap_or_default()
}

/// The first lines of each sign, and how many lines are left out.
pub(crate) fn first(changes: &[PermissionChange]) -> Vec<(Sign, String)> {
    let mut lines = Vec::new();
    for sign in [Sign::Added, Sign::Removed, Sign::Changed] {
        let of_sign: Vec<&PermissionChange> = changes.iter().filter(|change| change.sign == sign).collect();
        let shown = of_sign.iter().take(MAX_LINES);
        lines.extend(
            shown.map(|change| (sign, format!("{} {}", change.words, change.text(MAX_ACTIONS)).trim().to_owned())),
        );
        if of_sign.len() > MAX_LINES {
            lines.push((sign, format!("and {}", count(of_sign.len() - MAX_LINES, "more line", "more lines"))));
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
            Some(node) if node.sign == change.sign && node.words() == change.words => node.children.push(item),
            _ if change.words.is_empty() => nodes.push(item),
            _ => nodes.push(DiffNode::heading(change.sign, change.words, vec![item])),
        }
    }
    nodes
}
