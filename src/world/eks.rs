//! EKS: DescribeCluster, lists, and tokens for the Kubernetes API of a cluster.

pub(crate) mod associations;
pub(crate) mod token;

use super::account::{AccountClient, Action, optional, other};
use super::pages::{pages, parsed};
use super::retry::RetryFacts;
use super::{Answer, ClusterFacts};
use crate::ids::{ClusterName, IssuerUrl, Region};

pub(crate) const DESCRIBE_CLUSTER: Action = Action { service: "eks", name: "DescribeCluster" };

/// eks:DescribeCluster. None if the cluster does not exist.
pub(crate) async fn cluster(
    account: &AccountClient,
    region: &Region,
    name: &ClusterName,
) -> Answer<Option<ClusterFacts>> {
    let request = account.eks(region).describe_cluster().name(name.as_str());
    let answer = account.sender.call(DESCRIBE_CLUSTER, RetryFacts::default(), || request.clone().send()).await;
    let Some(answer) = optional(answer)? else { return Ok(None) };
    let cluster = answer.cluster().ok_or_else(|| other(DESCRIBE_CLUSTER, "the answer has no cluster"))?;
    let issuer = cluster.identity().and_then(|identity| identity.oidc()).and_then(|oidc| oidc.issuer());
    let issuer = issuer
        .map(|issuer| {
            IssuerUrl::parse(issuer).map_err(|error| other(DESCRIBE_CLUSTER, format!("issuer `{issuer}`: {error}")))
        })
        .transpose()?;
    Ok(Some(ClusterFacts {
        issuer,
        endpoint: cluster.endpoint().map(str::to_owned),
        certificate_authority: cluster.certificate_authority().and_then(|ca| ca.data()).map(str::to_owned),
        status: cluster.status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
    }))
}

pub(crate) const LIST_CLUSTERS: Action = Action { service: "eks", name: "ListClusters" };

/// eks:ListClusters: the names of the clusters of a region.
pub(crate) async fn cluster_names(account: &AccountClient, region: &Region) -> Answer<Vec<ClusterName>> {
    let client = account.eks(region);
    let size = |name: &ClusterName| name.as_str().len();
    let fetch = |token: Option<String>| {
        let request = client.list_clusters().set_next_token(token);
        async move {
            let page = account.sender.call(LIST_CLUSTERS, RetryFacts::default(), || request.clone().send()).await?;
            let names = page.clusters().iter().map(|name| parsed(LIST_CLUSTERS, Some(name), ClusterName::parse));
            Ok((names.collect::<Answer<Vec<_>>>()?, page.next_token().map(str::to_owned)))
        }
    };
    pages(account, LIST_CLUSTERS, size, fetch).await
}
