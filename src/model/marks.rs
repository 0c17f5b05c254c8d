//! The marks that irsa leaves on what it manages: the only state that it keeps.

use super::address::Address;
use crate::ids::Key;

/// The tag and label that names the owning configuration.
pub const OWNER: &str = "irsa/owner";
/// The tag and annotation that names the declared object.
pub const ADDRESS: &str = "irsa/address";
/// The tag that guards a live object against deletion; the live tag decides.
pub const PREVENT_DESTROY: &str = "irsa/prevent-destroy";
/// Whether an IAM tag is one of our marks. IAM ignores the case of tag keys
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>).
pub fn is_mark(key: &str) -> bool {
    [OWNER, ADDRESS, PREVENT_DESTROY].iter().any(|mark| mark.eq_ignore_ascii_case(key))
}

/// Where roles and policies are made by default: `/irsa/<owner>/`.
pub fn default_path(owner: &str) -> String {
    format!("/irsa/{owner}/")
}

/// The inline policy that denies everything while changes are made that no order of calls makes safe.
pub const TRANSITION: &str = "irsa-transition";
/// The annotation on a `ServiceAccount` that irsa made.
pub const CREATED: &str = "irsa/created";
/// What the annotations begin with that the EKS pod identity webhook reads.
pub const CHAIN: &str = "eks.amazonaws.com/";
/// The annotation that the EKS pod identity webhook reads
/// (<https://github.com/aws/amazon-eks-pod-identity-webhook>).
pub const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
/// The audience of the projected token.
pub const AUDIENCE: &str = "eks.amazonaws.com/audience";
/// The lifetime of the projected token, in seconds.
pub const TOKEN_EXPIRATION: &str = "eks.amazonaws.com/token-expiration";
/// Whether the SDK in the pod asks the regional STS endpoint.
pub const STS_REGIONAL_ENDPOINTS: &str = "eks.amazonaws.com/sts-regional-endpoints";
/// The audience that the webhook and every AWS partition use by default.
pub const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";
/// The longest tag value that IAM takes
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html>).
const TAG_VALUE_LIMIT: usize = 256;

/// The field manager under which irsa applies to Kubernetes.
pub fn field_manager(owner: &Key) -> String {
    format!("irsa-{owner}")
}

/// An address as it is kept in a tag or annotation: as it is, or cut and ended by a hash when it is longer than a tag
/// may be.
pub fn address_mark(address: &Address) -> String {
    let text = address.to_string();
    if text.len() <= TAG_VALUE_LIMIT {
        return text;
    }
    let hash = fnv1a(text.as_bytes());
    let kept: String = text.chars().take(TAG_VALUE_LIMIT - 17).collect();
    format!("{kept}~{hash:016x}")
}

/// FNV-1a with 64 bits: stable for ever and good enough to tell two long addresses apart.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
