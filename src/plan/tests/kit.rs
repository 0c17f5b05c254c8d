//! A small configuration and a small world to plan with.

use crate::ids::{
    AccountId, ClusterName, IamPath, IssuerUrl, Key, Namespace, Partition, PolicyArn, PolicyName, RoleName,
    ServiceAccountName,
};
use crate::model::desired::{
    Account, Adopt, Attachment, Binding, Boundary, Cluster, ClusterState, Desired, Guard, KubernetesAccess, Manage,
    Policy, Role, Subject,
};
use crate::model::live::{Access, Extent, Identity, Live, LiveAccount, LiveCluster, NamespacePhase, Observed};
use crate::model::origin::Origin;
use crate::model::refusal::RefusalKind;
use crate::model::resource::{InlinePolicies, StringMap};
use crate::plan::{ConfigKeys, Options, Plan, Refused, plan};
use crate::policy::{PolicyDocument, document::PolicyKind};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

thread_local! {
    /// The refusals in the plans of this thread.
    pub(crate) static REFUSED: RefCell<BTreeSet<RefusalKind>> = const { RefCell::new(BTreeSet::new()) };
}

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(crate) fn origin() -> Origin {
    Origin { file: "irsa.toml".into(), line: 7, column: 1, span: 0..1 }
}

/// A permission document that allows `action`.
pub(crate) fn allow(action: &str) -> PolicyDocument {
    let text =
        format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#);
    PolicyDocument::parse(&text, PolicyKind::Permissions).unwrap()
}

pub(crate) fn aws(name: &str) -> PolicyArn {
    PolicyArn::parse(format!("arn:aws:iam::aws:policy/{name}")).unwrap()
}

/// Desired and live state, and the options of the run.
#[derive(Debug, Clone)]
pub(crate) struct Kit {
    pub desired: Desired,
    pub live: Live,
    pub options: Options,
}

impl Kit {
    /// Owner `team`, account `default`, clusters `east` and `west` with namespace `apps`; nothing declared.
    pub(crate) fn new() -> Self {
        let account = Account {
            declared_id: None,
            id: AccountId::parse("111122223333").unwrap(),
            partition: Partition::parse("aws").unwrap(),
            profile: None,
            assume_role: None,
            external_id: None,
            origin: None,
        };
        let desired = Desired {
            owner: key("team"),
            config_digest: "sha256:0".into(),
            accounts: BTreeMap::from([(key("default"), account)]),
            clusters: ["east", "west"].into_iter().map(|name| (key(name), cluster(name))).collect(),
            policies: BTreeMap::new(),
            roles: BTreeMap::new(),
            forget: Vec::new(),
            ignore_tags: Vec::new(),
            guard: Guard::default(),
            prune_paths: BTreeSet::new(),
            lock: None,
            ignores: Vec::new(),
        };
        let live = Live {
            accounts: BTreeMap::from([(key("default"), live_account())]),
            clusters: ["east", "west"].into_iter().map(|name| (key(name), live_cluster(name))).collect(),
        };
        let options = Options { now: NOW, ..Options::default() };
        Self { desired, live, options }
    }

    pub(crate) fn role(&mut self, name: &str, change: impl FnOnce(&mut Role)) {
        let mut role = role(name);
        change(&mut role);
        self.desired.roles.insert(key(name), role);
    }

    pub(crate) fn policy(&mut self, name: &str, document: PolicyDocument) {
        self.desired.policies.insert((key("default"), key(name)), policy(name, document));
    }

    pub(crate) fn plan(&mut self) -> Plan {
        // like `observe`, adds an entry for every declared object, also if it is absent
        let account = self.live.accounts.get_mut(&key("default")).unwrap();
        for role in self.desired.roles.values() {
            account.roles.entry(role.name.lower_case()).or_insert(Observed::Absent);
        }
        let declared = self.desired.roles.values().flat_map(|role| &role.attach).filter_map(|item| match item {
            Attachment::Arn(arn) => Some(arn.clone()),
            Attachment::Declared(_) => None,
        });
        let bounds = self.desired.roles.values().filter_map(|role| match &role.permissions_boundary {
            Boundary::Policy(arn) => Some(arn.clone()),
            Boundary::Undeclared | Boundary::None => None,
        });
        let live = account.roles.values().filter_map(Observed::present);
        let live = live.flat_map(|live| live.role.attached.iter().chain(&live.role.permissions_boundary)).cloned();
        let foreign: Vec<PolicyArn> = declared.chain(bounds).chain(live).filter(|arn| arn.account() == "aws").collect();
        for arn in foreign {
            let document = allow(&format!("{}:*", arn.name().to_lowercase()));
            account.foreign_policies.entry(arn).or_insert(Observed::Present(Some(document)));
        }
        let plan = plan(&self.desired, &self.live, &self.options, Vec::new());
        REFUSED.with_borrow_mut(|kinds| kinds.extend(plan.refused.iter().map(|item| item.kind)));
        for Refused { kind, why, .. } in &plan.refused {
            let page = crate::explain::page(kind.word()).unwrap_or_else(|| panic!("{kind:?} has no page"));
            let mut rest = why.as_str();
            for piece in page.title.split('…').map(str::trim).filter(|piece| !piece.is_empty()) {
                let Some((_, after)) = rest.split_once(piece) else { panic!("{kind:?} is no word for: {why}") };
                rest = after;
            }
        }
        plan
    }

