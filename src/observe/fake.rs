//! A world in memory behind the ports: it counts calls, fails where it is told to, and lets others write in between.
//!
//! What it has is a `Live` in which everything is Present, whoever owns it; what is asked of it comes back as the real
//! ports would give it.

use crate::ids::{Key, Namespace, PolicyArn, PolicyName, ProviderArn, RoleName, ServiceAccountName};
use crate::model::call::{Call, IamCall, KubernetesCall};
use crate::model::live::{
    Access, Identity, Live, LiveAccount, LiveCluster, LivePolicy, LiveProvider, LiveRole, LiveServiceAccount, Observed,
    RoleSummary,
};
use crate::model::marks::OWNER;
use crate::model::resource::{Pairs, Role};
use crate::plan::tests::simulate::{self, summary};
use crate::policy::PolicyDocument;
use crate::world::{
    AccountSummary, Answer, BulkPage, CallError, CallErrorKind, ClusterFacts, PolicySummary, ReadAws, ReadKubernetes,
    RoleDetail, RoleHead, Within, WriteAws, WriteKubernetes, Written,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Someone who sees every call right before it is carried out, and may change the world first.
type Hook = Box<dyn FnMut(&str, &mut Live) + Send>;

/// A call that is to fail.
struct Fault {
    /// The beginning of its line in the log.
    call: String,
    kind: CallErrorKind,
    /// Whether it is carried out before its answer is lost.
    lost: bool,
}

/// How many writes are under way.
#[derive(Default)]
struct Flight {
    /// By account or cluster: now, and at most.
    places: BTreeMap<String, (usize, usize)>,
    /// The objects that are being written to.
    objects: BTreeSet<String>,
}

/// The world.
pub(crate) struct World {
    live: Mutex<Live>,
    log: Mutex<Vec<String>>,
    faults: Mutex<Vec<Fault>>,
    hook: Mutex<Option<Hook>>,
    flight: Mutex<Flight>,
    /// How many turns of the scheduler a call takes.
    pub turns: usize,
    /// How long a page in bulk takes.
    page: Duration,
    /// How many ServiceAccounts every cluster says are left after the first page.
    left: i64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    pub(crate) fn new(live: Live) -> Self {
        Self {
            live: Mutex::new(live),
            log: Mutex::default(),
            faults: Mutex::default(),
            hook: Mutex::default(),
            flight: Mutex::default(),
            turns: 3,
            page: Duration::ZERO,
            left: 0,
        }
    }

    /// A page in bulk takes so long.
    pub(crate) fn with_pages_of(self, page: Duration) -> Self {
        Self { page, ..self }
    }

    /// Every cluster says that so many ServiceAccounts are left after the first page.
    pub(crate) fn with_left_to_list(self, left: i64) -> Self {
        Self { left, ..self }
    }

    /// Every call whose line in the log begins so fails in this way.
    pub(crate) fn fail(&self, call: &str, kind: CallErrorKind) {
        lock(&self.faults).push(Fault { call: call.into(), kind, lost: false });
    }

    /// The calls are carried out, and their answers lost.
    pub(crate) fn lose(&self, call: &str) {
        lock(&self.faults).push(Fault { call: call.into(), kind: CallErrorKind::Unavailable, lost: true });
    }

    /// No call fails any more, and nobody writes in between.
    pub(crate) fn heal(&self) {
        lock(&self.faults).clear();
        *lock(&self.hook) = None;
    }

    pub(crate) fn hook(&self, hook: impl FnMut(&str, &mut Live) + Send + 'static) {
        *lock(&self.hook) = Some(Box::new(hook));
    }

    pub(crate) fn live(&self) -> Live {
        lock(&self.live).clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Live)) {
        change(&mut lock(&self.live));
    }

    /// The calls so far, and none from now on.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.log))
    }

    /// How many calls there were of each operation.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in lock(&self.log).iter() {
            *counts.entry(line.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        counts
    }

    /// The most writes that were under way at once in one account or cluster.
    pub(crate) fn most_at_once(&self) -> usize {
        lock(&self.flight).places.values().map(|(_, most)| *most).max().unwrap_or_default()
    }

    async fn take_turns(&self) {
        for _ in 0..self.turns {
            tokio::task::yield_now().await;
        }
    }

    fn fault(&self, line: &str) -> Option<(CallError, bool)> {
        let faults = lock(&self.faults);
        let fault = faults.iter().find(|fault| line.starts_with(&fault.call))?;
        let error = CallError {
            operation: line.split(' ').next().unwrap_or_default().to_owned(),
            kind: fault.kind,
            code: Some(format!("{:?}", fault.kind)),
            message: format!("told to fail: {line}"),
            request_id: Some("request-1".into()),
        };
        Some((error, fault.lost))
    }

    fn announce(&self, line: &str) {
        lock(&self.log).push(line.to_owned());
        if let Some(hook) = lock(&self.hook).as_mut() {
            hook(line, &mut lock(&self.live));
        }
    }

    async fn read<T>(&self, line: String, read: impl FnOnce(&Live) -> T) -> Answer<T> {
        self.announce(&line);
        self.take_turns().await;
        match self.fault(&line) {
            Some((error, _)) => Err(error),
            None => Ok(read(&lock(&self.live))),
        }
    }

    async fn account<T>(&self, call: &str, account: &Key, read: impl FnOnce(&LiveAccount) -> T) -> Answer<T> {
        let (operation, subject) = call.split_once(' ').unwrap_or((call, ""));
        let line = format!("{operation} {account} {subject}").trim_end().to_owned();
        self.read(line, |live| read(&live.accounts[account])).await
    }

    async fn cluster_of<T>(&self, call: &str, cluster: &Key, read: impl FnOnce(&LiveCluster) -> T) -> Answer<T> {
        let (operation, subject) = call.split_once(' ').unwrap_or((call, ""));
        let line = format!("{operation} {cluster} {subject}").trim_end().to_owned();
        self.read(line, |live| read(&live.clusters[cluster])).await
    }

    async fn write_call(&self, place: &Key, object: String, call: Call) -> Answer<Written> {
        let line = format!("{} {object}", call.operation().replace(' ', ":"));
        self.announce(&line);
        {
            let mut flight = lock(&self.flight);
            assert!(flight.objects.insert(object.clone()), "{object} is written to twice at once");
            let (now, most) = flight.places.entry(place.to_string()).or_default();
            *now += 1;
            *most = (*most).max(*now);
        }
        self.take_turns().await;
        let fault = self.fault(&line);
        let answer = match &fault {
            Some((error, false)) => Err(error.clone()),
            _ => simulate::call(&mut lock(&self.live), &call).map_err(|why| refusal(&call, why)),
        };
        let mut flight = lock(&self.flight);
        flight.objects.remove(&object);
        if let Some((now, _)) = flight.places.get_mut(place.as_str()) {
            *now -= 1;
        }
        answer?;
        match fault {
            Some((error, _)) => Err(error),
            None => Ok(Written::default()),
        }
    }
}

