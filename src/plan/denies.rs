//! Inline policies that deny something, now or afterwards: on the way from one to the other both ends' denies hold, from
//! before the first permission comes until after the last has gone.

use crate::ids::PolicyName;
use crate::policy::{PolicyDocument, Statement};

/// When a part of the way is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before any permission comes: the new denies join the old ones.
    Join = 1,
    /// Among the permissions that come.
    Give = 2,
    /// After all other permissions that go have gone: those of these policies go.
    Take = 3,
    /// Last: only the new document is left.
    Settle = 4,
}

/// A document before and after; nothing where there is no policy.
pub(crate) type Ends = (Option<PolicyDocument>, Option<PolicyDocument>);

/// One inline policy on its way.
pub(crate) struct Guarded<'a> {
    pub name: &'a PolicyName,
    old: Option<&'a PolicyDocument>,
    new: Option<&'a PolicyDocument>,
}

impl<'a> Guarded<'a> {
    /// Nothing, if neither end denies anything or one cannot be taken apart.
    pub(crate) fn of(
        name: &'a PolicyName,
        old: Option<&'a PolicyDocument>,
        new: Option<&'a PolicyDocument>,
    ) -> Option<Self> {
        let ends = || old.into_iter().chain(new);
        let apart = ends().all(|document| document.is_parsed() && document.is_current());
        (apart && ends().any(|document| !split(document).1.is_empty())).then_some(Self { name, old, new })
    }

    /// The most that the policy takes on its way.
    pub(crate) fn size(&self) -> usize {
        self.old.into_iter().chain(self.new).map(PolicyDocument::size).sum()
    }

    /// The whole way at once.
    pub(crate) fn ends(&self) -> Ends {
        (self.old.cloned(), self.new.cloned())
    }

    /// What is there before the stage and after it, if they differ. With `bare` no permission stays between the ends;
    /// `lone` says that no other policy with denies changes.
    pub(crate) fn step(&self, stage: Stage, bare: bool, lone: bool) -> Option<Ends> {
        let way = self.way(bare, lone);
        let (from, to) = (&way[stage as usize - 1], &way[stage as usize]);
        (from != to).then(|| (from.clone(), to.clone()))
    }

    /// The documents at the beginning and after each stage.
    fn way(&self, bare: bool, lone: bool) -> [Option<PolicyDocument>; 5] {
        let (old, new) = (self.old.cloned(), self.new.cloned());
        let (old_allows, old_denies) = self.old.map(split).unwrap_or_default();
        let (new_allows, new_denies) = self.new.map(split).unwrap_or_default();
        let stays = |list: &[Statement], within: &[Statement]| list.iter().all(|item| within.contains(item));
        let keeps_denies = new.is_some() && stays(&old_denies, &new_denies);
        if !bare && lone && new.is_none() {
            return [old.clone(), old.clone(), old.clone(), old, None];
        }
        if !bare && keeps_denies && stays(&old_allows, &new_allows) && (lone || stays(&new_allows, &old_allows)) {
            return [old, new.clone(), new.clone(), new.clone(), new];
        }
        let join = |lists: &[&[Statement]]| {
            let mut all: Vec<Statement> = Vec::new();
            for statement in lists.iter().copied().flatten().chain(&old_denies).chain(&new_denies) {
                if !all.contains(statement) {
                    all.push(statement.clone());
                }
            }
            Some(PolicyDocument::from_statements(&all))
        };
        let (joined, given) = if bare {
            (join(&[]), join(&[&new_allows]))
        } else {
            (join(&[&old_allows]), join(&[&old_allows, &new_allows]))
        };
        if keeps_denies {
            return [old, joined, new.clone(), new.clone(), new];
        }
        let taken = if lone { given.clone() } else { join(&[&new_allows]) };
        [old, joined, given, taken, new]
    }
}

/// Allows and denies. Without `Sid`, which must be unique in a policy, and both ends may use the same.
fn split(document: &PolicyDocument) -> (Vec<Statement>, Vec<Statement>) {
    let unnamed = |statement: Statement| {
        let mut value = statement.value().clone();
        value.as_object_mut().and_then(|object| object.remove("Sid"));
        Statement::parse(&value, None).unwrap_or(statement)
    };
    let statements = document.statements().iter().cloned().map(unnamed);
    statements.partition(|statement| !statement.denies())
}
