//! OIDC providers: the list, and each one's audiences and tags. The list has ARNs only, and there are at most a few.

use super::observed;
use super::reader::AccountReader;
use crate::ids::{IssuerUrl, Key, ProviderArn};
use crate::model::live::{LiveProvider, Observed, RoleSummary};
use crate::world::{Answer, ReadAws};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// All providers, or where nothing is searched those of the known issuers; where they may not be listed, those of the
/// declared clusters' issuers, whose ARNs are known.
pub(super) async fn read<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    list: impl Future<Output = Answer<Vec<ProviderArn>>>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>>,
) -> (BTreeMap<ProviderArn, Observed<LiveProvider>>, Observed<()>) {
    match list.await {
        Ok(mut listed) => {
            if !reader.search {
                let known: BTreeSet<String> =
                    issuers.await.values().map(|issuer| issuer.host_path().to_owned()).collect();
                listed.retain(|arn| known.contains(arn.host_path()));
            }
            let mut read = each(reader, listed).await;
            // listed, and gone before it was read
            read.retain(|_, provider| *provider != Observed::Absent);
            (read, Observed::Present(()))
        }
        Err(error) => {
            let issuers = issuers.await;
            let declared =
                issuers.values().map(|issuer| ProviderArn::of(&reader.account.partition, &reader.account.id, issuer));
            (each(reader, declared.collect()).await, Observed::Unknown(error.to_string()))
        }
    }
}

/// Besides, those that the declared roles trust now: trust in one of ours must not go unseen. All, where it is not known
/// whom they trust.
pub(super) async fn read_trusted<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    (role_list, listed): (Option<&[RoleSummary]>, Answer<Vec<ProviderArn>>),
    providers: &mut BTreeMap<ProviderArn, Observed<LiveProvider>>,
) {
    let declared = reader.roles();
    let named: Vec<ProviderArn> = match role_list {
        Some(role_list) => {
            let ours = role_list.iter().filter(|summary| declared.contains_key(&summary.name.case_insensitive()));
            let named = ours.flat_map(|summary| summary.trust.federated_providers());
            named.filter_map(|arn| ProviderArn::parse(arn).ok()).collect()
        }
        None if declared.is_empty() => Vec::new(),
        None => listed.unwrap_or_default(),
    };
    let unread: BTreeSet<ProviderArn> = named
        .into_iter()
        .filter(|arn| arn.account() == reader.account.id.as_str() && !providers.contains_key(arn))
        .collect();
    providers.extend(each(reader, unread.into_iter().collect()).await);
}

async fn each<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    arns: Vec<ProviderArn>,
) -> BTreeMap<ProviderArn, Observed<LiveProvider>> {
    let asked = arns.into_iter().map(|arn| async move {
        let answer = reader.limiter.run(reader.aws.provider(reader.key, &arn)).await;
        (arn, observed(answer))
    });
    join_all(asked).await.into_iter().collect()
}
