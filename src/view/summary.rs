//! The short form of a change, from which a person decides: principals that gain and lose access, policies by name,
//! statements in one line each, and of an update only what differs. `-v` shows every field.
//!
//! Left out: generated trust statements in their usual form, irsa's own tags, labels and annotations, and defaults. A new
//! or deleted object also leaves out its name, namespace, path, URL and description.

use super::access::declared_role;
use super::diff_node::{DiffNode, NodeText, Sign};
use super::document_diff::DocumentDiff;
use super::permissions::{self, PermissionChange};
use super::statement::sentence;
use super::value_diff::display;
use super::words::{duration, policy_name};
use crate::model::marks::{DEFAULT_AUDIENCE, OWNER, PREVENT_DESTROY, ROLE_ARN};
use crate::model::sanitize::scrub;
use crate::plan::ConfigKeys;
use crate::plan::change::Action;
use crate::plan::file::FieldV2;
use serde_json::Value;

/// One line. Only the first of consecutive lines with the same label shows the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SummaryLine {
    pub label: &'static str,
    pub sign: Sign,
    pub text: String,
    /// How many levels the line is indented.
    pub depth: usize,
}

impl SummaryLine {
    /// The whole line as one text, for formats without columns.
    pub(crate) fn text(&self) -> String {
        let label = if self.label.is_empty() || self.depth > 0 { String::new() } else { format!("{}: ", self.label) };
        let sign = if self.sign == Sign::Same { String::new() } else { format!("{} ", self.sign.character()) };
        format!("{label}{sign}{}", self.text)
    }
}

/// IAM's default, in seconds (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>).
const DEFAULT_SESSION: u64 = 3600;

