//! Recognizes who made an object, by its tags, labels and annotations, and says what to do in that program.

use crate::model::live::LiveServiceAccount;
use crate::model::resource::StringMap;

/// The tag with the name of the stack that has the object.
pub(super) const STACK: &str = "aws:cloudformation:stack-name";

/// Who makes an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maker {
    /// The program, with the name that the object has there.
    pub who: String,
    /// What to do there, for all objects of this kind that the program makes.
    pub release: Release,
}

/// What to do in a program before irsa takes its objects over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    pub program: &'static str,
    pub how: &'static str,
    /// Whether the program would create a ServiceAccount again, so that irsa should not.
    pub recreates: bool,
}

const fn release(program: &'static str, how: &'static str) -> Release {
    Release { program, how, recreates: false }
}

const EKSCTL: Release = release(
    "eksctl",
    "its stack, and `eksctl delete iamserviceaccount`, delete the role and the ServiceAccount: follow docs/from-eksctl.md",
);
const CLOUDFORMATION: Release = release(
    "CloudFormation",
    "set `DeletionPolicy: Retain` and update the stack with another change, then take the resource out of its template \
     (docs/from-eksctl.md has the commands)",
);
const CDK: Release = release(
    "CDK",
    "give it the removal policy RETAIN and deploy that with another change, then take it out of the app and deploy again",
);
const ACK: Release = release(
    "ACK",
    "set the annotation `services.k8s.aws/deletion-policy: retain` on its object there, then delete that object",
);
const CROSSPLANE: Release = release(
    "Crossplane",
    "set `deletionPolicy: Orphan`, or in version 2 `managementPolicies` without `Delete`, on the role and on its \
     attachments, then delete these objects there",
);
const KOPS: Release = release(
    "kOps",
    "take it out of `iam.serviceAccountExternalPermissions`, and its tag `kubernetes.io/cluster/…` off: `kops delete \
     cluster` deletes the roles with that tag",
);
const TERRAFORM: Release = release(
    "Terraform",
    "take it out with a `removed` block or `terraform state rm` before the next apply there (docs/from-terraform.md)",
);
const FLUX: Release = Release { recreates: true, ..release("Flux", "take `role-arn` out of what it applies") };
const ARGO_CD: Release = Release { recreates: true, ..release("Argo CD", "take `role-arn` out of what it applies") };
const HELM: Release =
    Release { recreates: true, ..release("Helm", "take `role-arn` out of the values of the release") };

fn by(release: Release, kind: &str, name: Option<&str>) -> Maker {
    let name = name.map(|name| format!(", {kind} `{name}`")).unwrap_or_default();
    Maker { who: format!("{}{name}", release.program), release }
}

fn with_prefix<'a>(map: &'a StringMap, prefix: &str) -> Option<&'a str> {
    map.iter().find(|(key, _)| key.starts_with(prefix)).map(|(_, value)| value.as_str())
}

fn is_terraform(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["terraform", "opentofu", "terragrunt", "hashicorp"].iter().any(|name| text.contains(name))
}

