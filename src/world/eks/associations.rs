//! EKS Pod Identity associations. Lists have no roles: each association is described for its role
//! (<https://docs.aws.amazon.com/eks/latest/APIReference/API_ListPodIdentityAssociations.html>).

use crate::ids::{ClusterName, Region};
use crate::world::Answer;
use crate::world::account::{AccountClient, Action, optional, other};
use crate::world::bounds::Listing;
use crate::world::retry::RetryFacts;
use tokio::time::Instant;

pub(crate) const LIST: Action = Action { service: "eks", name: "ListPodIdentityAssociations" };
pub(crate) const DESCRIBE: Action = Action { service: "eks", name: "DescribePodIdentityAssociation" };

/// Namespace, ServiceAccount and id of every association of the cluster.
pub(crate) async fn list(
    account: &AccountClient,
    region: &Region,
    name: &ClusterName,
) -> Answer<Vec<(String, String, String)>> {
    let client = account.eks(region);
    let mut listing = Listing::new(account.caller.budget());
    let (mut all, mut token) = (Vec::new(), None::<String>);
    loop {
        let request = client.list_pod_identity_associations().cluster_name(name.as_str()).set_next_token(token);
        let answer = account.caller.call(LIST, RetryFacts::default(), || request.clone().send()).await?;
        let items = answer.associations();
        all.extend(items.iter().filter_map(|item| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            Some((text(item.namespace())?, text(item.service_account())?, text(item.association_id())?))
        }));
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        listing
            .page(Instant::now(), items.len(), 0, token.as_deref())
            .map_err(|endless| other(LIST, endless.to_string()))?;
        if token.is_none() {
            return Ok(all);
        }
    }
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
    let answer = account.caller.call(DESCRIBE, RetryFacts::default(), || request.clone().send()).await;
    let association = optional(answer)?.and_then(|answer| answer.association);
    Ok(association.and_then(|association| association.role_arn))
}
