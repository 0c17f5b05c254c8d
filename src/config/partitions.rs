//! AWS partitions: the partition of a region, and ARNs in policies that are in another partition than their account.
//!
//! IAM refuses a policy with an ARN in another partition only when the policy is written
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).

use super::diagnostics::Diagnostic;
use super::source::Sources;
use crate::ids::Key;
use crate::model::desired::Desired;
use crate::model::origin::Origin;
use crate::policy::canonical::{Choice, Principal};
use crate::policy::pattern::arn_parts;
use crate::policy::{PolicyDocument, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// The partition of a region (<https://docs.aws.amazon.com/general/latest/gr/rande.html>).
pub(crate) fn of_region(region: &str) -> &'static str {
    const OTHERS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
    ];
    OTHERS.iter().find(|(begin, _)| region.starts_with(begin)).map_or("aws", |(_, partition)| partition)
}

/// Refuses ARNs in another partition than that of the account, if `known` says that the account's partition is known.
pub(crate) fn foreign_arns(desired: &Desired, sources: &Sources, known: impl Fn(&Key) -> bool) -> Vec<Diagnostic> {
    let policies = desired.policies.iter();
    let policies = policies.map(|((account, _), policy)| (account, policy.document.statements(), &policy.origin));
    let roles = desired.roles.values().flat_map(|role| {
        let inline = role.inline.values().map(PolicyDocument::statements);
        let all = std::iter::once(role.extra_trust.as_slice()).chain(inline);
        all.map(move |statements| (&role.account, statements, &role.origin))
    });
    let mut found: BTreeMap<(&str, &str), &Origin> = BTreeMap::new();
    for (account, statements, origin) in policies.chain(roles) {
        let Some(account) = desired.accounts.get(account).filter(|_| known(account)) else { continue };
        let own = account.partition.as_str();
        for arn in statements.iter().flat_map(arns) {
            let partition = arn_parts(arn).get(1).copied().unwrap_or_default();
            if partition != own && partition != "*" {
                found.entry((arn, own)).or_insert(origin);
            }
        }
    }
    let errors = found.into_iter().map(|((arn, own), origin)| {
        let partition = arn_parts(arn).get(1).copied().unwrap_or_default();
        let message = format!("`{arn}` is in partition `{partition}`, but the account is in `{own}`");
        let hint = "write `{{ partition }}`; offline irsa takes the partition from the account's `assume-role` or the \
                    region of its clusters, or else `aws`";
        // an ARN from a template is not in any file, so the error points at the role or policy
        Diagnostic::at(&sources.find_quoted(arn).unwrap_or_else(|| origin.clone()), message).hint(hint)
    });
    errors.collect()
}

/// The ARNs in the resources and principals of a statement.
fn arns(statement: &Statement) -> BTreeSet<&str> {
    let body = statement.canonical();
    let mut arns = BTreeSet::new();
    if let Some(Choice::Only(set) | Choice::AllBut(set)) = &body.resources {
        arns.extend(set.iter().map(String::as_str));
    }
    if let Some(Choice::Only(set) | Choice::AllBut(set)) = &body.principals {
        arns.extend(set.iter().map(Principal::text));
    }
    arns.retain(|text| text.starts_with("arn:"));
    arns
}

#[cfg(test)]
mod tests;
