//! Finds the files that match a glob in `include`: `*`, `?` and `[…]` inside a name, `**` for any number of folders.
//!
//! Checks the pattern before it accesses the disk, and each folder before it lists it. So no error message can contain
//! the name of a file that must not be read. No pattern matches a name that begins with a dot.

use super::file_kind::FileKind;
use crate::folder::{Folder, Refused, is_hidden};
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
    let mut search = Search { folder, compared: 0, found: BTreeSet::new() };
    search.visit(Path::new(""), &parts)?;
    Ok(search.found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

fn part(text: &str) -> Result<Part<'_>, String> {
    if is_hidden(OsStr::new(text)) {
        return Err(Refused::Hidden.into());
    }
    match text {
        "**" => Ok(Part::Folders),
        _ if text.contains(['*', '?', '[']) => Pattern::new(text).map(Part::Like).map_err(|error| error.msg.to_owned()),
        _ => Ok(Part::Name(text)),
    }
}

struct Search<'a> {
    folder: &'a Folder,
    /// Names compared so far. `**` may reach a folder several times.
    compared: usize,
    found: BTreeSet<PathBuf>,
}

impl Search<'_> {
    /// Matches the rest of a pattern in one folder.
    fn visit(&mut self, path: &Path, parts: &[Part<'_>]) -> Result<(), String> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        match part {
            Part::Name(name) => {
                let next = path.join(name);
                match self.folder.find(&next) {
                    // reading refuses a link that leads out of the folder; its name is already in the pattern
                    _ if rest.is_empty() && self.is_there(&next) => drop(self.found.insert(next)),
                    Ok(real) if real.is_dir() => self.visit(&next, rest)?,
                    Ok(_) | Err(Refused::Missing) => {}
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
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder_with_links() -> (tempfile::TempDir, Folder) {
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
    fn glob_matches_what_a_shell_would_match_in_the_folder() {
        let (_all, folder) = folder_with_links();
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
            // files outside the folder and hidden files match nothing
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
    fn glob_that_leads_out_or_to_hidden_or_other_files_is_refused() {
        let (_all, folder) = folder_with_links();
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
