//! What a role may do after a change of its policies that it may not do before.

use crate::policy::evaluate::{Caller, Covered, Evaluation, KnownKeys, Request, Truth, evaluate};
use crate::policy::permission_effects::pairs::{Pair, allowed, allows_lacking, denies_lacking};
use crate::policy::{PolicyDocument, Statement};

/// The documents that decide what a role may do. All of them are parsed.
#[derive(Debug, Clone, Default)]
pub struct Permissions<'a> {
    /// Inline and attached policies.
    pub policies: Vec<&'a PolicyDocument>,
    /// The permissions boundary.
    pub boundary: Option<&'a PolicyDocument>,
}

/// Access that one side has and the other lacks.
#[derive(Debug, Clone)]
pub struct Difference<'a> {
    /// The access. It may be reported as too much, for example if two statements of the other side cover it only
    /// together.
    pub pair: Pair<'a>,
    /// The statements of the other side that allow all of it under conditions.
    pub otherwise: Vec<&'a Statement>,
}

/// More pairs than this are not compared: documents as large as IAM accepts have a hundred thousand.
const MAX_PAIRS: usize = 1_000;

/// What `after` allows and `before` does not: all of it, in the order of the documents. What a change takes is what it
/// would give the other way round. `None` if it is too much to compare.
pub fn gained<'a>(before: &Permissions<'a>, after: &Permissions<'a>) -> Option<Vec<Difference<'a>>> {
    let all = allowed(&after.policies);
    let within = |limits: &[Pair<'a>]| meets(&all, limits);
    let mut pairs = allows_lacking(&after.policies, &before.policies);
    pairs.extend(within(&denies_lacking(&before.policies, &after.policies))?);
    if let Some(old) = before.boundary {
        match after.boundary {
            None => pairs.extend(all.iter().cloned()),
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
    let pairs: Vec<Pair<'a>> = pairs.into_iter().filter(|pair| before.lacks(pair) && after.may(pair)).collect();
    let said_before = |at: usize, pair: &Pair<'_>| {
        let mut others = pairs.iter().enumerate().filter(|(other, _)| *other != at);
        others.any(|(other_at, other)| other.covers(pair) && (other_at < at || !pair.covers(other)))
    };
    let kept = pairs.iter().enumerate().filter(|(at, pair)| !said_before(*at, pair));
    Some(kept.map(|(_, pair)| Difference { pair: pair.clone(), otherwise: before.under_conditions(pair) }).collect())
}

/// What each pair has in common with each limit. `None` if these are too many.
fn meets<'a>(pairs: &[Pair<'a>], limits: &[Pair<'a>]) -> Option<Vec<Pair<'a>>> {
    let few = pairs.len() * limits.len() <= 10 * MAX_PAIRS;
    few.then(|| pairs.iter().flat_map(|pair| limits.iter().filter_map(|limit| pair.meet(limit))).collect())
}

fn request(pair: &Pair<'_>) -> Request {
    Request {
        caller: Caller::Itself,
        action: pair.action_pattern().to_owned(),
        resource: pair.resource_pattern(),
        keys: KnownKeys::none(),
    }
}

impl<'a> Permissions<'a> {
    fn evaluated(&self, pair: &Pair<'_>) -> Vec<Evaluation<'a>> {
        let request = request(pair);
        self.policies.iter().map(|document| evaluate(document, &request)).collect()
    }

    fn verdict(&self, pair: &Pair<'_>) -> Truth {
        let policies = self.evaluated(pair);
        let any = |truths: &mut dyn Iterator<Item = Truth>| truths.fold(Truth::False, Truth::or);
        let allowed = any(&mut policies.iter().flat_map(|found| &found.allows).map(|applied| applied.found.truth()));
        let denied = any(&mut policies.iter().flat_map(|found| &found.denies).map(|applied| applied.found.truth()));
        let bounded = self.boundary.map_or(Truth::True, |boundary| evaluate(boundary, &request(pair)).verdict());
        allowed.and(denied.not()).and(bounded)
    }

    fn lacks(&self, pair: &Pair<'_>) -> bool {
        self.verdict(pair) != Truth::True
    }

    fn may(&self, pair: &Pair<'_>) -> bool {
        self.verdict(pair) != Truth::False
    }

    /// The statements that allow the whole pair if their conditions hold.
    fn under_conditions(&self, pair: &Pair<'_>) -> Vec<&'a Statement> {
        let allows = self.evaluated(pair).into_iter().flat_map(|found| found.allows);
        let whole = allows.filter(|applied| {
            let found = &applied.found;
            found.actions == Covered::Whole && found.resources == Covered::Whole && !found.open.is_empty()
        });
        whole.map(|applied| applied.statement).collect()
    }
}

#[cfg(test)]
mod tests;
