//! A change at a glance, for a person who decides: who gains and who loses access, policies by name, statements in one
//! line each, and of an update only what changes.
//!
//! Left out is what follows from the rest: generated trust in its usual form, irsa's own tags, labels and annotations,
//! and defaults. Everything else is here, and `-v` shows every field.

use super::Verb;
use super::access::{conditions, declared_role, spelled, texts};
use super::document::{Body, Difference};
use super::entry::{Entry, Mark, Text};
use super::scrub::scrub;
use super::value::{keys, shown};
use super::words::duration;
use crate::model::marks::{DEFAULT_AUDIENCE, OWNER, PREVENT_DESTROY, ROLE_ARN};
use crate::plan::ConfigKeys;
use crate::plan::file::FieldV2;
use serde_json::Value;

/// One line. Lines of one label follow each other, and only the first shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub label: &'static str,
    pub mark: Mark,
    pub text: String,
    /// How deep it stands below the line before.
    pub depth: usize,
}

impl Line {
    /// All of it in one text, as formats without columns show it.
    pub(crate) fn told(&self) -> String {
        let label = if self.label.is_empty() || self.depth > 0 { String::new() } else { format!("{}: ", self.label) };
        let sign = if self.mark == Mark::Same { String::new() } else { format!("{} ", self.mark.sign()) };
        format!("{label}{sign}{}", self.text)
    }
}

/// AWS's own default (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>).
const DEFAULT_SESSION: u64 = 3600;

/// The lines of one change. `trust` is who gains and who loses access by its trust policy; what pods gain, the
/// annotation says that names their role.
pub(crate) fn lines(fields: &[&FieldV2], trust: &[Entry], names: &ConfigKeys, verb: &Verb) -> Vec<Line> {
    let mut lines = Lines { list: Vec::new(), names };
    for heading in trust {
        let denies = heading.words().contains("denied");
        for who in &heading.children {
            let text = if denies { format!("{}: {}", heading.words(), who.words()) } else { who.words().to_owned() };
            lines.add("access", heading.mark, text);
        }
    }
    for field in fields {
        lines.field(field, !trust.is_empty());
    }
    if lines.list.is_empty() && matches!(verb, Verb::Update | Verb::Adopt) {
        let marks: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
        lines.add(
            "",
            Mark::Same,
            if marks.is_empty() { "as it is".to_owned() } else { format!("only {}", marks.join(", ")) },
        );
    }
    lines.list
}

/// Whether the field comes or goes.
fn is_whole(field: &FieldV2) -> bool {
    field.before.is_null() || field.after.is_null()
}

struct Lines<'a> {
    list: Vec<Line>,
    names: &'a ConfigKeys,
}

