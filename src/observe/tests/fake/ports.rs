//! The traits of `world` for the in-memory world.

use super::World;
use crate::ids::{Key, Namespace, PolicyArn, PolicyName, ProviderArn, RoleName, ServiceAccountName};
use crate::model::call::{Call, IamCall, KubernetesCall};
use crate::model::live::{
    Access, Identity, LiveAccount, LiveCluster, LivePolicy, LiveProvider, LiveRole, LiveServiceAccount, NamespacePhase,
    Observed, RoleSummary,
};
use crate::model::marks::OWNER;
use crate::model::refusal::Refusal;
use crate::model::resource::{Role, StringMap};
use crate::plan::tests::kit::allow;
use crate::plan::tests::simulate::summary;
use crate::policy::PolicyDocument;
use crate::world::{
    AccountSummary, Answer, BulkPage, ClusterFacts, Listed, PolicySummary, ReadAws, ReadKubernetes, RoleAttributes,
    RoleDetail, ServiceAccountList, ServiceAccountScope, WriteAws, WriteKubernetes, Written,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A role without its instance profiles, which are another call.
fn shown(role: &LiveRole) -> LiveRole {
    LiveRole { instance_profiles: Vec::new(), ..role.clone() }
}

fn item(item: &LiveServiceAccount) -> LiveServiceAccount {
    LiveServiceAccount { pods: None, ..item.clone() }
}

fn role<'a>(account: &'a LiveAccount, name: &RoleName) -> Option<&'a LiveRole> {
    account.roles.get(&name.lower_case()).and_then(Observed::present)
}

impl ReadAws for World {
    async fn sign_in(&self, _: &Key) {
        self.signed_in().await;
    }

    async fn identity(&self, account: &Key) -> Answer<Identity> {
        let identity = self.account("sts:GetCallerIdentity", account, |live| live.identity.clone()).await?;
        match identity {
            Access::Granted(identity) => Ok(identity),
            Access::Wrong(Refusal { why, .. }) | Access::Unknown(why) => panic!("the world itself is unknown: {why}"),
        }
    }

    async fn summary(&self, account: &Key) -> Answer<AccountSummary> {
        let tell = |live: &LiveAccount| AccountSummary { quotas: live.quotas, roles: Some(live.roles.len()) };
        self.account("iam:GetAccountSummary", account, tell).await
    }

