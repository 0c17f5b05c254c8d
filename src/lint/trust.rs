//! Rules on the statements of trust policies. Only statements that allow are looked at.

use super::claim::{self, Claim, Open};
use super::document::Name;
use super::{Check, Found, Notes, Place};
use crate::ids::ProviderArn;
use crate::model::live::{LiveProvider, Observed};
use crate::model::marks::DEFAULT_AUDIENCE;
use crate::model::note::Severity;
use crate::policy::Statement;
use crate::policy::canonical::{CanonicalStatement, Choice, Effect, Principal, Quantifier};
use crate::policy::pattern_cover::{is_wild, variables};
use std::collections::{BTreeMap, BTreeSet};

mod federation;
mod who;

pub(super) use federation::{no_audience_of_saml, outside_provider};
pub(super) use who::{dangling_provider, everyone, foreign_provider, mismatch, orphaned_principal, whole_account};

/// A statement that allows, and what is known of the role that has it.
pub(super) struct TrustContext<'a> {
    pub body: &'a CanonicalStatement,
    /// The conditions on claims, if the statement trusts an OIDC provider.
    claims: Vec<Claim<'a>>,
    pub home: &'a Home<'a>,
}

/// What is known of the role and of its account.
pub(super) struct Home<'a> {
    /// The id and partition, as far as the configuration knows them.
    pub account: &'a str,
    pub partition: &'a str,
    /// Whether they are certain: offline the ambient account is not.
    pub certain: bool,
    /// The account's OIDC providers, if they were listed.
    pub providers: Option<&'a BTreeMap<ProviderArn, Observed<LiveProvider>>>,
    /// Those that irsa makes for what is declared.
    pub coming: BTreeSet<ProviderArn>,
    /// The audiences that bindings ask for.
    pub audiences: BTreeSet<&'a str>,
    /// The subjects of the bindings of the role: they have findings of their own.
    pub subjects: BTreeSet<String>,
}

/// Runs the rules on statements, each with its name.
pub(super) fn check<'a>(
    notes: &mut Notes,
    place: &Place,
    statements: impl Iterator<Item = (Name<'a>, &'a Statement)>,
    home: &Home<'_>,
) {
    each(notes, place, statements, home, |check, context| match check {
        Check::Trust(rule) | Check::Provider(rule) => rule(context),
        _ => Vec::new(),
    });
}

/// Runs the rules that ask for live providers.
pub(super) fn check_known<'a>(
    notes: &mut Notes,
    place: &Place,
    statements: impl Iterator<Item = (Name<'a>, &'a Statement)>,
    home: &Home<'_>,
) {
    each(notes, place, statements, home, |check, context| match check {
        Check::Provider(rule) => rule(context),
        _ => Vec::new(),
    });
}

fn each<'a>(
    notes: &mut Notes,
    place: &Place,
    statements: impl Iterator<Item = (Name<'a>, &'a Statement)>,
    home: &Home<'_>,
    pick: impl Fn(&Check, &TrustContext<'_>) -> Vec<Found>,
) {
    for (name, statement) in statements {
        let body = statement.canonical();
        if body.effect == Effect::Allow {
            let claims = if federated(body) { Claim::all(body) } else { Vec::new() };
            let context = TrustContext { body, claims, home };
            notes.run(&place.part(&name.to_string()), |check| pick(check, &context));
        }
    }
}

/// Whether the statement trusts a provider of identities other than a cluster's or another that has an ARN, or one.
fn federated(body: &CanonicalStatement) -> bool {
    claim::principals(body).any(|principal| matches!(principal, Principal::Federated(_)))
}

impl TrustContext<'_> {
    /// The subject patterns that nobody gave a reason for and that leave as much open.
    fn subjects(&self, open: Open) -> Vec<String> {
        if claim::providers(self.body).is_empty() {
            return Vec::new();
        }
        let mut found = BTreeSet::new();
        for claim in self.claims.iter().filter(|claim| claim.name == "sub") {
            let patterns = claim.patterns().filter(|pattern| claim::open(&claim.issuer, pattern) == open);
            found.extend(patterns.filter(|pattern| !self.home.subjects.contains(pattern)));
        }
        found.into_iter().collect()
    }
}

