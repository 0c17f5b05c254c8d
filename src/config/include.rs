//! Finds the files that match a glob in `include`: `*`, `?` and `[…]` inside a name, `**` for any number of folders.
//!
//! Checks the pattern before it accesses the disk, and each folder before it lists it. So no error message can contain
//! the name of a file that must not be read. No pattern matches a name that begins with a dot.

use super::file_kind::FileKind;
use crate::folder::{Folder, FolderError, is_hidden};
use glob::{MatchOptions, Pattern};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The longest path (`PATH_MAX` in <https://man7.org/linux/man-pages/man0/limits.h.0p.html>).
const PATTERN_LIMIT: usize = 4096;
/// The most names that irsa compares with one pattern.
const NAME_LIMIT: usize = 1_000_000;

/// The part of a pattern between two slashes.
enum Part<'a> {
    Name(&'a str),
    Like(Pattern),
    Folders,
}

/// The files that a pattern matches in the folder, sorted. The pattern has no `.` and `..`.
///
/// # Errors
/// The reason, to be put after "cannot include `PATTERN`: ".
pub(crate) fn matching(folder: &Folder, pattern: &str) -> Result<Vec<String>, String> {
    if pattern.len() > PATTERN_LIMIT {
        return Err(format!("it has more than {PATTERN_LIMIT} characters"));
    }
    let mut parts = pattern.split('/').map(part).collect::<Result<Vec<_>, _>>()?;
    parts.dedup_by(|a, b| matches!((a, b), (Part::Folders, Part::Folders)));
    FileKind::Include.check_extension(pattern)?;
    let mut search = Search { folder, compared: 0, seen: BTreeSet::new(), found: BTreeSet::new() };
    search.visit(Path::new(""), &parts)?;
    Ok(search.found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

fn part(text: &str) -> Result<Part<'_>, String> {
    if is_hidden(OsStr::new(text)) {
        return Err(FolderError::Hidden.into());
    }
    match text {
        "**" => Ok(Part::Folders),
        _ if text.contains(['*', '?', '[']) => Pattern::new(text).map(Part::Like).map_err(|error| error.msg.to_owned()),
        _ => Ok(Part::Name(text)),
    }
}

struct Search<'a> {
    folder: &'a Folder,
    /// Names compared so far.
    compared: usize,
    /// Visited folders, with the number of parts to match there. Several `**` reach the same folder.
    seen: BTreeSet<(PathBuf, usize)>,
    found: BTreeSet<PathBuf>,
}

impl Search<'_> {
    /// Matches the rest of a pattern in one folder.
    fn visit(&mut self, path: &Path, parts: &[Part<'_>]) -> Result<(), String> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        if !self.seen.insert((path.to_owned(), parts.len())) {
            return Ok(());
        }
        match part {
            Part::Name(name) => {
                let next = path.join(name);
                match self.folder.find(&next) {
                    // reading refuses a link that leads out of the folder; its name is already in the pattern
                    _ if rest.is_empty() && self.is_there(&next) => drop(self.found.insert(next)),
                    Ok(real) if real.is_dir() => self.visit(&next, rest)?,
                    Ok(_) | Err(FolderError::Missing) => {}
                    Err(refused) => return Err(refused.into()),
                }
            }
            Part::Like(pattern) => {
                let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
                for entry in self.list(path)? {
                    let next = path.join(&entry.name);
                    if !entry.name.to_str().is_some_and(|name| pattern.matches_with(name, options)) {
                        continue;
                    }
                    match (rest.is_empty(), entry.is_folder) {
                        (true, false) => drop(self.found.insert(next)),
                        // patterns do not match links that lead out of the folder
                        (false, true) if self.folder.find(&next).is_ok() => self.visit(&next, rest)?,
                        (true, true) | (false, _) => {}
                    }
                }
            }
            Part::Folders => {
                // like a shell's `**`, this does not follow links: they could form a loop
                for entry in self.list(path)?.into_iter().filter(|entry| entry.is_folder && !entry.is_link) {
                    self.visit(&path.join(&entry.name), parts)?;
                }
                self.visit(path, rest)?;
            }
        }
        Ok(())
    }

    /// Whether the path exists and is not a folder.
    fn is_there(&self, path: &Path) -> bool {
        let path = self.folder.path().join(path);
        path.symlink_metadata().is_ok() && !path.is_dir()
    }

    /// The entries of a folder that do not begin with a dot.
    fn list(&mut self, path: &Path) -> Result<Vec<crate::folder::Entry>, String> {
        let mut entries = self.folder.list(path)?;
        self.compared += entries.len();
        if self.compared > NAME_LIMIT {
            return Err(format!("it would have to be compared with more than {NAME_LIMIT} files"));
        }
        entries.retain(|entry| !entry.name.as_encoded_bytes().starts_with(b"."));
        Ok(entries)
    }
}

#[cfg(test)]
mod tests;
