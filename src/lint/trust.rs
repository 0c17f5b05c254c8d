//! Rules on the Allow statements of trust policies.

use super::claims::{self, ClaimCondition, SubjectScope};
use super::document::StatementName;
use super::{Check, Finding, Findings, Location, quoted};
use crate::ids::ProviderArn;
use crate::model::live::{LiveProvider, Observed};
use crate::model::marks::DEFAULT_AUDIENCE;
use crate::model::note::Severity;
use crate::policy::Statement;
use crate::policy::canonical::{CanonicalStatement, Effect, Quantifier};
use crate::policy::pattern::{is_wild, variables};
use std::collections::{BTreeMap, BTreeSet};

mod external_providers;
mod principals;

/// An Allow statement of a trust policy.
pub(super) struct TrustContext<'a> {
    statement: &'a CanonicalStatement,
    /// Empty if the statement trusts no `Federated` principal.
    claims: Vec<ClaimCondition<'a>>,
    role: &'a RoleFacts<'a>,
}

/// What is known of the role that has the trust policy, and of its account.
pub(super) struct RoleFacts<'a> {
    pub account: &'a str,
    pub partition: &'a str,
    /// False if account and partition are placeholders, because the configuration does not name them.
    pub account_is_known: bool,
    /// The OIDC providers of the account, if they were listed.
    pub providers: Option<&'a BTreeMap<ProviderArn, Observed<LiveProvider>>>,
    /// The OIDC providers that irsa will create.
    pub planned_providers: BTreeSet<ProviderArn>,
    /// The audiences of the role's bindings.
    pub audiences: BTreeSet<&'a str>,
    /// The subjects of the role's bindings, which have findings of their own.
    pub bound_subjects: BTreeSet<String>,
}

type TrustCheck = fn(&TrustContext<'_>) -> Vec<Finding>;

const CHECKS: &[(&str, TrustCheck)] = &[
    ("IRSA001", other_issuer),
    ("IRSA002", no_subject),
    ("IRSA002", external_providers::no_owner),
    ("IRSA003", audience),
    ("IRSA003", external_providers::no_saml_audience),
    ("IRSA004", every_subject),
    ("IRSA005", wildcard_namespace),
    ("IRSA006", wildcard_name),
    ("IRSA007", literal_wildcard),
    ("IRSA008", set_operator),
    ("IRSA009", if_exists),
    ("IRSA010", only_excludes),
    ("IRSA011", malformed_key),
    ("IRSA012", principals::mismatched_action),
    ("IRSA013", principals::everyone),
    ("IRSA014", principals::whole_account),
    ("IRSA015", principals::foreign_provider),
    ("IRSA023", default_service_account),
    ("IRSA050", principals::orphaned_principal),
];

/// Checks that read the providers of the live account.
const LIVE_CHECKS: &[(&str, TrustCheck)] = &[("IRSA016", principals::missing_provider)];

/// Checks statements, each with its name.
pub(super) fn check<'a>(
    findings: &mut Findings,
    location: &Location,
    statements: impl Iterator<Item = (StatementName<'a>, &'a Statement)>,
    role: &RoleFacts<'_>,
) {
    run(findings, location, statements, role, &[CHECKS, LIVE_CHECKS]);
}

/// Checks only what needs the providers of the live account.
pub(super) fn check_providers<'a>(
    findings: &mut Findings,
    location: &Location,
    statements: impl Iterator<Item = (StatementName<'a>, &'a Statement)>,
    role: &RoleFacts<'_>,
) {
    run(findings, location, statements, role, &[LIVE_CHECKS]);
}

