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
