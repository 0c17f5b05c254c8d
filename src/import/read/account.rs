//! Reads the objects of an account.

use crate::ids::{IamPath, Key, PolicyArn, ProviderArn, RoleArn};
use crate::import::draft::owner;
use crate::import::{Scope, SeenAccount, SeenCluster, Unread, select};
use crate::model::desired::Account;
use crate::model::live::{Identity, LivePolicy, LiveProvider, LiveRole, RoleSummary};
use crate::model::marks::default_path;
use crate::model::resource::StringMap;
use crate::policy::trust::SUBJECT_PREFIX;
use crate::world::{Answer, Listed, PolicySummary, ReadAws, RoleDetail};
use futures::future::{join, join_all};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Semaphore;

/// Up to this many roles are read one by one, with four calls each. More are read in bulk, a thousand in one call.
const FEW_ROLES: usize = 30;

pub(super) struct AccountReader<'a, A> {
    pub key: &'a Key,
    pub identity: &'a Identity,
    pub aws: &'a A,
    pub scope: &'a Scope,
    /// Whether the configuration is new.
    pub is_new: bool,
    pub slots: Semaphore,
}

/// The lists of the account: roles, OIDC providers, and for a new configuration policies.
pub(super) type Lists =
    (Answer<Listed<RoleSummary>>, Answer<Listed<ProviderArn>>, Option<Answer<Listed<PolicySummary>>>);

/// What was read of an account.
pub(super) struct AccountRead {
    pub account: SeenAccount,
    /// What could not be read.
    pub unseen: Vec<String>,
    /// The namespaces of the ServiceAccounts that its roles trust.
    pub trusted: BTreeSet<String>,
}

/// The objects that were read, and what could not be read.
type Objects<T> = (T, Vec<String>);

/// The roles that were read.
#[derive(Default)]
struct Roles {
    read: Vec<LiveRole>,
    /// Those with the owner's tag, also ones that are not in `roles`: what each is called, by its ARN.
    owned: BTreeMap<String, String>,
    /// The lower-case names of the selected ones that could not be read.
    unread: BTreeSet<String>,
    unseen: Vec<String>,
}

