//! Rules on what permission policies allow: privilege escalation, passing and assuming roles.
//!
//! No request is evaluated. A rule asks which actions a statement covers, on which resources, and whether a condition
//! limits it. Denies are ignored.

use super::actions::{Actions, resource_type};
use super::arns::AttachedRoles;
use super::conditions::{is_limit_of_use, limits_key, limits_use};
use super::document::StatementName;
use super::escalation::{ON_PROVIDERS, PAIRS, PATHS, SERVICE_PRINCIPALS};
use super::resources::{ResourceType, covers_every, covers_everything};
use super::{Finding, Findings, Location, document, has_word, quoted, shortened};
use crate::model::note::Severity;
use crate::policy::canonical::{CanonicalStatement, Choice, Effect};
use crate::policy::condition::{Restriction, conditions};
use crate::policy::pattern::{arn_parts, covers, matches, overlap};
use crate::policy::{PolicyDocument, Statement};

mod broad;
mod own_permissions;

/// A permission policy.
struct PermissionsContext<'a> {
    allows: Vec<AllowStatement<'a>>,
    attached_roles: &'a AttachedRoles<'a>,
    /// Whether the policy allows every action on every resource, which has a finding of its own.
    allows_everything: bool,
}

/// A statement that allows.
struct AllowStatement<'a> {
    name: StatementName<'a>,
    statement: &'a CanonicalStatement,
    /// The known actions that it covers.
    actions: Actions,
    /// Whether a condition limits what it can be used for.
    limited: bool,
}

type PermissionsCheck = fn(&PermissionsContext<'_>) -> Vec<Finding>;

const CHECKS: &[(&str, PermissionsCheck)] = &[
    ("IRSA030", broad::everything),
    ("IRSA031", escalation),
    ("IRSA032", pass_any_role),
    ("IRSA033", assume_any_role),
    ("IRSA034", broad::all_but),
    ("IRSA035", broad::read_all),
    ("IRSA036", broad::whole_services),
    ("IRSA037", broad::shares_access),
    ("IRSA038", own_permissions::check),
];

/// Checks a permission policy, and its document.
pub(super) fn check(
    findings: &mut Findings,
    location: &Location,
    policy: &PolicyDocument,
    attached_roles: &AttachedRoles<'_>,
) {
    let statements = policy.statements();
    findings.run(location, CHECKS, &PermissionsContext::of(statements, attached_roles));
    document::check(findings, location, Some(policy), statements);
}

/// Checks what several policies of one role allow together, but none of them alone.
pub(super) fn check_together(
    findings: &mut Findings,
    location: &Location,
    policies: &[&PolicyDocument],
    attached_roles: &AttachedRoles<'_>,
) {
    if policies.len() < 2 {
        return;
    }
    let contexts: Vec<PermissionsContext<'_>> =
        policies.iter().map(|policy| PermissionsContext::of(policy.statements(), attached_roles)).collect();
    findings.run(location, &[("IRSA031", escalation_together)], contexts.as_slice());
}

impl<'a> PermissionsContext<'a> {
    fn of(statements: &'a [Statement], attached_roles: &'a AttachedRoles<'a>) -> Self {
        let allows: Vec<AllowStatement<'a>> = document::named(statements)
            .map(|(name, statement)| (name, statement.canonical()))
            .filter(|(_, statement)| statement.effect == Effect::Allow)
            .map(|(name, statement)| AllowStatement {
                name,
                statement,
                actions: Actions::of(statement),
                limited: limits_use(statement),
            })
            .collect();
        let allows_everything = broad::allows_everything(&allows);
        Self { allows, attached_roles, allows_everything }
    }

    /// The statements, without those that together allow everything.
    fn narrower(&self) -> impl Iterator<Item = &AllowStatement<'a>> {
        self.allows.iter().filter(|allow| !(self.allows_everything && covers_everything(allow.statement)))
    }

    /// The statements of `narrower` that no condition limits.
    fn unlimited(&self) -> impl Iterator<Item = &AllowStatement<'a>> {
        self.narrower().filter(|allow| !allow.limited)
    }
}

impl AllowStatement<'_> {
    /// The patterns under `Action`.
    fn patterns(&self) -> &[String] {
        self.statement.actions.named()
    }

    /// The patterns under `Resource`.
    fn resources(&self) -> impl Iterator<Item = &str> {
        self.statement.resources.iter().flat_map(Choice::named).map(String::as_str)
    }

    fn covers_every_action(&self) -> bool {
        self.patterns().iter().any(|pattern| covers(pattern, "?*:?*"))
    }

    /// Whether it allows a known action on every resource of its type.
    fn allows_everywhere(&self, action: &str) -> bool {
        self.actions.contains(action) && covers_every(self.statement, resource_type(action))
    }
}

