//! Rules on what policies permit. No policy is evaluated: a pattern covers an action or it does not, conditions are taken
//! for a limit, and denials elsewhere for none.

use super::document::Name;
use super::{Check, Found, Notes, Place, claim, document, escalation};
use crate::ids::PolicyArn;
use crate::model::note::Severity;
use crate::model::pattern::Pattern;
use crate::policy::canonical::{CanonicalStatement, Choice, Effect};
use crate::policy::{PolicyDocument, Statement};

/// The statements of a policy.
pub(super) struct Site<'a> {
    pub statements: &'a [Statement],
}

/// Runs the rules on permissions and on documents.
pub(super) fn check(notes: &mut Notes, place: &Place, policy: &PolicyDocument) {
    let statements = policy.statements();
    let site = Site { statements };
    notes.run(place, |check| match check {
        Check::Permissions(rule) => rule(&site),
        _ => Vec::new(),
    });
    document::check(notes, place, Some(policy), statements);
}

/// Runs the rules on an attached policy.
pub(super) fn check_attached(notes: &mut Notes, place: &Place, arn: &PolicyArn) {
    notes.run(place, |check| match check {
        Check::Attached(rule) => rule(arn),
        _ => Vec::new(),
    });
}

impl<'a> Site<'a> {
    /// The statements that allow, with their names.
    fn allowing(&self) -> impl Iterator<Item = (Name<'a>, &'a CanonicalStatement)> {
        document::named(self.statements)
            .map(|(name, statement)| (name, statement.canonical()))
            .filter(|(_, body)| body.effect == Effect::Allow)
    }

    /// Those of them that reach every resource and are not every action, which is a finding of its own.
    fn wide(&self) -> impl Iterator<Item = (Name<'a>, &'a CanonicalStatement)> {
        self.allowing().filter(|(_, body)| reaches_all(body) && !every_action(body))
    }
}

/// Whether the statement reaches every resource, or every one of a kind.
fn reaches_all(body: &CanonicalStatement) -> bool {
    match &body.resources {
        Some(Choice::Only(set)) => set.iter().any(|resource| any_resource(resource)),
        Some(Choice::AllBut(_)) => true,
        None => false,
    }
}

/// Kinds that stand before a `/` or `:` in the resource part of an ARN. Elsewhere that is a name, as of a bucket.
const KINDS: [&str; 17] = [
    "alias",
    "cluster",
    "function",
    "group",
    "instance",
    "instance-profile",
    "key",
    "parameter",
    "policy",
    "project",
    "role",
    "secret",
    "stack",
    "table",
    "task",
    "task-definition",
    "user",
];

/// `*`, or an ARN whose resource part is `*`, `KIND/*` or `KIND:*`.
fn any_resource(resource: &str) -> bool {
    let free = |text: &str| !text.is_empty() && text.chars().all(|c| matches!(c, '*' | '/' | ':'));
    if free(resource) {
        return true;
    }
    let mut parts = resource.splitn(6, ':').skip(2);
    let (service, Some(name)) = (parts.next(), parts.nth(2)) else {
        // an ARN cut short by a star: `arn:aws:s3:*`
        return resource.ends_with('*');
    };
    match name.split_once(['/', ':']) {
        Some((kind, rest)) if service != Some("s3") && KINDS.contains(&kind) => free(rest),
        _ => free(name),
    }
}

/// The patterns of the actions; none under `NotAction`, which is a finding of its own.
fn actions(body: &CanonicalStatement) -> Option<&[String]> {
    match &body.actions {
        Choice::Only(set) => Some(set),
        Choice::AllBut(_) => None,
    }
}

fn every_action(body: &CanonicalStatement) -> bool {
    actions(body).is_some_and(|set| set.iter().any(|action| action == "*" || action == "*:*"))
}

/// Whether the statement names an action or covers it by a pattern.
fn covers(body: &CanonicalStatement, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    actions(body).is_some_and(|set| set.iter().any(|pattern| Pattern::new(pattern).matches(&action)))
}

/// Whether a condition on a key of which this is the beginning limits the statement.
fn limited_by(body: &CanonicalStatement, keys: &[&str]) -> bool {
    let limiting = body.conditions.iter().filter(|(operator, _)| claim::names(operator));
    limiting.flat_map(|(_, block)| block).any(|(key, _)| keys.iter().any(|begin| key.starts_with(begin)))
}

