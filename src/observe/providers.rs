//! OIDC providers: the list, and each one's audiences and tags. The list has ARNs only, and there are at most a few.

use super::account::Desk;
use super::observed;
use crate::ids::{IssuerUrl, Key, ProviderArn};
use crate::model::live::{LiveProvider, Observed};
use crate::world::ReadAws;
use futures::future::join_all;
use std::collections::BTreeMap;

/// All providers; where they may not be listed, those of the declared clusters' issuers, whose ARNs are known.
pub(super) async fn read<A: ReadAws>(
    desk: &Desk<'_, A>,
    issuers: impl Future<Output = BTreeMap<Key, IssuerUrl>>,
) -> (BTreeMap<ProviderArn, Observed<LiveProvider>>, Observed<()>) {
    match desk.lane.run(desk.aws.providers(desk.key)).await {
        Ok(listed) => {
            let mut read = each(desk, listed).await;
            // listed, and gone before it was read
            read.retain(|_, provider| *provider != Observed::Absent);
            (read, Observed::Present(()))
        }
        Err(error) => {
            let issuers = issuers.await;
            let declared =
                issuers.values().map(|issuer| ProviderArn::of(&desk.account.partition, &desk.account.id, issuer));
            (each(desk, declared.collect()).await, Observed::Unknown(error.to_string()))
        }
    }
}

async fn each<A: ReadAws>(desk: &Desk<'_, A>, arns: Vec<ProviderArn>) -> BTreeMap<ProviderArn, Observed<LiveProvider>> {
    let asked = arns.into_iter().map(|arn| async move {
        let answer = desk.lane.run(desk.aws.provider(desk.key, &arn)).await;
        (arn, observed(answer))
    });
    join_all(asked).await.into_iter().collect()
}
