//! A small configuration with its live state.

use crate::ids::{
    AccountId, IamPath, IssuerUrl, Key, Namespace, Partition, PolicyArn, PolicyName, ProviderArn, RoleArn, RoleName,
    ServiceAccountName,
};
use crate::lint::{declared, live};
use crate::model::desired::{
    Account, Adopt, Attachment, Binding, Boundary, Cluster, ClusterState, Desired, Guard, KubernetesAccess, Manage,
    Policy, Role, Subject,
};
use crate::model::live::{
    Access, Extent, Identity, Live, LiveAccount, LiveCluster, LivePolicy, LiveProvider, LiveRole, Observed,
};
use crate::model::marks::OWNER;
use crate::model::note::Note;
use crate::model::origin::Origin;
use crate::model::resource::{self, InlinePolicies, StringMap};
use crate::policy::document::PolicyKind;
use crate::policy::trust::{self, Grant};
use crate::policy::{PolicyDocument, Statement};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const EAST: &str = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";
pub(super) const WEST: &str = "oidc.eks.eu-west-1.amazonaws.com/id/WESTD539D4633E53DE1B716D3041E000";
pub(super) const ACCOUNT: &str = "111122223333";

pub(super) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(super) fn origin(line: usize) -> Origin {
    Origin { file: "irsa.toml".into(), line, column: 1, span: 0..1 }
}

/// The ARN of the provider of an issuer.
pub(super) fn provider(issuer: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")
}

/// Clusters `east` and `west` in account `default`, `far` in account `other`; role `app`, bound to `apps/web` in
/// `east`.
#[derive(Debug, Clone)]
pub(super) struct Fixture {
    pub desired: Desired,
    pub live: Live,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let desired = Desired {
            owner: key("team"),
            config_digest: "sha256:0".into(),
            accounts: BTreeMap::from([(key("default"), account(ACCOUNT)), (key("other"), account("444455556666"))]),
            clusters: [("east", "default"), ("west", "default"), ("far", "other")]
                .into_iter()
                .map(|(name, account)| (key(name), cluster(account)))
                .collect(),
            policies: BTreeMap::new(),
            roles: BTreeMap::from([(key("app"), role("app"))]),
            forget: Vec::new(),
            ignore_tags: Vec::new(),
            guard: Guard::default(),
            prune_paths: BTreeSet::new(),
            lock: None,
            ignores: Vec::new(),
        };
        let issuers = [("east", EAST), ("west", WEST), ("far", "oidc.example.com/far")];
        let live = Live {
            accounts: BTreeMap::from([(key("default"), live_account())]),
            clusters: issuers.into_iter().map(|(name, issuer)| (key(name), live_cluster(issuer))).collect(),
        };
        let mut fixture = Self { desired, live };
        fixture.provider(EAST, |_| {});
        fixture.provider(WEST, |_| {});
        fixture
    }

    pub(super) fn app(&mut self) -> &mut Role {
        self.desired.roles.get_mut(&key("app")).unwrap()
    }

    pub(super) fn account(&mut self) -> &mut LiveAccount {
        self.live.accounts.get_mut(&key("default")).unwrap()
    }

    /// Adds a live provider with the owner tag.
    pub(super) fn provider(&mut self, issuer: &str, change: impl FnOnce(&mut resource::Provider)) {
        let mut made = resource::Provider {
            url: format!("https://{issuer}"),
            audiences: BTreeSet::from(["sts.amazonaws.com".to_owned()]),
            tags: StringMap::from_iter([(OWNER.to_owned(), "team".to_owned())]),
        };
        change(&mut made);
        let arn = ProviderArn::parse(provider(issuer)).unwrap();
        let live = LiveProvider { provider: made, thumbprints: Vec::new() };
        self.account().providers.insert(arn, Observed::Present(live));
    }

    /// Adds a live role, like the declared one of this name.
    pub(super) fn live_role(&mut self, name: &str, change: impl FnOnce(&mut resource::Role)) {
        let name = RoleName::parse(name).unwrap();
        let declared = self.desired.roles.values().find(|role| role.name == name);
        let mut made = resource::Role {
            name: name.clone(),
            path: IamPath::default(),
            description: String::new(),
            max_session_duration: 3600,
            permissions_boundary: None,
            tags: StringMap::new(),
            trust: declared.map_or_else(|| PolicyDocument::live(""), generated),
            attached: BTreeSet::new(),
            inline: declared.map(|role| role.inline.clone()).unwrap_or_default(),
        };
        change(&mut made);
        let arn = RoleArn::parse(format!("arn:aws:iam::{ACCOUNT}:role/{name}")).unwrap();
        let live = LiveRole { role: made, arn, last_used: None, instance_profiles: Vec::new() };
        self.account().roles.insert(name.lower_case(), Observed::Present(live));
    }

    pub(super) fn live_policy(&mut self, name: &str, document: PolicyDocument) {
        let policy = resource::ManagedPolicy {
            name: PolicyName::parse(name).unwrap(),
            path: IamPath::default(),
            description: String::new(),
            document,
            tags: StringMap::from_iter([(OWNER.to_owned(), "team".to_owned())]),
        };
        let live = LivePolicy {
            policy,
            default_version: "v1".into(),
            other_versions: Vec::new(),
            attachments: 0,
            boundaries: 0,
        };
        let arn = PolicyArn::parse(format!("arn:aws:iam::{ACCOUNT}:policy/{name}")).unwrap();
        self.account().policies.insert(arn, Observed::Present(live));
    }

    pub(super) fn policy(&mut self, name: &str, document: PolicyDocument) {
        let policy = Policy {
            name: PolicyName::parse(name).unwrap(),
            path: IamPath::default(),
            description: String::new(),
            document,
            tags: StringMap::new(),
            adopt: Adopt::No,
            prevent_destroy: false,
            origin: origin(9),
        };
        self.desired.policies.insert((key("default"), key(name)), policy);
    }

    pub(super) fn declared(&self) -> Vec<Note> {
        declared(&self.desired)
    }

    pub(super) fn live(&self) -> Vec<Note> {
        live(&self.desired, &self.live)
    }
}

