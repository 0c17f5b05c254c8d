//! The tags, labels and annotations by which irsa recognizes its objects, and those of the pod identity webhook.

use super::address::Address;
use super::resource::StringMap;
use crate::ids::Key;

/// The tag and label that names the owning configuration.
pub const OWNER: &str = "irsa/owner";
/// The tag and annotation that names the declared object.
pub const ADDRESS: &str = "irsa/address";
/// The tag that protects an object from deletion. The live tag counts, not the configuration.
pub const PREVENT_DESTROY: &str = "irsa/prevent-destroy";

/// Whether the tags of an object forbid its deletion.
pub(crate) fn is_protected(tags: &StringMap) -> bool {
    tags.get(PREVENT_DESTROY).is_some_and(|value| value != "false")
}

/// Whether an IAM tag is one of irsa's. IAM ignores the case of tag keys
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>).
pub fn is_mark(key: &str) -> bool {
    [OWNER, ADDRESS, PREVENT_DESTROY].iter().any(|mark| mark.eq_ignore_ascii_case(key))
}

/// The default path of roles and policies: `/irsa/<owner>/`.
pub fn default_path(owner: &str) -> String {
    format!("/irsa/{owner}/")
}

/// The inline policy that denies everything to a role while calls are made that have no safe order.
pub const TRANSITION: &str = "irsa-transition";
/// The annotation on a `ServiceAccount` that irsa created.
pub const CREATED: &str = "irsa/created";
/// The prefix of the annotations that the EKS pod identity webhook reads.
pub const CHAIN: &str = "eks.amazonaws.com/";
/// The annotation with the ARN of the role, for the EKS pod identity webhook
/// (<https://github.com/aws/amazon-eks-pod-identity-webhook>).
pub const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
/// The audience of the projected token.
pub const AUDIENCE: &str = "eks.amazonaws.com/audience";
/// The lifetime of the projected token, in seconds.
pub const TOKEN_EXPIRATION: &str = "eks.amazonaws.com/token-expiration";
/// The lifetime of a projected token in seconds: at least Kubernetes' minimum, at most what EKS issues
/// (<https://docs.aws.amazon.com/eks/latest/userguide/service-accounts.html>).
pub(crate) const TOKEN_LIFETIME: (u32, u32) = (600, 86_400);
/// Whether the SDK in the pod uses the regional STS endpoint.
pub const STS_REGIONAL_ENDPOINTS: &str = "eks.amazonaws.com/sts-regional-endpoints";
/// The default audience of the webhook, in every AWS partition.
pub const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
/// The most tags of a role, policy or provider
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub(crate) const TAG_LIMIT: usize = 50;
/// The longest tag value that IAM accepts
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html>).
pub(crate) const TAG_VALUE_LIMIT: usize = 256;

/// The field manager under which irsa applies to Kubernetes.
pub fn field_manager(owner: &Key) -> String {
    format!("irsa-{owner}")
}

/// The value of the address tag or annotation. An address that is too long for a tag is cut and gets a hash at its end.
pub fn address_mark(address: &Address) -> String {
    let text = address.to_string();
    if text.len() <= TAG_VALUE_LIMIT {
        return text;
    }
    let hash = fnv1a(text.as_bytes());
    let kept: String = text.chars().take(TAG_VALUE_LIMIT - 17).collect();
    format!("{kept}~{hash:016x}")
}

/// FNV-1a with 64 bits, which never changes and distinguishes long addresses well enough.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
