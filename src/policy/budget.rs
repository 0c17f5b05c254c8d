//! Default size quotas of IAM policies, and advice for a trust policy that exceeds its quota.
//!
//! AWS counts characters without white space (`PolicyDocument::size`). The quotas of a live account come from
//! `GetAccountSummary` and take precedence.

/// Characters of a role's trust policy
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub const TRUST_SIZE: usize = 2048;
/// The highest quota for a trust policy that AWS grants (same page).
pub const TRUST_SIZE_MAXIMUM: usize = 4096;
/// Characters of all inline policies of a role together (same page).
pub const INLINE_SIZE: usize = 10_240;
/// Characters of a managed policy (same page).
pub const MANAGED_SIZE: usize = 6144;
/// Bytes of a document, with white space. IAM accepts at most this many characters
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html>).
pub const DOCUMENT_TEXT: usize = 131_072;
/// Managed policies attached to a role
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub const ATTACHED_PER_ROLE: usize = 10;

/// Characters of a short subject, `"system:serviceaccount:NAMESPACE:NAME",`. Short, so that the advice is enough.
const SUBJECT: usize = 50;
/// Characters of the shortest statement for an EKS cluster, which contains its issuer three times.
const CLUSTER: usize = 420;

/// How to shorten a trust policy of `size` characters. `None` if it is within `limit`.
pub fn trust_advice(size: usize, limit: usize) -> Option<String> {
    let over = size.checked_sub(limit).filter(|over| *over > 0)?;
    let about = |characters: usize, noun: &str| match over.div_ceil(characters) {
        1 => format!("one {noun}"),
        count => format!("{count} {noun}s"),
    };
    let (clusters, subjects) = (about(CLUSTER, "cluster"), about(SUBJECT, "subject"));
    Some(format!(
        "it is {over} characters too long: bind it to about {subjects} or {clusters} fewer, split it into several \
         roles, or ask AWS for a higher quota of `Role trust policy length`"
    ))
}

#[cfg(test)]
mod tests;