/// The trust that irsa writes for a role of account `default`.
pub(super) fn generated(role: &Role) -> PolicyDocument {
    let grants = role.bindings.iter().map(|binding| Grant {
        provider: ProviderArn::parse(provider(if binding.cluster == key("east") { EAST } else { WEST })).unwrap(),
        audience: binding.effective_audience().to_owned(),
        subject: binding.subject.claim(),
    });
    trust::build(&grants.collect(), &role.extra_trust)
}

fn account(id: &str) -> Account {
    Account {
        declared_id: Some(AccountId::parse(id).unwrap()),
        id: AccountId::parse(id).unwrap(),
        partition: Partition::parse("aws").unwrap(),
        profile: None,
        assume_role: None,
        external_id: None,
        origin: None,
    }
}

fn cluster(account: &str) -> Cluster {
    Cluster {
        account: key(account),
        region: None,
        name: None,
        issuer: None,
        state: ClusterState::Active,
        kubernetes: KubernetesAccess { kubeconfig: None, context: None, unverified: false },
        unmanaged: false,
        origin: origin(2),
    }
}

pub(super) fn role(name: &str) -> Role {
    Role {
        name: RoleName::parse(name).unwrap(),
        account: key("default"),
        path: IamPath::default(),
        path_declared: false,
        description: String::new(),
        max_session_duration: 3600,
        permissions_boundary: Boundary::Undeclared,
        tags: StringMap::new(),
        attach: BTreeSet::new(),
        policy_origins: BTreeMap::new(),
        ignore_attached: Vec::new(),
        inline: InlinePolicies::new(),
        extra_trust: Vec::new(),
        bindings: vec![binding("east", exact("apps", "web"))],
        adopt: Adopt::No,
        prevent_destroy: false,
        origin: origin(5),
    }
}

