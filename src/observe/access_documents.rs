//! Reads, for the command `access`, the documents of attached policies that irsa does not manage, such as AWS managed
//! policies. A plan does not need them.

use super::observed;
use crate::ids::{Key, PolicyArn};
use crate::model::live::Observed;
use crate::policy::PolicyDocument;
use crate::world::ReadAws;
use futures::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// The documents of these policies, by account and ARN. Reads up to `parallelism` policies at the same time.
pub async fn read_documents(
    policies: &BTreeSet<(Key, PolicyArn)>,
    aws: &impl ReadAws,
    parallelism: usize,
) -> BTreeMap<(Key, PolicyArn), Observed<PolicyDocument>> {
    let reads = policies.iter().map(|(account, arn)| async move {
        let document = match observed(aws.any_policy(account, arn, true).await) {
            Observed::Present(Some(document)) => Observed::Present(document),
            Observed::Present(None) => Observed::Unknown("its document could not be read".to_owned()),
            Observed::Absent => Observed::Absent,
            Observed::Unknown(why) => Observed::Unknown(why),
        };
        ((account.clone(), arn.clone()), document)
    });
    stream::iter(reads).buffer_unordered(parallelism.max(1)).collect().await
}
