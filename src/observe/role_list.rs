//! The roles of an account that are asked for: the declared ones, and candidates for deletion, which are roles that trust
//! an issuer of ours or lie under a path of ours.

use super::reader::AccountReader;
use crate::model::desired::Role;
use crate::model::live::RoleSummary;
use crate::world::Answer;
use std::collections::{BTreeMap, BTreeSet};

/// The roles to ask for.
#[derive(Clone)]
pub(super) struct RoleList<'a> {
    /// The declared roles, by folded name.
    pub declared: BTreeMap<String, &'a Role>,
    /// Every role of the account, or why they could not be listed.
    pub all: Answer<Vec<RoleSummary>>,
    /// The places in it of the declared ones and the candidates.
    found: Vec<usize>,
}

impl<'a> RoleList<'a> {
    pub(super) fn new<A>(
        reader: &AccountReader<'a, A>,
        all: Answer<Vec<RoleSummary>>,
        our_issuers: &BTreeSet<String>,
    ) -> Self {
        let declared = reader.roles();
        let is_candidate = |summary: &RoleSummary| {
            let paths = declared.values().map(|role| &role.path).chain(&reader.desired.prune_paths);
            reader.is_our_path(&summary.path, paths) || !our_issuers.is_disjoint(&summary.trust.federated_issuers())
        };
        let wanted =
            |summary: &RoleSummary| declared.contains_key(&summary.name.case_insensitive()) || is_candidate(summary);
        let listed = all.iter().flatten().enumerate();
        let found = listed.filter(|(_, summary)| wanted(summary)).map(|(place, _)| place).collect();
        Self { declared, all, found }
    }

    /// The declared roles and the candidates that are there; none if the roles could not be listed.
    pub(super) fn found(&self) -> impl Iterator<Item = &RoleSummary> {
        let role_list = self.all.as_deref().unwrap_or_default();
        self.found.iter().filter_map(|place| role_list.get(*place))
    }

    /// How many roles are asked for.
    pub(super) fn len(&self) -> usize {
        if self.all.is_ok() { self.found.len() } else { self.declared.len() }
    }

    /// The most calls of one action that what is not read yet takes one by one: of a declared role its inline policies
    /// are asked for, a candidate is asked for its tags.
    pub(super) fn calls(&self, is_read: impl Fn(&str) -> bool) -> usize {
        if self.all.is_err() {
            return self.declared.len();
        }
        let (mut declared, mut inline, mut candidates) = (0, 0, 0);
        for summary in self.found().filter(|summary| !is_read(&summary.name.case_insensitive())) {
            match self.declared.get(&summary.name.case_insensitive()) {
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
