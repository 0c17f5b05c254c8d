//! (stub for building until the policy branch is merged)

/// Advice for a trust policy that does not fit.
pub fn trust_advice(size: usize, limit: usize) -> Option<String> {
    (size > limit).then(|| "bind fewer".to_owned())
}
