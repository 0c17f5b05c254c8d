//! Rules on what policies permit. No policy is evaluated: what a statement covers and reaches is taken by its meaning, a
//! condition is a limit or none, and denials elsewhere count for nothing.

use super::actions::{Actions, kind_of};
use super::document::Name;
use super::escalation::{PAIRS, PROVIDERS, USERS_OF_ROLES, WAYS};
use super::holder::Holder;
use super::limits::{limited, limited_by};
use super::reach::{kind, reaches_all, reaches_every};
use super::{Check, Found, Notes, Place, document, shortened};
use crate::ids::PolicyArn;
use crate::model::note::Severity;
use crate::policy::canonical::{CanonicalStatement, Choice, Effect, arn_parts};
use crate::policy::condition::{Says, conditions};
use crate::policy::pattern_cover::{covers, matches, meets};
use crate::policy::{PolicyDocument, Statement};

mod broad;

pub(super) use broad::{all_but, everything, handed_on, read_all, service};

/// The statements of a policy, or of all policies of a role.
pub(super) struct PermissionsContext<'a> {
    pub allowing: Vec<Allowing<'a>>,
    pub holder: &'a Holder<'a>,
    /// Whether they are every action on every resource, which is a finding of its own.
    everything: bool,
}

/// A statement that allows.
pub(super) struct Allowing<'a> {
    pub name: Name<'a>,
    pub body: &'a CanonicalStatement,
    /// Which of the actions that rules name it covers.
    pub actions: Actions,
    /// Whether a condition limits it.
    pub limited: bool,
}

/// Runs the rules on permissions and on documents.
pub(super) fn check(notes: &mut Notes, place: &Place, policy: &PolicyDocument, holder: &Holder<'_>) {
    let statements = policy.statements();
    let context = PermissionsContext::of(statements, holder);
    notes.run(place, |check| match check {
        Check::Permissions(rule) => rule(&context),
        _ => Vec::new(),
    });
    document::check(notes, place, Some(policy), statements);
}

/// Runs the rule on what several policies of one role allow together, where none of them does alone.
pub(super) fn check_together(notes: &mut Notes, place: &Place, policies: &[&PolicyDocument], holder: &Holder<'_>) {
    if policies.len() < 2 {
        return;
    }
    let contexts: Vec<PermissionsContext<'_>> =
        policies.iter().map(|policy| PermissionsContext::of(policy.statements(), holder)).collect();
    notes.run(place, |check| match check {
        Check::Together(rule) => rule(&contexts),
        _ => Vec::new(),
    });
}

/// Runs the rules on an attached policy.
pub(super) fn check_attached(notes: &mut Notes, place: &Place, arn: &PolicyArn) {
    notes.run(place, |check| match check {
        Check::Attached(rule) => rule(arn),
        _ => Vec::new(),
    });
}

impl<'a> PermissionsContext<'a> {
    fn of(statements: &'a [Statement], holder: &'a Holder<'a>) -> Self {
        let allowing = document::named(statements)
            .map(|(name, statement)| (name, statement.canonical()))
            .filter(|(_, body)| body.effect == Effect::Allow)
            .map(|(name, body)| Allowing { name, body, actions: Actions::of(body), limited: limited(body) });
        let allowing: Vec<Allowing<'a>> = allowing.collect();
        let everything = broad::is_everything(&allowing);
        Self { allowing, holder, everything }
    }

    /// Those that are no part of everything.
    pub(super) fn narrower(&self) -> impl Iterator<Item = &Allowing<'a>> {
        self.allowing.iter().filter(|allowing| !(self.everything && reaches_all(allowing.body)))
    }
}

impl Allowing<'_> {
    /// The patterns of the actions; none under `NotAction`.
    fn patterns(&self) -> &[String] {
        match &self.body.actions {
            Choice::Only(set) => set,
            Choice::AllBut(_) => &[],
        }
    }

    /// The patterns of the resources; none under `NotResource`.
    fn resources(&self) -> impl Iterator<Item = &str> {
        let named: &[String] = match &self.body.resources {
            Some(Choice::Only(set)) => set,
            Some(Choice::AllBut(_)) | None => &[],
        };
        named.iter().map(String::as_str)
    }

    fn every_action(&self) -> bool {
        self.patterns().iter().any(|pattern| covers(pattern, "?*:?*"))
    }

    /// Whether it allows this on everything that it is done to.
    fn allows_everywhere(&self, action: &str) -> bool {
        self.actions.contains(action) && reaches_every(self.body, kind_of(action))
    }
}