fn run<'a, 'r>(
    findings: &mut Findings,
    location: &Location,
    statements: impl Iterator<Item = (StatementName<'a>, &'a Statement)>,
    role: &'r RoleFacts<'r>,
    checks: &[&[Check<TrustContext<'r>>]],
) where
    'a: 'r,
{
    for (name, statement) in statements {
        let statement = statement.canonical();
        if statement.effect == Effect::Allow {
            let is_federated = statement.federated().next().is_some();
            let claims = if is_federated { ClaimCondition::all(statement) } else { Vec::new() };
            let context = TrustContext { statement, claims, role };
            let location = location.part(&name.to_string());
            for checks in checks {
                findings.run(&location, checks, &context);
            }
        }
    }
}

impl<'a> TrustContext<'a> {
    fn on_claim(&self, name: &str) -> impl Iterator<Item = &ClaimCondition<'a>> {
        self.claims.iter().filter(move |claim| claim.claim == name)
    }

    fn on_subject_or_audience(&self) -> impl Iterator<Item = &ClaimCondition<'a>> {
        self.claims.iter().filter(|claim| claim.is_on_subject_or_audience())
    }

    /// A finding for each subject pattern of this scope that is not the subject of a binding.
    fn subjects(&self, scope: SubjectScope, what: &str) -> Vec<Finding> {
        if claims::providers(self.statement).is_empty() {
            return Vec::new();
        }
        let patterns = self.on_claim("sub").flat_map(|claim| {
            claim.patterns().filter(|pattern| claims::subject_scope(&claim.issuer, pattern) == scope)
        });
        let patterns: BTreeSet<String> =
            patterns.filter(|pattern| !self.role.bound_subjects.contains(pattern)).collect();
        patterns.into_iter().map(|pattern| Finding::new(format!("subject `{pattern}` {what}"))).collect()
    }
}

fn other_issuer(context: &TrustContext<'_>) -> Vec<Finding> {
    let issuers: Vec<String> = claims::providers(context.statement).into_iter().map(claims::issuer_of).collect();
    if issuers.is_empty() {
        return Vec::new();
    }
    let is_trusted = |issuer: &str| issuers.iter().any(|known| known.eq_ignore_ascii_case(issuer));
    let others = context.claims.iter().filter(|claim| !is_trusted(&claim.issuer));
    let text = |claim: &ClaimCondition<'_>| {
        let (key, issuer) = (claim.key(), &claim.issuer);
        format!(
            "the condition on `{key}` checks issuer `{issuer}`, but the provider is that of {}",
            quoted(&issuers).join(", ")
        )
    };
    others.map(|claim| Finding::new(text(claim))).collect()
}

fn no_subject(context: &TrustContext<'_>) -> Vec<Finding> {
    let providers = claims::providers(context.statement);
    let names_subject = context.on_claim("sub").any(|claim| !claim.accepts_any_value());
    if providers.is_empty() || names_subject || context.claims.iter().any(external_providers::names_tenant) {
        return Vec::new();
    }
    let text = "no condition on `sub` names a value: every token of the issuer is accepted";
    vec![Finding::new(format!("{text} ({})", quoted(providers).join(", ")))]
}

fn audience(context: &TrustContext<'_>) -> Vec<Finding> {
    let providers = claims::providers(context.statement);
    if providers.is_empty() {
        return Vec::new();
    }
    let on_audience: Vec<&ClaimCondition<'_>> =
        context.on_claim("aud").filter(|claim| !claim.accepts_any_value()).collect();
    if on_audience.is_empty() {
        let text = "no condition on `aud` names a value: tokens for other services are accepted";
        return vec![Finding::new(text)];
    }
    let mut found = Vec::new();
    for claim in on_audience.iter().filter(|claim| claims::includes(claim.operator())) {
        for value in claim.values() {
            if claim.takes_patterns() && (is_wild(value) || !variables(value).is_empty()) {
                found.push(Finding::new(format!("audience `{value}` accepts tokens for other services")));
                continue;
            }
            let accepted = accepted_audiences(context, &providers, &claim.issuer);
            if let Some(accepted) = accepted
                && !accepted.contains(value)
            {
                let list = quoted(accepted);
                let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
                let text = format!("the OIDC provider does not accept audience `{value}` (it accepts {list})");
                found.push(Finding::new(text));
            } else if value != DEFAULT_AUDIENCE && !context.role.audiences.contains(value.as_str()) {
                let text = format!("audience `{value}` is not `{DEFAULT_AUDIENCE}` and no binding has it");
                found.push(Finding::new(text).with_severity(Severity::Medium));
            }
        }
    }
    found
}

/// The audiences of the live provider with this issuer, if it was read.
fn accepted_audiences<'a>(
    context: &TrustContext<'a>,
    providers: &[&str],
    issuer: &str,
) -> Option<&'a BTreeSet<String>> {
    let arn = providers.iter().find(|arn| claims::issuer_of(arn) == issuer)?;
    let arn = ProviderArn::parse(*arn).ok()?;
    Some(&context.role.providers?.get(&arn)?.present()?.provider.audiences)
}