fn refusal(call: &Call, why: String) -> CallError {
    // the ports have no such check: a write past what is there would have gone through
    assert!(!why.contains("planned from"), "written over what was not looked at: {why}");
    let kind = match why.as_str() {
        "there is one already" => CallErrorKind::AlreadyExists,
        "DeleteConflict" => CallErrorKind::Conflict,
        text if text.starts_with("no ") || text == "gone" => CallErrorKind::NotFound,
        _ => CallErrorKind::Other,
    };
    CallError { operation: call.operation(), kind, code: None, message: why, request_id: None }
}

/// A role as a read shows it: instance profiles are another call.
fn shown(role: &LiveRole) -> LiveRole {
    LiveRole { instance_profiles: Vec::new(), ..role.clone() }
}

fn item(item: &LiveServiceAccount) -> LiveServiceAccount {
    LiveServiceAccount { pods: Observed::Unknown("not asked".into()), ..item.clone() }
}

fn role<'a>(account: &'a LiveAccount, name: &RoleName) -> Option<&'a LiveRole> {
    account.roles.get(&name.folded()).and_then(Observed::present)
}

impl ReadAws for World {
    async fn identity(&self, account: &Key) -> Answer<Identity> {
        let identity = self.account("sts:GetCallerIdentity", account, |live| live.identity.clone()).await?;
        match identity {
            Access::Granted(identity) => Ok(identity),
            Access::Wrong(why, _) | Access::Unknown(why) => panic!("the world itself is unknown: {why}"),
        }
    }

    async fn summary(&self, account: &Key) -> Answer<AccountSummary> {
        let tell = |live: &LiveAccount| AccountSummary { quotas: live.quotas, roles: Some(live.roles.len()) };
        self.account("iam:GetAccountSummary", account, tell).await
    }

    async fn roles(&self, account: &Key) -> Answer<Vec<RoleSummary>> {
        let list = |live: &LiveAccount| live.roles.values().filter_map(Observed::present).map(summary).collect();
        self.account("iam:ListRoles", account, list).await
    }