/// IRSA030
pub(super) fn everything(site: &Site<'_>) -> Vec<Found> {
    site.allowing()
        .filter(|(_, body)| every_action(body) && reaches_all(body))
        .map(|(name, body)| {
            let found = Found::new(format!("{name} allows every action on every resource"));
            if body.conditions.is_empty() { found } else { found.but(Severity::High) }
        })
        .collect()
}

/// IRSA030
pub(super) fn administrator(arn: &PolicyArn) -> Vec<Found> {
    aws_managed(arn, "AdministratorAccess", "allows every action on every resource")
}

/// IRSA031
pub(super) fn iam_full_access(arn: &PolicyArn) -> Vec<Found> {
    aws_managed(arn, "IAMFullAccess", "lets its holder give itself every permission")
}

fn aws_managed(arn: &PolicyArn, name: &str, what: &str) -> Vec<Found> {
    let is = arn.account() == "aws" && arn.name() == name;
    is.then(|| Found::new(format!("attached policy `{name}` {what}"))).into_iter().collect()
}

/// IRSA031: over all statements together that reach everything and have no condition.
pub(super) fn escalation(site: &Site<'_>) -> Vec<Found> {
    let bodies: Vec<&CanonicalStatement> =
        site.wide().map(|(_, body)| body).filter(|body| body.conditions.is_empty()).collect();
    let allowed = |action: &str| bodies.iter().any(|body| covers(body, action));
    escalation::ways(allowed)
        .into_iter()
        .map(|way| {
            let actions: Vec<String> = way.iter().map(|action| format!("`{action}`")).collect();
            Found::new(format!("{} on every resource: enough to get every permission", actions.join(" with ")))
        })
        .collect()
}

/// IRSA032
pub(super) fn pass_any_role(site: &Site<'_>) -> Vec<Found> {
    site.wide()
        .filter(|(_, body)| covers(body, "iam:PassRole") && !limited_by(body, &["iam:passedtoservice"]))
        .map(|(name, _)| Found::new(format!("{name} allows `iam:PassRole` of every role to every service")))
        .collect()
}

/// IRSA033
pub(super) fn assume_any_role(site: &Site<'_>) -> Vec<Found> {
    const LIMITS: [&str; 5] =
        ["aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:resourcetag/", "iam:resourcetag/"];
    site.wide()
        .filter(|(_, body)| covers(body, "sts:AssumeRole") && !limited_by(body, &LIMITS))
        .map(|(name, _)| Found::new(format!("{name} allows `sts:AssumeRole` of every role that lets it")))
        .collect()
}

/// IRSA034
pub(super) fn all_but(site: &Site<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (name, body) in site.allowing() {
        if matches!(body.actions, Choice::AllBut(_)) {
            found.push(Found::new(format!("{name} allows all but some actions (`NotAction`), new ones too")));
        }
        if matches!(body.resources, Some(Choice::AllBut(_))) {
            found.push(Found::new(format!("{name} allows all but some resources (`NotResource`), new ones too")));
        }
    }
    found
}

/// IRSA035
pub(super) fn read_all(site: &Site<'_>) -> Vec<Found> {
    const READS: [&str; 8] = [
        "s3:GetObject",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "ssm:GetParameters",
        "ssm:GetParametersByPath",
        "kms:Decrypt",
        "dynamodb:GetItem",
        "dynamodb:Scan",
    ];
    site.wide()
        .filter(|(_, body)| body.conditions.is_empty())
        .filter_map(|(name, body)| {
            let reads: Vec<String> =
                READS.iter().filter(|read| covers(body, read)).map(|read| format!("`{read}`")).collect();
            let text = format!("{name} allows {} on every resource", reads.join(", "));
            (!reads.is_empty()).then(|| Found::new(text))
        })
        .collect()
}

/// IRSA036
pub(super) fn service(site: &Site<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (name, body) in site.wide() {
        let all = actions(body).into_iter().flatten().filter(|action| action.ends_with(":*"));
        found.extend(all.map(|action| Found::new(format!("{name} allows `{action}` on every resource"))));
    }
    found
}
