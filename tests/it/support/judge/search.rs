//! Whether the writes of a run could have been made in an order in which nobody dips and nothing is wider.

use super::{ACCOUNTS, Law, Moment, Roles, all_roles, grants};
use irsa_sandbox::{Sandbox, Snapshot};
use std::collections::BTreeSet;

/// No more states are looked at.
const MOST: usize = 3_000;

/// Such an order, by trying them on the sandbox itself, which is left as it was at the `start`.
pub(crate) fn smooth_order(
    sandbox: &Sandbox,
    start: &Snapshot,
    moments: &[Moment],
    after: &Roles,
) -> Option<Vec<String>> {
    if moments.len() > 20 {
        return None;
    }
    sandbox.restore(start);
    let before = all_roles(sandbox, &ACCOUNTS);
    let law = Law::of(vec![before.clone(), after.clone()]);
    let mut search = Search { sandbox, moments, law, ends: [&before, after], seen: BTreeSet::new() };
    let mut order = Vec::new();
    let found = search.go_on(0, start, &mut order);
    sandbox.restore(start);
    found.then(|| order.into_iter().map(|index: usize| moments[index].what()).collect())
}

struct Search<'a> {
    sandbox: &'a Sandbox,
    moments: &'a [Moment],
    law: Law,
    ends: [&'a Roles; 2],
    /// Which writes are done, as bits.
    seen: BTreeSet<u32>,
}

impl Search<'_> {
    /// From a state in which these are done.
    fn go_on(&mut self, done: u32, state: &Snapshot, order: &mut Vec<usize>) -> bool {
        if order.len() == self.moments.len() {
            return true;
        }
        for (index, moment) in self.moments.iter().enumerate() {
            let next = done | (1 << index);
            if next == done || self.seen.len() >= MOST || !self.seen.insert(next) {
                continue;
            }
            self.sandbox.restore(state);
            let fields: Vec<(&str, &str)> =
                moment.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            if self.sandbox.iam_call(&moment.account, &moment.action, &fields).is_err() || !self.is_smooth() {
                continue;
            }
            order.push(index);
            if self.go_on(next, &self.sandbox.snapshot(), order) {
                return true;
            }
            order.pop();
        }
        false
    }

    fn is_smooth(&self) -> bool {
        let now = all_roles(self.sandbox, &ACCOUNTS);
        let [before, after] = self.ends;
        let dips = before.iter().any(|(name, before)| {
            after.get(name).is_some_and(|after| !grants::dips(name, [before, after], now.get(name)).is_empty())
        });
        !dips && self.law.broken(&now).is_empty()
    }
}
