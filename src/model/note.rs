//! Notes about objects: findings of the linter and remarks of the planner.

#![expect(missing_docs, reason = "the other names say enough")]

/// How much a note or finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Info,
    /// A matter of tidiness.
    Low,
    /// Should be fixed.
    Medium,
    /// Probably grants or removes access unintentionally.
    High,
    /// Grants access to strangers.
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

/// A finding or remark about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The address of the object.
    pub address: String,
    /// How much it matters.
    pub severity: Severity,
    /// The rule or kind of note, for example `IRSA003` or `waiting`.
    pub rule: String,
    /// `file:line`; empty for a remark about a live object.
    pub origin: String,
    pub text: String,
    /// Set if the configuration says that the finding does not count.
    pub ignored: Option<Ignored>,
}

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ignored {
    /// The reason, in the user's words.
    pub reason: String,
    /// `file:line` of the `ignore`.
    pub origin: String,
}
