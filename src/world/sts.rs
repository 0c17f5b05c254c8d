//! STS: who the credentials are.

use super::Answer;
use super::account::{AccountClient, Action, odd};
use crate::ids::{AccountId, Partition};
use crate::model::live::Identity;
use crate::world::retry::Facts;

pub(crate) const ACTION: Action = Action { service: "sts", name: "GetCallerIdentity" };

/// Who the credentials are; asked once.
pub(crate) async fn identity(account: &AccountClient) -> Answer<Identity> {
    account.identity.get_or_try_init(|| ask(account)).await.cloned()
}

/// sts:GetCallerIdentity, which no policy can deny.
async fn ask(account: &AccountClient) -> Answer<Identity> {
    let request = account.sts.get_caller_identity();
    let answer = account.caller.call(ACTION, Facts::default(), || request.clone().send()).await?;
    let caller = answer.arn().unwrap_or_default();
    let partition = caller.split(':').nth(1).unwrap_or_default();
    let account = AccountId::parse(answer.account().unwrap_or_default());
    match (account, Partition::parse(partition)) {
        (Ok(account), Ok(partition)) => Ok(Identity { account, partition, caller: caller.to_owned() }),
        _ => Err(odd(ACTION, format!("`{caller}` is no identity that irsa understands"))),
    }
}
