//! `webhook`: the pod identity webhook is there, the API server trusts its certificate, and it covers the namespace.
//!
//! Its `failurePolicy` is `Ignore`: if the API server cannot call it, pods start with the role of their node instead, and
//! nothing reports it (<https://github.com/aws/containers-roadmap/issues/2874>). On EKS it runs in the control plane,
//! with a certificate of the cluster's authority. Elsewhere it may have an authority of its own, which only its Secret or
//! cert-manager knows.

use super::case::Case;
use super::{Verdict, shell_word};
use crate::model::evidence::{Pod, Webhook, WebhookList};
use crate::model::live::Observed;
use crate::model::quoted::quoted;
use crate::model::resource::StringMap;

/// The name on EKS, and a part of the names elsewhere.
const NAMES: [&str; 2] = ["iam-for-pods.amazonaws.com", "pod-identity-webhook"];

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    if let Err(verdict) = case.managed_service_account() {
        return verdict;
    }
    let Some(evidence) = case.evidence else { return Verdict::unknown("it was not read") };
    let WebhookList { items: all, malformed } = match &evidence.webhooks {
        Observed::Present(list) => list,
        Observed::Unknown(why) => return Verdict::unknown(why.clone()),
        Observed::Absent => return Verdict::unknown("it was not read"),
    };
    let is_it = |webhook: &&Webhook| {
        NAMES.iter().any(|name| webhook.name.contains(name) || webhook.configuration.contains(name))
    };
    // others may have a similar name
    let exact: Vec<&Webhook> = all.iter().filter(|webhook| webhook.name == NAMES[0]).collect();
    let found = if exact.is_empty() { all.iter().filter(is_it).collect() } else { exact };
    // one that works is enough
    let judged = found.iter().map(|webhook| one(case, webhook, &evidence.authority));
    let Some(best) = judged.min_by_key(|verdict| verdict.status) else {
        if !malformed.is_empty() {
            return Verdict::unknown(format!(
                "it may be in MutatingWebhookConfiguration {}, which irsa does not understand",
                quoted(malformed).join(", ")
            ));
        }
        let hint = if case.cluster.name.is_some() {
            "EKS creates it in each cluster: restore the MutatingWebhookConfiguration `pod-identity-webhook` from another \
             cluster, or ask AWS support"
        } else {
            "install it: https://github.com/aws/amazon-eks-pod-identity-webhook"
        };
        return Verdict::failed("the cluster has no pod identity webhook: new pods get no role", hint);
    };
    best
}

fn one(case: &Case<'_>, webhook: &Webhook, authority: &Observed<Vec<Vec<u8>>>) -> Verdict {
    let name = format!("webhook `{}` of `{}`", webhook.name, webhook.configuration);
    if !webhook.covers_pods {
        return Verdict::failed(
            format!("{name} has no rule for the creation of pods"),
            "add the rule: operation `CREATE`, resource `pods`, API version `v1`, scope `*`",
        );
    }
    let trusted = match trusted(case, webhook, authority, &name) {
        Ok(text) => text,
        Err(verdict) => return verdict,
    };
    if let Some(verdict) = covers(case, webhook, &name) {
        return verdict;
    }
    if webhook.has_conditions {
        return Verdict::unknown(format!("{name} has `matchConditions`, which irsa does not evaluate"));
    }
    Verdict::ok(format!("{name} covers the namespace{trusted}"))
}

/// Checks that the API server can verify the webhook. `Ok` has a note if irsa did not compare the authority.
fn trusted(
    case: &Case<'_>,
    webhook: &Webhook,
    authority: &Observed<Vec<Vec<u8>>>,
    name: &str,
) -> Result<&'static str, Verdict> {
    let bundle = webhook.ca_bundle.as_deref().unwrap_or_default();
    if webhook.in_cluster {
        return if bundle.is_empty() {
            Err(Verdict::failed(
                format!("{name} runs behind a Service and has no readable `caBundle`: the API server cannot verify it"),
                "set `caBundle` to the authority of its certificate (with cert-manager: the annotation \
                 `cert-manager.io/inject-ca-from`)",
            ))
        } else {
            Ok("; it has its own authority, which was not compared")
        };
    }
    if case.cluster.name.is_none() {
        return Ok("; its authority was not compared");
    }
    let authority = match authority {
        Observed::Present(authority) if !authority.is_empty() => authority,
        Observed::Unknown(why) => return Err(Verdict::unknown(format!("the cluster's authority: {why}"))),
        Observed::Present(_) | Observed::Absent => {
            return Err(Verdict::unknown("the cluster's authority is not known"));
        }
    };
    let shared = authority.iter().filter(|one| bundle.contains(one)).count();
    if shared == authority.len() {
        return Ok("");
    }
    let refresh = format!(
        "write the cluster's authority into it: `{} patch mutatingwebhookconfiguration {} --type=json -p \
         '[{{\"op\":\"replace\",\"path\":\"/webhooks/{}/clientConfig/caBundle\",\"value\":\"CA\"}}]'`, with the CA of `{} \
         --query cluster.certificateAuthority.data --output text`; then restart the pods",
        case.kubectl(),
        shell_word(&webhook.configuration),
        webhook.index,
        case.aws_eks("describe-cluster", "--name")
    );
    if shared == 0 {
        return Err(Verdict::failed(
            format!(
                "the `caBundle` of {name} is not the cluster's authority: new pods silently start without the role"
            ),
            refresh,
        ));
    }
    let what = format!(
        "the cluster's authority is being rotated: the `caBundle` of {name} has {shared} of its {} certificates, and is \
         stale once the others sign",
        authority.len()
    );
    Err(Verdict::unknown(what).hint(refresh))
}

/// The verdict if a selector leaves out the namespace or running pods.
fn covers(case: &Case<'_>, webhook: &Webhook, name: &str) -> Option<Verdict> {
    let (_, namespace, service_account) = case.chain.key()?;
    let evidence = case.evidence?;
    if !webhook.namespace_selector.0.is_empty() {
        match &evidence.namespace_labels {
            Observed::Present(all) => {
                let Some(labels) = all.get(&namespace) else {
                    return Some(Verdict::unknown(format!("the labels of namespace `{namespace}` were not read")));
                };
                if let Some(requirement) = webhook.namespace_selector.unfulfilled(labels) {
                    return Some(Verdict::failed(
                        format!(
                            "{name} leaves out namespace `{namespace}`: its `namespaceSelector` wants `{requirement}`"
                        ),
                        "label the namespace so that it fits, then restart the pods",
                    ));
                }
            }
            Observed::Unknown(why) => return Some(Verdict::unknown(why.clone())),
            Observed::Absent => {}
        }
    }
    let pods = evidence.pods.get(&namespace).and_then(Observed::present).into_iter().flatten();
    let is_its = |pod: &&Pod| !pod.is_malformed && pod.service_account == service_account.as_str();
    let pods: Vec<&Pod> = pods.filter(is_its).collect();
    let excluded = pods.iter().find_map(|pod| {
        let requirement = webhook.object_selector.unfulfilled(&pod.labels)?;
        Some((pod, requirement))
    });
    if let Some((pod, requirement)) = excluded {
        return Some(Verdict::failed(
            format!("{name} leaves out pod `{}`: its `objectSelector` wants `{requirement}`", pod.name),
            "change the labels in the template of the pod's workload, which restarts it",
        ));
    }
    // without pods, their labels are not known
    let unfulfilled = webhook.object_selector.unfulfilled(&StringMap::default()).filter(|_| pods.is_empty())?;
    Some(Verdict::unknown(format!("{name} covers only pods with `{unfulfilled}`, and no pod runs")))
}