/// The lines of one change. `trust` are the lines about the principals of its trust policy, `permissions` what its
/// policies give and take. The pods of a ServiceAccount
/// gain the role that its annotation names, which is a line of its own.
pub(crate) fn lines(
    action: Action,
    fields: &[&(&FieldV2, Option<DocumentDiff<'_>>)],
    trust: &[DiffNode],
    permissions: &[PermissionChange],
    keys: &ConfigKeys,
) -> Vec<SummaryLine> {
    let mut lines = Lines { list: Vec::new(), keys };
    for heading in trust {
        let denies = heading.words().contains("denied");
        for who in &heading.children {
            let text = if denies { format!("{}: {}", heading.words(), who.words()) } else { who.words().to_owned() };
            lines.add(0, "access", heading.sign, text);
        }
    }
    for (sign, text) in permissions::first(permissions) {
        lines.add(0, "actions", sign, text);
    }
    for (field, diff) in fields {
        // the lines about access say how the trust policy changes
        if field.path != "trust" || (trust.is_empty() && !is_whole(field)) {
            lines.field(field, diff.as_ref());
        }
    }
    if lines.list.is_empty() && matches!(action, Action::Update | Action::Adopt) {
        let paths: Vec<&str> = fields.iter().map(|(field, _)| field.path.as_str()).collect();
        let text = if paths.is_empty() { "as it is".to_owned() } else { format!("only {}", paths.join(", ")) };
        lines.add(0, "", Sign::Same, text);
    }
    lines.list
}

/// Whether the field is added or removed as a whole.
fn is_whole(field: &FieldV2) -> bool {
    field.before.is_null() || field.after.is_null()
}

struct Lines<'a> {
    list: Vec<SummaryLine>,
    keys: &'a ConfigKeys,
}

impl Lines<'_> {
    fn add(&mut self, depth: usize, label: &'static str, sign: Sign, text: impl AsRef<str>) {
        let text = scrub(text.as_ref()).into_owned();
        self.list.push(SummaryLine { label, sign, text, depth });
    }

    fn field(&mut self, field: &FieldV2, diff: Option<&DocumentDiff<'_>>) {
        let FieldV2 { path, before, after } = field;
        let (kind, key) = path.split_once('.').unwrap_or((path, ""));
        match kind {
            // the address says them, or they cannot change later
            "name" | "namespace" | "path" | "url" | "description" if is_whole(field) => {}
            "max-session-duration" => self.session(before, after),
            "audiences" => self.items("audience", before, after, |value| {
                (!(before.is_null() && value == DEFAULT_AUDIENCE)).then(|| value.to_owned())
            }),
            "attached" => self.items("policies", before, after, |arn| Some(policy_name(arn))),
            "permissions-boundary" => {
                let name = |arn: &Value| arn.as_str().map_or_else(|| arn.clone(), |arn| policy_name(arn).into());
                self.value("boundary", "", &name(before), &name(after));
            }
            "inline" => self.document("inline", key, Sign::of(before, after), diff),
            "document" => self.document("document", "", Sign::of(before, after), diff),
            "trust" => self.document("trust", "", Sign::of(before, after), diff),
            "annotations" if key == ROLE_ARN => {
                let role = |arn: &Value| declared_role(arn, self.keys).map_or_else(|| arn.clone(), Value::from);
                self.value("role", "", &role(before), &role(after));
            }
            "tags" if key == OWNER && !is_whole(field) => self.value("owner", "", before, after),
            "tags" | "labels" | "annotations" if key.starts_with("irsa/") && key != PREVENT_DESTROY => {}
            "tags" => self.value("tags", &format!("{key} = "), before, after),
            "labels" => self.value("labels", &format!("{key} = "), before, after),
            "annotations" => self.value("annotation", &format!("{key} = "), before, after),
            _ => self.value("field", &format!("{path} "), before, after),
        }
    }

    /// One value, with `name` in front.
    fn value(&mut self, label: &'static str, name: &str, before: &Value, after: &Value) {
        let text = match Sign::of(before, after) {
            Sign::Same => return,
            Sign::Added => display(after),
            Sign::Removed => display(before),
            Sign::Changed => format!("{} -> {}", display(before), display(after)),
        };
        self.add(0, label, Sign::of(before, after), format!("{name}{text}"));
    }

    /// The added and removed items of a set, without those for which `name` returns None.
    fn items(&mut self, label: &'static str, before: &Value, after: &Value, name: impl Fn(&str) -> Option<String>) {
        let list = |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().map(display).collect() };
        let (old, new) = (list(before), list(after));
        for (sign, these, others) in [(Sign::Added, &new, &old), (Sign::Removed, &old, &new)] {
            for item in these.iter().filter(|item| !others.contains(item)).filter_map(|item| name(item)) {
                self.add(0, label, sign, item);
            }
        }
    }

    fn session(&mut self, before: &Value, after: &Value) {
        let is_whole = before.is_null() || after.is_null();
        let text = |value: &Value| match value.as_u64() {
            Some(DEFAULT_SESSION) if is_whole => Value::Null,
            Some(seconds) => Value::from(duration(seconds)),
            None => value.clone(),
        };
        self.value("session", "", &text(before), &text(after));
    }

    /// The added, removed and changed statements of a document.
    fn document(&mut self, label: &'static str, name: &str, sign: Sign, diff: Option<&DocumentDiff<'_>>) {
        let Some(DocumentDiff { same: _, changed, added, removed, elements }) = diff else {
            return self.add(0, label, sign, format!("{name} cannot be read as a policy; `-v` shows its text").trim());
        };
        let whole = added.iter().chain(removed).map(|(_, statement)| sentence(statement));
        if sign != Sign::Changed && !name.is_empty() && elements.is_empty() && added.len() + removed.len() == 1 {
            return whole.for_each(|sentence| self.add(0, label, sign, format!("{name}: {sentence}")));
        }
        if let ([change], [], [], []) = (&changed[..], &added[..], &removed[..], &elements[..])
            && !name.is_empty()
        {
            self.add(0, label, sign, format!("{name}: {}", sentence(&change.after)));
            return change.elements.iter().for_each(|node| self.leaves(1, "", "", node));
        }
        let (depth, below) = if name.is_empty() { (0, label) } else { (1, "") };
        if depth > 0 {
            self.add(0, label, sign, name);
        }
        for node in elements {
            self.leaves(depth, below, "", node);
        }
        for change in changed {
            self.add(depth, below, Sign::Changed, sentence(&change.after));
            for node in &change.elements {
                self.leaves(depth + 1, "", "", node);
            }
        }
        for (sign, statements) in [(Sign::Added, added), (Sign::Removed, removed)] {
            for (_, statement) in statements {
                self.add(depth, below, sign, sentence(statement));
            }
        }
    }

    /// The leaves of a diff, each after the names above it, joined by dots.
    fn leaves(&mut self, depth: usize, label: &'static str, path: &str, node: &DiffNode) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match &node.text {
            NodeText::Name(name) | NodeText::Heading(name) => {
                let path = below(name);
                node.children.iter().for_each(|child| self.leaves(depth, label, &path, child));
            }
            NodeText::Item(item) => self.add(depth, label, node.sign, format!("{path} {item}")),
            NodeText::Pair(name, value) => self.add(depth, label, node.sign, format!("{} {value}", below(name))),
            NodeText::Change(name, before, after) => {
                self.add(depth, label, node.sign, format!("{} {before} -> {after}", below(name)));
            }
            NodeText::Folded(_) => {}
        }
    }
}
