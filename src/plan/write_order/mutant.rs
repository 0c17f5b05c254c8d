//! Breaks a rule on purpose, so that a test can show that the law notices. Outside tests nothing is ever broken.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Rule 1 does not look at denies.
    RuleOneWithoutDenies,
    /// Rule 1 does not look at boundaries.
    RuleOneWithoutBoundary,
    /// Rule 1 does not look at sessions and tags.
    RuleOneWithoutSettings,
    /// Rule 2 is left out.
    NoRuleTwo,
    /// Who takes or leaves a policy does not wait for its document, nor it for them.
    NoChangedDocument,
    /// A deny counts as an allow.
    DenyIsAllow,
    /// A circle is cut instead of taken apart.
    NoSplit,
    /// What is held back holds back nothing.
    NothingFollows,
    /// Trust that cannot be told counts as trust that stays.
    UnknownTrustStays,
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether this rule is broken.
pub(super) fn is(mutant: Mutant) -> bool {
    #[cfg(test)]
    return BROKEN.get() == Some(mutant);
    #[cfg(not(test))]
    {
        let _ = mutant;
        false
    }
}

/// Breaks a rule in this thread while `run` runs.
#[cfg(test)]
pub(crate) fn broken<T>(mutant: Mutant, run: impl FnOnce() -> T) -> T {
    BROKEN.set(Some(mutant));
    let result = run();
    BROKEN.set(None);
    result
}