/// IRSA001
pub(super) fn other_issuer(context: &TrustContext<'_>) -> Vec<Found> {
    let issuers: Vec<String> = claim::providers(context.body).into_iter().map(claim::issuer_of).collect();
    if issuers.is_empty() {
        return Vec::new();
    }
    let claims = &context.claims;
    let known = |issuer: &str| issuers.iter().any(|known| known.eq_ignore_ascii_case(issuer));
    let others = claims.iter().filter(|claim| !known(&claim.issuer));
    others
        .map(|claim| {
            Found::new(format!(
                "the condition on `{}` is about issuer `{}`, but the provider is that of `{}`",
                claim.key,
                claim.issuer,
                issuers.join("`, `")
            ))
        })
        .collect()
}

/// IRSA002
pub(super) fn no_subject(context: &TrustContext<'_>) -> Vec<Found> {
    let providers = claim::providers(context.body);
    let subject = |claim: &Claim<'_>| claim.name == "sub" && !claim.asks_nothing();
    if providers.is_empty() || context.claims.iter().any(|claim| subject(claim) || federation::names_tenant(claim)) {
        return Vec::new();
    }
    let text = "no condition on `sub` that asks for anything: every token of the issuer is good enough";
    vec![Found::new(format!("{text} (`{}`)", providers.join("`, `")))]
}

/// IRSA003
pub(super) fn audience(context: &TrustContext<'_>) -> Vec<Found> {
    let providers = claim::providers(context.body);
    if providers.is_empty() {
        return Vec::new();
    }
    let claims: Vec<&Claim<'_>> =
        context.claims.iter().filter(|claim| claim.name == "aud" && !claim.asks_nothing()).collect();
    if claims.is_empty() {
        let text = "no condition on `aud` that asks for anything: tokens made for other services are good enough";
        return vec![Found::new(text)];
    }
    let mut found = Vec::new();
    for claim in claims.iter().filter(|claim| claim::names(claim.operator)) {
        for value in claim.values {
            if claim.like() && (is_wild(value) || !variables(value).is_empty()) {
                found.push(Found::new(format!("audience `{value}` takes tokens made for other services")));
                continue;
            }
            let taken = taken_audiences(context, &providers, &claim.issuer);
            if let Some(taken) = taken
                && !taken.contains(value)
            {
                let list: Vec<String> = taken.iter().map(|audience| format!("`{audience}`")).collect();
                let list = if list.is_empty() { "none at all".to_owned() } else { list.join(", ") };
                found.push(Found::new(format!("audience `{value}` is none of the provider's, which takes {list}")));
            } else if value != DEFAULT_AUDIENCE && !context.home.audiences.contains(value.as_str()) {
                let text = format!("audience `{value}` is not `{DEFAULT_AUDIENCE}` and no binding asks for it");
                found.push(Found::new(text).but(Severity::Medium));
            }
        }
    }
    found
}

/// The audiences of the live provider of this issuer, if it was read.
fn taken_audiences<'a>(context: &TrustContext<'a>, providers: &[&str], issuer: &str) -> Option<&'a BTreeSet<String>> {
    let arn = providers.iter().find(|arn| claim::issuer_of(arn) == issuer)?;
    let arn = ProviderArn::parse(*arn).ok()?;
    Some(&context.home.providers?.get(&arn)?.present()?.provider.audiences)
}

/// IRSA004
pub(super) fn every_subject(context: &TrustContext<'_>) -> Vec<Found> {
    let text = |value| Found::new(format!("subject `{value}` is every ServiceAccount of the cluster"));
    context.subjects(Open::Everything).into_iter().map(text).collect()
}

/// IRSA005
pub(super) fn wild_namespace(context: &TrustContext<'_>) -> Vec<Found> {
    let text = |value| Found::new(format!("subject `{value}` leaves the namespace open"));
    context.subjects(Open::Namespace).into_iter().map(text).collect()
}

/// IRSA006
pub(super) fn wild_name(context: &TrustContext<'_>) -> Vec<Found> {
    let text = |value| Found::new(format!("subject `{value}` leaves the name of the ServiceAccount open"));
    context.subjects(Open::Name).into_iter().map(text).collect()
}

