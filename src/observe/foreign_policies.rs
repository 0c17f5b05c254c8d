//! Reads, for the plan, policies that irsa does not manage and whose use changes: a role will attach or detach the
//! policy, get it as its permissions boundary, or get another boundary in its place.
//!
//! irsa must know before it writes anything whether such a policy exists. Whether the policy denies something decides
//! the order of attaching and detaching. irsa reads each policy once. It does not read a policy that a role only keeps,
//! a boundary that is removed without a new one, or the only policy of a role that is deleted.

use super::reader::AccountReader;
use super::{is_ours, observed};
use crate::ids::PolicyArn;
use crate::model::desired::{Attachment, Boundary, Role};
use crate::model::live::{LivePolicy, LiveRole, Observed};
use crate::model::pattern::any_matches;
use crate::policy::{PolicyDocument, Statement};
use crate::world::ReadAws;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Reads the policies. If the document of a policy does not matter, the policy is `Present(None)`.
pub(super) async fn read<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    roles: &BTreeMap<String, Observed<LiveRole>>,
    ours: &BTreeMap<PolicyArn, Observed<LivePolicy>>,
) -> BTreeMap<PolicyArn, Observed<Option<PolicyDocument>>> {
    let mut needed: BTreeMap<PolicyArn, bool> = BTreeMap::new();
    let declared = reader.roles();
    for (name, live) in roles {
        let role = declared.get(name).filter(|_| !reader.destroy);
        let (arns, documents) = match (role, live) {
            (Some(role), Observed::Absent) => of_created_role(role),
            (Some(role), Observed::Present(live)) => of_changed_role(role, live),
            (None, Observed::Present(live)) if is_ours(reader.desired, &live.role.tags) => of_deleted_role(live),
            (None, Observed::Present(_) | Observed::Absent) | (_, Observed::Unknown(_)) => continue,
        };
        for arn in arns.into_iter().filter(|arn| !ours.contains_key(arn)) {
            *needed.entry(arn).or_default() |= documents;
        }
    }
    let read = needed.into_iter().map(|(arn, document)| async move {
        let policy = observed(reader.object(reader.aws.any_policy(reader.key, &arn, document)).await);
        (arn, policy)
    });
    let mut read: BTreeMap<_, _> = join_all(read).await.into_iter().collect();
    let is_missing = |arn: &PolicyArn, policy: &Observed<_>| arn.account() == "aws" && *policy == Observed::Absent;
    let example = read.iter().find(|(arn, policy)| is_missing(arn, policy));
    let partition = example.map(|(arn, _)| arn.partition().to_owned());
    if let Some(partition) = partition
        && lacks_aws_managed_policies(reader, &partition).await
    {
        for (_, policy) in read.iter_mut().filter(|(arn, policy)| is_missing(arn, policy)) {
            *policy = Observed::Unknown(
                "this IAM shows no AWS managed policy, so irsa cannot tell whether it exists".to_owned(),
            );
        }
    }
    read
}

/// Whether IAM lacks even a policy that every AWS account has. Some emulators have no AWS managed policies, but let
/// roles attach them.
async fn lacks_aws_managed_policies<A: ReadAws>(reader: &AccountReader<'_, A>, partition: &str) -> bool {
    let everywhere = PolicyArn::parse(format!("arn:{partition}:iam::aws:policy/AdministratorAccess"));
    let Ok(everywhere) = everywhere else { return false };
    reader.aws.any_policy(reader.key, &everywhere, false).await == Ok(None)
}

/// The policies to read, and whether to read their documents, which decide the order of calls. A role that is created
/// or deleted with a single attach or detach call needs no documents, because there is nothing to order.
type Needed = (BTreeSet<PolicyArn>, bool);

fn attached_by_arn(role: &Role) -> BTreeSet<PolicyArn> {
    let arns = role.attach.iter().filter_map(|item| match item {
        Attachment::Arn(arn) => Some(arn.clone()),
        Attachment::Declared(_) => None,
    });
    arns.collect()
}

fn of_created_role(role: &Role) -> Needed {
    let mut arns = attached_by_arn(role);
    let denies = role.inline.values().any(|document| document.statements().iter().any(Statement::denies));
    let documents = arns.len() > 1 || (denies && !arns.is_empty());
    if let Boundary::Policy(arn) = &role.permissions_boundary {
        arns.insert(arn.clone());
    }
    (arns, documents)
}

fn of_changed_role(role: &Role, live: &LiveRole) -> Needed {
    let (attached, live) = (attached_by_arn(role), &live.role);
    let is_detached = |arn: &&PolicyArn| !attached.contains(*arn) && !any_matches(&role.ignore_attached, arn.as_str());
    let mut arns: BTreeSet<PolicyArn> = live.attached.iter().filter(is_detached).cloned().collect();
    arns.extend(attached.difference(&live.attached).cloned());
    if let Boundary::Policy(arn) = &role.permissions_boundary
        && live.permissions_boundary.as_ref() != Some(arn)
    {
        arns.insert(arn.clone());
        arns.extend(live.permissions_boundary.clone());
    }
    (arns, true)
}

fn of_deleted_role(live: &LiveRole) -> Needed {
    let documents = live.role.attached.len() + live.role.inline.len() > 1;
    // a single policy is detached without reading it
    let arns = if documents { live.role.attached.clone() } else { BTreeSet::new() };
    (arns, documents)
}
