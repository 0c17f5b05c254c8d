//! Breaks a rule of the write order on purpose, to prove that the tests of the rules then fail. Only tests do this.

/// The rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Rule 1 ignores denies.
    RuleOneWithoutDenies,
    /// Rule 1 ignores boundaries.
    RuleOneWithoutBoundary,
    /// Rule 1 ignores sessions and tags.
    RuleOneWithoutSettings,
    NoRuleTwo,
    /// No edges between a policy's document and the roles that attach or detach the policy.
    NoChangedDocument,
    DenyIsAllow,
    /// A cycle loses edges instead of having a call split.
    NoSplit,
    /// No call waits for a deferred call.
    NothingFollows,
    /// Trust that is unknown counts as trust that stays the same.
    UnknownTrustStays,
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(super) fn is_active(mutant: Mutant) -> bool {
    BROKEN.get() == Some(mutant)
}

#[cfg(not(test))]
pub(super) fn is_active(_: Mutant) -> bool {
    false
}

/// Breaks a rule in this thread while `run` runs.
#[cfg(test)]
pub(crate) fn broken<T>(mutant: Mutant, run: impl FnOnce() -> T) -> T {
    BROKEN.set(Some(mutant));
    let result = run();
    BROKEN.set(None);
    result
}
