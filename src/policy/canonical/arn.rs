//! What IAM would refuse of the ARNs in a policy. It does so when the policy is written, perhaps after other writes, so
//! that a declared policy is held to it before anything is asked.

use super::fold;

/// The parts of an ARN.
const PARTS: &str = "`arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`";

/// What may stand behind the account in a resource of IAM's own
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html>).
const IAM_KINDS: [&str; 15] = [
    "access-report/",
    "assumed-role/",
    "delegation-request/",
    "federated-user/",
    "group/",
    "instance-profile/",
    "mfa/",
    "oidc-provider/",
    "policy/",
    "report/",
    "role/",
    "saml-provider/",
    "server-certificate/",
    "sms-mfa/",
    "user/",
];

/// What S3 has in a region; buckets and objects are in none
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>).
const S3_REGIONAL: [&str; 6] =
    ["access-grants", "accesspoint", "async-request", "job", "storage-lens", "storage-lens-group"];

/// The parts of an ARN, six at most. A colon inside `${…}` parts nothing.
pub(crate) fn parts(arn: &str) -> Vec<&str> {
    let (mut parts, mut start, mut inside) = (Vec::with_capacity(6), 0, false);
    for (at, c) in arn.char_indices() {
        match c {
            '{' => inside = arn[..at].ends_with('$') && arn[at..].contains('}'),
            '}' => inside = false,
            ':' if !inside && parts.len() < 5 => {
                parts.push(&arn[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&arn[start..]);
    parts
}

/// Why IAM would refuse it as a resource
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>).
pub(super) fn refused_resource(text: &str) -> Option<String> {
    if text == "*" {
        return None;
    }
    if !text.starts_with("arn:") {
        return Some(format!("`{text}` is no resource: expected an ARN or `*`"));
    }
    let parts = parts(text);
    let [_, partition, service, region, _, resource] = parts[..] else {
        return Some(format!("`{text}` has {} of an ARN's six parts, {PARTS}", parts.len()));
    };
    if let Some(why) = refused_partition(text, partition, true) {
        return Some(why);
    }
    if service.contains(['*', '?', '$']) {
        return Some(format!("`{text}`: the service in an ARN must be written out, IAM takes no wildcard there"));
    }
    if service.is_empty() || !service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Some(format!("`{text}`: `{service}` is no service"));
    }
    if service == "iam" && !region.is_empty() {
        return Some(format!("`{text}`: what belongs to IAM is in no region"));
    }
    let literal = resource.split(['*', '?', '$']).next().unwrap_or_default();
    let fits = |kind: &&str| kind.starts_with(literal) && literal.len() < resource.len() || literal.starts_with(*kind);
    if service == "iam" && resource != "root" && !IAM_KINDS.iter().any(fits) {
        return Some(format!("`{text}`: IAM has no such kind of resource, expected for example `role/NAME`"));
    }
    let regional = |kind: &&str| literal.strip_prefix(*kind).is_some_and(|rest| rest.starts_with(['/', ':']));
    (service == "s3" && !region.is_empty() && literal == resource && !S3_REGIONAL.iter().any(regional))
        .then(|| format!("`{text}`: buckets and objects are in no region, write `arn:{partition}:s3:::{resource}`"))
}

/// Why the partition of an ARN is none.
fn refused_partition(arn: &str, partition: &str, wild: bool) -> Option<String> {
    if partition.contains('$') {
        let hint = "write it out, or as `{{ partition }}`";
        return Some(format!(
            "`{arn}`: `{partition}` is not filled in, IAM takes no variable for the partition; {hint}"
        ));
    }
    let rest = partition.strip_prefix("aws");
    let known = rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('-') && rest[1..].bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    });
    (!(known || wild && partition == "*")).then(|| format!("`{arn}`: `{partition}` is no partition of AWS"))
}

/// Why IAM would refuse it as a principal
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
pub(super) fn refused_principal(kind: &str, text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("a principal must not be empty".to_owned());
    }
    if text == "*" {
        return None;
    }
    if text.contains("${") {
        return Some(format!("`{text}`: a variable cannot stand in a principal"));
    }
    if text.starts_with("arn:") && matches!(kind, "AWS" | "Federated") {
        return refused_arn(text);
    }
    if kind != "AWS" || fold::account_id(text) {
        return None;
    }
    if text.contains(['*', '?']) {
        return Some(format!("`{text}`: a wildcard cannot stand for a part of a principal"));
    }
    // a unique id stands where its user or role is gone, and is the linter's business
    let unique = text.len() >= 16 && text.starts_with('A') && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (!unique).then(|| format!("`{text}` is no AWS principal: expected an account id, an ARN or `*`"))
}