/// IRSA007
pub(super) fn literal_wildcard(context: &TrustContext<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for claim in context.claims.iter().filter(|claim| claim.decides()) {
        for value in claim.values {
            let wild = value.contains(['*', '?']);
            if wild && matches!(claim.operator.base.as_str(), "stringequals" | "stringequalsignorecase") {
                let text =
                    format!("`{value}` stands under `StringEquals`, where a wildcard is a letter: it matches nobody");
                found.push(Found::new(text));
            } else if !wild && claim.operator.base == "stringlike" {
                let text = format!("`{value}` has no wildcard, so `StringEquals` would do on `{}`", claim.key);
                found.push(Found::new(text).but(Severity::Info));
            }
        }
    }
    found
}

/// IRSA008
pub(super) fn set_operator(context: &TrustContext<'_>) -> Vec<Found> {
    let claims = &context.claims;
    let deciding = claims.iter().filter(|claim| claim.decides());
    deciding
        .filter_map(|claim| match claim.operator.quantifier {
            Quantifier::One => None,
            Quantifier::ForAllValues => Some(Found::new(format!(
                "`ForAllValues` on `{}`, which has one value: it also holds for a token without the claim",
                claim.key
            ))),
            Quantifier::ForAnyValue => {
                Some(Found::new(format!("`ForAnyValue` on `{}`, which has one value", claim.key)).but(Severity::Medium))
            }
        })
        .collect()
}

/// IRSA009
pub(super) fn if_exists(context: &TrustContext<'_>) -> Vec<Found> {
    let claims = &context.claims;
    let deciding = claims.iter().filter(|claim| claim.decides() && claim.operator.if_exists);
    deciding
        .map(|claim| Found::new(format!("`IfExists` on `{}`: it also holds for a token without the claim", claim.key)))
        .collect()
}

/// IRSA010
pub(super) fn only_negated(context: &TrustContext<'_>) -> Vec<Found> {
    let claims = &context.claims;
    let mut found = Vec::new();
    for name in ["sub", "aud"] {
        let about: Vec<&Claim<'_>> = claims.iter().filter(|claim| claim.name == name).collect();
        if !about.is_empty() && about.iter().all(|claim| claim::excludes(claim.operator)) {
            found.push(Found::new(format!(
                "the only condition on `{name}` excludes some and lets in all others (`{}`)",
                about[0].key
            )));
        }
    }
    found
}

/// IRSA011. AWS says that key names have no case, so another case in the path may work; it is not to be relied on.
pub(super) fn malformed_key(context: &TrustContext<'_>) -> Vec<Found> {
    let issuers: Vec<String> = claim::providers(context.body).into_iter().map(claim::issuer_of).collect();
    let mut found = Vec::new();
    for claim in &context.claims {
        if let Some(dress) = claim.dress {
            let text = format!("condition key `{}` {dress}: it never matches, and should be", claim.key);
            found.push(Found::new(format!("{text} `{}:{}`", claim.issuer, claim.name)));
        } else if !issuers.contains(&claim.issuer)
            && let Some(issuer) = issuers.iter().find(|issuer| issuer.eq_ignore_ascii_case(&claim.issuer))
        {
            let text = format!("condition key `{}` writes issuer `{issuer}` in another case", claim.key);
            found.push(Found::new(text).but(Severity::Medium));
        }
    }
    found
}

/// IRSA023
pub(super) fn default_subject(context: &TrustContext<'_>) -> Vec<Found> {
    let claims = &context.claims;
    let values: BTreeSet<&String> = claims
        .iter()
        .filter(|claim| claim.name == "sub" && claim::names(claim.operator))
        .flat_map(|claim| claim.values)
        .collect();
    values
        .into_iter()
        .filter(|value| !context.home.subjects.contains(*value))
        .filter_map(|value| match claim::subject(value)? {
            (_, "default") => Some(Found::new(format!(
                "subject `{value}` is the ServiceAccount of every pod in its namespace that names none"
            ))),
            ("kube-system", name) if name.contains('*') => {
                Some(Found::new(format!("subject `{value}` covers the cluster's own components")).but(Severity::High))
            }
            _ => None,
        })
        .collect()
}