    async fn bulk_page(&self, account: &Key, page: Option<&str>) -> Answer<BulkPage> {
        let list = |live: &LiveAccount| {
            let mut rest = live.roles.iter().filter(|(name, _)| page.is_none_or(|page| name.as_str() >= page));
            let taken: Vec<LiveRole> =
                rest.by_ref().take(1000).filter_map(|(_, role)| role.present()).map(shown).collect();
            let next = rest.next().map(|(name, _)| name.clone());
            let roles = taken.into_iter().map(|role| {
                RoleDetail::new(role.role.name.clone(), move |summary| {
                    let RoleSummary { description, max_session_duration, .. } = summary.clone();
                    Ok(LiveRole { role: Role { description, max_session_duration, ..role.role }, ..role })
                })
            });
            BulkPage { roles: roles.collect(), next }
        };
        let answer = self.account("iam:GetAccountAuthorizationDetails", account, list).await;
        if !self.page.is_zero() {
            tokio::time::sleep(self.page).await;
        }
        answer
    }

    fn one_by_one(&self, _: &Key, roles: usize) -> Duration {
        Duration::from_secs_f64(f64::from(u32::try_from(roles.saturating_sub(15)).unwrap()) / 15.0)
    }

    async fn role_head(&self, account: &Key, name: &RoleName) -> Answer<Option<RoleHead>> {
        let head = |live: &LiveAccount| {
            role(live, name).map(|role| RoleHead {
                summary: summary(role),
                tags: role.role.tags.clone(),
                permissions_boundary: role.role.permissions_boundary.clone(),
                last_used: role.last_used,
            })
        };
        self.account(&format!("iam:GetRole {name}"), account, head).await
    }

    async fn role(&self, account: &Key, name: &RoleName, _: &BTreeSet<PolicyName>) -> Answer<Option<LiveRole>> {
        self.account(&format!("iam:GetWholeRole {name}"), account, |live| role(live, name).map(shown)).await
    }

    async fn role_tags(&self, account: &Key, name: &RoleName) -> Answer<Option<Pairs>> {
        let tags = |live: &LiveAccount| role(live, name).map(|role| role.role.tags.clone());
        self.account(&format!("iam:ListRoleTags {name}"), account, tags).await
    }

    async fn attached(&self, account: &Key, name: &RoleName) -> Answer<Option<BTreeSet<PolicyArn>>> {
        let attached = |live: &LiveAccount| role(live, name).map(|role| role.role.attached.clone());
        self.account(&format!("iam:ListAttachedRolePolicies {name}"), account, attached).await
    }

    async fn inline_names(&self, account: &Key, name: &RoleName) -> Answer<Option<BTreeSet<PolicyName>>> {
        let names = |live: &LiveAccount| role(live, name).map(|role| role.role.inline.keys().cloned().collect());
        self.account(&format!("iam:ListRolePolicies {name}"), account, names).await
    }

    async fn inline(&self, account: &Key, name: &RoleName, policy: &PolicyName) -> Answer<Option<PolicyDocument>> {
        let document = |live: &LiveAccount| role(live, name).and_then(|role| role.role.inline.get(policy).cloned());
        self.account(&format!("iam:GetRolePolicy {name} {policy}"), account, document).await
    }

    async fn instance_profiles(&self, account: &Key, name: &RoleName) -> Answer<Vec<String>> {
        let profiles =
            |live: &LiveAccount| role(live, name).map(|role| role.instance_profiles.clone()).unwrap_or_default();
        self.account(&format!("iam:ListInstanceProfilesForRole {name}"), account, profiles).await
    }

    async fn policies(&self, account: &Key) -> Answer<Vec<PolicySummary>> {
        let list = |live: &LiveAccount| {
            let policies = live.policies.iter().filter_map(|(arn, policy)| Some((arn, policy.present()?)));
            policies
                .map(|(arn, live)| PolicySummary {
                    arn: arn.clone(),
                    name: live.policy.name.clone(),
                    path: live.policy.path.to_string(),
                })
                .collect()
        };
        self.account("iam:ListPolicies", account, list).await
    }

    async fn policy(&self, account: &Key, arn: &PolicyArn) -> Answer<Option<LivePolicy>> {
        let policy = |live: &LiveAccount| live.policies.get(arn).and_then(Observed::present).cloned();
        self.account(&format!("iam:GetPolicy {}", arn.name()), account, policy).await
    }

    async fn policy_tags(&self, account: &Key, arn: &PolicyArn) -> Answer<Option<Pairs>> {
        let tags = |live: &LiveAccount| {
            live.policies.get(arn).and_then(Observed::present).map(|policy| policy.policy.tags.clone())
        };
        self.account(&format!("iam:ListPolicyTags {}", arn.name()), account, tags).await
    }

    async fn providers(&self, account: &Key) -> Answer<Vec<ProviderArn>> {
        self.account("iam:ListOpenIDConnectProviders", account, |live| live.providers.keys().cloned().collect()).await
    }

