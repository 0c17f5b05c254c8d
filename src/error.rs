//! Exit codes: the one table of them.

use crate::apply::report::Interrupt;
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