/// What statements allow on everything, of the actions that rules name.
#[derive(Default)]
struct Open {
    /// Without a limit.
    free: Actions,
    /// To these services roles may be passed, by patterns.
    passed_to: Vec<String>,
    /// The services of which everything is allowed.
    services: Vec<String>,
}

impl Open {
    fn of<'s, 'a: 's>(allowing: impl Iterator<Item = &'s Allowing<'a>>) -> Self {
        let mut open = Self::default();
        for statement in allowing {
            if !statement.limited && reaches_all(statement.body) {
                let services = statement.patterns().iter().filter_map(|pattern| pattern.split_once(':'));
                open.services.extend(services.filter(|(_, name)| covers(name, "?*")).map(|(name, _)| name.to_owned()));
            }
            let everywhere = statement.actions.iter().filter(|(_, kind)| reaches_every(statement.body, *kind));
            for (action, _) in everywhere {
                if !statement.limited {
                    open.free.insert(action);
                } else if action == "iam:passrole" {
                    open.passed_to.extend(passed_to(statement.body));
                }
            }
        }
        open
    }

    /// The paths to other permissions that are open, each with how much it matters.
    fn ways(&self) -> Vec<(Severity, String)> {
        if self.free.is_empty() && self.passed_to.is_empty() {
            return Vec::new();
        }
        let passes = |service: &str| self.passed_to.iter().any(|pattern| matches(pattern, service));
        let allowed = |action: &str, service: Option<&str>| {
            self.free.contains(action) || action == "iam:PassRole" && service.is_some_and(passes)
        };
        let open = WAYS.iter().filter(|way| way.actions.iter().all(|action| allowed(action, way.service)));
        let mut ways: Vec<(Severity, String)> = open.map(|way| (way.severity, with(way.actions))).collect();
        for service in &self.services {
            let mut named = WAYS.iter().filter_map(|way| way.service);
            let known = named.any(|user| user.split('.').any(|part| part == service));
            let other = USERS_OF_ROLES.iter().filter(|(name, _)| name == service).map(|(_, user)| (*user).to_owned());
            let mut users = std::iter::once(format!("{service}.amazonaws.com")).chain(other);
            if !known && service != "iam" && users.any(|user| passes(&user)) {
                // only roles that trust that service can be passed to it
                ways.push((Severity::Medium, with(&["iam:PassRole", &format!("{service}:*")])));
            }
        }
        ways
    }
}

/// `a` with `b` with `c`
fn with(actions: &[&str]) -> String {
    actions.iter().map(|action| format!("`{action}`")).collect::<Vec<_>>().join(" with ")
}

/// The services to which roles may be passed, if nothing else is a limit.
fn passed_to(body: &CanonicalStatement) -> Vec<String> {
    let mut services = Vec::new();
    for condition in conditions(body).filter(super::limits::limits) {
        if condition.key != "iam:passedtoservice" || condition.says(&[], |_| false) == Says::AllBut {
            return Vec::new();
        }
        services.extend(condition.values.iter().cloned());
    }
    services
}

/// IRSA031: over all statements together.
pub(super) fn escalation(context: &PermissionsContext<'_>) -> Vec<Found> {
    let ways = Open::of(context.narrower()).ways();
    let mut found: Vec<Found> = told(&ways).into_iter().collect();
    let free: Vec<&Allowing<'_>> = context.narrower().filter(|allowing| !allowing.limited).collect();
    if ways.iter().all(|(severity, _)| *severity < Severity::Critical) {
        found.extend(pairs(&free));
    }
    for allowing in &free {
        let narrow = |action: &&&str| allowing.actions.contains(action) && !allowing.allows_everywhere(action);
        let list: Vec<String> = PROVIDERS.iter().filter(narrow).map(|action| format!("`{action}`")).collect();
        if !list.is_empty() {
            let text =
                format!("{} allows {}: its holder is everyone whom that lets in", allowing.name, list.join(", "));
            found.push(Found::new(text).but(Severity::High));
        }
    }
    found
}

