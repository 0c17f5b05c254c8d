//! The values of `[defaults.role]`.

use super::{SESSION, put};
use crate::ids::PolicyArn;
use crate::import::draft::{Draft, own_tags};
use crate::import::{Scope, text};
use crate::model::durations;
use crate::model::marks::default_path;
use crate::model::resource::StringMap;
use std::collections::BTreeMap;
use toml_edit::Table;

/// What most roles agree on.
#[derive(Default)]
pub(super) struct Defaults {
    pub path: Option<String>,
    pub session: Option<u32>,
    pub boundary: Option<PolicyArn>,
    pub tags: StringMap,
}

/// The value that more than half of the items have.
fn most<T: Ord>(items: impl ExactSizeIterator<Item = T>) -> Option<T> {
    let half = items.len() / 2;
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts.into_iter().find(|(_, count)| *count > half).map(|(item, _)| item)
}

impl Defaults {
    pub(super) fn of(draft: &Draft<'_>, scope: &Scope) -> Self {
        let roles = || draft.roles.iter().map(|role| &role.live.role);
        let own = default_path(scope.owner.as_str());
        let mut shared: Option<BTreeMap<&String, &String>> = None;
        for role in roles() {
            let tags: BTreeMap<&String, &String> = own_tags(&role.tags, None).collect();
            match &mut shared {
                Some(shared) => shared.retain(|key, value| tags.get(key) == Some(value)),
                None => shared = Some(tags),
            }
        }
        // one role is not a reason for a default
        let shared = shared.filter(|_| draft.roles.len() > 1).unwrap_or_default();
        Self {
            path: most(roles().map(|role| role.path.to_string())).filter(|path| *path != own),
            session: most(roles().map(|role| role.max_session_duration)).filter(|seconds| *seconds != SESSION),
            boundary: most(roles().map(|role| role.permissions_boundary.clone())).flatten(),
            tags: shared.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    pub(super) fn table(&self) -> Table {
        let Self { path, session, boundary, tags } = self;
        let mut table = Table::new();
        put(&mut table, "path", path.clone());
        put(&mut table, "max-session-duration", session.map(durations::text));
        put(&mut table, "permissions-boundary", boundary.as_ref().map(ToString::to_string));
        put(&mut table, "tags", (!tags.is_empty()).then(|| text::table(tags.iter())));
        table
    }
}
