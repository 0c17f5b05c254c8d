//! Policies that are not ours and that roles of this configuration come to have or are to lose.
//!
//! Whether there is such a policy must be known before anything is written, and whether it denies something decides in
//! which order it is attached and detached. Each is asked for once, and only what changes.

use super::is_ours;
use super::reader::AccountReader;
use crate::ids::PolicyArn;
use crate::model::desired::{Attachment, Boundary, Role};
use crate::model::live::{LivePolicy, LiveRole, Observed};
use crate::model::pattern::any_matches;
use crate::policy::{PolicyDocument, Statement};
use crate::world::ReadAws;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Reads them. Beside each that is asked for stands whether its document is.
pub(super) async fn read<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    roles: &BTreeMap<String, Observed<LiveRole>>,
    ours: &BTreeMap<PolicyArn, Observed<LivePolicy>>,
) -> BTreeMap<PolicyArn, Observed<Option<PolicyDocument>>> {
    let mut wanted: BTreeMap<PolicyArn, bool> = BTreeMap::new();
    let declared = reader.roles();
    for (folded, live) in roles {
        let role = declared.get(folded).filter(|_| !reader.destroy);
        let asked = match (role, live) {
            (Some(role), Observed::Absent) => made(role),
            (Some(role), Observed::Present(live)) => changed(role, live),
            (None, Observed::Present(live)) if is_ours(reader.desired, &live.role.tags) => deleted(live),
            _ => Asked::default(),
        };
        for arn in asked.policies.into_iter().filter(|arn| !ours.contains_key(arn)) {
            *wanted.entry(arn).or_default() |= asked.documents;
        }
    }
    let read = wanted.into_iter().map(|(arn, document)| async move {
        let seen = one(reader, &arn, document).await;
        (arn, seen)
    });
    let mut read: BTreeMap<_, _> = join_all(read).await.into_iter().collect();
    let missing = |(arn, seen): &(&PolicyArn, &Observed<_>)| arn.account() == "aws" && **seen == Observed::Absent;
    let example = read.iter().find(missing).map(|(arn, _)| arn.partition().to_owned());
    if let Some(partition) = example
        && has_none_of_aws(reader, &partition).await
    {
        let absent = read.iter_mut().filter(|(arn, seen)| arn.account() == "aws" && **seen == Observed::Absent);
        absent.for_each(|(_, seen)| *seen = Observed::Unknown("IAM shows none of AWS's own policies here".to_owned()));
    }
    read
}

async fn one<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    arn: &PolicyArn,
    document: bool,
) -> Observed<Option<PolicyDocument>> {
    match reader.limiter.run(reader.aws.foreign_policy(reader.key, arn, document)).await {
        Ok(Some(document)) => Observed::Present(document),
        Ok(None) => Observed::Absent,
        Err(error) => Observed::Unknown(error.to_string()),
    }
}

/// Whether IAM lacks even the policy that every account of AWS has: some stand-ins for it know none of AWS's own, and let
/// them be attached all the same.
async fn has_none_of_aws<A: ReadAws>(reader: &AccountReader<'_, A>, partition: &str) -> bool {
    let everyone = PolicyArn::parse(format!("arn:{partition}:iam::aws:policy/AdministratorAccess"));
    let Ok(everyone) = everyone else { return false };
    one(reader, &everyone, false).await == Observed::Absent
}

/// The policies to ask for on account of one role.
#[derive(Default)]
struct Asked {
    policies: BTreeSet<PolicyArn>,
    /// One call alone has no order.
    documents: bool,
}

fn named(role: &Role) -> BTreeSet<PolicyArn> {
    let arns = role.attach.iter().filter_map(|item| match item {
        Attachment::Arn(arn) => Some(arn.clone()),
        Attachment::Declared(_) => None,
    });
    arns.collect()
}

fn made(role: &Role) -> Asked {
    let attached = named(role);
    let denies = role.inline.values().any(|document| document.statements().iter().any(Statement::denies));
    let documents = attached.len() > 1 || (denies && !attached.is_empty());
    let mut policies = attached;
    if let Boundary::Policy(arn) = &role.permissions_boundary {
        policies.insert(arn.clone());
    }
    Asked { policies, documents }
}

fn changed(role: &Role, live: &LiveRole) -> Asked {
    let (attached, live) = (named(role), &live.role);
    let left = |arn: &&PolicyArn| !attached.contains(*arn) && !any_matches(&role.ignore_attached, arn.as_str());
    let mut policies: BTreeSet<PolicyArn> = live.attached.iter().filter(left).cloned().collect();
    policies.extend(attached.difference(&live.attached).cloned());
    if let Boundary::Policy(arn) = &role.permissions_boundary
        && live.permissions_boundary.as_ref() != Some(arn)
    {
        policies.insert(arn.clone());
        policies.extend(live.permissions_boundary.clone());
    }
    Asked { policies, documents: true }
}

fn deleted(live: &LiveRole) -> Asked {
    let documents = live.role.attached.len() + live.role.inline.len() > 1;
    // a policy that goes alone needs no look
    let policies = if documents { live.role.attached.clone() } else { BTreeSet::new() };
    Asked { policies, documents }
}
