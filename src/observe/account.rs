//! Reads one account: its lists in parallel, then the objects that irsa selects from the lists.

use super::first_calls::{FirstCalls, Pending};
use super::reader::AccountReader;
use super::role_selection::RoleSelection;
use super::{bulk, foreign_policies, is_ours, near_quota, policies, providers, roles};
use crate::ids::{IssuerUrl, Key};
use crate::model::live::{Access, Identity, LiveAccount, LiveProvider, Malformed, Observed, Quotas};
use crate::model::refusal::Refusal;
use crate::world::{AccountSummary, Answer, CallErrorKind, Listed, ReadAws};
use futures::FutureExt;
use futures::future::{join, join3, join4};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the account, unless its identity is unknown or not the declared one. `calls` has the first calls if they were
/// already sent. `issuers` has the issuer of each described cluster.
pub(super) async fn read<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    identity: Option<&Access<Identity>>,
    calls: Option<FirstCalls<'a>>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>> + Clone,
) -> LiveAccount {
    let identity =
        identity.cloned().unwrap_or_else(|| Access::Unknown("irsa did not ask STS for its identity".to_owned()));
    match &identity {
        Access::Granted(_) => {
            let calls = calls.unwrap_or_else(|| FirstCalls::new(reader.key, reader.aws, reader.roles().len()));
            read_objects(reader, identity, calls, issuers).await
        }
        Access::Wrong(Refusal { why, .. }) | Access::Unknown(why) => {
            LiveAccount::without_objects(identity.clone(), Observed::Unknown(why.clone()))
        }
    }
}

async fn read_objects<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    identity: Access<Identity>,
    calls: FirstCalls<'a>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>> + Clone,
) -> LiveAccount {
    let (page, requested_summary) = calls.bulk.unzip();
    let malformed = Mutex::default();
    let listed_providers = parsed_entries(calls.providers, &malformed).shared();
    let providers = providers::read(reader, listed_providers.clone(), issuers.clone()).shared();
    let selection = async {
        let listed_roles = parsed_entries(calls.roles, &malformed);
        let (all, issuers, listed) = join3(listed_roles, issuers.clone(), listed_providers.clone()).await;
        let mut ours = BTreeSet::new();
        if reader.search_undeclared {
            ours = declared_issuers(reader, &issuers);
            // a provider with this owner's tag and another issuer belongs to a cluster that is no longer declared
            if listed.iter().flatten().any(|arn| !ours.contains(arn.host_path())) {
                let (providers, _) = providers.clone().await;
                let is_ours = |provider: &LiveProvider| is_ours(reader.desired, &provider.provider.tags);
                let tagged = providers.iter().filter(|(_, provider)| provider.present().is_some_and(is_ours));
                ours.extend(tagged.map(|(arn, _)| arn.host_path().to_owned()));
            }
        }
        Arc::new(RoleSelection::new(reader, all, &ours))
    }
    .shared();
    let summary = async {
        if let Some(summary) = requested_summary {
            return Some(summary.answer().await.unwrap_or_default());
        }
        let (selected, issuers) = join(selection.clone(), issuers.clone()).await;
        let is_needed = bulk::is_large(&selected) || near_quota::declared_near_quota(reader, &issuers);
        if is_needed { Some(account_summary(reader).await) } else { None }
    }
    .shared();
    let roles = async {
        let bulk = bulk::read(reader, page, selection.clone(), summary.clone());
        let (selected, bulk) = join(selection.clone(), bulk).await;
        tracing::info!("account/{}: {}", reader.key, bulk.description(selected.count_to_read()));
        roles::read(reader, &selected, bulk).await
    };
    let providers = async {
        let (mut read, list) = providers.clone().await;
        if !reader.search_undeclared {
            let (selected, listed) = join(selection.clone(), listed_providers.clone()).await;
            providers::read_trusted(reader, selected.all.as_deref().ok(), listed, &mut read).await;
        }
        (read, list)
    };
    let policies = policies::read(reader, parsed_entries(calls.policies, &malformed));
    let (roles, read_summary, (policies, policies_listed), (providers, providers_listed)) =
        join4(roles, summary.clone(), policies, providers).await;
    let quotas = match read_summary {
        Some(summary) => summary.quotas,
        None if near_quota::live_near_quota(reader, &roles) => account_summary(reader).await.quotas,
        None => Quotas::default(),
    };
    let foreign_policies = foreign_policies::read(reader, &roles, &policies).await;
    // `summary` has a second reference to the role list; as long as it exists, `unwrap_or_clone` would copy the list
    drop(summary);
    let role_list = Arc::unwrap_or_clone(selection.await).all;
    let role_list_denied = role_list.as_ref().is_err_and(|error| error.kind == CallErrorKind::Denied);
    let role_list = role_list.map_or_else(|error| Observed::Unknown(error.to_string()), Observed::Present);
    let mut malformed = std::mem::take(&mut *malformed.lock().unwrap_or_else(PoisonError::into_inner));
    malformed.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
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
        malformed,
    }
}

/// The entries of a list that irsa could parse. The others go to `malformed`.
async fn parsed_entries<T>(list: Pending<'_, Answer<Listed<T>>>, malformed: &Mutex<Vec<Malformed>>) -> Answer<Vec<T>> {
    let list = list.answer().await?;
    malformed.lock().unwrap_or_else(PoisonError::into_inner).extend(list.malformed);
    Ok(list.items)
}

/// The account's quotas and its number of roles. If they cannot be read: AWS's default quotas (an account's own are
/// never lower), and no number of roles.
async fn account_summary<A: ReadAws>(reader: &AccountReader<'_, A>) -> AccountSummary {
    reader.aws.summary(reader.key).await.unwrap_or_default()
}

/// Host and path of the issuer of each declared cluster, as far as it is known: from DescribeCluster, or declared (as
/// for clusters with `state = "gone"`).
fn declared_issuers<A>(reader: &AccountReader<'_, A>, described: &BTreeMap<Key, IssuerUrl>) -> BTreeSet<String> {
    let declared = reader.desired.clusters.values().filter_map(|cluster| cluster.issuer.as_ref());
    described.values().chain(declared).map(|issuer| issuer.host_path().to_owned()).collect()
}

/// The number of live objects with this owner's tag.
pub(super) fn count_ours<A>(reader: &AccountReader<'_, A>, live: &LiveAccount) -> usize {
    let roles = live.roles.values().filter_map(Observed::present).map(|role| &role.role.tags);
    let policies = live.policies.values().filter_map(Observed::present).map(|policy| &policy.policy.tags);
    let providers = live.providers.values().filter_map(Observed::present).map(|provider| &provider.provider.tags);
    roles.chain(policies).chain(providers).filter(|tags| is_ours(reader.desired, tags)).count()
}