/// What statements allow on every resource.
#[derive(Default)]
struct AllowedEverywhere {
    /// Known actions without a limit.
    actions: Actions,
    /// Patterns of the services to which roles may be passed, under a condition.
    passed_to: Vec<String>,
    /// Services of which every action is allowed.
    services: Vec<String>,
}

impl AllowedEverywhere {
    fn of<'s, 'a: 's>(allows: impl Iterator<Item = &'s AllowStatement<'a>>) -> Self {
        let mut everywhere = Self::default();
        for allow in allows {
            if !allow.limited && covers_everything(allow.statement) {
                let services = allow.patterns().iter().filter_map(|pattern| pattern.split_once(':'));
                let whole = services.filter(|(_, name)| covers(name, "?*")).map(|(service, _)| service.to_owned());
                everywhere.services.extend(whole);
            }
            let actions = allow.actions.iter().filter(|action| covers_every(allow.statement, resource_type(action)));
            for action in actions {
                if !allow.limited {
                    everywhere.actions.insert(action);
                } else if action == "iam:passrole" {
                    everywhere.passed_to.extend(passed_to(allow.statement));
                }
            }
        }
        everywhere
    }

    /// The escalation paths that are allowed, each with its severity.
    fn paths(&self) -> Vec<(Severity, String)> {
        if self.actions.is_empty() && self.passed_to.is_empty() {
            return Vec::new();
        }
        let passes_to = |service: &str| self.passed_to.iter().any(|pattern| matches(pattern, service));
        let allows = |action: &str, service: Option<&str>| {
            self.actions.contains(action) || action == "iam:PassRole" && service.is_some_and(passes_to)
        };
        let allowed = PATHS.iter().filter(|path| path.actions.iter().all(|action| allows(action, path.service)));
        let mut paths: Vec<(Severity, String)> = allowed.map(|path| (path.severity, joined(&path.actions))).collect();
        for service in &self.services {
            let mut in_paths = PATHS.iter().filter_map(|path| path.service);
            let has_path = in_paths.any(|principal| principal.split('.').any(|part| part == service));
            let own = std::iter::once(format!("{service}.amazonaws.com"));
            let others = SERVICE_PRINCIPALS.iter().filter(|(name, _)| name == service);
            let mut principals = own.chain(others.map(|(_, principal)| (*principal).to_owned()));
            if !has_path && service != "iam" && principals.any(|principal| passes_to(&principal)) {
                // less severe, because only roles that trust the service can be passed to it
                paths.push((Severity::Medium, joined(&["iam:PassRole", &format!("{service}:*")])));
            }
        }
        paths
    }
}

/// `a` with `b` with `c`
fn joined(actions: &[&str]) -> String {
    quoted(actions).join(" with ")
}

/// The services to which roles may be passed, if no other condition limits the statement.
fn passed_to(statement: &CanonicalStatement) -> Vec<String> {
    let mut services = Vec::new();
    for condition in conditions(statement).filter(is_limit_of_use) {
        if condition.key != "iam:passedtoservice" || condition.restriction(&[], |_| false) == Restriction::Excludes {
            return Vec::new();
        }
        services.extend(condition.values.iter().cloned());
    }
    services
}

fn escalation(context: &PermissionsContext<'_>) -> Vec<Finding> {
    let paths = AllowedEverywhere::of(context.narrower()).paths();
    let mut found: Vec<Finding> = escalation_finding(&paths).into_iter().collect();
    let unlimited: Vec<&AllowStatement<'_>> = context.unlimited().collect();
    if paths.iter().all(|(severity, _)| *severity < Severity::Critical) {
        found.extend(pairs(&unlimited));
    }
    for allow in &unlimited {
        let on_some = |action: &&&str| allow.actions.contains(action) && !allow.allows_everywhere(action);
        let list = quoted(ON_PROVIDERS.iter().filter(on_some));
        if !list.is_empty() {
            let text = format!(
                "{} allows {}: its holder can be everyone that the provider lets in",
                allow.name,
                list.join(", ")
            );
            found.push(Finding::new(text).with_severity(Severity::High));
        }
    }
    found
}

/// The pairs of actions that the statements allow on one role or user.
fn pairs(unlimited: &[&AllowStatement<'_>]) -> Vec<Finding> {
    let allowed = |actions: &'static [&'static str]| {
        actions.iter().flat_map(|action| {
            let allowing = unlimited.iter().filter(|allow| allow.actions.contains(action));
            allowing.map(|allow| (*action, allow.statement))
        })
    };
    let mut found = Vec::new();
    for (give, assume) in PAIRS {
        let pair = allowed(give).find_map(|(give, on)| {
            let (assume, _) = allowed(assume).find(|(_, other)| may_share_resource(on, other))?;
            Some([give, assume])
        });
        if let Some(pair) = pair {
            let text = format!("{} on the same resource: its holder can gain any permission", joined(&pair));
            found.push(Finding::new(text));
        }
    }
    found
}

