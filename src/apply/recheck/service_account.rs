//! Re-reads a ServiceAccount: it must be the same object, with irsa's labels and annotations as planned.

use super::{Finding, Recheck};
use crate::ids::Key;
use crate::model::call::KubernetesCall;
use crate::model::live::LiveServiceAccount;
use crate::model::marks::field_manager;
use crate::model::resource::{ServiceAccount, StringMap};
use crate::world::{Answer, ReadAws, ReadKubernetes};

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    pub(super) async fn service_account(&self, cluster: &Key, call: &KubernetesCall) -> Answer<Finding> {
        let none = StringMap::new();
        // the labels and annotations after the call; None if the object is deleted
        let (uid, from, to) = match call {
            KubernetesCall::Create { .. } => return Ok(Finding::Write),
            KubernetesCall::Apply { uid, from, to, .. } => (uid, from, Some((&to.labels, &to.annotations))),
            KubernetesCall::Release { uid, from } | KubernetesCall::Remove { uid, from } => {
                (uid, from, Some((&none, &none)))
            }
            KubernetesCall::Delete { uid, from } => (uid, from, None),
        };
        let is_apply = matches!(call, KubernetesCall::Apply { .. });
        // if the object is gone, an apply is stale, and a release, removal or delete is done
        let without = |why| Ok(if is_apply { Finding::stale(why) } else { Finding::Done });
        let Some(live) = self.kubernetes.service_account(cluster, &from.namespace, &from.name).await? else {
            return without("it is gone");
        };
        if live.uid != *uid {
            return Ok(Finding::stale("it was deleted and created again"));
        }
        if live.deleting.is_some() {
            return without("it is being deleted");
        }
        match to {
            Some(to) => Ok(fields(&live, from, to)),
            None => self.service_account_delete(cluster, &live, from).await,
        }
    }

    /// The object may be deleted if only irsa manages it, its fields are unchanged, and no pod uses it. The pods are
    /// listed last. The delete call has the `resourceVersion`, so the API refuses it if the object has changed since
    /// this read.
    async fn service_account_delete(
        &self,
        cluster: &Key,
        live: &LiveServiceAccount,
        from: &ServiceAccount,
    ) -> Answer<Finding> {
        let own = field_manager(&self.plan.owner);
        let mut findings = vec![fields(live, from, (&from.labels, &from.annotations))];
        let others = live.managers.iter().filter(|manager| manager.name != own);
        findings.extend(others.map(|manager| Finding::stale(format!("`{}` manages it too now", manager.name))));
        let owners = live.owner_references.iter();
        findings.extend(owners.map(|owner| Finding::stale(format!("it is owned by `{owner}` now"))));
        let pods = self.kubernetes.pods(cluster, &live.namespace, &live.name).await?;
        findings.extend(pods.first().map(|pod| Finding::stale(format!("pod `{pod}` uses it now"))));
        Ok(Finding::all(findings).unless_stale(|| Finding::Delete(live.resource_version.clone())))
    }
}

fn fields(live: &LiveServiceAccount, from: &ServiceAccount, to: (&StringMap, &StringMap)) -> Finding {
    Finding::all([
        Finding::map("labels", &live.labels, &from.labels, to.0),
        Finding::map("annotations", &live.annotations, &from.annotations, to.1),
    ])
}
