//! Reads OIDC providers.

use crate::ids::ProviderArn;
use crate::model::address::OrphanKind;
use crate::model::live::LiveProvider;
use crate::model::resource::Provider;
use crate::world::account::{AccountClient, Action, optional};
use crate::world::pages::{entry, parsed, tag_map};
use crate::world::retry::RetryFacts;
use crate::world::{Answer, Listed};

const LIST: Action = Action::iam("ListOpenIDConnectProviders");
const GET: Action = Action::iam("GetOpenIDConnectProvider");

/// iam:ListOpenIDConnectProviders, which has no pages. Leaves out ARNs that cannot belong to the issuer of a cluster,
/// because irsa does not manage such providers.
pub(crate) async fn list(account: &AccountClient) -> Answer<Listed<ProviderArn>> {
    let request = account.iam.list_open_id_connect_providers();
    let answer = account.sender.call(LIST, RetryFacts::default(), || request.clone().send()).await?;
    let mut listed = Listed::default();
    for provider in answer.open_id_connect_provider_list() {
        match provider.arn() {
            Some(arn) => listed.items.extend(ProviderArn::parse(arn)),
            None => listed
                .malformed
                .extend(entry(OrphanKind::OidcProvider, None, parsed(LIST, None, ProviderArn::parse)).err()),
        }
    }
    listed.items.sort();
    Ok(listed)
}

/// iam:GetOpenIDConnectProvider
pub(crate) async fn get_provider(
    account: &AccountClient,
    arn: &ProviderArn,
    facts: RetryFacts,
) -> Answer<Option<LiveProvider>> {
    let request = account.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn.as_str());
    let Some(answer) = optional(account.sender.call(GET, facts, || request.clone().send()).await)? else {
        return Ok(None);
    };
    // IAM accepts the URL with `https://`, and returns it without
    let url = answer.url().unwrap_or_default();
    let url = if url.starts_with("https://") { url.to_owned() } else { format!("https://{url}") };
    let audiences = answer.client_id_list().iter().cloned().collect();
    let provider = Provider { url, audiences, tags: tag_map(answer.tags()) };
    Ok(Some(LiveProvider { provider, thumbprints: answer.thumbprint_list().to_vec() }))
}
