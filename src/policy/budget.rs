//! Sizes and quotas: how much of a document counts, and what to do when it is too much.

/// A role's trust policy, by default
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub const TRUST_SIZE: usize = 2048;
/// The most that AWS raises the quota of a trust policy to.
pub const TRUST_SIZE_MAXIMUM: usize = 4096;
/// All inline policies of a role together.
pub const INLINE_SIZE: usize = 10_240;
/// A managed policy.
pub const MANAGED_SIZE: usize = 6144;
/// What another cluster costs in a trust policy, about.
const CLUSTER: usize = 465;
/// What another subject costs in a statement that is there, about.
const SUBJECT: usize = 58;

/// Advice for a trust policy that does not fit; nothing if it fits.
pub fn trust_advice(size: usize, limit: usize) -> Option<String> {
    let excess = size.checked_sub(limit).filter(|excess| *excess > 0)?;
    let (subjects, clusters) = (excess.div_ceil(SUBJECT), excess.div_ceil(CLUSTER));
    let count = |number: usize, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    let more = if limit < TRUST_SIZE_MAXIMUM {
        format!("; AWS raises the quota `AssumeRolePolicySizeQuota` to {TRUST_SIZE_MAXIMUM} on request")
    } else {
        String::new()
    };
    Some(format!(
        "it is {excess} characters too long, about {} or {}: move them to a second role{more}",
        count(subjects, "ServiceAccount"),
        count(clusters, "cluster"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_for_what_does_not_fit() {
        assert_eq!(trust_advice(2048, 2048), None);
        let advice = trust_advice(2500, 2048).unwrap();
        assert!(advice.contains("452 characters") && advice.contains("8 ServiceAccounts or 1 cluster"), "{advice}");
        assert!(advice.contains("4096"));
        assert!(!trust_advice(5000, 4096).unwrap().contains("on request"));
    }
}
