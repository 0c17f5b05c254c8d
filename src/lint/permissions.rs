//! Rules on what policies permit. No policy is evaluated: what a statement covers and reaches is taken by its meaning, a
//! condition is a limit or none, and denials elsewhere count for nothing.

use super::actions::{Actions, kind_of};
use super::document::Name;
use super::escalation::WAYS;
use super::limits::{limited, limited_by};
use super::own::Holder;
use super::reach::{kind, reaches_all, reaches_every};
use super::{Check, Found, Notes, Place, document, shortened};
use crate::ids::PolicyArn;
use crate::model::note::Severity;
use crate::policy::canonical::{CanonicalStatement, Choice, Effect};
use crate::policy::condition::{Says, conditions};
use crate::policy::pattern_cover::{covers, matches};
use crate::policy::{PolicyDocument, Statement};

mod broad;

pub(super) use broad::{all_but, everything, handed_on, read_all, service};

/// The statements of a policy, or of all policies of a role.
pub(super) struct Site<'a> {
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
    let site = Site::of(statements, holder);
    notes.run(place, |check| match check {
        Check::Permissions(rule) => rule(&site),
        _ => Vec::new(),
    });
    document::check(notes, place, Some(policy), statements);
}

/// Runs the rule on what several policies of one role allow together, where none of them does alone.
pub(super) fn check_together(notes: &mut Notes, place: &Place, policies: &[&PolicyDocument], holder: &Holder<'_>) {
    if policies.len() < 2 {
        return;
    }
    let sites: Vec<Site<'_>> = policies.iter().map(|policy| Site::of(policy.statements(), holder)).collect();
    notes.run(place, |check| match check {
        Check::Together(rule) => rule(&sites),
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

impl<'a> Site<'a> {
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
}

impl Open {
    fn of<'s, 'a: 's>(allowing: impl Iterator<Item = &'s Allowing<'a>>) -> Self {
        let mut open = Self::default();
        for statement in allowing.filter(|statement| !statement.actions.is_empty()) {
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

    /// The paths to other permissions that are open.
    fn ways(&self) -> Vec<&'static super::escalation::Way> {
        if self.free.is_empty() && self.passed_to.is_empty() {
            return Vec::new();
        }
        let passes = |service: Option<&str>| {
            service.is_some_and(|service| self.passed_to.iter().any(|pattern| matches(pattern, service)))
        };
        let allowed = |action: &str, service| self.free.contains(action) || action == "iam:PassRole" && passes(service);
        WAYS.iter().filter(|way| way.actions.iter().all(|action| allowed(action, way.service))).collect()
    }
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
pub(super) fn escalation(site: &Site<'_>) -> Vec<Found> {
    told(&Open::of(site.narrower()).ways())
}

/// IRSA031, over all policies of a role together: what is found in one of them is not said again.
pub(super) fn escalation_together(sites: &[Site<'_>]) -> Vec<Found> {
    let alone: Vec<_> = sites.iter().flat_map(|site| Open::of(site.narrower()).ways()).collect();
    let mut ways = Open::of(sites.iter().flat_map(Site::narrower)).ways();
    ways.retain(|way| !alone.iter().any(|known| std::ptr::eq(*known, *way)));
    told(&ways)
}

fn told(ways: &[&'static super::escalation::Way]) -> Vec<Found> {
    let Some(severity) = ways.iter().map(|way| way.severity).max() else { return Vec::new() };
    let one = |way: &&super::escalation::Way| {
        let actions: Vec<String> = way.actions.iter().map(|action| format!("`{action}`")).collect();
        actions.join(" with ")
    };
    // the worst first
    let (worst, others): (Vec<_>, Vec<_>) = ways.iter().partition(|way| way.severity == severity);
    let list = worst.iter().chain(&others).map(one).collect();
    let text = format!("{} on every resource: enough to get permissions that it does not name", shortened(list, ", "));
    vec![Found::new(text).but(severity)]
}

/// IRSA032
pub(super) fn pass_any_role(site: &Site<'_>) -> Vec<Found> {
    site.narrower()
        .filter(|allowing| allowing.allows_everywhere("iam:PassRole") && !allowing.limited)
        .map(|Allowing { name, .. }| Found::new(format!("{name} allows `iam:PassRole` of every role to every service")))
        .collect()
}

/// IRSA033
pub(super) fn assume_any_role(site: &Site<'_>) -> Vec<Found> {
    const LIMITS: [&str; 5] =
        ["aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:resourcetag/", "iam:resourcetag/"];
    let mut found = Vec::new();
    for allowing in site.narrower().filter(|allowing| allowing.actions.contains("sts:AssumeRole")) {
        let Allowing { name, body, .. } = allowing;
        if limited_by(body, &LIMITS) {
            continue;
        }
        if reaches_every(body, kind_of("sts:AssumeRole")) {
            found.push(Found::new(format!("{name} allows `sts:AssumeRole` of every role that lets it")));
            continue;
        }
        let Some(Choice::Only(set)) = &body.resources else { continue };
        for pattern in set {
            let parts = crate::policy::canonical::arn_parts(pattern);
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
