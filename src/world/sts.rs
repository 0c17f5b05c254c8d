//! STS: the identity of the credentials.

use super::Answer;
use super::account::{AccountClient, Action, other};
use crate::ids::{AccountId, Partition};
use crate::model::live::Identity;
use crate::world::retry::RetryFacts;

pub(crate) const ACTION: Action = Action { service: "sts", name: "GetCallerIdentity" };

/// The identity of the credentials. Asks STS once in a run.
pub(crate) async fn identity(account: &AccountClient) -> Answer<Identity> {
    account.identity.get_or_try_init(|| ask(account)).await.cloned()
}

/// sts:GetCallerIdentity, which no policy can deny.
async fn ask(account: &AccountClient) -> Answer<Identity> {
    let request = account.sts.get_caller_identity();
    let answer = account.sender.call(ACTION, RetryFacts::default(), || request.clone().send()).await?;
    let caller = answer.arn().unwrap_or_default();
    let partition = caller.split(':').nth(1).unwrap_or_default();
    let account = AccountId::parse(answer.account().unwrap_or_default());
    match (account, Partition::parse(partition)) {
        (Ok(account), Ok(partition)) => Ok(Identity { account, partition, caller: caller.to_owned() }),
        _ => Err(other(ACTION, format!("irsa does not understand the identity `{caller}`"))),
    }
}
