//! How a run ends: the one table of exit codes, and the error that carries one with its hints.

use crate::apply::report::Interrupt;
use crate::config::Diagnostics;
use crate::model::note::Note;
use std::process::ExitCode;

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: done, or nothing to do.
    Success,
    /// 1: an unexpected or service error.
    Failure,
    /// 2: changes pending (`drift`, `plan --detailed-exitcode`).
    Changes,
    /// 3: the configuration is invalid, or a finding reaches `--deny`.
    Invalid,
    /// 4: refused.
    Refused,
    /// 5: the saved plan is stale, was changed, or is of another configuration; nothing was written.
    Stale,
    /// 6: applied in part.
    Partial,
    /// 64: wrong usage.
    Usage,
    /// 130 or 143.
    Interrupted(Interrupt),
}

impl ExitStatus {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Changes => 2,
            Self::Invalid => 3,
            Self::Refused => 4,
            Self::Stale => 5,
            Self::Partial => 6,
            Self::Usage => 64,
            Self::Interrupted(Interrupt::Interrupt) => 130,
            Self::Interrupted(Interrupt::Terminate) => 143,
        }
    }

    /// Its place where several hold: 130/143, 64, 3, 5, 6, 4, 1, 2, 0.
    fn rank(self) -> usize {
        match self {
            Self::Interrupted(_) => 8,
            Self::Usage => 7,
            Self::Invalid => 6,
            Self::Stale => 5,
            Self::Partial => 4,
            Self::Refused => 3,
            Self::Failure => 2,
            Self::Changes => 1,
            Self::Success => 0,
        }
    }

    /// The one of the two that the run ends with.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// Why a run ended before it was done.
#[derive(Debug, Clone)]
pub struct Error {
    /// What the process ends with.
    pub status: ExitStatus,
    /// What went wrong: a lower-case fragment; empty where the diagnostics say it all. One line.
    pub message: String,
    /// Where, a line for each.
    pub details: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
    /// The mistakes in the configuration, where that is what is wrong.
    pub diagnostics: Option<Box<Diagnostics>>,
    /// The findings of the linter, where those are what is wrong; the details have them in words.
    pub findings: Vec<Note>,
}

impl Error {
    /// An error that ends the run with `status`.
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            details: Vec::new(),
            hints: Vec::new(),
            diagnostics: None,
            findings: Vec::new(),
        }
    }

    /// An unexpected or service error.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Failure, message)
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    /// Adds lines that say where.
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
mod tests {
    use super::*;

    #[test]
    fn where_several_hold_the_contract_says_which() {
        let order = [
            ExitStatus::Interrupted(Interrupt::Interrupt),
            ExitStatus::Usage,
            ExitStatus::Invalid,
            ExitStatus::Stale,
            ExitStatus::Partial,
            ExitStatus::Refused,
            ExitStatus::Failure,
            ExitStatus::Changes,
            ExitStatus::Success,
        ];
        for (place, status) in order.iter().enumerate() {
            for weaker in &order[place..] {
                assert_eq!(status.or(*weaker), *status);
                assert_eq!(weaker.or(*status), *status);
            }
        }
        let codes: Vec<u8> = order.iter().map(|status| status.code()).collect();
        assert_eq!(codes, [130, 64, 3, 5, 6, 4, 1, 2, 0]);
        assert_eq!(ExitStatus::Interrupted(Interrupt::Terminate).code(), 143);
    }
}
