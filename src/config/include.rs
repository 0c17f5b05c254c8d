//! Finds the files that an entry of `include` matches: `*`, `?` and `[…]` inside a name, `**` for any number of folders.
//!
//! Checks the pattern before it looks at the disk, and each folder before it lists it. So no error message can contain the
//! name of a file that must not be read. No pattern matches a name that begins with a dot.

use super::file_kind::{FOLDER, FileKind};
use crate::folder::{Folder, Refused, is_hidden};
use glob::{MatchOptions, Pattern};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// No path is longer (`PATH_MAX` in <https://man7.org/linux/man-pages/man0/limits.h.0p.html>).
const PATTERN_LIMIT: usize = 4096;
/// The most names that one pattern is compared with.
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
    let parts = pattern.split('/').map(part).collect::<Result<Vec<_>, _>>()?;
    FileKind::Include.fits(pattern)?;
    let mut search =
        Search { folder, parts, looked_at: 0, seen: BTreeSet::new(), open: Vec::new(), found: BTreeSet::new() };
    search.visit(PathBuf::new(), 0);
    while let Some((path, index)) = search.open.pop() {
        search.step(path, index).map_err(|refused| refused.why(FOLDER))?;
        if search.looked_at > NAME_LIMIT {
            return Err(format!("more than {NAME_LIMIT} files would have to be looked at"));
        }
    }
    Ok(search.found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

fn part(text: &str) -> Result<Part<'_>, String> {
    if is_hidden(OsStr::new(text)) {
        return Err(Refused::Hidden.why(FOLDER));
    }
    match text {
        "**" => Ok(Part::Folders),
        _ if text.contains(['*', '?', '[']) => Pattern::new(text).map(Part::Like).map_err(|error| error.msg.to_owned()),
        _ => Ok(Part::Name(text)),
    }
}

struct Search<'a> {
    folder: &'a Folder,
    parts: Vec<Part<'a>>,
    looked_at: usize,
    /// Folders already visited, with the index of the part to match there. Several `**` reach the same folder.
    seen: BTreeSet<(PathBuf, usize)>,
    open: Vec<(PathBuf, usize)>,
    found: BTreeSet<PathBuf>,
}

