//! Reads of OIDC providers.

use super::shape::{self, judged, missing};
use crate::ids::ProviderArn;
use crate::model::address::OrphanKind;
use crate::model::live::LiveProvider;
use crate::model::resource::Provider;
use crate::world::account::{AccountClient, Action, optional};
use crate::world::retry::Facts;
use crate::world::{Answer, Listed};

const LIST: Action = Action::iam("ListOpenIDConnectProviders");
const GET: Action = Action::iam("GetOpenIDConnectProvider");

/// The ARNs of all providers; the operation has no pages. What is no ARN that an issuer of ours could have is somebody
/// else's, and nothing is asked of it.
pub(crate) async fn list(account: &AccountClient) -> Answer<Listed<ProviderArn>> {
    let request = account.iam.list_open_id_connect_providers();
    let answer = account.caller.call(LIST, Facts::default(), || request.clone().send()).await?;
    let mut listed = Listed::default();
    for entry in answer.open_id_connect_provider_list() {
        match entry.arn() {
            Some(arn) => listed.items.extend(ProviderArn::parse(arn)),
            None => listed.odd.extend(judged(OrphanKind::OidcProvider, None, missing::<ProviderArn>(LIST)).err()),
        }
    }
    listed.items.sort();
    Ok(listed)
}

/// A provider in full.
pub(crate) async fn whole(account: &AccountClient, arn: &ProviderArn) -> Answer<Option<LiveProvider>> {
    whole_knowing(account, arn, account.memory.of_provider(arn)).await
}

/// The same, with what the caller knows of it.
pub(crate) async fn whole_knowing(
    account: &AccountClient,
    arn: &ProviderArn,
    facts: Facts,
) -> Answer<Option<LiveProvider>> {
    let request = account.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn.as_str());
    let Some(answer) = optional(account.caller.call(GET, facts, || request.clone().send()).await)? else {
        return Ok(None);
    };
    // IAM takes the URL with its scheme and gives it back without
    let url = answer.url().unwrap_or_default();
    let url = if url.starts_with("https://") { url.to_owned() } else { format!("https://{url}") };
    Ok(Some(LiveProvider {
        provider: Provider {
            url,
            audiences: answer.client_id_list().iter().cloned().collect(),
            tags: shape::pairs(answer.tags()),
        },
        thumbprints: answer.thumbprint_list().to_vec(),
    }))
}