impl<A: ReadAws> AccountReader<'_, A> {
    /// Reads the account. `clusters` are those that were read.
    pub(super) async fn read(
        &self,
        account: Account,
        (roles, providers, policies): Lists,
        clusters: &BTreeMap<Key, SeenCluster>,
    ) -> AccountRead {
        let Self { identity, scope, is_new, .. } = *self;
        let mut unseen = Vec::new();
        let mut unread = Unread::default();
        let list = roles.unwrap_or_else(|error| {
            unseen.push(format!("roles: {error}"));
            unread.all_roles = true;
            Vec::new().into()
        });
        unseen.extend(list.malformed.iter().map(|entry| format!("role `{}`: {}", entry.name, entry.why)));
        unread.roles.extend(list.malformed.iter().map(|entry| entry.name.to_lowercase()));
        let providers: Option<BTreeSet<ProviderArn>> = match providers {
            Ok(list) => Some(list.items.into_iter().collect()),
            Err(error) => {
                unseen.push(format!("OIDC providers: {error}"));
                None
            }
        };
        let listed_providers = providers.clone();
        let selected = select::roles(&list.items, identity, clusters, scope);
        let others = if is_new { select::others(&list.items, &selected, clusters, scope) } else { Vec::new() };
        let issuers: BTreeSet<&str> = clusters.values().map(|cluster| cluster.issuer.host_path()).collect();
        let is_wanted = |arn: &ProviderArn| is_new || issuers.contains(arn.host_path());
        let providers = providers.into_iter().flatten().filter(is_wanted).collect();
        let (roles, (providers, no_providers)) = join(self.roles(&selected, &others), self.providers(providers)).await;
        unread.roles.extend(roles.unread);
        let attached: BTreeSet<&PolicyArn> =
            roles.read.iter().flat_map(|role| &role.role.attached).filter(|arn| arn.account() != "aws").collect();
        let (attached, no_policies) = self.policies(attached).await;
        unseen.extend(roles.unseen.into_iter().chain(no_policies));
        unseen.extend(no_providers.iter().map(|(arn, why)| format!("`{arn}`: {why}")));
        unread.providers.extend(no_providers.into_keys());
        let mut owned = roles.owned;
        if let Some(policies) = policies {
            let (of_policies, no_policies) = self.owned_policies(policies, &attached).await;
            unseen.extend(no_policies);
            owned.extend(of_policies);
        }
        let tagged = providers.iter().filter(|(_, live)| self.is_ours(&live.provider.tags));
        owned.extend(tagged.map(|(arn, _)| (arn.to_string(), format!("OIDC provider `{arn}`"))));
        let account = SeenAccount {
            account,
            identity: identity.clone(),
            roles: roles.read,
            policies: attached,
            providers: providers.into_iter().map(|(arn, live)| (arn, live.provider.audiences)).collect(),
            listed_providers,
            unread,
            owned,
        };
        AccountRead { account, unseen, trusted: trusted_namespaces(&list.items) }
    }

    async fn object<T>(&self, read: impl Future<Output = T>) -> T {
        // never closed
        let _slot = self.slots.acquire().await;
        read.await
    }

    fn is_ours(&self, tags: &StringMap) -> bool {
        owner(tags) == Some(self.scope.owner.as_str())
    }

    /// Reads the selected roles in full. Of the other ones, reads the tags, and those with the owner's tag in full if the
    /// scope allows. Reads in bulk if there are many.
    async fn roles(&self, selected: &[&RoleSummary], others: &[&RoleSummary]) -> Roles {
        let both: Vec<&RoleSummary> = selected.iter().chain(others).copied().collect();
        let mut bulk = if both.len() > FEW_ROLES { self.bulk(&both).await } else { BTreeMap::new() };
        let mut in_bulk = |summary: &RoleSummary| bulk.remove(&summary.name.lower_case())?.joined(summary).ok();
        let mut read = Roles::default();
        let (mut left, mut untold) = (Vec::new(), Vec::new());
        for summary in selected {
            match in_bulk(summary) {
                Some(role) => read.read.push(role),
                None => left.push(*summary),
            }
        }
        for summary in others {
            match in_bulk(summary) {
                Some(role) if self.is_ours(&role.role.tags) => {
                    self.own(&mut read, summary);
                    read.read.extend(self.is_taken_in(summary).then_some(role));
                }
                Some(_) => {}
                None => untold.push(*summary),
            }
        }
        let tags = untold.iter().map(|summary| self.object(self.aws.role_tags(self.key, &summary.name)));
        let mut failed = Vec::new();
        for (summary, tags) in untold.iter().zip(join_all(tags).await) {
            match tags {
                Ok(Some(tags)) if self.is_ours(&tags) => {
                    self.own(&mut read, summary);
                    left.extend(self.is_taken_in(summary).then_some(*summary));
                }
                Ok(_) => {}
                Err(error) => failed.push((summary, error)),
            }
        }
        if let Some((first, error)) = failed.first() {
            let more = if failed.len() == 1 { String::new() } else { format!(" and of {} more", failed.len() - 1) };
            read.unseen.push(format!("the tags of role `{}`{more}: {error}", first.name));
        }
        let none = BTreeSet::new();
        let one_by_one = left.iter().map(|summary| self.object(self.aws.role(self.key, &summary.name, &none)));
        for (summary, role) in left.iter().zip(join_all(one_by_one).await) {
            match role {
                Ok(role) => read.read.extend(role),
                Err(error) => {
                    read.unseen.push(format!("role `{}`: {error}", summary.name));
                    read.unread.insert(summary.name.lower_case());
                }
            }
        }
        let tagged = read.read.iter().filter(|role| self.is_ours(&role.role.tags));
        let tagged: Vec<(String, String)> =
            tagged.map(|role| (role.arn.to_string(), self.called(role.role.name.as_str()))).collect();
        read.owned.extend(tagged);
        read
    }

    /// Whether a role is imported because of its tag: if `--role` names it, and no `--namespace` leaves it out.
    fn is_taken_in(&self, summary: &RoleSummary) -> bool {
        self.scope.namespaces.is_empty() && self.scope.has_role(summary.name.as_str())
    }

    fn called(&self, role: &str) -> String {
        format!("role `{role}` in account `{}`", self.key)
    }

    fn own(&self, read: &mut Roles, summary: &RoleSummary) {
        let Identity { partition, account, .. } = self.identity;
        let Ok(path) = IamPath::parse(summary.path.as_str()) else { return };
        let arn = RoleArn::of(partition, account, &path, &summary.name);
        read.owned.insert(arn.to_string(), self.called(summary.name.as_str()));
    }

    /// The policies with the owner's tag at which a plan of the result would look: the ones in `known`, which the result
    /// may declare, and those under a path where the result has policies.
    async fn owned_policies(
        &self,
        listed: Answer<Listed<PolicySummary>>,
        known: &BTreeMap<PolicyArn, LivePolicy>,
    ) -> Objects<BTreeMap<String, String>> {
        let called = |arn: &PolicyArn| (arn.to_string(), format!("policy `{arn}`"));
        let of_known = known.iter().filter(|(_, live)| self.is_ours(&live.policy.tags)).map(|(arn, _)| called(arn));
        let mut owned: BTreeMap<String, String> = of_known.collect();
        let listed = match listed {
            Ok(list) => list.items,
            Err(error) => return (owned, vec![format!("policies: {error}")]),
        };
        let own = default_path(self.scope.owner.as_str());
        let mut paths: BTreeSet<&str> = [own.as_str()].into();
        paths.extend(known.values().map(|live| live.policy.path.as_str()));
        let is_candidate = |policy: &&PolicySummary| {
            !known.contains_key(&policy.arn) && paths.iter().any(|path| policy.path.starts_with(path))
        };
        let candidates: Vec<&PolicySummary> = listed.iter().filter(is_candidate).collect();
        let tags = candidates.iter().map(|policy| self.object(self.aws.policy_tags(self.key, &policy.arn)));
        let mut unseen = Vec::new();
        for (policy, tags) in candidates.iter().zip(join_all(tags).await) {
            match tags {
                Ok(Some(tags)) if self.is_ours(&tags) => owned.extend([called(&policy.arn)]),
                Ok(_) => {}
                Err(error) => unseen.push(format!("the tags of policy `{}`: {error}", policy.arn)),
            }
        }
        (owned, unseen)
    }

    /// The pages of GetAccountAuthorizationDetails, up to the last selected role. Stops at the first error: the roles that
    /// are missing are read one by one.
    async fn bulk(&self, selected: &[&RoleSummary]) -> BTreeMap<String, RoleDetail> {
        let names: BTreeSet<String> = selected.iter().map(|summary| summary.name.lower_case()).collect();
        let mut found = BTreeMap::new();
        let mut page = None;
        while let Ok(read) = self.aws.bulk_page(self.key, page.as_deref()).await {
            let roles = read.roles.into_iter().map(|role| (role.name.lower_case(), role));
            found.extend(roles.filter(|(name, _)| names.contains(name)));
            page = read.next;
            if page.is_none() || found.len() == names.len() {
                break;
            }
        }
        found
    }

    /// The providers, and why the others could not be read.
    async fn providers(
        &self,
        arns: Vec<ProviderArn>,
    ) -> (BTreeMap<ProviderArn, LiveProvider>, BTreeMap<ProviderArn, String>) {
        let read = join_all(arns.iter().map(|arn| self.object(self.aws.provider(self.key, arn)))).await;
        let (mut providers, mut unread) = (BTreeMap::new(), BTreeMap::new());
        for (arn, read) in arns.into_iter().zip(read) {
            match read {
                Ok(Some(live)) => drop(providers.insert(arn, live)),
                Ok(None) => {}
                Err(error) => drop(unread.insert(arn, error.to_string())),
            }
        }
        (providers, unread)
    }

    async fn policies(&self, arns: BTreeSet<&PolicyArn>) -> Objects<BTreeMap<PolicyArn, LivePolicy>> {
        let read = join_all(arns.iter().map(|arn| self.object(self.aws.policy(self.key, arn)))).await;
        let (mut policies, mut unseen) = (BTreeMap::new(), Vec::new());
        for (arn, read) in arns.into_iter().zip(read) {
            match read {
                Ok(Some(live)) => drop(policies.insert(arn.clone(), live)),
                Ok(None) => {}
                Err(error) => unseen.push(format!("policy `{arn}`: {error}; roles attach it by its ARN")),
            }
        }
        (policies, unseen)
    }
}

/// The namespaces of the ServiceAccounts that roles trust.
fn trusted_namespaces(roles: &[RoleSummary]) -> BTreeSet<String> {
    let trusts = roles.iter().filter(|role| !role.trust.federated_issuers().is_empty());
    let texts = trusts.flat_map(|role| role.trust.statements()).map(|statement| statement.text().to_owned());
    let after = |text: String| -> Vec<String> {
        let parts = text.split(SUBJECT_PREFIX).skip(1);
        parts.filter_map(|part| Some(part.split_once(':')?.0.to_owned())).collect()
    };
    texts.flat_map(after).collect()
}
