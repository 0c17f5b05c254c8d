//! The table of rules. An id is never given to anything else; gaps are rules of things that irsa does not do yet.

use super::{Check, Rule, attached, binding, document, own, permissions, placeholder, provider, trust};
use crate::model::note::Severity::{Critical, High, Info, Low, Medium};

macro_rules! rules {
    ($($id:literal $anchor:literal $severity:ident $title:literal [$($check:expr),+ $(,)?];)+) => {
        &[$(Rule {
            id: $id,
            severity: $severity,
            title: $title,
            url: concat!("docs/lint-rules.md#", $anchor),
            checks: &[$($check),+],
        }),+]
    };
}

/// Every rule, by id.
pub const RULES: &[Rule] = rules! {
    "IRSA001" "irsa001" Critical "condition of another issuer" [Check::Trust(trust::other_issuer)];
    "IRSA002" "irsa002" Critical "no condition on the subject" [
        Check::Trust(trust::no_subject),
        Check::Trust(trust::outside_provider),
    ];
    "IRSA003" "irsa003" High "no or another audience" [
        Check::Trust(trust::audience),
        Check::Trust(trust::no_audience_of_saml),
    ];
    "IRSA004" "irsa004" Critical "every ServiceAccount of a cluster" [
        Check::Trust(trust::every_subject),
        Check::Role(binding::every_subject),
    ];
    "IRSA005" "irsa005" High "wildcard namespace" [
        Check::Trust(trust::wild_namespace),
        Check::Role(binding::wild_namespace),
    ];
    "IRSA006" "irsa006" Medium "wildcard ServiceAccount name" [
        Check::Trust(trust::wild_name),
        Check::Role(binding::wild_name),
    ];
    "IRSA007" "irsa007" High "wildcard that is none" [Check::Trust(trust::literal_wildcard)];
    "IRSA008" "irsa008" Critical "set operator on a single value" [Check::Trust(trust::set_operator)];
    "IRSA009" "irsa009" Critical "condition that holds without the claim" [Check::Trust(trust::if_exists)];
    "IRSA010" "irsa010" Critical "condition that only excludes" [Check::Trust(trust::only_negated)];
    "IRSA011" "irsa011" High "condition key that names no claim" [Check::Trust(trust::malformed_key)];
    "IRSA012" "irsa012" High "action that does not fit the principal" [Check::Trust(trust::mismatch)];
    "IRSA013" "irsa013" Critical "everyone may assume the role" [Check::Trust(trust::everyone)];
    "IRSA014" "irsa014" High "a whole account may assume the role" [Check::Trust(trust::whole_account)];
    "IRSA015" "irsa015" High "provider of another account" [Check::Trust(trust::foreign_provider)];
    "IRSA016" "irsa016" High "provider that does not exist" [Check::Provider(trust::dangling_provider)];
    "IRSA017" "irsa017" Medium "provider without a cluster" [Check::Providers(provider::stale)];
    "IRSA019" "irsa019" Info "nearly as many providers as an account may have" [Check::Providers(provider::crowded)];
    "IRSA020" "irsa020" Medium "provider that takes other audiences" [Check::Providers(provider::audiences)];
    "IRSA021" "irsa021" Medium "one role for clusters of several accounts" [Check::Role(binding::several_accounts)];
    "IRSA023" "irsa023" Medium "the default ServiceAccount" [
        Check::Trust(trust::default_subject),
        Check::Role(binding::default_subject),
    ];
    "IRSA030" "irsa030" Critical "every action on every resource" [
        Check::Permissions(permissions::everything),
        Check::Attached(attached::everything),
    ];
    "IRSA031" "irsa031" Critical "permissions that lead to all others" [
        Check::Permissions(permissions::escalation),
        Check::Together(permissions::escalation_together),
        Check::Attached(attached::escalation),
    ];
    "IRSA032" "irsa032" High "any role may be passed on" [Check::Permissions(permissions::pass_any_role)];
    "IRSA033" "irsa033" High "any role may be assumed" [Check::Permissions(permissions::assume_any_role)];
    "IRSA034" "irsa034" High "allows all but something" [
        Check::Permissions(permissions::all_but),
        Check::Attached(attached::all_but),
    ];
    "IRSA035" "irsa035" Medium "all data may be read" [Check::Permissions(permissions::read_all)];
    "IRSA036" "irsa036" Medium "every action of a service on every resource" [
        Check::Permissions(permissions::service),
        Check::Attached(attached::services),
    ];
    "IRSA037" "irsa037" High "access may be handed on" [
        Check::Permissions(permissions::handed_on),
        Check::Attached(attached::handed_on),
    ];
    "IRSA038" "irsa038" Critical "may change its own permissions" [Check::Permissions(own::own_permissions)];
    "IRSA039" "irsa039" High "placeholder that was not filled in" [
        Check::Document(placeholder::not_filled_in),
        Check::Attached(placeholder::attached),
    ];
    "IRSA040" "irsa040" High "attachments that nobody looks at" [Check::Role(binding::ignores_attached)];
    "IRSA041" "irsa041" Low "long sessions" [Check::Role(binding::long_sessions)];
    "IRSA042" "irsa042" Low "old version of the policy language" [Check::Document(document::old_version)];
    "IRSA043" "irsa043" Medium "policy that cannot be read without doubt" [Check::Document(document::unreadable)];
    "IRSA044" "irsa044" High "two statements of one Sid" [Check::Document(document::duplicate_sid)];
    "IRSA045" "irsa045" Low "nearly as big as a quota" [Check::Size(document::near_quota)];
    "IRSA046" "irsa046" Medium "service that AWS does not have" [Check::Document(placeholder::unknown_service)];
    "IRSA050" "irsa050" High "principal that no longer exists" [Check::Trust(trust::orphaned_principal)];
};
