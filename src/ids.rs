//! Names of AWS and Kubernetes objects, each as a type that holds only valid names.
//!
//! `parse` checks the characters and the length that the service documents. A clone shares the text, because many
//! objects have the same few names.

use std::fmt;
use std::sync::Arc;

/// Why a text is not a valid name: a lower-case fragment that follows "`text`: " in a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(pub String);

fn fail<T>(text: impl Into<String>) -> Result<T, IdError> {
    Err(IdError(text.into()))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text`.
            pub fn parse(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id! {
    /// The owner of a configuration, and the key of an account, cluster, policy or role in it:
    /// `[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?`, so that it fits in a tag, a label and a path.
    Key, check_key
}
id! {
    /// An AWS account id: twelve digits.
    AccountId, check_account_id
}
id! {
    /// An AWS partition: `aws`, `aws-cn`, `aws-us-gov`, `aws-iso`, …
    Partition, check_partition
}
id! {
    /// An AWS region, for example `eu-west-1`.
    Region, check_region
}
id! {
    /// An IAM role name: 1-64 characters of `[A-Za-z0-9+=,.@_-]`, unique in an account regardless of case
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
    RoleName, check_role_name
}
id! {
    /// The name of a customer managed or inline policy: 1-128 characters of `[A-Za-z0-9+=,.@_-]`
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html>).
    PolicyName, check_policy_name
}
id! {
    /// An IAM path: begins and ends with `/`, 1-512 printable ASCII characters
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>).
    IamPath, check_path
}
id! {
    /// The ARN of an IAM role: `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
    RoleArn, check_role_arn
}
id! {
    /// The ARN of a managed policy: `arn:PARTITION:iam::ACCOUNT|aws:policy/PATH/NAME`.
    PolicyArn, check_policy_arn
}
id! {
    /// The ARN of an IAM OIDC provider: `arn:PARTITION:iam::ACCOUNT:oidc-provider/HOST/PATH`.
    ProviderArn, check_provider_arn
}
id! {
    /// The issuer of a cluster's tokens: `https://HOST[/PATH]`, without port, query or fragment
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html>).
    IssuerUrl, check_issuer
}
id! {
    /// The name of an EKS cluster: 1-100 of `[0-9A-Za-z_-]`, beginning with a letter or digit
    /// (<https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html>).
    ClusterName, check_cluster_name
}
id! {
    /// A Kubernetes namespace: a DNS label of at most 63 characters.
    Namespace, check_namespace
}
id! {
    /// The name of a Kubernetes `ServiceAccount`: a DNS subdomain of at most 253 characters.
    ServiceAccountName, check_subdomain
}
id! {
    /// The name of a Kubernetes Lease: a DNS subdomain of at most 253 characters.
    LeaseName, check_subdomain
}

fn check_key(text: &str) -> Result<(), IdError> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let edge = |c: char| c.is_ascii_alphanumeric();
    let good =
        (1..=63).contains(&text.len()) && text.chars().all(inner) && text.starts_with(edge) && text.ends_with(edge);
    if good {
        return Ok(());
    }
    let rule = "must be 1-63 characters of `A-Z a-z 0-9 . _ -`, beginning and ending with a letter or digit";
    match text.chars().find(|c| !inner(*c)) {
        Some(bad) => fail(format!("{rule}; this has `{}`", bad.escape_debug())),
        None if text.len() > 63 => fail(format!("{rule}; this has {}", text.len())),
        None => fail(rule),
    }
}

fn require(good: bool, rule: &str) -> Result<(), IdError> {
    if good { Ok(()) } else { fail(rule) }
}

fn check_account_id(text: &str) -> Result<(), IdError> {
    let good = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    require(good, "must be an account id of twelve digits")
}

fn check_partition(text: &str) -> Result<(), IdError> {
    let good = text.strip_prefix("aws").is_some_and(|rest| rest.is_empty() || rest.starts_with('-') && is_lower(rest));
    require(good, "must be an AWS partition such as `aws`, `aws-cn` or `aws-us-gov`")
}

fn check_region(text: &str) -> Result<(), IdError> {
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
    let good = (4..=32).contains(&text.len()) && text.contains('-') && begins && is_lower(text);
    require(good, "must be an AWS region such as `eu-west-1`")
}

fn is_lower(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

fn iam_name(text: &str, limit: usize) -> Result<(), IdError> {
    if text.is_empty() || text.len() > limit {
        return fail(format!("must be 1-{limit} characters long, but this one has {}", text.chars().count()));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "+=,.@_-".contains(*c))) {
        Some(bad) => {
            fail(format!("must be made of `A-Z a-z 0-9 + = , . @ _ -`, but this has `{}`", bad.escape_default()))
        }
        None => Ok(()),
    }
}

fn check_role_name(text: &str) -> Result<(), IdError> {
    iam_name(text, 64)
}

fn check_policy_name(text: &str) -> Result<(), IdError> {
    iam_name(text, 128)
}

fn check_path(text: &str) -> Result<(), IdError> {
    let edges = text.starts_with('/') && text.ends_with('/');
    let good = (1..=512).contains(&text.len()) && edges && is_printable_ascii(text);
    require(good, "must begin and end with `/` and be at most 512 printable ASCII characters")
}

