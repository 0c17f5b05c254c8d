//! Selects which roles of ListRoles to read: the declared ones, and candidates for deletion. A candidate trusts the
//! issuer of a cluster of this owner, or lies under a path that irsa searches: `/irsa/<owner>/`, the path of a declared
//! role, or one of `[prune] paths`. With `--shard`, irsa selects no candidates.

use super::reader::AccountReader;
use crate::model::desired::Role;
use crate::model::live::RoleSummary;
use crate::world::Answer;
use std::collections::{BTreeMap, BTreeSet};

/// Every role of the account, and which of them to read.
#[derive(Clone)]
pub(super) struct RoleSelection<'a> {
    /// The declared roles, by case-insensitive name.
    pub declared: BTreeMap<String, &'a Role>,
    /// Every role of the account, or why ListRoles failed.
    pub all: Answer<Vec<RoleSummary>>,
    /// Indexes into `all` of the declared roles and the candidates.
    selected: Vec<usize>,
}

impl<'a> RoleSelection<'a> {
    pub(super) fn new<A>(
        reader: &AccountReader<'a, A>,
        all: Answer<Vec<RoleSummary>>,
        our_issuers: &BTreeSet<String>,
    ) -> Self {
        let declared = reader.roles();
        let is_selected = |summary: &RoleSummary| {
            let paths = declared.values().map(|role| &role.path).chain(&reader.desired.prune_paths);
            declared.contains_key(&summary.name.lower_case())
                || reader.is_searched_path(&summary.path, paths)
                || !our_issuers.is_disjoint(&summary.trust.federated_issuers())
        };
        let listed = all.iter().flatten().enumerate();
        let selected = listed.filter(|(_, summary)| is_selected(summary)).map(|(index, _)| index).collect();
        Self { declared, all, selected }
    }

    /// The roles to read that ListRoles returned: the declared ones and the candidates. Empty if ListRoles failed.
    pub(super) fn selected(&self) -> impl Iterator<Item = &RoleSummary> {
        let all = self.all.as_deref().unwrap_or_default();
        self.selected.iter().filter_map(|index| all.get(*index))
    }

    /// The number of roles to read.
    pub(super) fn count_to_read(&self) -> usize {
        if self.all.is_ok() { self.selected.len() } else { self.declared.len() }
    }

    /// The number of calls of the most frequent API action, if irsa reads the selected roles that are not `is_read` one
    /// by one. Each action has its own rate limit, so the most frequent one decides the time. A declared role takes one
    /// GetRole and one GetRolePolicy for each inline policy, a candidate takes one ListRoleTags.
    pub(super) fn slowest_action_calls(&self, is_read: impl Fn(&str) -> bool) -> usize {
        if self.all.is_err() {
            return self.declared.len();
        }
        let (mut declared, mut inline, mut candidates) = (0, 0, 0);
        for name in self.selected().map(|summary| summary.name.lower_case()).filter(|name| !is_read(name)) {
            match self.declared.get(&name) {
                Some(role) => {
                    declared += 1;
                    inline += role.inline.len();
                }
                None => candidates += 1,
            }
        }
        declared.max(inline).max(candidates)
    }
}