impl Lines<'_> {
    fn add(&mut self, label: &'static str, mark: Mark, text: impl Into<String>) {
        self.at(0, label, mark, text);
    }

    fn at(&mut self, depth: usize, label: &'static str, mark: Mark, text: impl Into<String>) {
        let text = scrub(&text.into()).into_owned();
        self.list.push(Line { label, mark, text, depth });
    }

    fn field(&mut self, field: &FieldV2, access_is_told: bool) {
        let FieldV2 { path, before, after } = field;
        let (kind, key) = path.split_once('.').map_or((path.as_str(), ""), |(kind, key)| (kind, key));
        let is_created = before.is_null();
        match kind {
            // the address says them, or they cannot change
            "name" | "namespace" | "path" | "url" | "description" if is_whole(field) => {}
            "max-session-duration" => self.session(before, after),
            "audiences" => self.items("audience", before, after, |value| {
                (!(is_created && value == DEFAULT_AUDIENCE)).then(|| value.to_owned())
            }),
            "attached" => self.items("policies", before, after, |arn| Some(policy_name(arn))),
            "permissions-boundary" => self.value("boundary", &by_name(before), &by_name(after)),
            "inline" => self.document("inline", key, before, after),
            "document" => self.document("document", "", before, after),
            "trust" => self.trust(before, after, access_is_told),
            "annotations" if key == ROLE_ARN => self.role(before, after),
            "tags" if key == OWNER && !is_whole(field) => self.value("owner", before, after),
            "tags" | "labels" | "annotations" if key.starts_with("irsa/") && key != PREVENT_DESTROY => {}
            "tags" => self.keyed("tags", key, before, after),
            "labels" => self.keyed("labels", key, before, after),
            "annotations" => self.keyed("annotation", key, before, after),
            _ => self.value("field", &named(path, before), &named(path, after)),
        }
    }

    /// One value that comes, goes, or takes the place of another.
    fn value(&mut self, label: &'static str, before: &Value, after: &Value) {
        match (before.is_null(), after.is_null()) {
            (true, true) => {}
            (true, false) => self.add(label, Mark::Added, shown(after)),
            (false, true) => self.add(label, Mark::Removed, shown(before)),
            (false, false) => self.add(label, Mark::Changed, format!("{} -> {}", shown(before), shown(after))),
        }
    }

    fn keyed(&mut self, label: &'static str, key: &str, before: &Value, after: &Value) {
        let with_key = |value: &Value| format!("{key} = {}", shown(value));
        match (before.is_null(), after.is_null()) {
            (true, _) => self.add(label, Mark::Added, with_key(after)),
            (_, true) => self.add(label, Mark::Removed, with_key(before)),
            _ => self.add(label, Mark::Changed, format!("{} -> {}", with_key(before), shown(after))),
        }
    }

    fn items(&mut self, label: &'static str, before: &Value, after: &Value, name: impl Fn(&str) -> Option<String>) {
        let list = |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().map(shown).collect() };
        let (old, new) = (list(before), list(after));
        for (mark, these, others) in [(Mark::Added, &new, &old), (Mark::Removed, &old, &new)] {
            for item in these.iter().filter(|item| !others.contains(item)).filter_map(|item| name(item)) {
                self.add(label, mark, item);
            }
        }
    }

    fn session(&mut self, before: &Value, after: &Value) {
        let told = |value: &Value| match value.as_u64() {
            Some(DEFAULT_SESSION) if before.is_null() || after.is_null() => Value::Null,
            Some(seconds) => Value::from(duration(seconds)),
            None => value.clone(),
        };
        self.value("session", &told(before), &told(after));
    }

    fn role(&mut self, before: &Value, after: &Value) {
        let named = |value: &Value| declared_role(value, self.names).map_or_else(|| value.clone(), Value::from);
        let (before, after) = (named(before), named(after));
        self.value("role", &before, &after);
    }

    /// The statements of a trust policy, where the lines about access do not say how it changes.
    fn trust(&mut self, before: &Value, after: &Value, access_is_told: bool) {
        if !access_is_told && !before.is_null() && !after.is_null() {
            self.document("trust", "", before, after);
        }
    }

    /// The statements of a document that come, go or change.
    fn document(&mut self, label: &'static str, name: &str, before: &Value, after: &Value) {
        let mark = match (before.is_null(), after.is_null()) {
            (true, _) => Mark::Added,
            (_, true) => Mark::Removed,
            _ => Mark::Changed,
        };
        let Some(Difference { changed, added, removed, elements }) = Difference::of(before, after) else {
            return self.add(label, mark, format!("{name} cannot be read as a policy; `-v` shows its text").trim());
        };
        let depth = usize::from(!name.is_empty());
        let below = if depth > 0 { "" } else { label };
        if let [only] = &[&added[..], &removed[..]].concat()[..]
            && depth > 0
            && mark != Mark::Changed
            && elements.is_empty()
        {
            return self.add(label, mark, format!("{name}: {}", sentence(only)));
        }
        if depth > 0 {
            self.add(label, mark, name);
        }
        for entry in &elements {
            self.leaves(depth, below, "", entry);
        }
        for (before, after) in &changed {
            self.changed_statement(depth, below, before, after);
        }
        for (mark, list) in [(Mark::Added, &added), (Mark::Removed, &removed)] {
            for statement in list {
                self.at(depth, below, mark, sentence(statement));
            }
        }
    }

    /// A statement in short, and below it what changes in it.
    fn changed_statement(&mut self, depth: usize, label: &'static str, before: &Body, after: &Body) {
        self.at(depth, label, Mark::Changed, sentence(after));
        let side = |body: &Body, key: &str| body.get(key).cloned().unwrap_or(Value::Null);
        for key in keys([Some(before), Some(after)]) {
            if let Some(entry) = super::value::compare(key, &side(before, key), &side(after, key)) {
                self.leaves(depth + 1, "", "", &entry);
            }
        }
    }

    /// The leaves of a difference, each behind the names that lead to it.
    fn leaves(&mut self, depth: usize, label: &'static str, path: &str, entry: &Entry) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match &entry.text {
            Text::Name(name) | Text::Heading(name) => {
                let path = below(name);
                entry.children.iter().for_each(|child| self.leaves(depth, label, &path, child));
            }
            Text::Item(item) => self.at(depth, label, entry.mark, format!("{path} {item}")),
            Text::Pair(name, value) => self.at(depth, label, entry.mark, format!("{} {value}", below(name))),
            Text::Change(name, before, after) => {
                self.at(depth, label, entry.mark, format!("{} {before} -> {after}", below(name)));
            }
            Text::Folded(_) => {}
        }
    }
}

fn named(path: &str, value: &Value) -> Value {
    if value.is_null() { Value::Null } else { format!("{path} {}", shown(value)).into() }
}

fn by_name(arn: &Value) -> Value {
    arn.as_str().map_or_else(|| arn.clone(), |arn| policy_name(arn).into())
}

/// `aws:PATH/NAME` of a policy of AWS's own, as configurations write it; the name of a customer managed policy, which is
/// unique in its account whatever its path; else the text.
fn policy_name(arn: &str) -> String {
    let Some((account, path)) = arn.split_once(":iam::").and_then(|(_, rest)| rest.split_once(":policy/")) else {
        return arn.to_owned();
    };
    if account == "aws" {
        return format!("aws:{path}");
    }
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// `Allow ACTIONS on RESOURCES if CONDITIONS`
fn sentence(statement: &Body) -> String {
    let list = |key: &str| Some(texts(statement.get(key)?).join(", "));
    let mut text = list("Effect").unwrap_or_else(|| "no effect".to_owned());
    for (key, words) in [
        ("Action", " "),
        ("NotAction", " everything but "),
        ("Resource", " on "),
        ("NotResource", " on everything but "),
        ("Principal", " to "),
        ("NotPrincipal", " to everyone but "),
    ] {
        if let Some(items) = list(key) {
            text.push_str(words);
            text.push_str(&items);
        }
    }
    let conditions = spelled(&conditions(statement.get("Condition")));
    if !conditions.is_empty() {
        text.push_str(" if ");
        text.push_str(&conditions);
    }
    text
}
