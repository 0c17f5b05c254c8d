//! Customer managed policies: the declared ones by name, and what lies under a path of ours and carries our mark.

use super::reader::AccountReader;
use super::{is_ours, observed};
use crate::ids::PolicyArn;
use crate::model::live::{LivePolicy, Observed};
use crate::world::{Answer, CallErrorKind, PolicySummary, ReadAws};
use futures::future::join_all;
use std::collections::BTreeMap;

/// The policies, and whether they could be listed.
pub(super) async fn read<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    list: impl Future<Output = Answer<Vec<PolicySummary>>>,
) -> (BTreeMap<PolicyArn, Observed<LivePolicy>>, Observed<()>) {
    let declared = reader.policies();
    match list.await {
        Ok(listed) => {
            let asked = listed.iter().filter_map(|summary| {
                let is_declared = declared.contains_key(&summary.name.case_insensitive());
                let paths = declared.values().map(|policy| &policy.path);
                (is_declared || reader.is_our_path(&summary.path, paths))
                    .then(|| listed_policy(reader, summary, is_declared))
            });
            (join_all(asked).await.into_iter().flatten().collect(), Observed::Present(()))
        }
        Err(error) if error.kind == CallErrorKind::Denied => {
            // a policy that is not under its declared path may still be under another: only what is found is known
            let asked = declared.values().map(|policy| async move {
                let arn = PolicyArn::of(&reader.account.partition, &reader.account.id, &policy.path, &policy.name);
                let answer = reader.limiter.run(reader.aws.policy(reader.key, &arn)).await;
                Some((arn, observed(answer))).filter(|(_, policy)| policy.present().is_some())
            });
            (join_all(asked).await.into_iter().flatten().collect(), Observed::Unknown(error.to_string()))
        }
        Err(error) => (BTreeMap::new(), Observed::Unknown(error.to_string())),
    }
}

/// A listed policy in full. The list has no tags: an undeclared one is first asked whose it is.
async fn listed_policy<A: ReadAws>(
    reader: &AccountReader<'_, A>,
    summary: &PolicySummary,
    is_declared: bool,
) -> Option<(PolicyArn, Observed<LivePolicy>)> {
    let arn = summary.arn.clone();
    if !is_declared {
        match reader.limiter.run(reader.aws.policy_tags(reader.key, &arn)).await {
            Ok(Some(tags)) if is_ours(reader.desired, &tags) => {}
            Ok(_) => return None,
            Err(error) => return Some((arn, Observed::Unknown(error.to_string()))),
        }
    }
    let policy = observed(reader.limiter.run(reader.aws.policy(reader.key, &arn)).await);
    Some((arn, policy)).filter(|(_, policy)| *policy != Observed::Absent)
}
