//! Positions in configuration files.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A position in a configuration file. `Desired` carries these, so that lint and plan can point at a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file as the user named it, relative to the folder of the top file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The range in the file, in bytes.
    pub span: Range<usize>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The file and the line of a printed [`Origin`]. None if the text is not one.
pub fn file_and_line(text: &str) -> Option<(&str, usize)> {
    // a file name may contain colons too
    let (file, line) = text.rsplit_once(':')?;
    Some((file, line.parse().ok()?))
}
