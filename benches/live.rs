//! Live state for the benchmarks: empty accounts and clusters, and the same after a plan has created everything in
//! them, as irsa would read it.

use irsa::ids::{IssuerUrl, Key, PolicyArn, ProviderArn, RoleArn};
use irsa::model::address::Address;
use irsa::model::desired::Desired;
use irsa::model::live::{
    Access, Extent, FieldManager, Identity, Live, LiveAccount, LiveCluster, LivePolicy, LiveProvider, LiveRole,
    LiveServiceAccount, NamespacePhase, Observed, RoleSummary,
};
use irsa::model::marks::field_manager;
use irsa::model::resource::{ManagedPolicy, Role, ServiceAccount};
use irsa::plan::{Options, Plan, ResourceChange};
use irsa::policy::PolicyDocument;
use std::collections::BTreeMap;
use std::sync::Arc;

/// 2027-01-15, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

/// The options of every plan here.
pub(crate) fn options() -> Options {
    Options { now: NOW, ..Options::default() }
}

/// Accounts and clusters that were read, with nothing in them.
pub(crate) fn empty(desired: &Desired) -> Live {
    let accounts = desired.accounts.iter().map(|(key, account)| {
        let identity = Identity {
            account: account.id.clone(),
            partition: account.partition.clone(),
            caller: format!("arn:aws:iam::{}:user/bench", account.id),
        };
        let mut account = LiveAccount::without_objects(Access::Granted(identity), Observed::Present(()));
        for role in desired.roles.values().filter(|role| role.account == *key) {
            account.roles.insert(role.name.lower_case(), Observed::Absent);
        }
        (key.clone(), account)
    });
    let clusters = desired.clusters.keys().map(|key| {
        let issuer = IssuerUrl::parse(format!("https://oidc.eks.eu-west-1.amazonaws.com/id/{key}")).expect("an issuer");
        let cluster = LiveCluster {
            issuer: Observed::Present(issuer),
            other_issuer: None,
            api: Access::Granted(()),
            extent: Extent::Whole,
            namespaces: BTreeMap::new(),
            service_accounts: BTreeMap::new(),
        };
        (key.clone(), cluster)
    });
    Live { accounts: accounts.collect(), clusters: clusters.collect() }
}

/// The accounts and clusters after `plan`, which creates everything in them.
pub(crate) fn made(desired: &Desired, mut live: Live, plan: &Plan) -> Live {
    for step in &plan.steps {
        match (&step.address, &step.change) {
            (Address::OidcProvider { account, .. }, ResourceChange::Provider(change)) => {
                let provider = change.after().expect("it is made").clone();
                let arn = ProviderArn::of(
                    partition(desired, account),
                    id(desired, account),
                    &provider.url.parse().expect("an issuer"),
                );
                let provider = LiveProvider { provider, thumbprints: Vec::new() };
                account_of(&mut live, account).providers.insert(arn, Observed::Present(provider));
            }
            (Address::Policy { account, .. }, ResourceChange::Policy(change)) => {
                let policy = change.after().expect("it is made");
                let arn = PolicyArn::of(partition(desired, account), id(desired, account), &policy.path, &policy.name);
                account_of(&mut live, account).policies.insert(arn, Observed::Present(policy_of(policy)));
            }
            (Address::Role { key }, ResourceChange::Role(change)) => {
                let account = &desired.roles[key].account;
                let role = role_of(change.after().expect("it is made"));
                let arn = RoleArn::of(partition(desired, account), id(desired, account), &role.path, &role.name);
                let summary = RoleSummary {
                    name: role.name.clone(),
                    path: role.path.to_string(),
                    trust: role.trust.clone(),
                    description: role.description.clone(),
                    max_session_duration: role.max_session_duration,
                };
                let place = account_of(&mut live, account);
                if let Observed::Present(role_list) = &mut place.role_list {
                    role_list.push(summary);
                }
                let lower_case = role.name.lower_case();
                let role = LiveRole { role, arn, last_used: Some(NOW - 864_000), instance_profiles: Vec::new() };
                place.roles.insert(lower_case, Observed::Present(role));
            }
            (Address::ServiceAccount { cluster, namespace, name }, ResourceChange::ServiceAccount(change)) => {
                let item = service_account_of(desired, change.after().expect("it is made"));
                let cluster = live.clusters.get_mut(cluster).expect("a cluster");
                cluster.namespaces.insert(namespace.clone(), Observed::Present(NamespacePhase::Active));
                cluster.service_accounts.insert((namespace.clone(), name.clone()), Observed::Present(item));
            }
            _ => unreachable!("every step has the kind of its address"),
        }
    }
    live
}

fn account_of<'a>(live: &'a mut Live, key: &Key) -> &'a mut LiveAccount {
    live.accounts.get_mut(key).expect("an account")
}

fn partition<'a>(desired: &'a Desired, account: &Key) -> &'a irsa::ids::Partition {
    &desired.accounts[account].partition
}

fn id<'a>(desired: &'a Desired, account: &Key) -> &'a irsa::ids::AccountId {
    &desired.accounts[account].id
}

/// Parses the text of a document again, as a read from IAM does, so that nothing is shared with the declared document.
fn read_back(document: &PolicyDocument) -> PolicyDocument {
    PolicyDocument::live(&document.minified())
}

fn role_of(role: &Role) -> Role {
    let inline = role.inline.iter().map(|(name, document)| (name.clone(), read_back(document))).collect();
    Role { trust: read_back(&role.trust), inline, ..role.clone() }
}

fn policy_of(policy: &ManagedPolicy) -> LivePolicy {
    LivePolicy {
        policy: ManagedPolicy { document: read_back(&policy.document), ..policy.clone() },
        default_version: "v1".to_owned(),
        other_versions: Vec::new(),
        attachments: 1,
        boundaries: 0,
    }
}

fn service_account_of(desired: &Desired, item: &ServiceAccount) -> LiveServiceAccount {
    let manager = FieldManager {
        name: field_manager(&desired.owner),
        operation: "Apply".to_owned(),
        labels: item.labels.keys().cloned().collect(),
        annotations: item.annotations.keys().cloned().collect(),
        others: false,
    };
    LiveServiceAccount {
        namespace: item.namespace.clone(),
        name: item.name.clone(),
        uid: format!("uid-{}-{}", item.namespace, item.name),
        resource_version: "1".to_owned(),
        labels: item.labels.clone(),
        annotations: item.annotations.clone(),
        owner_references: Vec::new(),
        managers: vec![Arc::new(manager)],
        deleting: None,
        pods: Some(Observed::Present(Vec::new())),
    }
}
