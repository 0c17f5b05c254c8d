//! Writes the files: the top file with clusters and defaults, one file of roles for each namespace, and the policies.

mod bindings;
mod defaults;

use super::draft::{Draft, Entry, PolicyDraft, RoleDraft, own_tags};
use super::feedback::{DeclaredAt, Feedback};
use super::keys::unique;
use super::text::{self, comments};
use super::{Existing, Imported, Scope, Seen, top_file};
use crate::ids::{ClusterName, Key, Region};
use crate::model::durations;
use crate::model::marks::{default_path, is_protected};
use crate::policy::PolicyDocument;
use crate::policy::document::PolicyKind;
use bindings::entry_comments;
use defaults::Defaults;
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

/// Documents of up to this many characters are written in TOML, longer ones as JSON files.
const SHORT: usize = 700;
/// IAM's default session duration, in seconds.
const SESSION: u32 = 3_600;
/// The reason in every `ignore` and `allow-wildcard`.
const REASON: &str = "imported as it was";
/// The file of roles of several namespaces. No namespace has such a name.
const SEVERAL: &str = "_several";
/// The file of roles of no namespace.
const NONE: &str = "_none";

struct Writer<'a> {
    draft: &'a Draft<'a>,
    scope: &'a Scope,
    existing: Option<&'a Existing>,
    defaults: Defaults,
    feedback: &'a Feedback,
    several_accounts: bool,
    several_clusters: bool,
    /// The JSON files, by name in lower case: some file systems ignore the case of names.
    documents: BTreeMap<String, (Key, String)>,
}

pub(super) fn files(
    draft: &Draft<'_>,
    seen: &Seen,
    scope: &Scope,
    existing: Option<&Existing>,
    feedback: &Feedback,
) -> Imported {
    let clusters = existing.map_or(0, |existing| {
        let declared = &existing.desired.clusters;
        declared.keys().filter(|key| !seen.clusters.contains_key(*key)).count()
    });
    let accounts = existing.map_or(seen.accounts.len(), |existing| existing.desired.accounts.len());
    let mut writer = Writer {
        draft,
        scope,
        existing,
        defaults: if existing.is_some() { Defaults::default() } else { Defaults::of(draft, scope) },
        feedback,
        several_accounts: accounts > 1,
        several_clusters: clusters + seen.clusters.len() > 1,
        documents: BTreeMap::new(),
    };
    // first, so that their files are called as their keys
    let policies: Vec<(String, String)> =
        draft.policies.iter().map(|policy| (policy.arn.to_string(), writer.policy(policy))).collect();
    let mut by_file: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for role in &draft.roles {
        let text = writer.role(role);
        by_file.entry(format!("roles/{}.toml", file_of(role))).or_default().push((role.live.arn.to_string(), text));
    }
    let mut files = vec![(top_file(existing.is_some()).to_owned(), writer.top(seen, !policies.is_empty()))];
    if !policies.is_empty() {
        by_file.insert("policies.toml".to_owned(), policies);
    }
    let mut declared_at = Vec::new();
    files.extend(by_file.into_iter().map(|(file, parts)| {
        let text = joined(&file, parts, &mut declared_at);
        (file, text)
    }));
    let documents = std::mem::take(&mut writer.documents).into_values();
    files.extend(documents.map(|(name, text)| (format!("policies/{name}.json"), text)));
    let managed = draft.roles.iter().flat_map(|role| &role.entries).filter(|entry| entry.is_managed()).count();
    let new = seen.clusters.keys().filter(|key| is_new(existing, key)).count();
    let counts = [new, draft.roles.len(), managed, draft.policies.len()];
    let (left_out, undeclared) = (draft.left_out.clone(), draft.undeclared.clone());
    Imported { files, left_out, undeclared, counts, declared_at }
}

