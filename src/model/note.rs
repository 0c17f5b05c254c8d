//! Something worth saying about an object: findings of the linter and remarks of the planner.

/// How much a note or finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For information.
    Info,
    /// Tidier otherwise.
    Low,
    /// Worth mending.
    Medium,
    /// Gives or takes access that nobody meant.
    High,
    /// Gives access to strangers.
    Critical,
}

impl Severity {
    /// The word in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Something worth saying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The object.
    pub address: String,
    /// How much it matters.
    pub severity: Severity,
    /// The rule or kind of note, for example `IRSA003` or `waiting`.
    pub rule: String,
    /// `file:line`, empty if it is about a live object only.
    pub origin: String,
    /// What.
    pub text: String,
}