/// Who made an IAM object with these tags. None if the tags do not tell.
///
/// - CloudFormation tags what it makes, and gives it the tags of the stack
///   (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>).
/// - eksctl tags its stacks (`pkg/apis/eksctl.io/v1alpha5/types.go` of <https://github.com/eksctl-io/eksctl>). Terraform
///   code copies these tags, so outside a stack those of Terraform count first.
/// - CDK adds no tags to a role; its logical ids end in a hash of eight hexadecimal digits
///   (<https://docs.aws.amazon.com/cdk/v2/guide/identifiers.html>).
/// - ACK's controllers set `services.k8s.aws/controller-version` and `services.k8s.aws/namespace` by default
///   (`resourceTags` in the charts of <https://github.com/aws-controllers-k8s>).
/// - Crossplane's providers set `crossplane-kind`, `crossplane-name` and `crossplane-providerconfig`
///   (<https://github.com/crossplane/crossplane-runtime>).
/// - kOps sets `service-account.kops.k8s.io/name` on roles of ServiceAccounts
///   (`upup/pkg/fi/cloudup/awstasks/iamrole.go` of <https://github.com/kubernetes/kops>), also where Terraform applies
///   its output.
/// - Terraform sets no tags. Many teams name it in theirs (`default_tags`).
pub(super) fn of_tags(tags: &StringMap) -> Option<Maker> {
    if let Some(stack) = tags.get(STACK) {
        let is_hash = |id: &String| {
            let end = id.len().checked_sub(8).and_then(|start| id.get(start..));
            end.is_some_and(|end| end.chars().all(|c| matches!(c, '0'..='9' | 'A'..='F')))
        };
        let release = if with_prefix(tags, "alpha.eksctl.io/").is_some() {
            EKSCTL
        } else if tags.get("aws:cloudformation:logical-id").is_some_and(is_hash) {
            CDK
        } else {
            CLOUDFORMATION
        };
        return Some(by(release, "stack", Some(stack)));
    }
    if with_prefix(tags, "services.k8s.aws/").is_some() {
        return Some(by(ACK, "namespace", tags.get("services.k8s.aws/namespace").map(String::as_str)));
    }
    if let Some(name) = tags.get("crossplane-name") {
        return Some(by(CROSSPLANE, "object", Some(name)));
    }
    if with_prefix(tags, "service-account.kops.k8s.io/").is_some() {
        return Some(by(KOPS, "cluster", tags.get("KubernetesCluster").map(String::as_str)));
    }
    let named = tags.iter().any(|(key, value)| {
        let denied = || ["false", "no", "0"].contains(&value.to_ascii_lowercase().as_str());
        is_terraform(value) || is_terraform(key) && !denied()
    });
    let copied = with_prefix(tags, "alpha.eksctl.io/").is_some();
    let release = if named { TERRAFORM } else { EKSCTL };
    (named || copied).then(|| Maker { who: format!("{}, as its tags say", release.program), release })
}

/// Who makes the ServiceAccount.
///
/// - Helm sets the annotation `meta.helm.sh/release-name`, and charts set the label `app.kubernetes.io/managed-by: Helm`
///   (<https://helm.sh/docs/chart_best_practices/labels/>).
/// - Argo CD sets the annotation `argocd.argoproj.io/tracking-id`
///   (<https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/>).
/// - Flux labels what its Kustomizations and HelmReleases apply
///   (<https://fluxcd.io/flux/components/kustomize/kustomizations/>).
/// - eksctl sets the label `app.kubernetes.io/managed-by: eksctl`.
/// - Terraform's kubernetes provider is a field manager of that name.
pub(super) fn of_service_account(item: &LiveServiceAccount) -> Option<Maker> {
    let any = |prefix: &str| with_prefix(&item.labels, prefix).or_else(|| with_prefix(&item.annotations, prefix));
    let managed_by = item.labels.get("app.kubernetes.io/managed-by").map(String::as_str);
    if let Some(name) = any("helm.toolkit.fluxcd.io/name").or_else(|| any("kustomize.toolkit.fluxcd.io/name")) {
        return Some(by(FLUX, "object", Some(name)));
    }
    if let Some(name) = any("argocd.argoproj.io/") {
        return Some(by(ARGO_CD, "object", Some(name)));
    }
    if let Some(name) = item.annotations.get("meta.helm.sh/release-name") {
        return Some(by(HELM, "release", Some(name)));
    }
    match managed_by {
        Some("Helm") => Some(by(HELM, "", None)),
        Some("eksctl") => Some(by(EKSCTL, "", None)),
        _ if item.managers.iter().any(|manager| is_terraform(&manager.name)) => Some(by(TERRAFORM, "", None)),
        _ => None,
    }
}
