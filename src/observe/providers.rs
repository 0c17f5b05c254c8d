//! Reads OIDC providers with their audiences and tags. The list has only their ARNs. An account has few providers, so
//! irsa reads them one by one.

use super::observed;
use super::reader::AccountReader;
use crate::ids::{IssuerUrl, Key, ProviderArn};
use crate::model::live::{LiveProvider, Observed, RoleSummary};
use crate::world::{Answer, ReadAws};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// The providers, and whether ListOpenIDConnectProviders succeeded. Reads all providers or, with `--shard`, those of
/// the known issuers. If they cannot be listed, reads the providers of the declared clusters whose issuer is known,
/// because the issuer is a part of the ARN.
pub(super) async fn read<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    list: impl Future<Output = Answer<Vec<ProviderArn>>>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>>,
) -> (BTreeMap<ProviderArn, Observed<LiveProvider>>, Observed<()>) {
    match list.await {
        Ok(mut listed) => {
            if !reader.search_undeclared {
                let issuers = issuers.await;
                let known: BTreeSet<&str> = issuers.values().map(IssuerUrl::host_path).collect();
                listed.retain(|arn| known.contains(arn.host_path()));
            }
            let mut read = read_each(reader, listed).await;
            // deleted since they were listed
            read.retain(|_, provider| *provider != Observed::Absent);
            (read, Observed::Present(()))
        }
        Err(error) => {
            let issuers = issuers.await;
            let declared =
                issuers.values().map(|issuer| ProviderArn::of(&reader.account.partition, &reader.account.id, issuer));
            (read_each(reader, declared).await, Observed::Unknown(error.to_string()))
        }
    }
}

/// With `--shard`, also reads the providers that the declared roles trust now, because the plan must know which of them
/// belong to this owner. Reads all providers if the trust policies are unknown.
pub(super) async fn read_trusted<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    role_list: Option<&[RoleSummary]>,
    listed: Answer<Vec<ProviderArn>>,
    providers: &mut BTreeMap<ProviderArn, Observed<LiveProvider>>,
) {
    let declared = reader.roles();
    let trusted: Vec<ProviderArn> = match role_list {
        Some(role_list) => {
            let ours = role_list.iter().filter(|summary| declared.contains_key(&summary.name.lower_case()));
            let arns = ours.flat_map(|summary| summary.trust.federated_providers());
            arns.filter_map(|arn| ProviderArn::parse(arn).ok()).collect()
        }
        None if declared.is_empty() => Vec::new(),
        None => listed.unwrap_or_default(),
    };
    let is_unread = |arn: &ProviderArn| arn.account() == reader.account.id.as_str() && !providers.contains_key(arn);
    let unread: BTreeSet<ProviderArn> = trusted.into_iter().filter(is_unread).collect();
    providers.extend(read_each(reader, unread).await);
}

async fn read_each<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    arns: impl IntoIterator<Item = ProviderArn>,
) -> BTreeMap<ProviderArn, Observed<LiveProvider>> {
    let read = arns.into_iter().map(|arn| async move {
        let provider = observed(reader.object(reader.aws.provider(reader.key, &arn)).await);
        (arn, provider)
    });
    join_all(read).await.into_iter().collect()
}