    async fn provider(&self, account: &Key, arn: &ProviderArn) -> Answer<Option<LiveProvider>> {
        let provider = |live: &LiveAccount| live.providers.get(arn).and_then(Observed::present).cloned();
        self.account(&format!("iam:GetOpenIDConnectProvider {}", arn.host_path()), account, provider).await
    }

    async fn cluster(&self, cluster: &Key) -> Answer<Option<ClusterFacts>> {
        let facts = |live: &LiveCluster| {
            live.issuer.present().map(|issuer| ClusterFacts {
                issuer: Some(issuer.clone()),
                endpoint: Some("https://api.example.com".into()),
                certificate_authority: None,
                status: "ACTIVE".into(),
            })
        };
        self.cluster_of("eks:DescribeCluster", cluster, facts).await
    }
}

impl ReadKubernetes for World {
    async fn verify(&self, cluster: &Key, _: &ClusterFacts) -> Access<()> {
        match self.cluster_of("verify", cluster, |live| live.api.clone()).await {
            Ok(access) => access,
            Err(error) => Access::Unknown(error.to_string()),
        }
    }

    async fn service_accounts(&self, cluster: &Key, within: Within<'_>) -> Answer<Vec<LiveServiceAccount>> {
        let is_within = |live: &LiveServiceAccount| match within {
            Within::Cluster => true,
            Within::Namespace(namespace) => live.namespace == *namespace,
            Within::Owner(owner) => live.labels.get(OWNER).is_some_and(|label| label == owner.as_str()),
        };
        let list = |live: &LiveCluster| {
            let all = live.service_accounts.values().filter_map(Observed::present);
            all.filter(|live| is_within(live)).map(item).collect()
        };
        let call = match within {
            Within::Cluster => "list:all".to_owned(),
            Within::Namespace(namespace) => format!("list:namespace {namespace}"),
            Within::Owner(owner) => format!("list:owner {owner}"),
        };
        self.cluster_of(&call, cluster, list).await
    }

    async fn service_accounts_unless_long(
        &self,
        cluster: &Key,
        patience: i64,
    ) -> Answer<Option<Vec<LiveServiceAccount>>> {
        if self.left > patience {
            return self.cluster_of("list:first-page", cluster, |_| None).await;
        }
        self.service_accounts(cluster, Within::Cluster).await.map(Some)
    }

    async fn service_account(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
    ) -> Answer<Option<LiveServiceAccount>> {
        let spot = (namespace.clone(), name.clone());
        let get = |live: &LiveCluster| live.service_accounts.get(&spot).and_then(Observed::present).map(item);
        self.cluster_of(&format!("get {namespace}/{name}"), cluster, get).await
    }

    async fn namespaces(&self, cluster: &Key) -> Answer<BTreeSet<Namespace>> {
        self.cluster_of("list:namespaces", cluster, |live| live.namespaces.keys().cloned().collect()).await
    }

    async fn namespace(&self, cluster: &Key, namespace: &Namespace) -> Answer<bool> {
        let there = |live: &LiveCluster| live.namespaces.contains_key(namespace);
        self.cluster_of(&format!("get:namespace {namespace}"), cluster, there).await
    }

    async fn pods(&self, cluster: &Key, namespace: &Namespace, name: &ServiceAccountName) -> Answer<Vec<String>> {
        let spot = (namespace.clone(), name.clone());
        let pods = |live: &LiveCluster| {
            let item = live.service_accounts.get(&spot).and_then(Observed::present);
            item.and_then(|item| item.pods.present().cloned()).unwrap_or_default()
        };
        self.cluster_of(&format!("list:pods {namespace}/{name}"), cluster, pods).await
    }
}

impl WriteAws for World {
    async fn write(&self, account: &Key, call: &IamCall) -> Answer<Written> {
        // every call begins with the name or ARN of the object that it writes to
        let text = format!("{call:?}");
        let name = text.split('"').nth(1).unwrap_or_default().to_lowercase();
        self.write_call(account, format!("{account} {name}"), Call::Iam(account.clone(), call.clone())).await
    }
}

impl WriteKubernetes for World {
    async fn write(&self, cluster: &Key, call: &KubernetesCall) -> Answer<Written> {
        let (KubernetesCall::Create { service_account: from }
        | KubernetesCall::Apply { from, .. }
        | KubernetesCall::Release { from, .. }
        | KubernetesCall::Delete { from, .. }) = call;
        let object = format!("{cluster} {}/{}", from.namespace, from.name);
        self.write_call(cluster, object, Call::Kubernetes(cluster.clone(), call.clone())).await
    }
}
