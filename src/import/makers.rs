//! Recognizes who made an object, by its tags, labels and annotations, and says what to do there first.

use crate::model::live::LiveServiceAccount;
use crate::model::resource::StringMap;

/// The tag with the stack of an object that CloudFormation made
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>).
const STACK: &str = "aws:cloudformation:stack-name";

fn with_prefix<'a>(map: &'a StringMap, prefixes: &[&str]) -> Option<&'a str> {
    let found = map.iter().find(|(key, _)| prefixes.iter().any(|prefix| key.starts_with(prefix)));
    found.map(|(_, value)| value.as_str())
}

/// Who made an IAM object with these tags, and what to do there first. None if the tags do not tell.
pub(super) fn of_tags(tags: &StringMap) -> Option<String> {
    let stack = tags.get(STACK);
    let in_stack = stack.map(|stack| format!(", stack `{stack}`")).unwrap_or_default();
    // tags of eksctl (https://eksctl.io/usage/iamserviceaccounts/)
    if with_prefix(tags, &["alpha.eksctl.io/", "eksctl.cluster.k8s.io/", "eksctl.io/"]).is_some() {
        return Some(format!(
            "made by eksctl{in_stack}: deleting that stack deletes the role; set `DeletionPolicy: Retain` in it first \
             (docs/from-eksctl.md)"
        ));
    }
    // tags of CDK (https://docs.aws.amazon.com/cdk/v2/guide/resources.html)
    if with_prefix(tags, &["aws-cdk:"]).is_some() {
        return Some(format!(
            "made by CDK{in_stack}: give it the removal policy RETAIN and deploy, then take it out of the app"
        ));
    }
    if stack.is_some() {
        return Some(format!(
            "made by CloudFormation{in_stack}: set `DeletionPolicy: Retain`, update the stack, then take the resource \
             out of its template"
        ));
    }
    // tags of ACK's controllers (https://aws-controllers-k8s.github.io/community/docs/user-docs/ack-tags/)
    if with_prefix(tags, &["services.k8s.aws/"]).is_some() {
        return Some(
            "made by ACK: set the annotation `services.k8s.aws/deletion-policy: retain`, then delete the object there"
                .to_owned(),
        );
    }
    // tags of Crossplane's AWS provider (https://docs.crossplane.io/latest/managed-resources/managed-resources/)
    if let Some(name) = tags.get("crossplane-name") {
        return Some(format!(
            "made by Crossplane, object `{name}`: set `managementPolicies` without `Delete`, then delete the object there"
        ));
    }
    if with_prefix(tags, &["kops.k8s.io/"]).is_some() || tags.contains_key("KubernetesCluster") {
        return Some(
            "made by kOps: take it out of `serviceAccountExternalPermissions`, and see in `kops update cluster` without \
             `--yes` that kOps would not delete it"
                .to_owned(),
        );
    }
    let is_terraform = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.contains("terraform") || text.contains("opentofu") || text.contains("terragrunt")
    };
    let by_terraform = tags.iter().any(|(key, value)| {
        is_terraform(value) || is_terraform(key) && !["false", "no", "0"].contains(&value.to_ascii_lowercase().as_str())
    });
    by_terraform.then(|| {
        "made by Terraform, as its tags say: take it out with a `removed` block or `terraform state rm` before the \
         next apply there (docs/from-terraform.md)"
            .to_owned()
    })
}

/// Who makes a ServiceAccount.
pub(super) struct Maker {
    /// Who, and what to do there.
    pub text: String,
    /// Whether it would create the ServiceAccount again, so that irsa should not.
    pub recreates: bool,
}

/// Who makes the ServiceAccount, by the labels and annotations that the tools document.
pub(super) fn of_service_account(item: &LiveServiceAccount) -> Option<Maker> {
    let recreated = |text: String| Some(Maker { text, recreates: true });
    let any = |prefix: &str| with_prefix(&item.labels, &[prefix]).or_else(|| with_prefix(&item.annotations, &[prefix]));
    let managed_by = item.labels.get("app.kubernetes.io/managed-by").map(String::as_str);
    if let Some(name) = any("helm.toolkit.fluxcd.io/name").or_else(|| any("kustomize.toolkit.fluxcd.io/name")) {
        return recreated(format!("made by Flux (`{name}`): take `role-arn` out of what it applies"));
    }
    if let Some(name) = any("argocd.argoproj.io/") {
        return recreated(format!("made by Argo CD (`{name}`): take `role-arn` out of what it applies"));
    }
    if let Some(release) = item.annotations.get("meta.helm.sh/release-name") {
        return recreated(format!("made by Helm, release `{release}`: take `role-arn` out of its values"));
    }
    if managed_by == Some("Helm") {
        return recreated("made by Helm: take `role-arn` out of its values".to_owned());
    }
    if managed_by == Some("eksctl") {
        let text = "made by eksctl: `eksctl delete iamserviceaccount` would delete it (docs/from-eksctl.md)".to_owned();
        return Some(Maker { text, recreates: false });
    }
    let by_terraform = item.managers.iter().any(|manager| {
        let name = manager.name.to_ascii_lowercase();
        name.contains("terraform") || name.contains("hashicorp") || name.contains("opentofu")
    });
    by_terraform.then(|| {
        let text =
            "made by Terraform: take it out with a `removed` block or `terraform state rm` (docs/from-terraform.md)";
        Maker { text: text.to_owned(), recreates: false }
    })
}
