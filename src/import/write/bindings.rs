//! Writes who may assume a role: the short form where it suffices, and entries of `[[service-accounts]]`.

use super::{REASON, Writer, put};
use crate::ids::{Key, Namespace, ServiceAccountName};
use crate::import::draft::{Entry, RoleDraft, Settings};
use crate::import::text;
use crate::model::durations;
use crate::model::marks::DEFAULT_AUDIENCE;
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{DocumentMut, Item, Table, Value};

impl Writer<'_> {
    /// The short form of a role, and the text of each entry in the long form.
    #[expect(clippy::type_complexity, reason = "the clusters and names of the short form, used once")]
    pub(super) fn bindings(&self, draft: &RoleDraft<'_>) -> (Option<(Vec<Key>, Vec<String>)>, Vec<String>) {
        let mut clusters: BTreeMap<(&Settings, &Namespace, &ServiceAccountName), BTreeSet<&Key>> = BTreeMap::new();
        for Entry { subject: (cluster, namespace, name), settings, .. } in &draft.entries {
            clusters.entry((settings, namespace, name)).or_default().insert(cluster);
        }
        let plain = Settings::default();
        let mut groups: BTreeMap<(&Settings, BTreeSet<&Key>), Vec<(&Namespace, &ServiceAccountName)>> = BTreeMap::new();
        for ((settings, namespace, name), clusters) in clusters {
            groups.entry((settings, clusters)).or_default().push((namespace, name));
        }
        // the short form is for one set of clusters: that with the most ServiceAccounts
        let short = groups.iter().filter(|((settings, _), _)| **settings == plain);
        let short = short.max_by_key(|(_, names)| names.len()).map(|(group, _)| group.clone());
        let short = short.and_then(|group| groups.remove_entry(&group));
        let short = short.map(|((_, clusters), names)| {
            let names = names.iter().map(|(namespace, name)| format!("{namespace}/{name}"));
            (clusters.into_iter().cloned().collect(), names.collect())
        });
        let mut long = Vec::new();
        for ((settings, clusters), names) in groups {
            let mut by_namespace: BTreeMap<&Namespace, Vec<&ServiceAccountName>> = BTreeMap::new();
            for (namespace, name) in names {
                by_namespace.entry(namespace).or_default().push(name);
            }
            for (namespace, names) in by_namespace {
                long.push(self.long_entry(draft, settings, &clusters, namespace, &names));
            }
        }
        (short, long)
    }

    /// The entries with wildcards, which are trust only.
    pub(super) fn patterns(&self, draft: &RoleDraft<'_>) -> Vec<String> {
        let mut clusters: BTreeMap<(&str, &str, &str), BTreeSet<&Key>> = BTreeMap::new();
        for ((cluster, namespace, name), audience) in &draft.patterns {
            clusters.entry((namespace, name, audience)).or_default().insert(cluster);
        }
        let entries = clusters.into_iter().map(|((namespace, name, audience), clusters)| {
            let mut table = self.entry_table(draft, clusters, namespace, name);
            put(&mut table, "audience", (audience != DEFAULT_AUDIENCE).then_some(audience));
            put(&mut table, "allow-wildcard", Some(REASON));
            entry(table)
        });
        entries.collect()
    }

    /// The keys that every entry has.
    fn entry_table(
        &self,
        draft: &RoleDraft<'_>,
        clusters: impl IntoIterator<Item = impl ToString>,
        namespace: &str,
        name: impl Into<Value>,
    ) -> Table {
        let mut table = Table::new();
        put(&mut table, "role", Some(draft.key.as_str()));
        put(&mut table, "cluster", self.several_clusters.then(|| text::one_or_list(clusters)));
        put(&mut table, "namespace", Some(namespace));
        put(&mut table, "name", Some(name));
        table
    }

    fn long_entry(
        &self,
        draft: &RoleDraft<'_>,
        settings: &Settings,
        clusters: &BTreeSet<&Key>,
        namespace: &Namespace,
        names: &[&ServiceAccountName],
    ) -> String {
        let Settings { manage, audience, token_expiration, sts_regional_endpoints, labels, annotations } = settings;
        let mut table = self.entry_table(draft, clusters, namespace.as_str(), text::one_or_list(names));
        put(&mut table, "manage", *manage);
        put(&mut table, "audience", audience.as_deref());
        put(&mut table, "token-expiration", token_expiration.map(durations::text));
        put(&mut table, "sts-regional-endpoints", *sts_regional_endpoints);
        put(&mut table, "labels", (!labels.is_empty()).then(|| text::table(labels)));
        put(&mut table, "annotations", (!annotations.is_empty()).then(|| text::table(annotations)));
        entry(table)
    }
}

/// The text of an entry of `[[service-accounts]]`.
fn entry(table: Table) -> String {
    let mut document = DocumentMut::new();
    document.insert("service-accounts", Item::ArrayOfTables(std::iter::once(table).collect()));
    document.to_string()
}

/// The comments on the ServiceAccounts of a role: each text once, with the names.
pub(super) fn entry_comments(draft: &RoleDraft<'_>) -> Vec<String> {
    const NAMED: usize = 3;
    let mut by_text: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for Entry { subject: (_, namespace, name), comment, .. } in &draft.entries {
        if let Some(comment) = comment {
            by_text.entry(comment).or_default().insert(format!("{namespace}/{name}"));
        }
    }
    let line = |(text, names): (&str, BTreeSet<String>)| {
        let more = names.len().saturating_sub(NAMED);
        let names = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{names}{more}: {text}")
    };
    by_text.into_iter().map(line).collect()
}