fn may_share_resource(one: &CanonicalStatement, other: &CanonicalStatement) -> bool {
    let (Some(Choice::Only(ones)), Some(Choice::Only(others))) = (&one.resources, &other.resources) else {
        return true;
    };
    ones.iter().any(|one| others.iter().any(|other| overlap(one, other)))
}

/// Reports only escalation paths that no single policy has, because a policy has findings of its own.
fn escalation_together(contexts: &[PermissionsContext<'_>]) -> Vec<Finding> {
    let alone: Vec<_> = contexts.iter().flat_map(|context| AllowedEverywhere::of(context.narrower()).paths()).collect();
    let mut paths = AllowedEverywhere::of(contexts.iter().flat_map(PermissionsContext::narrower)).paths();
    paths.retain(|path| !alone.contains(path));
    let mut found: Vec<Finding> = escalation_finding(&paths).into_iter().collect();
    if found.is_empty() && alone.is_empty() {
        let unlimited = |contexts: &'_ [PermissionsContext<'_>]| -> Vec<Finding> {
            pairs(&contexts.iter().flat_map(PermissionsContext::unlimited).collect::<Vec<_>>())
        };
        let known: Vec<Finding> =
            contexts.iter().flat_map(|context| unlimited(std::slice::from_ref(context))).collect();
        found.extend(unlimited(contexts).into_iter().filter(|pair| !known.contains(pair)));
    }
    found
}

/// One finding of all paths, the worst first.
fn escalation_finding(paths: &[(Severity, String)]) -> Option<Finding> {
    let worst = paths.iter().map(|(severity, _)| *severity).max()?;
    let (first, others): (Vec<_>, Vec<_>) = paths.iter().partition(|(severity, _)| *severity == worst);
    let list = first.into_iter().chain(others).map(|(_, actions)| actions.clone()).collect();
    let text =
        format!("{} on every resource: its holder can gain permissions that it does not name", shortened(list, ", "));
    Some(Finding::new(text).with_severity(worst))
}

fn pass_any_role(context: &PermissionsContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for allow in context.narrower().filter(|allow| allow.actions.contains("iam:PassRole")) {
        let name = &allow.name;
        if allow.allows_everywhere("iam:PassRole") {
            let text = format!("{name} allows `iam:PassRole` of every role to every service");
            found.extend((!allow.limited).then(|| Finding::new(text)));
            continue;
        }
        let roles = allow.resources().filter_map(|pattern| arn_parts(pattern).get(5).copied());
        let text = |role| format!("{name} allows `iam:PassRole` of `{role}`, an administrator by its name");
        let strong = roles.filter(|role| is_administrative(role));
        found.extend(strong.map(|role| Finding::new(text(role)).with_severity(Severity::Medium)));
    }
    found
}

fn assume_any_role(context: &PermissionsContext<'_>) -> Vec<Finding> {
    const LIMITS: [&str; 5] =
        ["aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:resourcetag/", "iam:resourcetag/"];
    let mut found = Vec::new();
    for allow in context.narrower().filter(|allow| allow.actions.contains("sts:AssumeRole")) {
        let name = &allow.name;
        if limits_key(allow.statement, &LIMITS) {
            continue;
        }
        if allow.allows_everywhere("sts:AssumeRole") {
            found.push(Finding::new(format!("{name} allows `sts:AssumeRole` of every role that trusts its holder")));
            continue;
        }
        for pattern in allow.resources() {
            let [_, _, _, _, account, role] = arn_parts(pattern)[..] else { continue };
            let any_account = account.contains(['*', '?']);
            let severity = match (is_administrative(role), any_account) {
                (true, true) => Severity::High,
                (true, false) => Severity::Medium,
                (false, true) => Severity::Low,
                (false, false) => continue,
            };
            let of = if any_account { "every account" } else { "another account" };
            let text = format!("{name} allows `sts:AssumeRole` of `{role}` in {of}");
            found.push(Finding::new(text).with_severity(severity));
        }
    }
    found
}

/// Whether a role name or pattern is that of an administrator, or of a role that AWS creates to administer accounts
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html>,
/// <https://docs.aws.amazon.com/controltower/latest/userguide/roles-how.html>,
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-prereqs-self-managed.html>).
fn is_administrative(role: &str) -> bool {
    const NAMES: [&str; 5] = [
        "role/organizationaccountaccessrole",
        "role/awscontroltowerexecution",
        "role/awscloudformationstacksetexecutionrole",
        "role/stacksets-exec-0123456789abcdef0123456789abcdef",
        "role/aws-reserved/sso.amazonaws.com/awsreservedsso_administratoraccess_0123456789abcdef",
    ];
    let role = role.to_ascii_lowercase();
    NAMES.iter().any(|name| matches(&role, name)) || role.contains("admin")
}
