//! The roles that `irsa access` judges: those of the configuration, or the live ones with all that they attach.

use super::super::Run;
use super::super::output::Output;
use super::super::session::{self, Session};
use crate::access::readings::Placeholder;
use crate::access::{NamedPolicy, RolePermissions, policy_name};
use crate::error::Error;
use crate::ids::{Key, PolicyArn};
use crate::model::desired::{
    Account, Attachment, Boundary, Cluster, ClusterState, Desired, PLACEHOLDER_ID, PLACEHOLDER_REGION, Policy, Role,
};
use crate::model::live::{Live, LiveRole, Observed};
use crate::observe;
use crate::policy::PolicyDocument;
use std::collections::{BTreeMap, BTreeSet};

/// Offline, the id of an account that the configuration does not declare.
pub(super) const UNKNOWN_ID: Placeholder = Placeholder {
    text: PLACEHOLDER_ID,
    pattern: "????????????",
    why: "the account id is not known offline; declare the account in `[accounts]`",
};

/// Offline, the region of a cluster that declares none.
const UNKNOWN_REGION: Placeholder = Placeholder {
    text: PLACEHOLDER_REGION,
    pattern: "*",
    why: "the region of the cluster is not known offline; declare its `region`",
};

/// The declared roles, and how their ServiceAccounts reach them.
pub(super) struct World {
    pub(super) desired: Desired,
    /// None with `--declared`.
    pub(super) live: Option<Live>,
    pub(super) roles: BTreeMap<Key, RolePermissions>,
}

/// The configuration alone. Documents that only AWS has are unknown.
pub(super) fn declared(run: Run<'_>) -> Result<World, Error> {
    let configuration = session::load(run.global)?;
    let desired = configuration.resolve(&session::offline(run.context))?;
    let of_role = |(key, role): (&Key, &Role)| {
        let declared = |policy: &Key| {
            let document = desired.policies.get(&(role.account.clone(), policy.clone()));
            let document = document.map_or(Observed::Absent, |policy| Observed::Present(policy.document.clone()));
            NamedPolicy { name: policy.to_string(), document }
        };
        let by_arn = |arn: &PolicyArn| match declared_policy(&desired, &role.account, arn) {
            Some(policy) => declared(policy),
            None => NamedPolicy {
                name: policy_name(arn),
                document: Observed::Unknown("its document is not in the configuration".to_owned()),
            },
        };
        let inline = role.inline.iter().map(|(name, document)| inline(name.as_str(), document));
        let attached = role.attach.iter().map(|attachment| match attachment {
            Attachment::Arn(arn) => by_arn(arn),
            Attachment::Declared(policy) => declared(policy),
        });
        let boundary = match &role.permissions_boundary {
            Boundary::Policy(arn) => Some(by_arn(arn)),
            Boundary::None | Boundary::Undeclared => None,
        };
        let policies = Observed::Present(inline.chain(attached).collect());
        let placeholders = placeholders(&desired, role);
        let (arn, account) = (String::new(), String::new());
        (key.clone(), RolePermissions { key: key.clone(), arn, account, policies, boundary, placeholders })
    };
    let roles = desired.roles.iter().map(of_role).collect();
    Ok(World { desired, live: None, roles })
}

/// The policy of `[policies]` that has this ARN in the account.
fn declared_policy<'a>(desired: &'a Desired, account: &Key, arn: &PolicyArn) -> Option<&'a Key> {
    let owner = desired.accounts.get(account)?;
    let has_arn = |policy: &Policy| PolicyArn::of(&owner.partition, &owner.id, &policy.path, &policy.name) == *arn;
    let mut policies = desired.policies.iter();
    policies.find(|((of, _), policy)| of == account && has_arn(policy)).map(|((_, key), _)| key)
}

/// The texts in the documents of a role that stand for what is not known offline.
fn placeholders(desired: &Desired, role: &Role) -> Vec<Placeholder> {
    let is_known = desired.accounts.get(&role.account).is_some_and(Account::is_known);
    let clusters = role.bindings.iter().filter_map(|binding| desired.clusters.get(&binding.cluster));
    let active: Vec<&Cluster> = clusters.filter(|cluster| cluster.state == ClusterState::Active).collect();
    let no_region = active.iter().all(|cluster| cluster.region.is_none());
    let needs_region = no_region && active.iter().any(|cluster| cluster.name.is_some());
    let id = (!is_known).then_some(UNKNOWN_ID);
    id.into_iter().chain(needs_region.then_some(UNKNOWN_REGION)).collect()
}

fn inline(name: &str, document: &PolicyDocument) -> NamedPolicy {
    NamedPolicy { name: format!("inline {name}"), document: Observed::Present(document.clone()) }
}

/// The live roles, and the documents of all that they attach.
pub(super) async fn live(run: Run<'_>, output: &Output<'_>) -> Result<World, Error> {
    let session = Session::open(run)?;
    output.spares(session.files())?;
    let (connected, live) = session.read().await?;
    let desired = connected.desired;
    let found: BTreeMap<&Key, Observed<&LiveRole>> =
        desired.roles.iter().map(|(key, role)| (key, live.role(&role.account, &role.name))).collect();
    let mut needed: BTreeSet<(Key, PolicyArn)> = BTreeSet::new();
    for (key, role) in &found {
        let account = &desired.roles[*key].account;
        let Some(role) = role.present() else { continue };
        let arns = role.role.attached.iter().chain(&role.role.permissions_boundary);
        needed.extend(arns.map(|arn| (account.clone(), arn.clone())).filter(|at| managed(&live, at).is_none()));
    }
    let parallelism = usize::from(run.global.parallelism);
    let read = observe::read_documents(&needed, &connected.aws, parallelism);
    let read = session.unless_interrupted(read).await?;
    let document = |account: &Key, arn: &PolicyArn| {
        let at = (account.clone(), arn.clone());
        let document = managed(&live, &at).or_else(|| read.get(&at).cloned());
        let document = document.unwrap_or_else(|| Observed::Unknown("it was not read".to_owned()));
        NamedPolicy { name: policy_name(arn), document }
    };
    let roles = found.iter().map(|(key, role)| {
        let account = &desired.roles[*key].account;
        let policies = role.clone().map(|role| {
            let of_role = role.role.inline.iter().map(|(name, document)| inline(name.as_str(), document));
            of_role.chain(role.role.attached.iter().map(|arn| document(account, arn))).collect()
        });
        let boundary = role.present().and_then(|role| role.role.permissions_boundary.as_ref());
        let arn = role.present().map(|role| role.arn.to_string()).unwrap_or_default();
        let id = desired.accounts.get(account).map(|account| account.id.to_string()).unwrap_or_default();
        let boundary = boundary.map(|arn| document(account, arn));
        let placeholders = Vec::new();
        ((*key).clone(), RolePermissions { key: (*key).clone(), arn, account: id, policies, boundary, placeholders })
    });
    let roles = roles.collect();
    drop(found);
    Ok(World { desired, live: Some(live), roles })
}

/// The document of a policy that the plan read too.
fn managed(live: &Live, (account, arn): &(Key, PolicyArn)) -> Option<Observed<PolicyDocument>> {
    let policy = live.accounts.get(account)?.policies.get(arn)?;
    Some(policy.clone().map(|live| live.policy.document))
}
