//! Who may do an action: the permissions of roles, and the ServiceAccounts that reach them.
//!
//! Pure. Looks at identity policies, permissions boundaries and trust policies. Service and resource control policies,
//! resource policies and session policies are not looked at: they may take away more, or give more.

pub mod changes;
pub mod readings;

use crate::ids::{Key, PolicyArn};
use crate::model::live::Observed;
use crate::policy::evaluate::{Caller, KnownKeys, Request, Truth, evaluate};
use crate::policy::{PolicyDocument, Statement};
use readings::{Found, Placeholder, Readings};

/// A policy of a role.
#[derive(Debug, Clone)]
pub struct NamedPolicy {
    /// For example `inline queue`, `read-catalogue` or `aws:ReadOnlyAccess`.
    pub name: String,
    /// The document. Absent if no such policy exists, unknown if it could not be read.
    pub document: Observed<PolicyDocument>,
}

/// A role with its policies.
#[derive(Debug, Clone)]
pub struct RolePermissions {
    /// The key in `[roles]`.
    pub key: Key,
    /// Its ARN and the id of its account. Empty if they are not known.
    pub arn: String,
    /// The id of its account.
    pub account: String,
    /// Its inline and attached policies. Unknown if the role could not be read, absent if it does not exist.
    pub policies: Observed<Vec<NamedPolicy>>,
    /// Its permissions boundary, if it has one.
    pub boundary: Option<NamedPolicy>,
    /// The texts in its documents that stand for values that are not known.
    pub placeholders: Vec<Placeholder>,
}

/// How sure an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permitted {
    /// It may not.
    No,
    /// It may or may not: something could not be read.
    May,
    /// It may for some of the actions and resources, or under conditions.
    If,
    /// It may.
    Yes,
}

impl Permitted {
    /// The word in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::May => "may",
            Self::If => "if",
            Self::Yes => "yes",
        }
    }
}

/// A statement that decides an answer.
#[derive(Debug, Clone)]
pub struct Deciding {
    /// The name of its policy.
    pub policy: String,
    /// Its `Sid` or number.
    pub name: String,
    /// The statement.
    pub statement: Statement,
    /// The conditions that must hold, or of a deny must not hold.
    pub conditions: Vec<String>,
}

/// Whether a role may do something.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The answer.
    pub answer: Permitted,
    /// The statements that allow it.
    pub allows: Vec<Deciding>,
    /// The denies that may apply, and the statements of the boundary under whose conditions it is allowed.
    pub limits: Vec<Deciding>,
    /// What could not be read.
    pub unread: Vec<String>,
}

impl RolePermissions {
    /// Whether the role may do `action` on `resource`. Both may be patterns.
    pub fn decide(&self, action: &str, resource: &str) -> Decision {
        let mut decision =
            Decision { answer: Permitted::No, allows: Vec::new(), limits: Vec::new(), unread: Vec::new() };
        let policies = match &self.policies {
            Observed::Present(policies) => policies,
            Observed::Absent => return decision,
            Observed::Unknown(why) => return Decision::unknown(why.clone()),
        };
        let request = Request {
            caller: Caller::Itself,
            action: action.to_owned(),
            resource: resource.to_owned(),
            keys: self.keys(),
        };
        let (mut certain, mut denied, mut is_open) = (false, Truth::False, false);
        let (mut all, mut allows) = (Vec::new(), Vec::new());
        for policy in policies {
            let document = match &policy.document {
                Observed::Present(document) if document.is_parsed() => document,
                Observed::Absent => continue,
                Observed::Present(_) | Observed::Unknown(_) => {
                    decision.unread.push(unread(policy));
                    is_open = true;
                    continue;
                }
            };
            let readings = Readings::of(document, &self.placeholders);
            for found in readings.found(&request) {
                let is_deny = found.statement.denies();
                if let Some(why) = found.depends_on {
                    decision.unread.push(format!("{}, {}: {why}", policy.name, found.name()));
                    is_open |= !is_deny;
                } else if is_deny {
                    denied = denied.max(found.truth);
                    decision.limits.push(deciding(&policy.name, &found));
                } else {
                    allows.push((policy, document, found));
                }
            }
            all.push(readings);
        }
        let bounds = self.boundary.as_ref().and_then(|boundary| match &boundary.document {
            Observed::Present(document) if document.is_parsed() => Some(Readings::of(document, &self.placeholders)),
            _ => None,
        });
        let boundary = self
            .boundary
            .as_ref()
            .map_or(Truth::True, |boundary| bound(boundary, bounds.as_ref(), &request, &mut decision));
        // a deny or the boundary may take all that a statement allows of a pattern
        let is_limited = denied == Truth::Unknown || boundary == Truth::Unknown;
        let is_taken = |part: &Request| {
            all.iter().any(|readings| readings.certainly_denies(part))
                || bounds.as_ref().is_some_and(|bounds| bounds.verdict(part) == Ok(Truth::False))
        };
        allows.retain(|(_, document, found)| {
            !is_limited || !document.narrowed(found.statement, &request).iter().all(is_taken)
        });
        for (policy, _, found) in &allows {
            certain |= found.truth == Truth::True;
            decision.allows.push(deciding(&policy.name, found));
        }
        let may_be_allowed = !decision.allows.is_empty() || is_open;
        decision.answer = if denied == Truth::True || boundary == Truth::False || !may_be_allowed {
            Permitted::No
        } else if !decision.unread.is_empty() {
            // an unread policy may deny it, an unread boundary may not allow it
            Permitted::May
        } else if certain && denied == Truth::False && boundary == Truth::True {
            Permitted::Yes
        } else {
            Permitted::If
        };
        decision
    }