/// The text of a file of these parts, each with the ARN of its object.
fn joined(file: &str, parts: Vec<(String, String)>, declared_at: &mut Vec<DeclaredAt>) -> String {
    let mut first = 1;
    let texts = parts.into_iter().map(|(arn, text)| {
        let end = first + text.lines().count();
        declared_at.push(DeclaredAt { file: file.to_owned(), lines: first..end, arn });
        // after an empty line
        first = end + 1;
        text
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Whether the existing configuration does not declare the cluster.
fn is_new(existing: Option<&Existing>, cluster: &Key) -> bool {
    existing.is_none_or(|existing| !existing.desired.clusters.contains_key(cluster))
}

/// The file of a role: its namespace.
fn file_of(role: &RoleDraft<'_>) -> String {
    let exact = role.entries.iter().map(|Entry { subject: (_, namespace, _), .. }| namespace.as_str());
    let patterns = role.patterns.keys().map(|(_, namespace, _)| namespace.as_str());
    let namespaces: BTreeSet<&str> = exact.chain(patterns).collect();
    match (namespaces.len(), namespaces.first()) {
        (1, Some(only)) if !only.contains(['*', '?']) => (*only).to_owned(),
        (0, _) => NONE.to_owned(),
        _ => SEVERAL.to_owned(),
    }
}

fn put(table: &mut Table, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        table.insert(key, Item::Value(value.into()));
    }
}

/// A text with one table, `[path[0].path[1]…]`, below its comments.
fn chunk(path: &[&str], mut table: Table, comments: &str) -> String {
    table.decor_mut().set_prefix(comments);
    let mut item = Item::Table(table);
    for key in path[1..].iter().rev() {
        let mut outer = Table::new();
        outer.set_implicit(true);
        outer.insert(key, item);
        item = Item::Table(outer);
    }
    let mut document = DocumentMut::new();
    document.insert(path[0], item);
    document.to_string()
}

impl Writer<'_> {
    /// The top file: what was left out, the owner, accounts, clusters and defaults.
    fn top(&self, seen: &Seen, has_policies: bool) -> String {
        let mut parts = Vec::new();
        let mut head = String::new();
        let mut listed = |title: &str, items: &[String]| {
            if !items.is_empty() {
                head.push_str(&comments([title]));
                head.push_str(&comments(items.iter().map(|item| format!("- {item}"))));
                head.push_str("#\n");
            }
        };
        listed("Not read, so it may be missing here:", &seen.unseen);
        listed("Not declared here:", &self.draft.left_out);
        let releases = self
            .draft
            .releases
            .iter()
            .map(|(release, count)| format!("{} ({count}): {}", release.program, release.how));
        listed("Made by other programs, how many, and what to do there:", &releases.collect::<Vec<_>>());
        let head = head.trim_end_matches("#\n");
        if !head.is_empty() {
            parts.push(head.to_owned());
        }
        if self.existing.is_none() {
            let mut document = DocumentMut::new();
            document.insert("owner", Item::Value(self.scope.owner.as_str().into()));
            let include = [("policies.toml", has_policies), ("roles/*.toml", !self.draft.roles.is_empty())];
            let include: Vec<Value> =
                include.into_iter().filter(|(_, exists)| *exists).map(|(name, _)| name.into()).collect();
            if !include.is_empty() {
                document.insert("include", Item::Value(text::list(include)));
            }
            parts.push(document.to_string());
            for (key, account) in &seen.accounts {
                let mut table = Table::new();
                put(&mut table, "id", Some(account.identity.account.as_str()));
                put(&mut table, "profile", account.account.profile.as_deref());
                parts.push(chunk(&["accounts", key.as_str()], table, ""));
            }
        }
        for (key, cluster) in seen.clusters.iter().filter(|(key, _)| is_new(self.existing, key)) {
            let mut table = Table::new();
            put(&mut table, "account", self.several_accounts.then(|| cluster.cluster.account.as_str()));
            put(&mut table, "region", cluster.cluster.region.as_ref().map(Region::as_str));
            let name = cluster.cluster.name.as_ref().map(ClusterName::as_str);
            put(&mut table, "name", name.filter(|name| *name != key.as_str()));
            let note = cluster.service_accounts.is_none().then_some("its API could not be read");
            parts.push(chunk(&["clusters", key.as_str()], table, &comments(note)));
        }
        let defaults = self.defaults.table();
        if !defaults.is_empty() {
            parts.push(chunk(&["defaults", "role"], defaults, ""));
        }
        parts.join("\n")
    }

    fn role(&mut self, draft: &RoleDraft<'_>) -> String {
        let role = &draft.live.role;
        let (defaults, extends) = (&self.defaults, self.existing.is_some());
        let mut table = Table::new();
        let name = role.name.as_str();
        put(&mut table, "name", (name != draft.key.as_str()).then_some(name));
        put(&mut table, "account", self.several_accounts.then(|| draft.account.as_str()));
        let own = default_path(self.scope.owner.as_str());
        let default = defaults.path.as_deref().unwrap_or(&own);
        put(&mut table, "path", (extends || role.path.as_str() != default).then(|| role.path.as_str()));
        put(&mut table, "description", (!role.description.is_empty()).then_some(role.description.as_str()));
        let is_default = !extends && role.max_session_duration == defaults.session.unwrap_or(SESSION);
        put(&mut table, "max-session-duration", (!is_default).then(|| durations::text(role.max_session_duration)));
        let has_default =
            defaults.boundary.is_some() || self.existing.is_some_and(|file| file.surroundings.has_default_boundary);
        let boundary = match &role.permissions_boundary {
            Some(arn) if Some(arn) == defaults.boundary.as_ref() => None,
            Some(arn) => Some(arn.to_string()),
            None => has_default.then(|| "none".to_owned()),
        };
        put(&mut table, "permissions-boundary", boundary);
        let tags: Vec<_> = own_tags(&role.tags, self.existing)
            .filter(|(key, value)| defaults.tags.get(*key) != Some(*value))
            .collect();
        put(&mut table, "tags", (!tags.is_empty()).then(|| text::table(tags)));
        put(&mut table, "attach", (!draft.attach.is_empty()).then(|| text::list(draft.attach.iter().map(Value::from))));
        put(&mut table, "prevent-destroy", is_protected(&role.tags).then_some(true));
        put(&mut table, "ignore", self.ignore(&format!("role/{}", draft.key)));
        let (short, long) = self.bindings(draft);
        if let Some((clusters, names)) = short {
            put(&mut table, "cluster", self.several_clusters.then(|| text::one_or_list(clusters)));
            put(&mut table, "service-accounts", Some(text::list(names.into_iter().map(Value::from))));
        }
        if !role.inline.is_empty() {
            let mut inline = Table::new();
            inline.set_implicit(true);
            for (name, document) in role.inline.iter() {
                let mut policy = Table::new();
                if let Some(statements) = text::statements(document, SHORT) {
                    put(&mut policy, "statements", Some(statements));
                } else {
                    let file = self.document(&format!("{}.{name}", draft.key), document);
                    put(&mut policy, "file", Some(format!("../{file}")));
                }
                inline.insert(name.as_str(), Item::Table(policy));
            }
            table.insert("inline", Item::Table(inline));
        }
        let statements = draft.verbatim.iter();
        let statements: ArrayOfTables = statements
            .filter_map(|item| text::statement(item, PolicyKind::Trust))
            .map(InlineTable::into_table)
            .collect();
        if !statements.is_empty() {
            table.insert("trust", Item::ArrayOfTables(statements));
        }
        let lines = draft.comments.iter().cloned().chain(entry_comments(draft));
        let text = chunk(&["roles", draft.key.as_str()], table, &comments(lines));
        long.into_iter().chain(self.patterns(draft)).fold(text, |text, entry| format!("{text}\n{entry}"))
    }

    /// The value of `ignore`, so that findings on what was imported do not make `irsa validate` fail.
    fn ignore(&self, address: &str) -> Option<Value> {
        let rules = self.feedback.ignores.get(address)?;
        let pairs: InlineTable = rules.iter().map(|rule| (rule.as_str(), REASON)).collect();
        Some(pairs.into())
    }

    /// Adds a JSON file. Returns its path.
    fn document(&mut self, name: &str, document: &PolicyDocument) -> String {
        let name = unique(&[name.to_owned()], |key| self.documents.contains_key(&key.as_str().to_lowercase()));
        let path = format!("policies/{name}.json");
        let text = text::json(document).unwrap_or_default();
        self.documents.insert(name.as_str().to_lowercase(), (name, text));
        path
    }

    fn policy(&mut self, draft: &PolicyDraft<'_>) -> String {
        let policy = &draft.live.policy;
        let mut table = Table::new();
        let name = policy.name.as_str();
        put(&mut table, "name", (name != draft.key.as_str()).then_some(name));
        let own = default_path(self.scope.owner.as_str());
        put(&mut table, "path", (policy.path.as_str() != own).then(|| policy.path.as_str()));
        put(&mut table, "description", (!policy.description.is_empty()).then_some(policy.description.as_str()));
        let tags: Vec<_> = own_tags(&policy.tags, self.existing).collect();
        put(&mut table, "tags", (!tags.is_empty()).then(|| text::table(tags)));
        put(&mut table, "prevent-destroy", is_protected(&policy.tags).then_some(true));
        put(&mut table, "ignore", self.ignore(&format!("policy/{}/{}", draft.account, draft.key)));
        put(&mut table, "file", Some(self.document(draft.key.as_str(), &policy.document)));
        chunk(&["policies", draft.key.as_str()], table, &comments(&draft.comments))
    }
}
