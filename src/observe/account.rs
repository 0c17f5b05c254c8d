//! One account: its lists at once, then what they leave to ask.

use super::early::{Call, Lists, Many};
use super::lane::Lane;
use super::roles::Search;
use super::{bulk, foreign, is_ours, policies, providers, roles, sizes};
use crate::ids::{IamPath, IssuerUrl, Key, ProviderArn};
use crate::model::desired::{self, Desired, Role};
use crate::model::live::{Access, Identity, LiveAccount, LiveProvider, Observed, Odd, Quotas};
use crate::world::{AccountSummary, Answer, CallErrorKind, Listed, ReadAws};
use futures::FutureExt;
use futures::future::{join, join3, join4};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// All that the reading of one account needs at hand.
pub(super) struct Desk<'a, A> {
    pub key: &'a Key,
    pub account: &'a desired::Account,
    pub desired: &'a Desired,
    pub aws: &'a A,
    pub destroy: bool,
    /// Whether what carries our mark and is not declared is searched.
    pub search: bool,
    pub lane: Lane,
}

impl<'a, A> Desk<'a, A> {
    /// The declared roles of this account, by folded name.
    pub(super) fn roles(&self) -> BTreeMap<String, &'a Role> {
        let roles = self.desired.roles.values().filter(|role| &role.account == self.key);
        roles.map(|role| (role.name.folded(), role)).collect()
    }

    /// The declared policies of this account, by folded name.
    pub(super) fn policies(&self) -> BTreeMap<String, &'a desired::Policy> {
        let policies = self.desired.policies.iter().filter(|((account, _), _)| account == self.key);
        policies.map(|(_, policy)| (policy.name.folded(), policy)).collect()
    }

    /// Whether a path is one under which objects of ours are made: `/irsa/<owner>/` or one of `declared`.
    pub(super) fn is_our_path<'p>(&self, path: &str, mut declared: impl Iterator<Item = &'p IamPath>) -> bool {
        self.search
            // what lies here was made by AWS services and can be neither tagged nor deleted by anyone else
        // (<https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html>)
            && !path.starts_with("/aws-service-role/")
            && (path.starts_with(&format!("/irsa/{}/", self.desired.owner))
                || declared.any(|ours| path.starts_with(ours.as_str())))
    }
}

/// Reads the account. `lists` may be under way; `issuers` are those of the declared clusters that could be told.
pub(super) async fn read<'a, A: ReadAws>(
    desk: &Desk<'a, A>,
    identity: Option<&Access<Identity>>,
    lists: Option<Lists<'a>>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>> + Clone,
) -> LiveAccount {
    let identity = identity.cloned().unwrap_or_else(|| Access::Unknown("it was not asked for its identity".to_owned()));
    match &identity {
        Access::Granted(_) => {
            let lists = lists.unwrap_or_else(|| Lists::ask(desk.key, desk.aws, desk.roles().len()));
            granted(desk, identity, lists, issuers).await
        }
        Access::Wrong(why, _) | Access::Unknown(why) => closed(why.clone(), identity),
    }
}

/// An account of which nothing is read.
fn closed(why: String, identity: Access<Identity>) -> LiveAccount {
    LiveAccount {
        identity,
        quotas: Quotas::default(),
        roster: Observed::Unknown(why.clone()),
        roster_denied: false,
        roles: BTreeMap::new(),
        policies: BTreeMap::new(),
        policies_listed: Observed::Unknown(why.clone()),
        foreign_policies: BTreeMap::new(),
        providers: BTreeMap::new(),
        providers_listed: Observed::Unknown(why),
        odd: Vec::new(),
    }
}

