//! Hints for failed calls: what the user can do.

use crate::model::call::{Call, IamCall, KubernetesCall};
use crate::world::{CallError, CallErrorKind};

/// The hint for an error of `call`, or of the read before it.
pub(super) fn hint(error: &CallError, call: &Call) -> Option<String> {
    match error.kind {
        CallErrorKind::Denied => Some(denied(error, call)),
        CallErrorKind::Rejected => rejected(error, call),
        CallErrorKind::Credentials => Some("sign in again, then apply again to continue".to_owned()),
        CallErrorKind::Limit => Some(limit(call)),
        CallErrorKind::AlreadyExists => Some("it was created after the plan was made: plan again".to_owned()),
        CallErrorKind::NotFound => Some(match call {
            Call::Kubernetes(_, KubernetesCall::Create { service_account }) => {
                format!("create namespace `{}` first, then apply again", service_account.namespace)
            }
            Call::Iam(_, IamCall::Attach { arn, .. }) => {
                format!("check that `{arn}` exists, with this spelling and path, and plan again")
            }
            _ => "it was deleted after the plan was made: plan again".to_owned(),
        }),
        CallErrorKind::Conflict => Some(conflict(error, call).to_owned()),
        CallErrorKind::Altered => Some(
            "a mutating admission webhook or policy of the cluster may have changed the object (`kubectl get \
             mutatingwebhookconfigurations,mutatingadmissionpolicies`): exclude the object there, or declare the same values"
                .to_owned(),
        ),
        CallErrorKind::Throttled | CallErrorKind::Unavailable => Some("apply again to continue".to_owned()),
        CallErrorKind::Invalid | CallErrorKind::Other | CallErrorKind::Stopped => None,
    }
}

fn conflict(error: &CallError, call: &Call) -> &'static str {
    let Call::Iam(_, call) = call else {
        return if error.code.as_deref() == Some("FieldManagerConflict") {
            "plan again; remove the field from what that manager applies, or take the field over with `--force-conflicts`"
        } else {
            "it has changed since the plan was made: plan again"
        };
    };
    if matches!(call, IamCall::DeleteRole { .. } | IamCall::DeletePolicy { .. }) {
        "something was attached to it after the plan was made: plan again"
    } else {
        "someone else is writing to it at the same time: apply again"
    }
}

fn denied(error: &CallError, call: &Call) -> String {
    let Call::Kubernetes(cluster, call) = call else {
        return format!("give these credentials the permission `{}`", error.operation);
    };
    if error.code.is_none() {
        return format!("something in front of the API of cluster `{cluster}` refused it: check the proxies");
    }
    let verbs = match call {
        KubernetesCall::Create { .. } => "`get`, `create` and `patch`",
        KubernetesCall::Apply { .. } | KubernetesCall::Release { .. } | KubernetesCall::Remove { .. } => {
            "`get` and `patch`"
        }
        KubernetesCall::Delete { .. } => "`get` and `delete` (and `list` on `pods`)",
    };
    format!("give these credentials the verbs {verbs} on `serviceaccounts` in cluster `{cluster}`")
}

/// The hint for a call that an admission plugin or policy rejected. None for IAM. The error message already says what
/// the policy wants.
fn rejected(error: &CallError, call: &Call) -> Option<String> {
    let Call::Kubernetes(cluster, call) = call else { return None };
    let namespace = &call.object().namespace;
    Some(if error.code.as_deref() == Some("NamespaceTerminating") {
        format!("wait until namespace `{namespace}` is deleted, create it again, then apply again")
    } else if matches!(call, KubernetesCall::Create { .. }) && !error.names_a_policy() {
        format!(
            "either these credentials lack a right (`kubectl auth can-i create serviceaccounts -n {namespace}`), or a policy \
             of cluster `{cluster}` forbids it: allow it, or change what is declared"
        )
    } else {
        format!("a policy of cluster `{cluster}` forbids it: change what is declared, or the policy")
    })
}

/// The hint for a quota that AWS or the cluster enforces.
fn limit(call: &Call) -> String {
    let Call::Iam(_, call) = call else {
        return "free or raise the ResourceQuota of the namespace, then apply again".to_owned();
    };
    let what = match call {
        IamCall::CreateRole { .. } => {
            "the account has reached its quota of roles, or the trust policy is longer than its quota"
        }
        IamCall::CreatePolicy { .. } => "the account has reached its quota of customer managed policies",
        IamCall::CreatePolicyVersion { .. } => {
            return "the policy has reached its quota of versions: delete an old version, then apply again".to_owned();
        }
        IamCall::CreateProvider { .. } => "the account has reached its quota of OIDC providers",
        IamCall::AddAudience { .. } => "the OIDC provider has reached its quota of audiences",
        IamCall::Attach { .. } => "the role has reached its quota of attached managed policies",
        IamCall::UpdateTrust { .. } => "the trust policy is longer than its quota",
        IamCall::PutInline { .. } => "the inline policies of the role are longer than their quota",
        _ => "the object has reached its quota of tags, or another quota",
    };
    format!("{what}: free space, or raise the quota in Service Quotas, then apply again")
}

#[cfg(test)]
mod tests;