fn every_subject(context: &TrustContext<'_>) -> Vec<Finding> {
    context.subjects(SubjectScope::Any, "is every ServiceAccount of the cluster")
}

fn wildcard_namespace(context: &TrustContext<'_>) -> Vec<Finding> {
    context.subjects(SubjectScope::AnyNamespace, "leaves the namespace open")
}

fn wildcard_name(context: &TrustContext<'_>) -> Vec<Finding> {
    context.subjects(SubjectScope::AnyName, "leaves the name of the ServiceAccount open")
}

fn literal_wildcard(context: &TrustContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for claim in context.on_subject_or_audience() {
        let base = claim.operator().base.as_str();
        for value in claim.values() {
            let wild = value.contains(['*', '?']);
            if wild && matches!(base, "stringequals" | "stringequalsignorecase") {
                let text = format!("`StringEquals` takes the wildcard in `{value}` as plain text: it matches nobody");
                found.push(Finding::new(text));
            } else if !wild && base == "stringlike" {
                let text = format!("`{value}` has no wildcard: `StringEquals` is enough on `{}`", claim.key());
                found.push(Finding::new(text).with_severity(Severity::Info));
            }
        }
    }
    found
}

fn set_operator(context: &TrustContext<'_>) -> Vec<Finding> {
    let finding = |claim: &ClaimCondition<'_>| match claim.operator().quantifier {
        Quantifier::One => None,
        Quantifier::ForAllValues => Some(Finding::new(format!(
            "`ForAllValues` on `{}`, which has one value: it also holds for a token without the claim",
            claim.key()
        ))),
        Quantifier::ForAnyValue => {
            let text = format!("`ForAnyValue` on `{}`, which has one value", claim.key());
            Some(Finding::new(text).with_severity(Severity::Medium))
        }
    };
    context.on_subject_or_audience().filter_map(finding).collect()
}

fn if_exists(context: &TrustContext<'_>) -> Vec<Finding> {
    let optional = context.on_subject_or_audience().filter(|claim| claim.operator().if_exists);
    let text = |key| format!("`IfExists` on `{key}`: it also holds for a token without the claim");
    optional.map(|claim| Finding::new(text(claim.key()))).collect()
}

fn only_excludes(context: &TrustContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in ["sub", "aud"] {
        let about: Vec<&ClaimCondition<'_>> = context.on_claim(name).collect();
        if !about.is_empty() && about.iter().all(|claim| claims::excludes(claim.operator())) {
            let text = format!("the only condition on `{name}` excludes values and lets in all others");
            found.push(Finding::new(format!("{text} (`{}`)", about[0].key())));
        }
    }
    found
}

/// AWS ignores the case of condition keys, so a path in another case may work, but it is not documented.
fn malformed_key(context: &TrustContext<'_>) -> Vec<Finding> {
    let issuers: Vec<String> = claims::providers(context.statement).into_iter().map(claims::issuer_of).collect();
    let mut found = Vec::new();
    for claim in &context.claims {
        if let Some(malformed) = claim.malformed {
            let right = format!("{}:{}", claim.issuer, claim.claim);
            let text = format!("condition key `{}` {malformed} and never matches: write `{right}`", claim.key());
            found.push(Finding::new(text));
        } else if !issuers.contains(&claim.issuer)
            && let Some(issuer) = issuers.iter().find(|issuer| issuer.eq_ignore_ascii_case(&claim.issuer))
        {
            let text = format!("condition key `{}` has issuer `{issuer}` in another case", claim.key());
            found.push(Finding::new(text).with_severity(Severity::Medium));
        }
    }
    found
}

fn default_service_account(context: &TrustContext<'_>) -> Vec<Finding> {
    let including = context.on_claim("sub").filter(|claim| claims::includes(claim.operator()));
    let values: BTreeSet<&String> = including.flat_map(ClaimCondition::values).collect();
    let finding = |subject: &String| match claims::service_account(subject)? {
        (_, "default") => Some(Finding::new(format!(
            "subject `{subject}` is the ServiceAccount of every pod in its namespace that names none"
        ))),
        ("kube-system", name) if name.contains('*') => {
            let text = format!("subject `{subject}` includes system components of the cluster");
            Some(Finding::new(text).with_severity(Severity::High))
        }
        _ => None,
    };
    values.into_iter().filter(|value| !context.role.bound_subjects.contains(*value)).filter_map(finding).collect()
}
