//! Finds resources and principals that IAM would refuse. IAM refuses them when the policy is written, perhaps after
//! other writes, so irsa checks declared policies offline.

use super::super::pattern::arn_parts;
use super::fold;

const PARTS: &str = "`arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`";

/// How the resource part of an IAM ARN can begin
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html>).
const IAM_KINDS: &str = "
    access-report/ assumed-role/ delegation-request/ federated-user/ group/ instance-profile/ mfa/ oidc-provider/
    policy/ report/ role/ saml-provider/ server-certificate/ sms-mfa/ user/
";

/// The resource types of S3 whose ARNs have a region; those of buckets and objects have none
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>).
const S3_REGIONAL: &str = "
    access-grants accesspoint async-request job storage-lens storage-lens-group
";

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
    let fits = |kind: &str| kind.starts_with(literal) && literal.len() < resource.len() || literal.starts_with(kind);
    if service == "iam" && resource != "root" && !IAM_KINDS.split_ascii_whitespace().any(fits) {
        return Some(format!("`{text}`: IAM has no such kind of resource, expected for example `role/NAME`"));
    }
    let regional = |kind: &str| literal.strip_prefix(kind).is_some_and(|rest| rest.starts_with(['/', ':']));
    (service == "s3"
        && !region.is_empty()
        && literal == resource
        && !S3_REGIONAL.split_ascii_whitespace().any(regional))
    .then(|| format!("`{text}`: ARNs of buckets and objects have no region: write `arn:{partition}:s3:::{resource}`"))
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
mod tests;