async fn granted<'a, A: ReadAws>(
    desk: &Desk<'a, A>,
    identity: Access<Identity>,
    lists: Lists<'a>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>> + Clone,
) -> LiveAccount {
    let (page, told) = lists.many.map(|Many { page, summary }| (page, summary)).unzip();
    let odd = Mutex::default();
    let listed = understood(lists.providers, &odd).shared();
    let providers = providers::read(desk, listed.clone(), issuers.clone()).shared();
    let search = async {
        let (roster, issuers, listed) = join3(understood(lists.roles, &odd), issuers.clone(), listed.clone()).await;
        let mut ours = BTreeSet::new();
        if desk.search {
            ours = declared_issuers(desk, &issuers);
            // another one may be of a cluster that is no longer declared: that its mark tells
            if listed.iter().flatten().any(|arn| !ours.contains(arn.host_path())) {
                let (providers, _) = providers.clone().await;
                ours.extend(marked_issuers(desk, &providers));
            }
        }
        Arc::new(Search::new(desk, roster, &ours))
    }
    .shared();
    let summary = async {
        if let Some(told) = told {
            return Some(told.answer().await.unwrap_or_default());
        }
        let (search, issuers) = join(search.clone(), issuers.clone()).await;
        let wanted = search.is_large() || sizes::declared_near_quota(desk, &issuers);
        if wanted { Some(summary_of(desk).await) } else { None }
    }
    .shared();
    let roles = async {
        let (search, bulk) = join(search.clone(), bulk::read(desk, page, search.clone(), summary.clone())).await;
        tracing::info!("account/{}: {}", desk.key, bulk.words(search.len()));
        roles::read(desk, &search, bulk).await
    };
    let providers = async {
        let (mut read, all) = providers.clone().await;
        if !desk.search {
            let (search, listed) = join(search.clone(), listed.clone()).await;
            providers::read_trusted(desk, (search.roster.as_deref().ok(), listed), &mut read).await;
        }
        (read, all)
    };
    let (roles, told, (policies, policies_listed), (providers, providers_listed)) =
        join4(roles, summary.clone(), policies::read(desk, understood(lists.policies, &odd)), providers).await;
    let told = if told.is_none() && sizes::live_near_quota(desk, &roles) { Some(summary_of(desk).await) } else { told };
    let quotas = told.unwrap_or_default().quotas;
    let foreign_policies = foreign::read(desk, &roles, &policies).await;
    drop(summary);
    let roster = Arc::unwrap_or_clone(search.await).roster;
    let roster_denied = roster.as_ref().is_err_and(|error| error.kind == CallErrorKind::Denied);
    let roster = match roster {
        Ok(list) => Observed::Present(list),
        Err(error) => Observed::Unknown(error.to_string()),
    };
    LiveAccount {
        identity,
        quotas,
        roster,
        roster_denied,
        roles,
        policies,
        policies_listed,
        foreign_policies,
        providers,
        providers_listed,
        odd: sorted(&odd),
    }
}

/// What a list has that was understood; the rest goes into `odd`.
async fn understood<T>(list: Call<'_, Answer<Listed<T>>>, odd: &Mutex<Vec<Odd>>) -> Answer<Vec<T>> {
    let list = list.answer().await?;
    odd.lock().unwrap_or_else(PoisonError::into_inner).extend(list.odd);
    Ok(list.items)
}

fn sorted(odd: &Mutex<Vec<Odd>>) -> Vec<Odd> {
    let mut odd = std::mem::take(&mut *odd.lock().unwrap_or_else(PoisonError::into_inner));
    odd.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    odd
}

/// The account's own quotas. AWS's defaults hold where they cannot be read: they are never higher.
async fn summary_of<A: ReadAws>(desk: &Desk<'_, A>) -> AccountSummary {
    desk.lane.run(desk.aws.summary(desk.key)).await.unwrap_or_default()
}

/// Host and path of the issuer of every declared cluster, gone ones too.
fn declared_issuers<A>(desk: &Desk<'_, A>, known: &BTreeMap<Key, IssuerUrl>) -> BTreeSet<String> {
    let declared = desk.desired.clusters.values().filter_map(|cluster| cluster.issuer.as_ref());
    known.values().chain(declared).map(|issuer| issuer.host_path().to_owned()).collect()
}

/// Host and path of the issuers whose providers carry our mark.
fn marked_issuers<A>(
    desk: &Desk<'_, A>,
    providers: &BTreeMap<ProviderArn, Observed<LiveProvider>>,
) -> impl Iterator<Item = String> {
    let ours = |provider: &LiveProvider| is_ours(desk.desired, &provider.provider.tags);
    let marked = providers.iter().filter(move |(_, provider)| provider.present().is_some_and(ours));
    marked.map(|(arn, _)| arn.host_path().to_owned())
}

/// How many live objects of the account are ours.
pub(super) fn ours<A>(desk: &Desk<'_, A>, live: &LiveAccount) -> usize {
    let roles = live.roles.values().filter_map(Observed::present).map(|role| &role.role.tags);
    let policies = live.policies.values().filter_map(Observed::present).map(|policy| &policy.policy.tags);
    let providers = live.providers.values().filter_map(Observed::present).map(|provider| &provider.provider.tags);
    roles.chain(policies).chain(providers).filter(|tags| is_ours(desk.desired, tags)).count()
}
