//! EKS Pod Identity associations. ListPodIdentityAssociations returns no roles, so irsa describes an association to
//! learn its role (<https://docs.aws.amazon.com/eks/latest/APIReference/API_ListPodIdentityAssociations.html>).

use crate::ids::{ClusterName, Region};
use crate::world::account::{AccountClient, Action, optional};
use crate::world::pages::pages;
use crate::world::retry::RetryFacts;
use crate::world::{Answer, AssociationSummary};

pub(crate) const LIST: Action = Action { service: "eks", name: "ListPodIdentityAssociations" };
pub(crate) const DESCRIBE: Action = Action { service: "eks", name: "DescribePodIdentityAssociation" };

/// eks:ListPodIdentityAssociations of a cluster.
pub(crate) async fn list(
    account: &AccountClient,
    region: &Region,
    name: &ClusterName,
) -> Answer<Vec<AssociationSummary>> {
    let client = account.eks(region);
    let size = |item: &AssociationSummary| item.namespace.len() + item.service_account.len() + item.id.len();
    let fetch = |token: Option<String>| {
        let request = client.list_pod_identity_associations().cluster_name(name.as_str()).set_next_token(token);
        async move {
            let page = account.sender.call(LIST, RetryFacts::default(), || request.clone().send()).await?;
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let items = page.associations().iter().map(|item| AssociationSummary {
                id: text(item.association_id()),
                namespace: text(item.namespace()),
                service_account: text(item.service_account()),
            });
            Ok((items.collect(), page.next_token().map(str::to_owned)))
        }
    };
    pages(account, LIST, size, fetch).await
}

/// The ARN of an association's role. None if the association does not exist.
pub(crate) async fn role(
    account: &AccountClient,
    region: &Region,
    name: &ClusterName,
    id: &str,
) -> Answer<Option<String>> {
    let request = account.eks(region).describe_pod_identity_association();
    let request = request.cluster_name(name.as_str()).association_id(id);
    let answer = account.sender.call(DESCRIBE, RetryFacts::default(), || request.clone().send()).await;
    let association = optional(answer)?.and_then(|answer| answer.association);
    Ok(association.and_then(|association| association.role_arn))
}