    /// The keys that every request of the role has
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>).
    fn keys(&self) -> KnownKeys {
        if self.arn.is_empty() {
            return KnownKeys::none();
        }
        KnownKeys::none()
            .with("aws:PrincipalArn", [self.arn.as_str()])
            .with("aws:PrincipalAccount", [self.account.as_str()])
            .with("aws:PrincipalType", ["AssumedRole"])
    }
}

impl Decision {
    /// The answer where nothing that decides is known.
    pub fn unknown(why: String) -> Self {
        Self { answer: Permitted::May, allows: Vec::new(), limits: Vec::new(), unread: vec![why] }
    }
}

/// What the boundary says: it must allow what the policies allow. `readings` are those of its document, if it is parsed.
fn bound(boundary: &NamedPolicy, readings: Option<&Readings<'_>>, request: &Request, decision: &mut Decision) -> Truth {
    let named = NamedPolicy { name: format!("boundary {}", boundary.name), ..boundary.clone() };
    let Some(readings) = readings else {
        // IAM lets a boundary be deleted only when nothing has it
        if matches!(boundary.document, Observed::Absent) {
            return Truth::False;
        }
        decision.unread.push(unread(&named));
        return Truth::Unknown;
    };
    match readings.verdict(request) {
        Ok(Truth::Unknown) => {
            let found = readings.found(request);
            decision.limits.extend(found.iter().map(|found| deciding(&named.name, found)));
            Truth::Unknown
        }
        Ok(verdict) => verdict,
        Err(why) => {
            decision.unread.push(format!("{}: {why}", named.name));
            Truth::Unknown
        }
    }
}

/// `aws:NAME` for a policy of AWS, and the name of another one.
pub fn policy_name(arn: &PolicyArn) -> String {
    if arn.account() == "aws" { format!("aws:{}", arn.name()) } else { arn.name().to_owned() }
}

fn unread(policy: &NamedPolicy) -> String {
    match &policy.document {
        Observed::Unknown(why) => format!("{}: {why}", policy.name),
        Observed::Present(_) | Observed::Absent => format!("{}: its document cannot be parsed", policy.name),
    }
}

fn deciding(policy: &str, found: &Found<'_>) -> Deciding {
    Deciding {
        policy: policy.to_owned(),
        name: found.name(),
        statement: found.statement.clone(),
        conditions: found.conditions.clone(),
    }
}

/// Whether a token of this ServiceAccount may assume a role with this trust policy.
pub fn assumes(trust: &PolicyDocument, provider_arn: &str, host_path: &str, audience: &str, subject: &str) -> Truth {
    let request = Request::with_token(provider_arn, host_path, &[audience.to_owned()], subject);
    evaluate(trust, &request).verdict()
}

#[cfg(test)]
mod tests;