/// Why IAM would refuse the ARN of a principal.
fn refused_arn(text: &str) -> Option<String> {
    if text.contains(['*', '?']) {
        return Some(format!("`{text}`: a wildcard cannot stand for a part of a principal"));
    }
    let parts = parts(text);
    let [_, partition, service, region, account, resource] = parts[..] else {
        return Some(format!("`{text}` has {} of an ARN's six parts, {PARTS}", parts.len()));
    };
    if let Some(why) = refused_partition(text, partition, false) {
        return Some(why);
    }
    if !matches!(service, "iam" | "sts") || !region.is_empty() || resource.is_empty() {
        return Some(format!("`{text}` is no principal: expected for example `arn:aws:iam::111122223333:role/NAME`"));
    }
    (!fold::account_id(account)).then(|| format!("`{text}`: `{account}` is no account id, which has twelve digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_arn_are_six_at_most() {
        assert_eq!(parts("arn:aws:logs:eu-west-1:1:log-group:a:*")[5], "log-group:a:*");
        assert_eq!(parts("arn:aws:s3:::${aws:PrincipalTag/a}/x")[5], "${aws:PrincipalTag/a}/x");
        assert_eq!(parts("arn:${AWS::Partition}:s3:::b"), ["arn", "${AWS::Partition}", "s3", "", "", "b"]);
        assert_eq!(parts("arn:aws:s3:::a${b").len(), 6);
    }

    #[test]
    fn what_iam_takes_as_a_resource_is_not_refused() {
        for text in [
            "*",
            "arn:aws:s3:::reports/*",
            "arn:aws:s3:::*",
            "arn:aws:s3:::reports/${aws:PrincipalTag/team}/*",
            "arn:aws:s3:eu-west-1:111122223333:accesspoint/reports",
            "arn:aws:s3:eu-west-1:111122223333:accesspoint/reports/object/*",
            "arn:aws:s3::111122223333:accesspoint/mrap.mrap",
            "arn:aws:s3:*:*:job/*",
            "arn:*:kms:*:*:key/*",
            "arn:aws-us-gov:sqs:us-gov-west-1:111122223333:jobs",
            "arn:aws-iso-b:sqs:us-isob-east-1:111122223333:jobs",
            "arn:aws:sqs:eu-west-1:${aws:PrincipalAccount}:jobs",
            "arn:aws:ec2:*::snapshot/*",
            "arn:aws:iam::111122223333:role/a",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "arn:aws:iam::*:*",
            "arn:aws:iam::111122223333:ro*",
            "arn:aws:iam::111122223333:mfa/${aws:username}",
            "arn:aws:iam::111122223333:root",
            "arn:aws:organizations::111122223333:",
            "arn:aws:states:eu-west-1:111122223333:stateMachine:jobs",
            "arn:aws:execute-api:eu-west-1:111122223333:a1/prod/GET/",
            "arn:aws:lambda:eu-west-1:111122223333:function:jobs:$LATEST",
        ] {
            assert_eq!(refused_resource(text), None, "{text}");
        }
    }

    #[test]
    fn what_iam_refuses_as_a_resource_is_refused() {
        for (text, word) in [
            ("reports", "no resource"),
            ("?*", "no resource"),
            ("arn", "no resource"),
            ("arn:*", "2 of an ARN's six parts"),
            ("arn:aws:s3", "3 of"),
            ("arn:aws:s3:*", "4 of"),
            ("arn:aws:s3::reports", "5 of"),
            ("arn:aws:iam::role/x", "5 of"),
            ("arn:${AWS::Partition}:s3:::reports", "`${AWS::Partition}` is not filled in"),
            ("arn:$partition:s3:::reports", "`$partition` is not filled in"),
            ("arn::s3:::reports", "`` is no partition"),
            ("arn:amazon:s3:::reports", "`amazon` is no partition"),
            ("arn:aws*:s3:::reports", "`aws*` is no partition"),
            ("arn:aws:*:::reports", "written out"),
            ("arn:aws:s?:::reports", "written out"),
            ("arn:aws::::reports", "`` is no service"),
            ("arn:aws:S3:::reports", "`S3` is no service"),
            ("arn:aws:iam:eu-west-1:111122223333:role/a", "in no region"),
            ("arn:aws:iam::111122223333:roles/a", "no such kind"),
            ("arn:aws:iam::111122223333:role", "no such kind"),
            ("arn:aws:s3:eu-west-1:111122223333:reports", "write `arn:aws:s3:::reports`"),
        ] {
            let why = refused_resource(text);
            assert!(why.as_ref().is_some_and(|why| why.contains(word)), "{text}: {why:?}");
        }
    }

    #[test]
    fn principals_are_held_to_the_same() {
        for (kind, text) in [
            ("AWS", "*"),
            ("AWS", "111122223333"),
            ("AWS", "arn:aws:iam::111122223333:root"),
            ("AWS", "arn:aws-cn:iam::111122223333:role/a/b"),
            ("AWS", "arn:aws:sts::111122223333:assumed-role/a/b"),
            ("AWS", "AROAEXAMPLE1234567890"),
            ("Federated", "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/a"),
            ("Federated", "cognito-identity.amazonaws.com"),
            ("Service", "ec2.amazonaws.com"),
        ] {
            assert_eq!(refused_principal(kind, text), None, "{kind} {text}");
        }
        for (kind, text) in [
            ("AWS", ""),
            ("AWS", "1111"),
            ("AWS", "arn:aws:iam::*:root"),
            ("AWS", "arn:aws:iam::111122223333:role/*"),
            ("AWS", "arn:${AWS::Partition}:iam::111122223333:root"),
            ("AWS", "arn:aws:iam::ACCOUNT_ID:root"),
            ("AWS", "arn:aws:iam:eu-west-1:111122223333:root"),
            ("AWS", "arn:aws:s3:::reports"),
            ("AWS", "arn:aws:iam::111122223333"),
            ("Federated", "arn:aws:iam::1111:oidc-provider/oidc.example.com/a"),
            ("Federated", "arn:aws:iam::111122223333:oidc-provider/*"),
            ("Service", "${service}.amazonaws.com"),
        ] {
            assert!(refused_principal(kind, text).is_some(), "{kind} {text}");
        }
    }
}
