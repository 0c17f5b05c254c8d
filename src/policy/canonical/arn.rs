//! Finds resources and principals that IAM would refuse. IAM refuses them when the policy is written, perhaps after other
//! writes, so irsa checks declared policies offline.

use super::super::pattern::arn_parts;
use super::fold;

const PARTS: &str = "`arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`";

/// How the resource part of an IAM ARN can begin
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

/// The resource types of S3 whose ARNs have a region; those of buckets and objects have none
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>).
const S3_REGIONAL: [&str; 6] =
    ["access-grants", "accesspoint", "async-request", "job", "storage-lens", "storage-lens-group"];

/// Why IAM would refuse a resource
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>).
pub(super) fn refused_resource(text: &str) -> Option<String> {
    if text == "*" {
        return None;
    }
    if !text.starts_with("arn:") {
        return Some(format!("`{text}` is not a resource: expected an ARN or `*`"));
    }
    let parts = arn_parts(text);
    let [_, partition, service, region, _, resource] = parts[..] else {
        return Some(format!("`{text}` has {} of an ARN's six parts, {PARTS}", parts.len()));
    };
    if let Some(why) = refused_partition(text, partition, true) {
        return Some(why);
    }
    if service.contains(['*', '?', '$']) {
        return Some(format!("`{text}`: the service in an ARN must be written out: IAM accepts no wildcard there"));
    }
    if service.is_empty() || !service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Some(format!("`{text}`: `{service}` is not a service"));
    }
    if service == "iam" && !region.is_empty() {
        return Some(format!("`{text}`: an ARN of IAM has no region"));
    }
    let literal = resource.split(['*', '?', '$']).next().unwrap_or_default();
    let fits = |kind: &&str| kind.starts_with(literal) && literal.len() < resource.len() || literal.starts_with(*kind);
    if service == "iam" && resource != "root" && !IAM_KINDS.iter().any(fits) {
        return Some(format!("`{text}`: IAM has no such kind of resource, expected for example `role/NAME`"));
    }
    let regional = |kind: &&str| literal.strip_prefix(*kind).is_some_and(|rest| rest.starts_with(['/', ':']));
    (service == "s3" && !region.is_empty() && literal == resource && !S3_REGIONAL.iter().any(regional)).then(|| {
        format!("`{text}`: ARNs of buckets and objects have no region: write `arn:{partition}:s3:::{resource}`")
    })
}

/// Why the partition of an ARN is not valid.
fn refused_partition(arn: &str, partition: &str, wild: bool) -> Option<String> {
    if partition.contains('$') {
        let hint = "write it out, or as `{{ partition }}`";
        return Some(format!(
            "`{arn}`: `{partition}` is not filled in: IAM accepts no variable as the partition; {hint}"
        ));
    }
    let rest = partition.strip_prefix("aws");
    let known = rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('-') && rest[1..].bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    });
    (!(known || wild && partition == "*")).then(|| format!("`{arn}`: `{partition}` is not an AWS partition"))
}

/// Why IAM would refuse a principal
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
pub(super) fn refused_principal(kind: &str, text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("a principal must not be empty".to_owned());
    }
    if text == "*" {
        return None;
    }
    if text.contains("${") {
        return Some(format!("`{text}`: a principal cannot contain a variable"));
    }
    if text.starts_with("arn:") && matches!(kind, "AWS" | "Federated") {
        return refused_arn(text);
    }
    if kind != "AWS" || fold::is_account_id(text) {
        return None;
    }
    if text.contains(['*', '?']) {
        return Some(format!("`{text}`: a principal cannot contain a wildcard"));
    }
    // IAM shows the unique id of a principal that was deleted; the linter reports those
    let unique = text.len() >= 16 && text.starts_with('A') && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (!unique).then(|| format!("`{text}` is not an AWS principal: expected an account id, an ARN or `*`"))
}

/// Why IAM would refuse the ARN of a principal.
fn refused_arn(text: &str) -> Option<String> {
    if text.contains(['*', '?']) {
        return Some(format!("`{text}`: a principal cannot contain a wildcard"));
    }
    let parts = arn_parts(text);
    let [_, partition, service, region, account, resource] = parts[..] else {
        return Some(format!("`{text}` has {} of an ARN's six parts, {PARTS}", parts.len()));
    };
    if let Some(why) = refused_partition(text, partition, false) {
        return Some(why);
    }
    if !matches!(service, "iam" | "sts") || !region.is_empty() || resource.is_empty() {
        return Some(format!(
            "`{text}` is not a principal: expected for example `arn:aws:iam::111122223333:role/NAME`"
        ));
    }
    (!fold::is_account_id(account))
        .then(|| format!("`{text}`: `{account}` is not an account id, which has twelve digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_that_iam_accepts_is_accepted() {
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
    fn resource_that_iam_refuses_is_refused() {
        for (text, word) in [
            ("reports", "not a resource"),
            ("?*", "not a resource"),
            ("arn", "not a resource"),
            ("arn:*", "2 of an ARN's six parts"),
            ("arn:aws:s3", "3 of"),
            ("arn:aws:s3:*", "4 of"),
            ("arn:aws:s3::reports", "5 of"),
            ("arn:aws:iam::role/x", "5 of"),
            ("arn:${AWS::Partition}:s3:::reports", "`${AWS::Partition}` is not filled in"),
            ("arn:$partition:s3:::reports", "`$partition` is not filled in"),
            ("arn::s3:::reports", "`` is not an AWS partition"),
            ("arn:amazon:s3:::reports", "`amazon` is not an AWS partition"),
            ("arn:aws*:s3:::reports", "`aws*` is not an AWS partition"),
            ("arn:aws:*:::reports", "written out"),
            ("arn:aws:s?:::reports", "written out"),
            ("arn:aws::::reports", "`` is not a service"),
            ("arn:aws:S3:::reports", "`S3` is not a service"),
            ("arn:aws:iam:eu-west-1:111122223333:role/a", "has no region"),
            ("arn:aws:iam::111122223333:roles/a", "no such kind"),
            ("arn:aws:iam::111122223333:role", "no such kind"),
            ("arn:aws:s3:eu-west-1:111122223333:reports", "write `arn:aws:s3:::reports`"),
        ] {
            let why = refused_resource(text);
            assert!(why.as_ref().is_some_and(|why| why.contains(word)), "{text}: {why:?}");
        }
    }

    #[test]
    fn principal_that_iam_refuses_is_refused() {
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