pub(super) fn exact(namespace: &str, name: &str) -> Subject {
    Subject::Exact(Namespace::parse(namespace).unwrap(), ServiceAccountName::parse(name).unwrap())
}

pub(super) fn wild(namespace: &str, name: &str) -> Subject {
    Subject::Wildcard { namespace: namespace.into(), name: name.into(), reason: "made on demand".into() }
}

pub(super) fn binding(cluster: &str, subject: Subject) -> Binding {
    Binding {
        cluster: key(cluster),
        subject,
        manage: Manage::None,
        audience: None,
        token_expiration: None,
        sts_regional_endpoints: None,
        metadata: None,
        origin: origin(7),
    }
}

fn live_account() -> LiveAccount {
    let identity = Access::Granted(Identity {
        account: AccountId::parse(ACCOUNT).unwrap(),
        partition: Partition::parse("aws").unwrap(),
        caller: String::new(),
    });
    LiveAccount::without_objects(identity, Observed::Present(()))
}

fn live_cluster(issuer: &str) -> LiveCluster {
    LiveCluster {
        issuer: Observed::Present(IssuerUrl::parse(format!("https://{issuer}")).unwrap()),
        other_issuer: None,
        api: Access::Granted(()),
        extent: Extent::Whole,
        namespaces: BTreeMap::new(),
        service_accounts: BTreeMap::new(),
    }
}

/// A policy of one statement, parsed as declared or else as live.
pub(super) fn document(statement: &Value) -> PolicyDocument {
    let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let kind = if statement.get("Principal").is_some() { PolicyKind::Trust } else { PolicyKind::Permissions };
    PolicyDocument::parse(&text, kind).unwrap_or_else(|_| PolicyDocument::live(&text))
}

/// Findings on a trust statement: as extra trust of `app`, and as its live trust.
pub(super) fn on_trust(statement: &Value) -> Vec<Note> {
    let mut fixture = Fixture::new();
    fixture.app().extra_trust = vec![Statement::parse(statement, None).unwrap()];
    let mut notes = fixture.declared();
    let mut fixture = Fixture::new();
    fixture.live_role("app", |role| role.trust = document(statement));
    notes.extend(fixture.live());
    notes
}

/// Findings on a permission statement: in an inline policy, in a managed one, and in live ones.
pub(super) fn on_permissions(statement: &Value) -> Vec<Note> {
    let name = || PolicyName::parse("x").unwrap();
    let mut fixture = Fixture::new();
    fixture.app().inline.insert(name(), document(statement));
    let inline = fixture.declared();
    let mut fixture = Fixture::new();
    fixture.policy("x", document(statement));
    let managed = fixture.declared();
    let mut fixture = Fixture::new();
    fixture.live_role("app", |role| drop(role.inline.insert(name(), document(statement))));
    fixture.live_policy("x", document(statement));
    let live = fixture.live();
    assert_eq!(inline.len(), managed.len(), "{statement}");
    assert_eq!(live.len(), inline.len() + managed.len(), "{statement}: {live:#?}");
    [inline, managed, live].concat()
}

/// Findings on role `app` after a change to it.
pub(super) fn on_role(change: impl FnOnce(&mut Role)) -> Vec<Note> {
    let mut fixture = Fixture::new();
    change(fixture.app());
    fixture.declared()
}

/// Findings on live objects after a change to them and to the configuration.
pub(super) fn on_live(change: impl FnOnce(&mut Fixture)) -> Vec<Note> {
    let mut fixture = Fixture::new();
    change(&mut fixture);
    fixture.live()
}

pub(super) fn attached(arn: &str) -> Attachment {
    Attachment::Arn(PolicyArn::parse(arn).unwrap())
}
