//! Reads the policies that irsa manages: the declared ones by name, and the policies with this owner's tag under a path
//! where irsa creates policies.

use super::reader::AccountReader;
use super::{is_ours, observed};
use crate::ids::PolicyArn;
use crate::model::live::{LivePolicy, Observed};
use crate::world::{Answer, CallErrorKind, PolicySummary, ReadAws};
use futures::future::join_all;
use std::collections::BTreeMap;

/// The policies, and whether ListPolicies succeeded.
pub(super) async fn read<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    list: impl Future<Output = Answer<Vec<PolicySummary>>>,
) -> (BTreeMap<PolicyArn, Observed<LivePolicy>>, Observed<()>) {
    let declared = reader.policies();
    match list.await {
        Ok(listed) => {
            let read = listed.iter().filter_map(|summary| {
                let is_declared = declared.contains_key(&summary.name.lower_case());
                let paths = declared.values().map(|policy| &policy.path);
                (is_declared || reader.is_searched_path(&summary.path, paths))
                    .then(|| one(reader, summary, is_declared))
            });
            (join_all(read).await.into_iter().flatten().collect(), Observed::Present(()))
        }
        Err(error) if error.kind == CallErrorKind::Denied => {
            let read = declared.values().map(|policy| async move {
                let arn = PolicyArn::of(&reader.account.partition, &reader.account.id, &policy.path, &policy.name);
                let policy = observed(reader.object(reader.aws.policy(reader.key, &arn)).await);
                // a policy that does not exist under its declared path may exist under another one
                Some((arn, policy)).filter(|(_, policy)| policy.present().is_some())
            });
            (join_all(read).await.into_iter().flatten().collect(), Observed::Unknown(error.to_string()))
        }
        Err(error) => (BTreeMap::new(), Observed::Unknown(error.to_string())),
    }
}

/// Reads a listed policy. ListPolicies returns no tags, so irsa first reads the tags of a policy that is not declared.
/// None if they lack this owner's tag, or if the policy was deleted meanwhile.
async fn one<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    summary: &PolicySummary,
    is_declared: bool,
) -> Option<(PolicyArn, Observed<LivePolicy>)> {
    let arn = summary.arn.clone();
    if !is_declared {
        match reader.aws.policy_tags(reader.key, &arn).await {
            Ok(Some(tags)) if is_ours(reader.desired, &tags) => {}
            Ok(_) => return None,
            Err(error) => return Some((arn, Observed::Unknown(error.to_string()))),
        }
    }
    let policy = observed(reader.object(reader.aws.policy(reader.key, &arn)).await);
    Some((arn, policy)).filter(|(_, policy)| *policy != Observed::Absent)
}