    /// A plan without steps.
    pub(crate) fn empty_plan(&self) -> Plan {
        Plan {
            owner: self.desired.owner.clone(),
            config_digest: String::new(),
            options: self.options.clone(),
            steps: Vec::new(),
            refused: Vec::new(),
            refused_steps: Vec::new(),
            unknown: Vec::new(),
            notes: Vec::new(),
            ignored: Vec::new(),
            unchanged: Vec::new(),
            waiting: Vec::new(),
            unmatched: Vec::new(),
            names: ConfigKeys::default(),
        }
    }

    pub(crate) fn account(&mut self) -> &mut LiveAccount {
        self.live.accounts.get_mut(&key("default")).unwrap()
    }

    /// The credentials are those of another account.
    pub(crate) fn wrong_account(&mut self) {
        self.account().identity = Access::Wrong(
            RefusalKind::WrongAccount
                .because("its credentials are those of account 999999999999", "use another profile"),
        );
    }

    pub(crate) fn cluster(&mut self, name: &str) -> &mut LiveCluster {
        self.live.clusters.get_mut(&key(name)).unwrap()
    }
}

fn cluster(name: &str) -> Cluster {
    Cluster {
        account: key("default"),
        region: None,
        name: Some(ClusterName::parse(name).unwrap()),
        issuer: None,
        state: ClusterState::Active,
        kubernetes: KubernetesAccess { kubeconfig: None, context: Some(name.into()), unverified: false },
        unmanaged: false,
        origin: origin(),
    }
}

fn live_account() -> LiveAccount {
    let identity = Access::Granted(Identity {
        account: AccountId::parse("111122223333").unwrap(),
        partition: Partition::parse("aws").unwrap(),
        caller: "arn:aws:iam::111122223333:user/test".into(),
    });
    LiveAccount::without_objects(identity, Observed::Present(()))
}

fn live_cluster(name: &str) -> LiveCluster {
    LiveCluster {
        issuer: Observed::Present(IssuerUrl::parse(format!("https://oidc.example.com/id/{name}")).unwrap()),
        other_issuer: None,
        api: Access::Granted(()),
        extent: Extent::Whole,
        namespaces: BTreeMap::from([(Namespace::parse("apps").unwrap(), Observed::Present(NamespacePhase::Active))]),
        service_accounts: BTreeMap::new(),
    }
}

pub(crate) fn role(name: &str) -> Role {
    Role {
        name: RoleName::parse(name).unwrap(),
        account: key("default"),
        path: IamPath::parse("/irsa/team/").unwrap(),
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
        bindings: Vec::new(),
        adopt: Adopt::No,
        prevent_destroy: false,
        origin: origin(),
    }
}

fn policy(name: &str, document: PolicyDocument) -> Policy {
    Policy {
        name: PolicyName::parse(name).unwrap(),
        path: IamPath::parse("/irsa/team/").unwrap(),
        description: String::new(),
        document,
        tags: StringMap::new(),
        adopt: Adopt::No,
        prevent_destroy: false,
        origin: origin(),
    }
}

/// A binding to `apps/<name>` in `cluster`.
pub(crate) fn binding(cluster: &str, name: &str) -> Binding {
    Binding {
        cluster: key(cluster),
        subject: Subject::Exact(Namespace::parse("apps").unwrap(), ServiceAccountName::parse(name).unwrap()),
        manage: Manage::Create,
        audience: None,
        token_expiration: None,
        sts_regional_endpoints: None,
        metadata: None,
        origin: origin(),
    }
}

pub(crate) fn declared(name: &str) -> Attachment {
    Attachment::Declared(key(name))
}
