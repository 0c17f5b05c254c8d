//! Roles: which to read, and the rest of those that `bulk` leaves.
//!
//! Read are the declared ones and, among the others, those that carry our mark and may have to be deleted: candidates
//! are roles that trust an issuer of ours or lie under a path of ours.

use super::account::Desk;
use super::bulk::Bulk;
use super::{is_ours, observed};
use crate::ids::{PolicyName, RoleName};
use crate::model::desired::Role;
use crate::model::live::{LiveRole, Observed, RoleSummary};
use crate::world::{Answer, ReadAws};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// The roles to ask for.
#[derive(Clone)]
pub(super) struct Search<'a> {
    /// The declared roles, by folded name.
    declared: BTreeMap<String, &'a Role>,
    /// Every role of the account, or why they could not be listed.
    pub roster: Answer<Vec<RoleSummary>>,
    /// The places in it of the declared ones and the candidates.
    found: Vec<usize>,
}

impl<'a> Search<'a> {
    pub(super) fn new<A>(desk: &Desk<'a, A>, roster: Answer<Vec<RoleSummary>>, our_issuers: &BTreeSet<String>) -> Self {
        let declared = desk.roles();
        let is_candidate = |summary: &RoleSummary| {
            let paths = declared.values().map(|role| &role.path).chain(&desk.desired.prune_paths);
            desk.is_our_path(&summary.path, paths) || !our_issuers.is_disjoint(&summary.trust.federated_issuers())
        };
        let wanted = |summary: &RoleSummary| declared.contains_key(&summary.name.folded()) || is_candidate(summary);
        let all = roster.iter().flatten().enumerate();
        let found = all.filter(|(_, summary)| wanted(summary)).map(|(place, _)| place).collect();
        Self { declared, roster, found }
    }

    /// The declared roles and the candidates that are there; none if the roles could not be listed.
    fn found(&self) -> impl Iterator<Item = &RoleSummary> {
        let roster = self.roster.as_deref().unwrap_or_default();
        self.found.iter().filter_map(|place| roster.get(*place))
    }

    /// How many roles are asked for.
    pub(super) fn len(&self) -> usize {
        if self.roster.is_ok() { self.found.len() } else { self.declared.len() }
    }

    /// The most calls of one action that what is not in `bulk` takes one by one: of a declared role its inline policies
    /// are asked for, a candidate is asked for its tags.
    pub(super) fn calls(&self, bulk: &Bulk) -> usize {
        if self.roster.is_err() {
            return self.declared.len();
        }
        let (mut declared, mut inline, mut candidates) = (0, 0, 0);
        for summary in self.found().filter(|summary| !bulk.has(&summary.name.folded())) {
            match self.declared.get(&summary.name.folded()) {
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

/// Every declared role, and every other one of ours; `bulk` is what was read of them already.
pub(super) async fn read<A: ReadAws>(
    desk: &Desk<'_, A>,
    search: &Search<'_>,
    bulk: Bulk,
) -> BTreeMap<String, Observed<LiveRole>> {
    let mut roles: BTreeMap<String, Observed<LiveRole>>;
    if search.roster.is_ok() {
        // a declared role that is not listed is not there
        roles = search.declared.keys().map(|folded| (folded.clone(), Observed::Absent)).collect();
        let left = from_bulk(desk, search, bulk, &mut roles);
        let asked = left.into_iter().map(|summary| one(desk, search, &summary.name));
        roles.extend(join_all(asked).await.into_iter().flatten());
    } else {
        let asked = search.declared.values().map(|role| one(desk, search, &role.name));
        roles = join_all(asked).await.into_iter().flatten().collect();
    }
    ask_instance_profiles(desk, search, &mut roles).await;
    roles
}

/// Takes what was read in bulk, and gives back what is still to be read: what the pages did not have or had in a form
/// that was not understood, be it so recent that only the list knows it.
fn from_bulk<'r, A>(
    desk: &Desk<'_, A>,
    search: &'r Search<'_>,
    mut bulk: Bulk,
    roles: &mut BTreeMap<String, Observed<LiveRole>>,
) -> Vec<&'r RoleSummary> {
    let mut left = Vec::new();
    for summary in search.found() {
        let folded = summary.name.folded();
        match bulk.take(&folded).map(|detail| detail.joined(summary)) {
            Some(Ok(role)) if search.declared.contains_key(&folded) || is_ours(desk.desired, &role.role.tags) => {
                roles.insert(folded, Observed::Present(role));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => left.push(summary),
        }
    }
    left
}

/// One role in full. An undeclared one is first asked whose it is, and left out if it is not ours.
async fn one<A: ReadAws>(
    desk: &Desk<'_, A>,
    search: &Search<'_>,
    name: &RoleName,
) -> Option<(String, Observed<LiveRole>)> {
    let folded = name.folded();
    let declared = search.declared.get(&folded);
    if declared.is_none() {
        match desk.lane.run(desk.aws.role_tags(desk.key, name)).await {
            Ok(Some(tags)) if is_ours(desk.desired, &tags) => {}
            Ok(_) => return None,
            Err(error) => return Some((folded, Observed::Unknown(error.to_string()))),
        }
    }
    let inline: BTreeSet<PolicyName> = declared.into_iter().flat_map(|role| role.inline.keys().cloned()).collect();
    let role = observed(desk.lane.run(desk.aws.role(desk.key, name, &inline)).await);
    if declared.is_none() && role == Observed::Absent {
        return None;
    }
    Some((folded, role))
}

/// Asks for the instance profiles of the roles that may be deleted. Where that fails the role counts as not seen.
async fn ask_instance_profiles<A: ReadAws>(
    desk: &Desk<'_, A>,
    search: &Search<'_>,
    roles: &mut BTreeMap<String, Observed<LiveRole>>,
) {
    let asked = roles.iter_mut().filter_map(|(folded, seen)| {
        let role = &seen.present()?.role;
        let may_go = is_ours(desk.desired, &role.tags) && (desk.destroy || !search.declared.contains_key(folded));
        let name = role.name.clone();
        may_go.then_some(async move {
            match (desk.lane.run(desk.aws.instance_profiles(desk.key, &name)).await, &mut *seen) {
                (Ok(profiles), Observed::Present(role)) => role.instance_profiles = profiles,
                (Ok(_), _) => {}
                (Err(error), seen) => *seen = Observed::Unknown(error.to_string()),
            }
        })
    });
    join_all(asked).await;
}
