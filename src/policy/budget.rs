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
mod tests {
    use super::super::trust::{self, Grant};
    use super::*;
    use crate::ids::ProviderArn;

    fn size(clusters: usize, subjects: usize) -> usize {
        let grants = (0..clusters).flat_map(|cluster| {
            (0..subjects).map(move |subject| Grant {
                provider: ProviderArn::parse(format!(
                    "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/{cluster:032}"
                ))
                .unwrap(),
                audience: "sts.amazonaws.com".into(),
                subject: format!("system:serviceaccount:platform-reporting:some-worker-{subject:03}"),
            })
        });
        trust::build(&grants.collect(), &[]).size()
    }

    #[test]
    fn trust_policy_within_the_quota_gets_no_advice() {
        assert_eq!(trust_advice(2048, 2048), None);
        assert_eq!(trust_advice(0, 2048), None);
        assert!(
            trust_advice(2049, 2048)
                .unwrap()
                .starts_with("it is 1 characters too long: bind it to about one subject or one cluster fewer")
        );
    }

    #[test]
    fn advice_names_enough_subjects_and_clusters() {
        for (over, subjects, clusters) in [
            (50, "one subject", "one cluster"),
            (51, "2 subjects", "one cluster"),
            (420, "9 subjects", "one cluster"),
            (421, "9 subjects", "2 clusters"),
            (841, "17 subjects", "3 clusters"),
        ] {
            let advice = trust_advice(TRUST_SIZE + over, TRUST_SIZE).unwrap();
            assert_eq!(
                advice,
                format!(
                    "it is {over} characters too long: bind it to about {subjects} or {clusters} fewer, split it into \
                     several roles, or ask AWS for a higher quota of `Role trust policy length`"
                )
            );
        }
    }

    #[test]
    fn default_quota_fits_four_clusters_or_27_subjects() {
        assert!(size(4, 1) <= TRUST_SIZE && size(5, 1) > TRUST_SIZE);
        assert!(size(1, 27) <= TRUST_SIZE && size(1, 29) > TRUST_SIZE);
    }

    #[test]
    fn trust_policy_shortened_as_advised_fits() {
        for (clusters, subjects) in [(1, 40), (6, 1), (12, 1), (3, 20)] {
            let over = size(clusters, subjects) - TRUST_SIZE;
            let fewer = |count: usize, each: usize| count.saturating_sub(over.div_ceil(each));
            if subjects > 1 {
                let left = fewer(clusters * subjects, SUBJECT) / clusters;
                assert!(size(clusters, left) <= TRUST_SIZE, "{clusters} clusters, {left} subjects");
            } else {
                assert!(size(fewer(clusters, CLUSTER), 1) <= TRUST_SIZE, "{clusters} clusters");
            }
        }
    }
}
