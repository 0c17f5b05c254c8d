//! Configurations with many roles of one pattern, and accounts full of roles of others.

use super::given::{OtherPeople, ec2_trust};
use super::inside::Inside;
use irsa_sandbox::Sandbox;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

/// How often each request was sent, by `iam:GetRole` or `list serviceaccounts`.
pub(crate) type Counts = BTreeMap<String, usize>;

/// One role per number: trust policy, an inline and an attached policy, a tag, and a ServiceAccount `apps/s<number>`.
pub(crate) fn roles(numbers: Range<usize>, account: &str, cluster: &str) -> String {
    let mut text = String::new();
    for number in numbers {
        write!(
            text,
            "[roles.{cluster}-r{number}]\naccount = \"{account}\"\ncluster = \"{cluster}\"\ntags = {{ team = \"x\" }}\n\
             attach = [\"aws:AmazonS3ReadOnlyAccess\"]\nservice-accounts = [\"apps/s{number}\"]\n\
             [roles.{cluster}-r{number}.inline.own]\n\
             statements = [{{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::b{number}/*\"] }}]\n"
        )
        .expect("a string");
    }
    text
}

/// Creates unrelated roles in an account.
pub(crate) fn strangers(sandbox: &Sandbox, account: &str, numbers: Range<usize>) {
    sandbox.iam(account, |iam| iam.set_quota("RolesQuota", 10_000));
    for number in numbers {
        OtherPeople { sandbox, account }.create_role(&format!("stranger-{number}"), &ec2_trust());
    }
}

/// Clears the request logs.
pub(crate) fn forget(inside: &Inside, clusters: &[&str]) {
    inside.sandbox.gate().forget();
    for cluster in clusters {
        inside.sandbox.cluster(cluster).gate().forget();
    }
}

/// The AWS requests since `forget`.
pub(crate) fn aws(inside: &Inside) -> Counts {
    let mut counts = Counts::new();
    for record in inside.sandbox.log() {
        *counts.entry(format!("{}:{}", record.call.service, record.call.action)).or_default() += 1;
    }
    counts
}

/// The requests to a cluster since `forget`.
pub(crate) fn kubernetes(inside: &Inside, cluster: &str) -> Counts {
    let mut counts = Counts::new();
    for record in inside.sandbox.cluster(cluster).gate().log() {
        let call = &record.call;
        let verb = if call.is_apply() { "apply" } else { &call.verb };
        let what = if call.resource.is_empty() { &call.path } else { &call.resource };
        *counts.entry(format!("{verb} {what}")).or_default() += 1;
    }
    counts
}

/// Counts from a table.
pub(crate) fn counts(table: &[(&str, usize)]) -> Counts {
    table.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}