/// The six parts of an ARN. The last one, the resource, may contain colons.
fn arn_parts(text: &str) -> Option<[&str; 6]> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next();
    let parts = [next()?, next()?, next()?, next()?, next()?, next()?];
    (parts[0] == "arn").then_some(parts)
}

fn check_iam_arn(text: &str, kind: &str, aws_account: bool) -> Result<(), IdError> {
    let good = arn_parts(text).is_some_and(|[_, partition, service, region, account, resource]| {
        let name = resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
        service == "iam"
            && region.is_empty()
            && (check_account_id(account).is_ok() || aws_account && account == "aws")
            && check_partition(partition).is_ok()
            && name.is_some_and(|name| !name.is_empty() && is_printable_ascii(name))
    });
    if good { Ok(()) } else { fail(format!("must look like `arn:aws:iam::111122223333:{kind}/NAME`")) }
}

fn check_role_arn(text: &str) -> Result<(), IdError> {
    check_iam_arn(text, "role", false)?;
    check_role_name(last_segment(text))
}

fn check_policy_arn(text: &str) -> Result<(), IdError> {
    check_iam_arn(text, "policy", true)?;
    check_policy_name(last_segment(text))
}

fn check_provider_arn(text: &str) -> Result<(), IdError> {
    check_iam_arn(text, "oidc-provider", false)
}

fn last_segment(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

fn check_issuer(text: &str) -> Result<(), IdError> {
    let Some(rest) = text.strip_prefix("https://") else {
        return fail("must begin with `https://`");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-') {
        return fail("must have a host name, without port or user");
    }
    if rest.ends_with('/') {
        return fail("must not end with `/`");
    }
    if text.len() > 255 {
        return fail(format!("must be at most 255 characters long, but this one has {}", text.len()));
    }
    if rest.bytes().any(|b| !(0x21..=0x7e).contains(&b) || b"?#*:\"".contains(&b)) {
        return fail("must have no port, query or fragment");
    }
    Ok(())
}

fn check_cluster_name(text: &str) -> Result<(), IdError> {
    let good = (1..=100).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    require(good, "must be 1-100 characters of `A-Z a-z 0-9 _ -`, beginning with a letter or digit")
}

fn dns_label(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty() && text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || c == '-')
}

fn check_namespace(text: &str) -> Result<(), IdError> {
    let good = text.len() <= 63 && dns_label(text);
    require(good, "must be a DNS label: 1-63 of `a-z 0-9 -`, beginning and ending with a letter or digit")
}

fn check_subdomain(text: &str) -> Result<(), IdError> {
    let good = (1..=253).contains(&text.len()) && text.split('.').all(dns_label);
    require(
        good,
        "must be a DNS subdomain: 1-253 of `a-z 0-9 - .`, each part beginning and ending with a letter or digit",
    )
}

macro_rules! lower_case {
    ($($name:ident)*) => {$(
        impl $name {
            /// The name in lower case. Two names are one for IAM if they differ only in case.
            pub fn lower_case(&self) -> String {
                self.0.to_ascii_lowercase()
            }
        }
    )*};
}

lower_case!(RoleName PolicyName);

impl Default for IamPath {
    fn default() -> Self {
        Self("/".into())
    }
}

macro_rules! arn {
    ($($name:ident)*) => {$(
        impl $name {
            /// The account id; `aws` for a policy of AWS.
            pub fn account(&self) -> &str {
                self.0.split(':').nth(4).unwrap_or_default()
            }

            /// The partition.
            pub fn partition(&self) -> &str {
                self.0.split(':').nth(1).unwrap_or_default()
            }
        }
    )*};
}

arn!(RoleArn PolicyArn ProviderArn);

impl RoleArn {
    /// The ARN that IAM gives a role.
    pub fn of(partition: &Partition, account: &AccountId, path: &IamPath, name: &RoleName) -> Self {
        Self(format!("arn:{partition}:iam::{account}:role{path}{name}").into())
    }

    /// The name of the role: the last segment.
    pub fn name(&self) -> &str {
        last_segment(&self.0)
    }
}

impl PolicyArn {
    /// The ARN of a customer managed policy.
    pub fn of(partition: &Partition, account: &AccountId, path: &IamPath, name: &PolicyName) -> Self {
        Self(format!("arn:{partition}:iam::{account}:policy{path}{name}").into())
    }

    /// The ARN of an AWS managed policy from its path and name, for example `service-role/AWSLambdaRole`.
    pub fn aws_managed(partition: &Partition, path_and_name: &str) -> Result<Self, IdError> {
        Self::parse(format!("arn:{partition}:iam::aws:policy/{path_and_name}"))
    }

    /// The name of the policy: the last segment.
    pub fn name(&self) -> &str {
        last_segment(&self.0)
    }
}

impl ProviderArn {
    /// The ARN that IAM gives the provider of an issuer
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html>).
    pub fn of(partition: &Partition, account: &AccountId, issuer: &IssuerUrl) -> Self {
        Self(format!("arn:{partition}:iam::{account}:oidc-provider/{}", issuer.host_path()).into())
    }

    /// Host and path of the issuer: the part after `oidc-provider/`.
    pub fn host_path(&self) -> &str {
        self.0.split_once(":oidc-provider/").map_or("", |(_, rest)| rest)
    }
}

impl IssuerUrl {
    /// The issuer without its scheme, as in provider ARNs and condition keys.
    pub fn host_path(&self) -> &str {
        self.0.strip_prefix("https://").unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests;
