//! The kinds of files that a configuration may name, with the extension and the size limit of each.

use crate::folder::FolderError;
use crate::policy::budget::DOCUMENT_TEXT;

/// The largest file, in bytes.
pub(crate) const SIZE_LIMIT: u64 = 16 * 1024 * 1024;

/// The reason as a message about a file of the configuration.
impl From<FolderError> for String {
    fn from(refused: FolderError) -> Self {
        refused.why("the configuration's folder")
    }
}

/// The use of a file, which decides its extension. Error messages quote lines of files, and a file with another
/// extension may contain a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Include,
    Policy,
}

impl FileKind {
    /// Refuses a name with another extension.
    pub(crate) fn check_extension(self, name: &str) -> Result<(), String> {
        let (ends, what) = match self {
            Self::Include => (&[".toml"][..], "included files must end in `.toml`"),
            Self::Policy => (&[".json", ".json.j2"][..], "policy files must end in `.json` or `.json.j2`"),
        };
        if ends.iter().any(|end| name.ends_with(end)) { Ok(()) } else { Err(what.to_owned()) }
    }

    /// The largest file of this kind, in bytes.
    pub(crate) fn limit(self) -> u64 {
        match self {
            Self::Include => SIZE_LIMIT,
            Self::Policy => DOCUMENT_TEXT as u64,
        }
    }
}
