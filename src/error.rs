//! The exit status of a run with its code, and the error that ends a run.

use crate::apply::report::Interrupt;
use crate::config::Diagnostics;
use crate::model::note::Note;
use crate::model::refusal::RefusalKind;
use std::process::ExitCode;

/// The exit status of a run. Of two that apply, the later in this list wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// 0: done, or nothing to do.
    Success,
    /// 2: changes pending (`drift`, `plan --detailed-exitcode`).
    Changes,
    /// 7: `verify` found a broken link.
    Broken,
    /// 1: an unexpected error, or an error of a service.
    Failure,
    /// 4: refused.
    Refused,
    /// 6: applied in part.
    Partial,
    /// 5: the saved plan is stale, was changed, or belongs to another configuration; nothing was written.
    Stale,
    /// 3: the configuration is invalid, or a finding reaches `--deny`.
    Invalid,
    /// 64: wrong usage.
    Usage,
    /// 130 or 143.
    Interrupted(Interrupt),
}

impl ExitStatus {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Changes => 2,
            Self::Invalid => 3,
            Self::Refused => 4,
            Self::Stale => 5,
            Self::Partial => 6,
            Self::Broken => 7,
            Self::Usage => 64,
            Self::Interrupted(Interrupt::Interrupt) => 130,
            Self::Interrupted(Interrupt::Terminate) => 143,
        }
    }

    /// The status of a run to which both apply. Of two signals, the first wins.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Interrupted(_), Self::Interrupted(_)) => self,
            _ => self.max(other),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// An error that ends a run early.
#[derive(Debug, Clone)]
pub struct Error {
    /// The exit status.
    pub status: ExitStatus,
    /// A lower-case fragment on one line; empty if the diagnostics say everything.
    pub message: String,
    /// Further lines, for example the objects concerned.
    pub details: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
    /// Why irsa refuses, if the status is [`ExitStatus::Refused`].
    pub refusal: Option<RefusalKind>,
    /// The errors in the configuration.
    pub diagnostics: Option<Box<Diagnostics>>,
    /// The lint findings of a run that `--deny` ended.
    pub findings: Box<LintFindings>,
}

/// The lint findings of a run that `--deny` ended.
#[derive(Debug, Clone, Default)]
pub struct LintFindings {
    /// The findings that ended the run. The error's details list them as text.
    pub denied: Vec<Note>,
    /// All other findings, including ignored ones.
    pub allowed: Vec<Note>,
}

impl Error {
    /// An error that ends the run with `status`. For a refusal, see [`Error::refused`].
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        debug_assert_ne!(status, ExitStatus::Refused, "a refusal has a kind");
        Self::of(status, None, message.into())
    }

    /// A refusal.
    pub fn refused(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self::of(ExitStatus::Refused, Some(kind), message.into())
    }

    fn of(status: ExitStatus, refusal: Option<RefusalKind>, message: String) -> Self {
        Self {
            status,
            message,
            details: Vec::new(),
            hints: Vec::new(),
            refusal,
            diagnostics: None,
            findings: Box::default(),
        }
    }

    /// An unexpected error, or an error of a service.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Failure, message)
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    /// Adds detail lines.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Self {
        Self { diagnostics: Some(Box::new(diagnostics)), ..Self::new(ExitStatus::Invalid, "") }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::failure(format!("cannot write: {error}"))
    }
}

#[cfg(test)]
mod tests;
