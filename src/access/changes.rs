//! What a role may do after a change of its policies that it may not do before.

use crate::policy::evaluate::{Applied, Caller, Covered, Evaluation, KnownKeys, Request, Truth, evaluate};
use crate::policy::permission_effects::pairs::{Pair, allowed, allows_lacking, denied, denies_lacking};
use crate::policy::{PolicyDocument, Statement};

/// The documents that decide what a role may do. All of them are parsed.
#[derive(Debug, Clone, Default)]
pub struct Permissions<'a> {
    /// Inline and attached policies.
    pub policies: Vec<&'a PolicyDocument>,
    /// The permissions boundary.
    pub boundary: Option<&'a PolicyDocument>,
    /// Whether there are other policies, of which the documents are not known.
    pub unread: bool,
}

/// Access that one side has and the other lacks.
#[derive(Debug, Clone)]
pub struct Difference<'a> {
    /// The access. It may be reported as too much, for example if two statements of the other side cover it only
    /// together.
    pub pair: Pair<'a>,
    /// The statements of the other side that allow all of it under conditions.
    pub otherwise: Vec<&'a Statement>,
    /// The parts of it that the other side allows without conditions.
    pub parts: Vec<Pair<'a>>,
    /// Whether it is a deny that goes, of what only a policy whose document is not known may allow.
    pub by_unread: bool,
    /// Whether a deny takes a part of it, or takes it under conditions.
    pub denied_in_part: bool,
}

/// More pairs than this are not compared: documents as large as IAM accepts have a hundred thousand.
const MAX_PAIRS: usize = 1_000;
/// Of more differences than this, those that another one includes are listed too, and parts are not looked for.
const MAX_DETAILED: usize = 300;

/// What `after` allows and `before` does not: all of it, in the order of the documents. What a change takes is what it
/// would give the other way round. `None` if it is too much to compare.
pub fn gained<'a>(before: &Permissions<'a>, after: &Permissions<'a>) -> Option<Vec<Difference<'a>>> {
    let allowed_after = allowed(&after.policies);
    let within = |limits: &[Pair<'a>]| meets(&allowed_after, limits);
    let mut pairs = allows_lacking(&after.policies, &before.policies);
    let denies = denies_lacking(&before.policies, &after.policies);
    pairs.extend(within(&denies)?);
    if after.unread {
        let known = after.known();
        let is_open = |pair: &Pair<'_>| known.verdict(&request(pair, KnownKeys::none())) != Truth::True;
        pairs.extend(denies.into_iter().filter(is_open));
    }
    if let Some(old) = before.boundary {
        match after.boundary {
            None => pairs.extend(allowed_after.iter().cloned()),
            Some(new) => pairs.extend(within(&allows_lacking(&[new], &[old]))?),
        }
        pairs.extend(within(&denies_lacking(&[old], after.boundary.as_slice()))?);
    }
    if let Some(new) = after.boundary {
        pairs = meets(&pairs, &allowed(&[new]))?;
    }
    if pairs.len() > MAX_PAIRS {
        return None;
    }
    let changes = |pair: &Pair<'_>| {
        pair.keys().into_iter().any(|keys| {
            let request = request(pair, keys);
            before.verdict(&request) != Truth::True && after.verdict(&request) != Truth::False
        })
    };
    let pairs: Vec<Pair<'a>> = pairs.into_iter().filter(changes).collect();
    let by_unread = |pair: &Pair<'_>| pair.statements.iter().all(|statement| statement.denies());
    let detailed = pairs.len() <= MAX_DETAILED;
    let pairs = if detailed {
        without_included(pairs, |wide, narrow| by_unread(wide) == by_unread(narrow) && wide.covers(narrow))
    } else {
        pairs
    };
    let (allowed_before, denied_after) = (allowed(&before.policies), denied(&after.policies));
    let difference = |pair: Pair<'a>| Difference {
        otherwise: before.under_conditions(&pair),
        parts: if detailed { before.parts(&pair, &allowed_before) } else { Vec::new() },
        by_unread: by_unread(&pair),
        denied_in_part: after.denies(&request(&pair, KnownKeys::none())) == Truth::Unknown
            && denied_after.iter().any(|deny| pair.meet(deny).is_some()),
        pair,
    };
    Some(pairs.into_iter().map(difference).collect())
}

