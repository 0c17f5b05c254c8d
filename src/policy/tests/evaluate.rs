//! Checks the product's evaluator against the independent one: with all keys known both agree, and with unknown keys the
//! product never claims what another request shows to be wrong.

use super::dice::Dice;
use super::evaluator::{Context, Document, Piece, Place, Request as OracleRequest, Verdict, Who};
use super::tables::contexts;
use super::vocabulary::{ASKED_ACTIONS, ASKED_BY, ASKED_RESOURCES, Words};
use super::{cases, read};
use crate::policy::evaluate::{Caller, KnownKeys, Request, Truth, evaluate};

fn caller(who: Who, place: Place) -> Caller {
    match (who, place) {
        (_, Place::Identity) => Caller::Itself,
        (Who::Aws(account, arn), Place::Trust) => Caller::Aws(account.to_owned(), arn.to_owned()),
        (Who::Service(name), Place::Trust) => Caller::Service(name.to_owned()),
        (Who::Federated(name), Place::Trust) => Caller::Federated(name.to_owned()),
        (Who::Canonical(name), Place::Trust) => Caller::CanonicalUser(name.to_owned()),
    }
}

fn known(context: &Context, start: KnownKeys) -> KnownKeys {
    context.0.iter().fold(start, |keys, (key, values)| {
        let text = |piece: &Piece| match piece {
            Piece::Folded(text) | Piece::Exact(text) => *text,
        };
        let name: String = key.iter().map(text).collect();
        keys.with(&name, values.iter().copied())
    })
}

/// Evaluates random requests. Returns how many answers were definite, of how many.
fn try_all(salt: u64, keys_of: impl Fn(&Context, &mut Dice) -> KnownKeys) -> (u32, u32) {
    let (mut definite, mut all) = (0, 0);
    for case in 0..cases() / 2 {
        let mut dice = Dice::new(u64::from(case) | salt << 32);
        let text = Words::some(&mut dice).document(&mut dice).to_string();
        let (document, oracle) = (read(&text), Document::of(&text));
        let contexts = contexts([&text, &text]);
        for _ in 0..8 {
            let context = dice.pick(&contexts).clone();
            let (who, action, resource) =
                (*dice.pick(&ASKED_BY), *dice.pick(&ASKED_ACTIONS), *dice.pick(&ASKED_RESOURCES));
            let keys = keys_of(&context, &mut dice);
            // the kind of a document is decided by whether its statements have principals
            let place = if text.contains("Principal\"") { Place::Trust } else { Place::Identity };
            let request =
                Request { caller: caller(who, place), action: action.into(), resource: resource.into(), keys };
            let expected = oracle.verdict(place, &OracleRequest { who, action, resource, context });
            let found = evaluate(&document, &request).verdict();
            all += 1;
            if found != Truth::Unknown {
                definite += 1;
                let allowed = if expected == Verdict::Allowed { Truth::True } else { Truth::False };
                assert_eq!(found, allowed, "case {case}: {request:?}\n{text}");
            }
        }
    }
    (definite, all)
}

#[test]
fn evaluator_agrees_with_the_independent_one_if_all_keys_are_known() {
    let (definite, all) = try_all(11, |context, _| known(context, KnownKeys::complete()));
    // dates and networks are not compared
    assert!(all < 1_000 || definite > all / 10 * 7, "{definite} of {all}");
}

#[test]
fn unknown_keys_never_make_a_wrong_answer() {
    let (definite, all) = try_all(12, |context, dice| {
        // each key of the request is forgotten at random, and no key is certainly absent
        let kept = context.0.iter().filter(|_| dice.below(2) == 0).cloned().collect();
        known(&Context(kept), KnownKeys::none())
    });
    assert!(all < 1_000 || definite > all / 10, "{definite} of {all}");
}
