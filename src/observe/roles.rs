//! Roles: which to read, and the rest of those that `bulk` leaves.
//!
//! Read are the declared ones and, among the others, those that carry our mark and may have to be deleted: candidates
//! are roles that trust an issuer of ours or lie under a path of ours.

use super::bulk::Bulk;
use super::reader::AccountReader;
use super::role_list::RoleList;
use super::{is_ours, observed};
use crate::ids::{PolicyName, RoleName};
use crate::model::live::{LiveRole, Observed, RoleSummary};
use crate::world::ReadAws;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Every declared role, and every other one of ours; `bulk` is what was read of them already.
pub(super) async fn read<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    search: &RoleList<'_>,
    bulk: Bulk,
) -> BTreeMap<String, Observed<LiveRole>> {
    let mut roles: BTreeMap<String, Observed<LiveRole>>;
    if search.all.is_ok() {
        // a declared role that is not listed is not there
        roles = search.declared.keys().map(|folded| (folded.clone(), Observed::Absent)).collect();
        let left = from_bulk(reader, search, bulk, &mut roles);
        let asked = left.into_iter().map(|summary| one(reader, search, &summary.name));
        roles.extend(join_all(asked).await.into_iter().flatten());
    } else {
        let asked = search.declared.values().map(|role| one(reader, search, &role.name));
        roles = join_all(asked).await.into_iter().flatten().collect();
    }
    ask_instance_profiles(reader, search, &mut roles).await;
    roles
}

/// Takes what was read in bulk, and gives back what is still to be read: what the pages did not have or had in a form
/// that was not understood, be it so recent that only the list knows it.
fn from_bulk<'r, A>(
    reader: &AccountReader<'_, A>,
    search: &'r RoleList<'_>,
    mut bulk: Bulk,
    roles: &mut BTreeMap<String, Observed<LiveRole>>,
) -> Vec<&'r RoleSummary> {
    let mut left = Vec::new();
    for summary in search.found() {
        let folded = summary.name.case_insensitive();
        match bulk.take(&folded).map(|detail| detail.joined(summary)) {
            Some(Ok(role)) if search.declared.contains_key(&folded) || is_ours(reader.desired, &role.role.tags) => {
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
    reader: &AccountReader<'_, A>,
    search: &RoleList<'_>,
    name: &RoleName,
) -> Option<(String, Observed<LiveRole>)> {
    let folded = name.case_insensitive();
    let declared = search.declared.get(&folded);
    if declared.is_none() {
        match reader.limiter.run(reader.aws.role_tags(reader.key, name)).await {
            Ok(Some(tags)) if is_ours(reader.desired, &tags) => {}
            Ok(_) => return None,
            Err(error) => return Some((folded, Observed::Unknown(error.to_string()))),
        }
    }
    let inline: BTreeSet<PolicyName> = declared.into_iter().flat_map(|role| role.inline.keys().cloned()).collect();
    let role = observed(reader.limiter.run(reader.aws.role(reader.key, name, &inline)).await);
    if declared.is_none() && role == Observed::Absent {
        return None;
    }
    Some((folded, role))
}

/// Asks for the instance profiles of the roles that may be deleted. Where that fails the role counts as not seen.
async fn ask_instance_profiles<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    search: &RoleList<'_>,
    roles: &mut BTreeMap<String, Observed<LiveRole>>,
) {
    let asked = roles.iter_mut().filter_map(|(folded, seen)| {
        let role = &seen.present()?.role;
        let may_go = is_ours(reader.desired, &role.tags) && (reader.destroy || !search.declared.contains_key(folded));
        let name = role.name.clone();
        may_go.then_some(async move {
            match (reader.limiter.run(reader.aws.instance_profiles(reader.key, &name)).await, &mut *seen) {
                (Ok(profiles), Observed::Present(role)) => role.instance_profiles = profiles,
                (Ok(_), _) => {}
                (Err(error), seen) => *seen = Observed::Unknown(error.to_string()),
            }
        })
    });
    join_all(asked).await;
}