/// The pairs that no other one includes. Of equal ones, the first.
fn without_included<'a>(pairs: Vec<Pair<'a>>, includes: impl Fn(&Pair<'a>, &Pair<'a>) -> bool) -> Vec<Pair<'a>> {
    let is_included = |at: usize| {
        let mut others = (0..pairs.len()).filter(|other| *other != at);
        others.any(|other| includes(&pairs[other], &pairs[at]) && (other < at || !includes(&pairs[at], &pairs[other])))
    };
    let kept: Vec<bool> = (0..pairs.len()).map(|at| !is_included(at)).collect();
    pairs.into_iter().zip(kept).filter_map(|(pair, kept)| kept.then_some(pair)).collect()
}

/// What each pair has in common with each limit. `None` if these are too many.
fn meets<'a>(pairs: &[Pair<'a>], limits: &[Pair<'a>]) -> Option<Vec<Pair<'a>>> {
    let few = pairs.len() * limits.len() <= 10 * MAX_PAIRS;
    few.then(|| pairs.iter().flat_map(|pair| limits.iter().filter_map(|limit| pair.meet(limit))).collect())
}

fn request(pair: &Pair<'_>, keys: KnownKeys) -> Request {
    Request {
        caller: Caller::Itself,
        action: pair.action_pattern().to_owned(),
        resource: pair.resource_pattern(),
        keys,
    }
}

fn any<'a>(applied: impl IntoIterator<Item = Applied<'a>>) -> Truth {
    applied.into_iter().map(|applied| applied.found.truth()).fold(Truth::False, Truth::or)
}

impl<'a> Permissions<'a> {
    /// Without the policies whose documents are not known.
    fn known(&self) -> Self {
        Self { unread: false, ..self.clone() }
    }

    fn evaluated(&self, request: &Request) -> impl Iterator<Item = Evaluation<'a>> {
        self.policies.iter().map(|document| evaluate(document, request))
    }

    fn denies(&self, request: &Request) -> Truth {
        any(self.evaluated(request).flat_map(|found| found.denies))
    }

    fn verdict(&self, request: &Request) -> Truth {
        let allowed = any(self.evaluated(request).flat_map(|found| found.allows));
        let allowed = if self.unread { allowed.or(Truth::Unknown) } else { allowed };
        let bounded = self.boundary.map_or(Truth::True, |boundary| evaluate(boundary, request).verdict());
        allowed.and(self.denies(request).not()).and(bounded)
    }

    /// What of a pair is allowed without conditions, of the pairs of allows.
    fn parts(&self, pair: &Pair<'a>, allowed: &[Pair<'a>]) -> Vec<Pair<'a>> {
        let Some(common) = meets(std::slice::from_ref(pair), allowed) else { return Vec::new() };
        let is_part =
            |part: &Pair<'_>| !part.includes(pair) && self.verdict(&request(part, KnownKeys::none())) == Truth::True;
        without_included(common.into_iter().filter(is_part).collect(), Pair::includes)
    }

    /// The statements that allow the whole pair if their conditions hold. Empty if it is denied.
    fn under_conditions(&self, pair: &Pair<'_>) -> Vec<&'a Statement> {
        let request = request(pair, KnownKeys::none());
        if self.verdict(&request) == Truth::False {
            return Vec::new();
        }
        let allows = self.evaluated(&request).flat_map(|found| found.allows);
        let whole = allows.filter(|applied| {
            let found = &applied.found;
            found.actions == Covered::Whole && found.resources == Covered::Whole && !found.open.is_empty()
        });
        whole.map(|applied| applied.statement).collect()
    }
}

#[cfg(test)]
mod tests;