/// What two statements, or one, allow of a single role or user.
fn pairs(free: &[&Allowing<'_>]) -> Vec<Found> {
    let mut found = Vec::new();
    for (give, be) in PAIRS {
        let of = |actions: &[&'static str]| {
            let each = actions.iter().flat_map(|action| {
                let allowing = free.iter().filter(|allowing| allowing.actions.contains(action));
                allowing.map(|allowing| (*action, allowing.body)).collect::<Vec<_>>()
            });
            each.collect::<Vec<_>>()
        };
        let (givers, beings) = (of(give), of(be));
        let pair = givers.iter().find_map(|(give, giver)| {
            let other = beings.iter().find(|(_, being)| share(giver, being))?;
            Some((*give, other.0))
        });
        if let Some((give, be)) = pair {
            let text =
                format!("{} on the same resource: its holder may become one that may do anything", with(&[give, be]));
            found.push(Found::new(text));
        }
    }
    found
}

/// Whether there may be a resource that both statements reach.
fn share(one: &CanonicalStatement, other: &CanonicalStatement) -> bool {
    let (Some(Choice::Only(ours)), Some(Choice::Only(theirs))) = (&one.resources, &other.resources) else {
        return true;
    };
    ours.iter().any(|pattern| theirs.iter().any(|item| meets(pattern, item)))
}

/// IRSA031, over all policies of a role together: what is found in one of them is not said again.
pub(super) fn escalation_together(contexts: &[PermissionsContext<'_>]) -> Vec<Found> {
    let alone: Vec<_> = contexts.iter().flat_map(|context| Open::of(context.narrower()).ways()).collect();
    let mut ways = Open::of(contexts.iter().flat_map(PermissionsContext::narrower)).ways();
    ways.retain(|way| !alone.contains(way));
    let mut found: Vec<Found> = told(&ways).into_iter().collect();
    let free = |context: &PermissionsContext<'_>| context.narrower().any(|allowing| !allowing.limited);
    if found.is_empty() && alone.is_empty() && contexts.iter().filter(|context| free(context)).count() > 1 {
        let each = |context| {
            pairs(&PermissionsContext::narrower(context).filter(|allowing| !allowing.limited).collect::<Vec<_>>())
        };
        let all: Vec<&Allowing<'_>> =
            contexts.iter().flat_map(PermissionsContext::narrower).filter(|allowing| !allowing.limited).collect();
        let known: Vec<Found> = contexts.iter().flat_map(each).collect();
        found.extend(pairs(&all).into_iter().filter(|pair| !known.contains(pair)));
    }
    found
}

fn told(ways: &[(Severity, String)]) -> Option<Found> {
    let severity = ways.iter().map(|(severity, _)| *severity).max()?;
    // the worst first
    let (worst, others): (Vec<_>, Vec<_>) = ways.iter().partition(|(own, _)| *own == severity);
    let list = worst.into_iter().chain(others).map(|(_, way)| way.clone()).collect();
    let text = format!("{} on every resource: enough to get permissions that it does not name", shortened(list, ", "));
    Some(Found::new(text).but(severity))
}

/// IRSA032
pub(super) fn pass_any_role(context: &PermissionsContext<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for allowing in context.narrower().filter(|allowing| allowing.actions.contains("iam:PassRole")) {
        let name = &allowing.name;
        if allowing.allows_everywhere("iam:PassRole") {
            let text = format!("{name} allows `iam:PassRole` of every role to every service");
            found.extend((!allowing.limited).then(|| Found::new(text)));
            continue;
        }
        let roles = allowing.resources().filter_map(|pattern| arn_parts(pattern).get(5).copied());
        let strong = roles.filter(|role| administrative(role));
        let text = |role| format!("{name} allows `iam:PassRole` of `{role}`, an administrator by its name");
        found.extend(strong.map(|role| Found::new(text(role)).but(Severity::Medium)));
    }
    found
}

/// IRSA033
pub(super) fn assume_any_role(context: &PermissionsContext<'_>) -> Vec<Found> {
    const LIMITS: [&str; 5] =
        ["aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:resourcetag/", "iam:resourcetag/"];
    let mut found = Vec::new();
    for allowing in context.narrower().filter(|allowing| allowing.actions.contains("sts:AssumeRole")) {
        let Allowing { name, body, .. } = allowing;
        if limited_by(body, &LIMITS) {
            continue;
        }
        if reaches_every(body, kind_of("sts:AssumeRole")) {
            found.push(Found::new(format!("{name} allows `sts:AssumeRole` of every role that lets it")));
            continue;
        }
        for pattern in allowing.resources() {
            let parts = arn_parts(pattern);
            let [_, _, _, _, account, role] = parts[..] else { continue };
            let anywhere = account.contains(['*', '?']);
            let severity = match (administrative(role), anywhere) {
                (true, true) => Severity::High,
                (true, false) => Severity::Medium,
                (false, true) => Severity::Low,
                (false, false) => continue,
            };
            let of = if anywhere { "every account" } else { "another account" };
            found.push(Found::new(format!("{name} allows `sts:AssumeRole` of `{role}` in {of}")).but(severity));
        }
    }
    found
}

/// Whether a role of this name or pattern is one that AWS's own tools make to administer an account, or is called so
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html>,
/// <https://docs.aws.amazon.com/controltower/latest/userguide/roles-how.html>,
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-prereqs-self-managed.html>).
fn administrative(role: &str) -> bool {
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