    async fn roles(&self, account: &Key) -> Answer<Listed<RoleSummary>> {
        let list = |live: &LiveAccount| {
            let items = live.roles.values().filter_map(Observed::present).map(summary).collect();
            Listed { items, malformed: live.malformed.clone() }
        };
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

    fn estimate_one_by_one(&self, _: &Key, roles: usize) -> Duration {
        Duration::from_secs_f64(f64::from(u32::try_from(roles.saturating_sub(15)).unwrap()) / 15.0)
    }

    async fn role_attributes(&self, account: &Key, name: &RoleName) -> Answer<Option<RoleAttributes>> {
        let head = |live: &LiveAccount| {
            role(live, name).map(|role| RoleAttributes {
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

    async fn role_tags(&self, account: &Key, name: &RoleName) -> Answer<Option<StringMap>> {
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

    async fn policies(&self, account: &Key) -> Answer<Listed<PolicySummary>> {
        let list = |live: &LiveAccount| {
            let policies = live.policies.iter().filter_map(|(arn, policy)| Some((arn, policy.present()?)));
            let items: Vec<_> = policies
                .map(|(arn, live)| PolicySummary {
                    arn: arn.clone(),
                    name: live.policy.name.clone(),
                    path: live.policy.path.to_string(),
                })
                .collect();
            items.into()
        };
        self.account("iam:ListPolicies", account, list).await
    }

    async fn policy(&self, account: &Key, arn: &PolicyArn) -> Answer<Option<LivePolicy>> {
        let policy = |live: &LiveAccount| live.policies.get(arn).and_then(Observed::present).cloned();
        self.account(&format!("iam:GetPolicy {}", arn.name()), account, policy).await
    }

    async fn any_policy(
        &self,
        account: &Key,
        arn: &PolicyArn,
        document: bool,
    ) -> Answer<Option<Option<PolicyDocument>>> {
        let policy = |live: &LiveAccount| {
            let ours = live.policies.get(arn).and_then(Observed::present).map(|live| live.policy.document.clone());
            let known = live.foreign_policies.get(arn).and_then(Observed::present).cloned().flatten().or(ours);
            // every AWS managed policy exists, and allows something
            let found = known.or_else(|| (arn.account() == "aws").then(|| allow(&format!("{}:*", arn.name()))));
            found.map(|found| document.then_some(found))
        };
        self.account(&format!("iam:GetPolicy {}", arn.name()), account, policy).await
    }

    async fn policy_tags(&self, account: &Key, arn: &PolicyArn) -> Answer<Option<StringMap>> {
        let tags = |live: &LiveAccount| {
            live.policies.get(arn).and_then(Observed::present).map(|policy| policy.policy.tags.clone())
        };
        self.account(&format!("iam:ListPolicyTags {}", arn.name()), account, tags).await
    }

    async fn providers(&self, account: &Key) -> Answer<Listed<ProviderArn>> {
        let list = |live: &LiveAccount| live.providers.keys().cloned().collect::<Vec<_>>().into();
        self.account("iam:ListOpenIDConnectProviders", account, list).await
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
    async fn connect(&self, cluster: &Key, _: &ClusterFacts) -> Access<()> {
        match self.cluster_of("verify", cluster, |live| live.api.clone()).await {
            Ok(access) => access,
            Err(error) => Access::Unknown(error.to_string()),
        }
    }

    async fn service_accounts(&self, cluster: &Key, within: ServiceAccountScope<'_>) -> Answer<ServiceAccountList> {
        let is_within = |live: &LiveServiceAccount| match within {
            ServiceAccountScope::Cluster => true,
            ServiceAccountScope::Namespace(namespace) => live.namespace == *namespace,
            ServiceAccountScope::Owner(owner) => live.labels.get(OWNER).is_some_and(|label| label == owner.as_str()),
        };
        let list = |live: &LiveCluster| {
            let all = live.service_accounts.values().filter_map(Observed::present);
            let items = all.filter(|live| is_within(live)).map(item).collect();
            ServiceAccountList { items, malformed: self.malformed.clone() }
        };
        let call = match within {
            ServiceAccountScope::Cluster => "list:all".to_owned(),
            ServiceAccountScope::Namespace(namespace) => format!("list:namespace {namespace}"),
            ServiceAccountScope::Owner(owner) => format!("list:owner {owner}"),
        };
        self.cluster_of(&call, cluster, list).await
    }

    async fn service_accounts_unless_long(
        &self,
        cluster: &Key,
        max_remaining: i64,
    ) -> Answer<Option<ServiceAccountList>> {
        if self.left > max_remaining {
            return self.cluster_of("list:first-page", cluster, |_| None).await;
        }
        self.service_accounts(cluster, ServiceAccountScope::Cluster).await.map(Some)
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

    async fn namespaces(&self, cluster: &Key) -> Answer<BTreeMap<Namespace, NamespacePhase>> {
        let there = |(name, seen): (&Namespace, &Observed<NamespacePhase>)| Some((name.clone(), *seen.present()?));
        self.cluster_of("list:namespaces", cluster, |live| live.namespaces.iter().filter_map(there).collect()).await
    }

    async fn namespace(&self, cluster: &Key, namespace: &Namespace) -> Answer<Option<NamespacePhase>> {
        let there = |live: &LiveCluster| live.namespaces.get(namespace)?.present().copied();
        self.cluster_of(&format!("get:namespace {namespace}"), cluster, there).await
    }

    async fn pods(&self, cluster: &Key, namespace: &Namespace, name: &ServiceAccountName) -> Answer<Vec<String>> {
        let spot = (namespace.clone(), name.clone());
        let pods = |live: &LiveCluster| {
            let item = live.service_accounts.get(&spot).and_then(Observed::present);
            item.and_then(|item| item.pods.as_ref()?.present().cloned()).unwrap_or_default()
        };
        self.cluster_of(&format!("list:pods {namespace}/{name}"), cluster, pods).await
    }
}

impl WriteAws for World {
    async fn write(&self, account: &Key, call: &IamCall) -> Answer<Written> {
        // the debug text of a call begins with the name or ARN of its object
        let text = format!("{call:?}");
        let name = text.split('"').nth(1).unwrap_or_default().to_lowercase();
        self.write_call(account, format!("{account} {name}"), Call::Iam(account.clone(), call.clone())).await
    }
}

impl WriteKubernetes for World {
    async fn write(&self, cluster: &Key, call: &KubernetesCall, _: Option<&str>) -> Answer<Written> {
        let item = call.object();
        let object = format!("{cluster} {}/{}", item.namespace, item.name);
        self.write_call(cluster, object, Call::Kubernetes(cluster.clone(), call.clone())).await
    }
}
