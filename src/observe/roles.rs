//! Reads roles: every declared role, and the candidates of `role_selection` that have this owner's tag.

use super::bulk::Bulk;
use super::reader::AccountReader;
use super::role_selection::RoleSelection;
use super::{is_ours, observed};
use crate::ids::{PolicyName, RoleName};
use crate::model::live::{LiveRole, Observed, RoleSummary};
use crate::world::ReadAws;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// The roles by case-insensitive name. `bulk` has the roles that were read in bulk.
pub(super) async fn read<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    selection: &RoleSelection<'_>,
    bulk: Bulk,
) -> BTreeMap<String, Observed<LiveRole>> {
    let mut roles: BTreeMap<String, Observed<LiveRole>>;
    if selection.all.is_ok() {
        roles = selection.declared.keys().map(|name| (name.clone(), Observed::Absent)).collect();
        let left = from_bulk(reader, selection, bulk, &mut roles);
        let read = left.into_iter().map(|summary| one(reader, selection, &summary.name));
        roles.extend(join_all(read).await.into_iter().flatten());
    } else {
        let read = selection.declared.values().map(|role| one(reader, selection, &role.name));
        roles = join_all(read).await.into_iter().flatten().collect();
    }
    read_instance_profiles(reader, selection, &mut roles).await;
    roles
}

/// Moves the declared roles, and the other roles with this owner's tag, from `bulk` to `roles`. Returns the roles that
/// `bulk` does not have (they may be new) or that irsa could not parse.
fn from_bulk<'r, A>(
    reader: &AccountReader<'_, A>,
    selection: &'r RoleSelection<'_>,
    mut bulk: Bulk,
    roles: &mut BTreeMap<String, Observed<LiveRole>>,
) -> Vec<&'r RoleSummary> {
    let mut left = Vec::new();
    for summary in selection.selected() {
        let name = summary.name.lower_case();
        match bulk.take(&name).map(|detail| detail.joined(summary)) {
            Some(Ok(role)) if selection.declared.contains_key(&name) || is_ours(reader.desired, &role.role.tags) => {
                roles.insert(name, Observed::Present(role));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => left.push(summary),
        }
    }
    left
}

/// Reads one role. If it is not declared, reads its tags first. None if it is not declared and either lacks this
/// owner's tag or does not exist any more.
async fn one<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    selection: &RoleSelection<'_>,
    name: &RoleName,
) -> Option<(String, Observed<LiveRole>)> {
    let key = name.lower_case();
    let declared = selection.declared.get(&key);
    if declared.is_none() {
        match reader.aws.role_tags(reader.key, name).await {
            Ok(Some(tags)) if is_ours(reader.desired, &tags) => {}
            Ok(_) => return None,
            Err(error) => return Some((key, Observed::Unknown(error.to_string()))),
        }
    }
    let inline: BTreeSet<PolicyName> = declared.into_iter().flat_map(|role| role.inline.keys().cloned()).collect();
    let role = observed(reader.object(reader.aws.role(reader.key, name, &inline)).await);
    if declared.is_none() && role == Observed::Absent {
        return None;
    }
    Some((key, role))
}

/// Reads the instance profiles of the roles that may be deleted. A role whose profiles cannot be read becomes unknown.
async fn read_instance_profiles<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    selection: &RoleSelection<'_>,
    roles: &mut BTreeMap<String, Observed<LiveRole>>,
) {
    let read = roles.iter_mut().filter_map(|(key, seen)| {
        let role = &seen.present()?.role;
        let may_be_deleted =
            is_ours(reader.desired, &role.tags) && (reader.destroy || !selection.declared.contains_key(key));
        let name = role.name.clone();
        may_be_deleted.then_some(async move {
            match (reader.aws.instance_profiles(reader.key, &name).await, &mut *seen) {
                (Ok(profiles), Observed::Present(role)) => role.instance_profiles = profiles,
                (Ok(_), _) => {}
                (Err(error), seen) => *seen = Observed::Unknown(error.to_string()),
            }
        })
    });
    join_all(read).await;
}
