//! EKS: DescribeCluster, lists, and tokens for the Kubernetes API of a cluster.

pub(crate) mod associations;
pub(crate) mod token;

use super::account::{AccountClient, Action, optional, other};
use super::iam::pages::{pages, parsed};
use super::retry::RetryFacts;
use super::{Answer, AssociationSummary, ClusterFacts};
use crate::ids::{ClusterName, IssuerUrl, Region};

pub(crate) const ACTION: Action = Action { service: "eks", name: "DescribeCluster" };

/// eks:DescribeCluster. None if the cluster does not exist.
pub(crate) async fn cluster(
    account: &AccountClient,
    region: &Region,
    name: &ClusterName,
) -> Answer<Option<ClusterFacts>> {
    let request = account.eks(region).describe_cluster().name(name.as_str());
    let answer = account.caller.call(ACTION, RetryFacts::default(), || request.clone().send()).await;
    let Some(answer) = optional(answer)? else { return Ok(None) };
    let cluster = answer.cluster().ok_or_else(|| other(ACTION, "the answer has no cluster"))?;
    let issuer = cluster.identity().and_then(|identity| identity.oidc()).and_then(|oidc| oidc.issuer());
    let issuer = issuer
        .map(|issuer| IssuerUrl::parse(issuer).map_err(|error| other(ACTION, format!("issuer `{issuer}`: {error}"))))
        .transpose()?;
    Ok(Some(ClusterFacts {
        issuer,
        endpoint: cluster.endpoint().map(str::to_owned),
        certificate_authority: cluster.certificate_authority().and_then(|ca| ca.data()).map(str::to_owned),
        status: cluster.status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
    }))
}

pub(crate) const LIST: Action = Action { service: "eks", name: "ListClusters" };
pub(crate) const LIST_ASSOCIATIONS: Action = Action { service: "eks", name: "ListPodIdentityAssociations" };

/// eks:ListClusters: the names of the clusters of a region.
pub(crate) async fn names(account: &AccountClient, region: &Region) -> Answer<Vec<ClusterName>> {
    let client = account.eks(region);
    let size = |name: &ClusterName| name.as_str().len();
    let fetch = |token: Option<String>| {
        let request = client.list_clusters().set_next_token(token);
        async move {
            let page = account.caller.call(LIST, RetryFacts::default(), || request.clone().send()).await?;
            let names = page.clusters().iter().map(|name| parsed(LIST, Some(name), ClusterName::parse));
            Ok((names.collect::<Answer<Vec<_>>>()?, page.next_token().map(str::to_owned)))
        }
    };
    pages(account, LIST, size, fetch).await
}

/// eks:ListPodIdentityAssociations of a cluster.
pub(crate) async fn associations(
    account: &AccountClient,
    region: &Region,
    name: &ClusterName,
) -> Answer<Vec<AssociationSummary>> {
    let client = account.eks(region);
    let size = |item: &AssociationSummary| item.namespace.len() + item.service_account.len() + item.id.len();
    let fetch = |token: Option<String>| {
        let request = client.list_pod_identity_associations().cluster_name(name.as_str()).set_next_token(token);
        async move {
            let page = account.caller.call(LIST_ASSOCIATIONS, RetryFacts::default(), || request.clone().send()).await?;
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let items = page.associations().iter().map(|item| AssociationSummary {
                id: text(item.association_id()),
                namespace: text(item.namespace()),
                service_account: text(item.service_account()),
            });
            Ok((items.collect(), page.next_token().map(str::to_owned)))
        }
    };
    pages(account, LIST_ASSOCIATIONS, size, fetch).await
}
