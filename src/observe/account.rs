//! One account: its lists at once, then what they leave to ask.

use super::early::{Lists, ManyRoles, Pending};
use super::reader::AccountReader;
use super::role_list::RoleList;
use super::{bulk, foreign, is_ours, policies, providers, roles, sizes};
use crate::ids::{IssuerUrl, Key, ProviderArn};
use crate::model::live::{Access, Identity, LiveAccount, LiveProvider, Malformed, Observed, Quotas};
use crate::world::{AccountSummary, Answer, CallErrorKind, Listed, ReadAws};
use futures::FutureExt;
use futures::future::{join, join3, join4};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the account. `lists` may be under way; `issuers` are those of the declared clusters that could be told.
pub(super) async fn read<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    identity: Option<&Access<Identity>>,
    lists: Option<Lists<'a>>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>> + Clone,
) -> LiveAccount {
    let identity = identity.cloned().unwrap_or_else(|| Access::Unknown("it was not asked for its identity".to_owned()));
    match &identity {
        Access::Granted(_) => {
            let lists = lists.unwrap_or_else(|| Lists::ask(reader.key, reader.aws, reader.roles().len()));
            granted(reader, identity, lists, issuers).await
        }
        Access::Wrong(why, _) | Access::Unknown(why) => closed(why.clone(), identity),
    }
}

/// An account of which nothing is read.
fn closed(why: String, identity: Access<Identity>) -> LiveAccount {
    LiveAccount {
        identity,
        quotas: Quotas::default(),
        role_list: Observed::Unknown(why.clone()),
        role_list_denied: false,
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
    reader: &AccountReader<'a, A>,
    identity: Access<Identity>,
    lists: Lists<'a>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>> + Clone,
) -> LiveAccount {
    let (page, told) = lists.many.map(|ManyRoles { page, summary }| (page, summary)).unzip();
    let odd = Mutex::default();
    let listed = understood(lists.providers, &odd).shared();
    let providers = providers::read(reader, listed.clone(), issuers.clone()).shared();
    let search = async {
        let (role_list, issuers, listed) = join3(understood(lists.roles, &odd), issuers.clone(), listed.clone()).await;
        let mut ours = BTreeSet::new();
        if reader.search {
            ours = declared_issuers(reader, &issuers);
            // another one may be of a cluster that is no longer declared: that its mark tells
            if listed.iter().flatten().any(|arn| !ours.contains(arn.host_path())) {
                let (providers, _) = providers.clone().await;
                ours.extend(marked_issuers(reader, &providers));
            }
        }
        Arc::new(RoleList::new(reader, role_list, &ours))
    }
    .shared();
    let summary = async {
        if let Some(told) = told {
            return Some(told.answer().await.unwrap_or_default());
        }
        let (search, issuers) = join(search.clone(), issuers.clone()).await;
        let wanted = search.is_large() || sizes::declared_near_quota(reader, &issuers);
        if wanted { Some(summary_of(reader).await) } else { None }
    }
    .shared();
    let roles = async {
        let (search, bulk) = join(search.clone(), bulk::read(reader, page, search.clone(), summary.clone())).await;
        tracing::info!("account/{}: {}", reader.key, bulk.words(search.len()));
        roles::read(reader, &search, bulk).await
    };
    let providers = async {
        let (mut read, all) = providers.clone().await;
        if !reader.search {
            let (search, listed) = join(search.clone(), listed.clone()).await;
            providers::read_trusted(reader, (search.all.as_deref().ok(), listed), &mut read).await;
        }
        (read, all)
    };
    let (roles, told, (policies, policies_listed), (providers, providers_listed)) =
        join4(roles, summary.clone(), policies::read(reader, understood(lists.policies, &odd)), providers).await;
    let told =
        if told.is_none() && sizes::live_near_quota(reader, &roles) { Some(summary_of(reader).await) } else { told };
    let quotas = told.unwrap_or_default().quotas;
    let foreign_policies = foreign::read(reader, &roles, &policies).await;
    drop(summary);
    let role_list = Arc::unwrap_or_clone(search.await).all;
    let role_list_denied = role_list.as_ref().is_err_and(|error| error.kind == CallErrorKind::Denied);
    let role_list = match role_list {
        Ok(list) => Observed::Present(list),
        Err(error) => Observed::Unknown(error.to_string()),
    };
    LiveAccount {
        identity,
        quotas,
        role_list,
        role_list_denied,
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
async fn understood<T>(list: Pending<'_, Answer<Listed<T>>>, odd: &Mutex<Vec<Malformed>>) -> Answer<Vec<T>> {
    let list = list.answer().await?;
    odd.lock().unwrap_or_else(PoisonError::into_inner).extend(list.odd);
    Ok(list.items)
}

fn sorted(odd: &Mutex<Vec<Malformed>>) -> Vec<Malformed> {
    let mut odd = std::mem::take(&mut *odd.lock().unwrap_or_else(PoisonError::into_inner));
    odd.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    odd
}

/// The account's own quotas. AWS's defaults hold where they cannot be read: they are never higher.
async fn summary_of<A: ReadAws>(reader: &AccountReader<'_, A>) -> AccountSummary {
    reader.limiter.run(reader.aws.summary(reader.key)).await.unwrap_or_default()
}

/// Host and path of the issuer of every declared cluster, gone ones too.
fn declared_issuers<A>(reader: &AccountReader<'_, A>, known: &BTreeMap<Key, IssuerUrl>) -> BTreeSet<String> {
    let declared = reader.desired.clusters.values().filter_map(|cluster| cluster.issuer.as_ref());
    known.values().chain(declared).map(|issuer| issuer.host_path().to_owned()).collect()
}

/// Host and path of the issuers whose providers carry our mark.
fn marked_issuers<A>(
    reader: &AccountReader<'_, A>,
    providers: &BTreeMap<ProviderArn, Observed<LiveProvider>>,
) -> impl Iterator<Item = String> {
    let ours = |provider: &LiveProvider| is_ours(reader.desired, &provider.provider.tags);
    let marked = providers.iter().filter(move |(_, provider)| provider.present().is_some_and(ours));
    marked.map(|(arn, _)| arn.host_path().to_owned())
}

/// How many live objects of the account are ours.
pub(super) fn ours<A>(reader: &AccountReader<'_, A>, live: &LiveAccount) -> usize {
    let roles = live.roles.values().filter_map(Observed::present).map(|role| &role.role.tags);
    let policies = live.policies.values().filter_map(Observed::present).map(|policy| &policy.policy.tags);
    let providers = live.providers.values().filter_map(Observed::present).map(|provider| &provider.provider.tags);
    roles.chain(policies).chain(providers).filter(|tags| is_ours(reader.desired, tags)).count()
}
