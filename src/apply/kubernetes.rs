//! The last look at a ServiceAccount: the same object, and our fields as the plan found or would leave them.

use super::recheck::{Finding, Recheck};
use crate::ids::Key;
use crate::model::call::KubernetesCall;
use crate::model::live::LiveServiceAccount;
use crate::model::marks::field_manager;
use crate::model::resource::{ServiceAccount, StringMap};
use crate::world::{CallError, ReadAws, ReadKubernetes};

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    pub(super) async fn service_account(&self, cluster: &Key, call: &KubernetesCall) -> Result<Finding, CallError> {
        // what is left of our fields; nothing for an object that goes itself
        let (uid, from, to) = match call {
            KubernetesCall::Create { .. } => return Ok(Finding::Write),
            KubernetesCall::Apply { uid, from, to, .. } => (uid, from, Some(to.clone())),
            KubernetesCall::Release { uid, from } | KubernetesCall::Remove { uid, from } => {
                let none = ServiceAccount { labels: StringMap::new(), annotations: StringMap::new(), ..from.clone() };
                (uid, from, Some(none))
            }
            KubernetesCall::Delete { uid, from } => (uid, from, None),
        };
        let Some(live) = self.kubernetes.service_account(cluster, &from.namespace, &from.name).await? else {
            return Ok(no_longer(call, "it is gone"));
        };
        if live.uid != *uid {
            return Ok(Finding::stale("it was deleted and made anew"));
        }
        if live.deleting.is_some() {
            return Ok(no_longer(call, "it is being deleted"));
        }
        match to {
            Some(to) => Ok(fields(&live, from, &to)),
            None => self.deletable(cluster, &live, from).await,
        }
    }

    /// Whether the object is still ours alone, as it was, and used by nobody. The pods are listed last: of the object
    /// itself nothing can change up to the delete, which carries its version.
    async fn deletable(
        &self,
        cluster: &Key,
        live: &LiveServiceAccount,
        from: &ServiceAccount,
    ) -> Result<Finding, CallError> {
        let us = field_manager(&self.plan.owner);
        let mut verdicts = vec![fields(live, from, from)];
        let others = live.managers.iter().filter(|manager| manager.name != us);
        verdicts.extend(others.map(|manager| Finding::stale(format!("`{}` manages it too now", manager.name))));
        let owners = live.owner_references.iter();
        verdicts.extend(owners.map(|owner| Finding::stale(format!("it is owned by `{owner}` now"))));
        let pods = self.kubernetes.pods(cluster, &live.namespace, &live.name).await?;
        if let Some(pod) = pods.first() {
            verdicts.push(Finding::stale(format!("pod `{pod}` uses it now")));
        }
        Ok(match Finding::all(verdicts) {
            Finding::Write | Finding::Done => Finding::Delete(live.resource_version.clone()),
            other @ (Finding::Delete(_) | Finding::Stale(_)) => other,
        })
    }
}

/// Of an object that is gone, or going: only a change that is to make it ours is stale.
fn no_longer(call: &KubernetesCall, why: &str) -> Finding {
    if matches!(call, KubernetesCall::Apply { .. }) { Finding::stale(why) } else { Finding::Done }
}

/// Our labels and annotations, key by key.
fn fields(live: &LiveServiceAccount, from: &ServiceAccount, to: &ServiceAccount) -> Finding {
    let labels = pairs("labels", &live.labels, &from.labels, &to.labels);
    let annotations = pairs("annotations", &live.annotations, &from.annotations, &to.annotations);
    Finding::all([labels, annotations])
}

fn pairs(what: &str, live: &StringMap, from: &StringMap, to: &StringMap) -> Finding {
    Finding::all(
        from.keys()
            .chain(to.keys())
            .map(|key| Finding::of(&format!("{what}.{key}"), &live.get(key), &from.get(key), &to.get(key))),
    )
}
