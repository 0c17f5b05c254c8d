//! Reads the objects of an account.

use crate::ids::{IamPath, Key, PolicyArn, ProviderArn, RoleArn};
use crate::import::Scope;
use crate::import::draft::owner;
use crate::model::live::{Identity, LivePolicy, LiveProvider, LiveRole, RoleSummary};
use crate::model::marks::default_path;
use crate::model::resource::StringMap;
use crate::world::{PolicySummary, ReadAws, RoleDetail};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Semaphore;

/// Up to this many roles are read one by one, with four calls each. More are read in bulk, a thousand in one call.
const FEW_ROLES: usize = 30;

pub(super) struct AccountReader<'a, A> {
    pub key: &'a Key,
    pub identity: &'a Identity,
    pub aws: &'a A,
    pub scope: &'a Scope,
    pub slots: Semaphore,
}

/// The objects that were read, and what could not be read.
pub(super) type Objects<T> = (T, Vec<String>);

/// The roles that were read.
#[derive(Default)]
pub(super) struct Roles {
    pub roles: Vec<LiveRole>,
    /// Those with the owner's tag, also ones that are not in `roles`: what each is called, by its ARN.
    pub owned: BTreeMap<String, String>,
    /// The lower-case names of the selected ones that could not be read.
    pub unread: BTreeSet<String>,
    pub unseen: Vec<String>,
}

impl<A: ReadAws> AccountReader<'_, A> {
    async fn object<T>(&self, read: impl Future<Output = T>) -> T {
        // never closed
        let _slot = self.slots.acquire().await;
        read.await
    }

    pub(super) fn is_ours(&self, tags: &StringMap) -> bool {
        owner(tags) == Some(self.scope.owner.as_str())
    }

    /// Reads the selected roles in full. Of the other ones, reads the tags, and those with the owner's tag in full if the
    /// scope allows. Reads in bulk if there are many.
    pub(super) async fn roles(&self, selected: &[&RoleSummary], others: &[&RoleSummary]) -> Roles {
        let both: Vec<&RoleSummary> = selected.iter().chain(others).copied().collect();
        let mut bulk = if both.len() > FEW_ROLES { self.bulk(&both).await } else { BTreeMap::new() };
        let mut in_bulk = |summary: &RoleSummary| bulk.remove(&summary.name.lower_case())?.joined(summary).ok();
        let mut read = Roles::default();
        let (mut left, mut untold) = (Vec::new(), Vec::new());
        for summary in selected {
            match in_bulk(summary) {
                Some(role) => read.roles.push(role),
                None => left.push(*summary),
            }
        }
        for summary in others {
            match in_bulk(summary) {
                Some(role) if self.is_ours(&role.role.tags) => {
                    self.own(&mut read, summary);
                    read.roles.extend(self.is_taken_in(summary).then_some(role));
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
                Ok(role) => read.roles.extend(role),
                Err(error) => {
                    read.unseen.push(format!("role `{}`: {error}", summary.name));
                    read.unread.insert(summary.name.lower_case());
                }
            }
        }
        let tagged = read.roles.iter().filter(|role| self.is_ours(&role.role.tags));
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

    /// The policies with the owner's tag at which a plan of the result would look: under a path where the result has
    /// policies. `known` are those that the result may declare.
    pub(super) async fn owned_policies(
        &self,
        listed: &[PolicySummary],
        known: &BTreeMap<PolicyArn, LivePolicy>,
    ) -> Objects<BTreeMap<String, String>> {
        let own = default_path(self.scope.owner.as_str());
        let mut paths: BTreeSet<&str> = [own.as_str()].into();
        paths.extend(known.values().map(|live| live.policy.path.as_str()));
        let is_candidate = |policy: &&PolicySummary| {
            !known.contains_key(&policy.arn) && paths.iter().any(|path| policy.path.starts_with(path))
        };
        let candidates: Vec<&PolicySummary> = listed.iter().filter(is_candidate).collect();
        let tags = candidates.iter().map(|policy| self.object(self.aws.policy_tags(self.key, &policy.arn)));
        let (mut owned, mut unseen) = (BTreeMap::new(), Vec::new());
        for (policy, tags) in candidates.iter().zip(join_all(tags).await) {
            match tags {
                Ok(Some(tags)) if self.is_ours(&tags) => {
                    owned.insert(policy.arn.to_string(), format!("policy `{}`", policy.arn));
                }
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
    pub(super) async fn providers(
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

    pub(super) async fn policies(&self, arns: BTreeSet<&PolicyArn>) -> Objects<BTreeMap<PolicyArn, LivePolicy>> {
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