impl Search<'_> {
    fn visit(&mut self, path: PathBuf, index: usize) {
        if self.seen.insert((path.clone(), index)) {
            self.open.push((path, index));
        }
    }

    /// Matches one part in one folder.
    fn step(&mut self, path: PathBuf, index: usize) -> Result<(), Refused> {
        let last = index + 1 == self.parts.len();
        match &self.parts[index] {
            Part::Name(name) => {
                let next = path.join(name);
                match self.folder.find(&next) {
                    // reading it refuses a link that leads out; its name is in the pattern anyway
                    _ if last && self.is_there(&next) => drop(self.found.insert(next)),
                    Ok(real) if !last && real.is_dir() => self.visit(next, index + 1),
                    Ok(_) | Err(Refused::Missing) => {}
                    Err(refused) => return Err(refused),
                }
            }
            Part::Like(pattern) => {
                let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
                let pattern = pattern.clone();
                for entry in self.list(&path)? {
                    let matches = entry.name.to_str().is_some_and(|name| pattern.matches_with(name, options));
                    let next = path.join(&entry.name);
                    match (matches, last, entry.is_folder) {
                        (true, true, false) => drop(self.found.insert(next)),
                        // patterns do not match links that lead out of the folder
                        (true, false, true) if self.folder.find(&next).is_ok() => self.visit(next, index + 1),
                        _ => {}
                    }
                }
            }
            Part::Folders => {
                // like a shell's `**`, does not follow links: they could form a loop
                for entry in self.list(&path)?.into_iter().filter(|entry| entry.is_folder && !entry.is_link) {
                    self.visit(path.join(&entry.name), index);
                }
                self.visit(path, index + 1);
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
    fn list(&mut self, path: &Path) -> Result<Vec<crate::folder::Entry>, Refused> {
        let mut entries = self.folder.list(path)?;
        self.looked_at += entries.len();
        entries.retain(|entry| !entry.name.as_encoded_bytes().starts_with(b"."));
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scene() -> (tempfile::TempDir, Folder) {
        let all = tempfile::tempdir().unwrap();
        for file in [
            "in/a.toml",
            "in/b.txt",
            "in/teams/x.toml",
            "in/teams/y.toml",
            "in/teams/deep/er/z.toml",
            "in/teams/.hidden.toml",
            "in/.git/config.toml",
            "in/folder.toml/c.toml",
            "out/secret.toml",
        ] {
            let path = all.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "tests write what is found")]
            std::fs::write(path, "").unwrap();
        }
        for (target, link) in [
            ("../out", "in/away"),
            ("../out/secret.toml", "in/out.toml"),
            (".git", "in/git"),
            ("teams", "in/crews"),
            ("..", "in/teams/up"),
            ("gone", "in/teams/broken.toml"),
        ] {
            symlink(target, all.path().join(link)).unwrap();
        }
        let folder = Folder::at(&all.path().join("in")).unwrap();
        (all, folder)
    }

    #[test]
    fn a_pattern_finds_what_a_shell_would_find_in_the_folder() {
        let (_all, folder) = scene();
        for (pattern, expected) in [
            ("a.toml", &["a.toml"][..]),
            ("*.toml", &["a.toml", "out.toml"]),
            ("[!a]*.toml", &["out.toml"]),
            ("?.toml", &["a.toml"]),
            ("teams/*.toml", &["teams/broken.toml", "teams/x.toml", "teams/y.toml"]),
            ("crews/?.toml", &["crews/x.toml", "crews/y.toml"]),
            ("*/x.toml", &["crews/x.toml", "teams/x.toml"]),
            ("teams/up/a.toml", &["teams/up/a.toml"]),
            ("**/z.toml", &["teams/deep/er/z.toml"]),
            ("**/**/**/[xz].toml", &["teams/deep/er/z.toml", "teams/x.toml"]),
            ("**/folder.toml/*.toml", &["folder.toml/c.toml"]),
            ("folder.toml", &[]),
            ("gone.toml", &[]),
            ("gone/*.toml", &[]),
            ("a.toml/x.toml", &[]),
            // what lies outside or is hidden is found by nothing
            ("*/secret.toml", &[]),
            ("**/secret.toml", &[]),
            ("*/config.toml", &[]),
            ("**/config.toml", &[]),
            ("teams/?hidden.toml", &[]),
            ("teams/[.]hidden.toml", &[]),
            ("[.]git/*.toml", &[]),
        ] {
            assert_eq!(
                matching(&folder, pattern),
                Ok(expected.iter().map(|name| (*name).to_owned()).collect()),
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_pattern_that_asks_for_more_is_refused_before_anything_is_found() {
        let (_all, folder) = scene();
        for (pattern, why) in [
            ("away/*.toml", "leads out of"),
            ("away/secret.toml", "leads out of"),
            ("git/config.toml", "begin with a dot"),
            ("git/*.toml", "begin with a dot"),
            (".git/config.toml", "begin with a dot"),
            ("teams/.hidden.toml", "begin with a dot"),
            ("teams/.*.toml", "begin with a dot"),
            ("*", "end in `.toml`"),
            ("**", "end in `.toml`"),
            ("teams/*", "end in `.toml`"),
            ("*.tom[l]", "end in `.toml`"),
            ("b.txt", "end in `.toml`"),
            ("a[", "invalid range"),
            ("x***.toml", "wildcards"),
            (&format!("{}.toml", "*?".repeat(5000)), "more than 4096"),
        ] {
            let refused = matching(&folder, pattern).expect_err(pattern);
            assert!(refused.contains(why), "{pattern}: {refused}");
        }
    }
}
