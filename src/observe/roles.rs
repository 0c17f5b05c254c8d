//! Roles: which to read, and whether one by one or in bulk.
//!
//! Read are the declared ones and, among the others, those that carry our mark and may have to be deleted: candidates
//! are roles that trust an issuer of ours or lie under a path of ours. Which way is taken never shows in the result.

use super::account::Desk;
use super::{is_ours, observed};
use crate::ids::{PolicyName, RoleName};
use crate::model::desired::Role;
use crate::model::live::{LiveRole, Observed, RoleSummary};
use crate::world::ReadAws;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many roles the way by role is taken unasked: IAM's buckets hold them without a wait.
const FEW: usize = 30;
/// The calls of one action that IAM takes in a second.
const RATE: usize = 15;
/// The roles on a page of GetAccountAuthorizationDetails
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html>).
const PAGE: usize = 1000;
/// What a page takes, in seconds.
const PAGE_SECONDS: usize = 1;

/// The roles to ask for.
pub(super) struct Search<'a> {
    /// The declared roles, by folded name.
    declared: BTreeMap<String, &'a Role>,
    /// Of the account's roles the declared ones and the candidates; nothing if the roles could not be listed.
    found: Option<Vec<&'a RoleSummary>>,
    /// How many roles the account has.
    total: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new<A>(
        desk: &Desk<'a, A>,
        roster: Option<&'a [RoleSummary]>,
        our_issuers: &BTreeSet<String>,
    ) -> Self {
        let declared = desk.roles();
        let is_candidate = |summary: &RoleSummary| {
            let paths = declared.values().map(|role| &role.path).chain(&desk.desired.prune_paths);
            desk.is_our_path(&summary.path, paths) || !our_issuers.is_disjoint(&summary.trust.federated_issuers())
        };
        let found = roster.map(|roster| {
            let wanted =
                |summary: &&RoleSummary| declared.contains_key(&summary.name.folded()) || is_candidate(summary);
            roster.iter().filter(wanted).collect()
        });
        Self { declared, found, total: roster.map_or(0, <[_]>::len) }
    }

    /// The most calls of one action that the way by role takes: declared roles are read, candidates asked for tags.
    fn calls(&self) -> usize {
        let Some(found) = &self.found else { return self.declared.len() };
        let declared = found.iter().filter(|summary| self.declared.contains_key(&summary.name.folded())).count();
        declared.max(found.len() - declared)
    }

    /// Whether there are so many roles that a further call to find the better way does not matter.
    pub(super) fn is_large(&self) -> bool {
        self.calls() > FEW
    }

    /// Whether all roles of the account are there sooner than ours one by one.
    fn is_bulk_cheaper(&self) -> bool {
        let one_by_one = (self.calls() - RATE.min(self.calls())).div_ceil(RATE);
        self.found.is_some() && self.is_large() && self.total.div_ceil(PAGE) * PAGE_SECONDS <= one_by_one
    }
}

/// Every declared role, and every other one of ours.
pub(super) async fn read<A: ReadAws>(desk: &Desk<'_, A>, search: &Search<'_>) -> BTreeMap<String, Observed<LiveRole>> {
    let mut roles: BTreeMap<String, Observed<LiveRole>>;
    if let Some(found) = &search.found {
        // a declared role that is not listed is not there
        roles = search.declared.keys().map(|folded| (folded.clone(), Observed::Absent)).collect();
        let mut left = found.clone();
        if search.is_bulk_cheaper() {
            left = in_bulk(desk, search, found, &mut roles).await;
        }
        let asked = left.into_iter().map(|summary| one(desk, search, &summary.name));
        roles.extend(join_all(asked).await.into_iter().flatten());
    } else {
        let asked = search.declared.values().map(|role| one(desk, search, &role.name));
        roles = join_all(asked).await.into_iter().flatten().collect();
    }
    ask_instance_profiles(desk, search, &mut roles).await;
    roles
}

/// Reads in bulk, and gives back what is still to be read: all where that is not allowed or fails, and what was made
/// so recently that the bulk does not have it.
async fn in_bulk<'r, A: ReadAws>(
    desk: &Desk<'_, A>,
    search: &Search<'_>,
    found: &[&'r RoleSummary],
    roles: &mut BTreeMap<String, Observed<LiveRole>>,
) -> Vec<&'r RoleSummary> {
    let wanted: Vec<RoleSummary> = found.iter().map(|summary| (*summary).clone()).collect();
    let Ok(read) = desk.lane.run(desk.aws.roles_in_bulk(desk.key, &wanted)).await else { return found.to_vec() };
    let mut seen = BTreeSet::new();
    for role in read {
        let folded = role.role.name.folded();
        seen.insert(folded.clone());
        if search.declared.contains_key(&folded) || is_ours(desk.desired, &role.role.tags) {
            roles.insert(folded, Observed::Present(role));
        }
    }
    found.iter().filter(|summary| !seen.contains(&summary.name.folded())).copied().collect()
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
