//! A folder in which untrusted text may name files. Reads only regular files that lie inside it and are not hidden,
//! whichever links lead to them. Only this room opens files that a configuration, or a kubeconfig in it, names.
//!
//! It resolves all links first, checks the resulting path, and opens exactly that path.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// Linux follows at most this many links in a path (<https://man7.org/linux/man-pages/man7/path_resolution.7.html>).
const LINKS: usize = 40;

/// A folder; its path has no links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: OsString,
    /// Whether it is a folder, or a link to one.
    pub is_folder: bool,
    pub is_link: bool,
}

/// Why a file is not read. Never contains anything from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such file.
    Missing,
    /// It lies outside the folder.
    Outside,
    /// Its name, or that of a folder on the way, begins with a dot.
    Hidden,
    /// It is a folder, a device or a pipe.
    NoFile,
    /// It has more bytes than this.
    TooLarge(u64),
    /// The operating system's error.
    Unreadable(String),
}

impl Refused {
    fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Self::Missing,
            std::io::ErrorKind::PermissionDenied => Self::Unreadable("it may not be read".to_owned()),
            _ => Self::Unreadable(error.to_string()),
        }
    }

    /// The reason, as a fragment about "it", the file. `folder` is what messages call the folder.
    pub(crate) fn why(&self, folder: &str) -> String {
        match self {
            Self::Missing => "there is no such file".to_owned(),
            Self::Outside => format!("it leads out of {folder}"),
            Self::Hidden => "files and folders whose names begin with a dot are not read".to_owned(),
            Self::NoFile => "it is no file".to_owned(),
            Self::TooLarge(limit) => format!("it has more than {limit} bytes"),
            Self::Unreadable(why) => why.clone(),
        }
    }
}

impl Folder {
    /// The folder that `path` leads to.
    pub(crate) fn at(path: &Path) -> Result<Self, Refused> {
        path.canonicalize().map(Self).map_err(|error| Refused::of(&error))
    }

    /// Its path without links.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Resolves `path`, relative to this folder, to a path without links. Refuses a path whose text leads out of the folder
    /// without looking at the disk, so that nobody can probe which files exist outside.
    pub(crate) fn find(&self, path: &Path) -> Result<PathBuf, Refused> {
        let spelled = spelled(&self.0.join(path));
        let named = spelled.strip_prefix(&self.0).map_err(|_| Refused::Outside)?;
        if hidden(named) {
            return Err(Refused::Hidden);
        }
        let real = self.0.join(path).canonicalize().map_err(|error| match Refused::of(&error) {
            // a link to a missing file outside must look like a link to an existing one
            Refused::Missing if self.leads_out(named) => Refused::Outside,
            refused => refused,
        })?;
        let inside = real.strip_prefix(&self.0).map_err(|_| Refused::Outside)?;
        if hidden(inside) { Err(Refused::Hidden) } else { Ok(real) }
    }

    /// Whether a part of `path` is a link.
    pub(crate) fn has_link(&self, path: &Path) -> bool {
        let mut at = self.0.clone();
        path.components().any(|part| {
            at.push(part);
            at.is_symlink()
        })
    }

    /// Whether following the links in `path` leads out of the folder. ReadOptions at nothing outside.
    fn leads_out(&self, path: &Path) -> bool {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            let mut parts = path.components();
            let mut at = self.0.clone();
            let next = parts.by_ref().find_map(|part| {
                let folder = at.clone();
                at.push(part);
                at.read_link().ok().map(|target| folder.join(target))
            });
            let Some(next) = next.map(|next| spelled(&next.join(parts.as_path()))) else { return false };
            match next.strip_prefix(&self.0) {
                Ok(inside) => inside.clone_into(&mut path),
                Err(_) => return true,
            }
        }
        false
    }

    /// The entries of the folder at `path`, sorted.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<Entry>, Refused> {
        let real = self.find(path)?;
        let failed = |error: std::io::Error| Refused::of(&error);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&real).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            // a broken link is not a folder
            let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            entries.push(Entry { name: entry.file_name(), is_folder, is_link: kind.is_symlink() });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Reads the file at `path`, at most `limit` bytes.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Refused> {
        read(&self.find(path)?, limit)
    }
}

/// Refuses anything but a regular file of at most `limit` bytes. Opening a pipe would block until somebody writes to it.
pub(crate) fn fits(path: &Path, limit: u64) -> Result<(), Refused> {
    let metadata = std::fs::metadata(path).map_err(|error| Refused::of(&error))?;
    if !metadata.is_file() {
        return Err(Refused::NoFile);
    }
    if metadata.len() > limit { Err(Refused::TooLarge(limit)) } else { Ok(()) }
}

/// Reads a file that the user has named. Follows links.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Refused> {
    fits(path, limit)?;
    let failed = |error: std::io::Error| Refused::of(&error);
    #[expect(clippy::disallowed_methods, reason = "this is where files that others name are read")]
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // files in /proc report a size of 0
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit { Err(Refused::TooLarge(limit)) } else { Ok(bytes) }
}

/// Removes `.` and `..` from the text of a path, without looking at the disk.
fn spelled(path: &Path) -> PathBuf {
    let mut spelled = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(spelled.pop()),
            other => spelled.push(other),
        }
    }
    spelled
}

fn hidden(path: &Path) -> bool {
    path.components().any(|component| matches!(component, Component::Normal(name) if is_hidden(name)))
}

/// Whether a name begins with one dot. Names that begin with two are the folders behind the links of a mounted ConfigMap
/// (<https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter>); those are not hidden.
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && !name.starts_with(b"..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
        std::fs::write(path, "text").unwrap();
    }

    fn scene() -> (tempfile::TempDir, Folder) {
        let all = tempfile::tempdir().unwrap();
        let root = all.path();
        for file in ["home/.token", "home/token", "in/a", "in/sub/b", "in/.env", "in/.git/config", "in/..1/c"] {
            write(&root.join(file));
        }
        for (target, link) in [
            ("../home/token", "in/out"),
            ("../home", "in/outer"),
            (".env", "in/env"),
            (".git", "in/git"),
            ("sub/b", "in/b"),
            ("..1", "in/..data"),
            ("..data/c", "in/c"),
            ("gone", "in/broken"),
            ("../home/gone", "in/out-broken"),
            ("out-broken", "in/out-far"),
            ("/no/such/folder", "in/out-absolute"),
            ("loop", "in/loop"),
            ("/dev/null", "in/null"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let folder = Folder::at(&root.join("in")).unwrap();
        (all, folder)
    }

    #[test]
    fn only_what_lies_in_the_folder_and_is_not_hidden_is_read() {
        let (_all, folder) = scene();
        for (path, expected) in [
            ("a", None),
            ("./sub/../a", None),
            ("b", None),
            ("sub/b", None),
            ("c", None),
            ("out", Some(Refused::Outside)),
            ("outer/token", Some(Refused::Outside)),
            ("outer/.token", Some(Refused::Hidden)),
            ("null", Some(Refused::Outside)),
            ("out-broken", Some(Refused::Outside)),
            ("out-far", Some(Refused::Outside)),
            ("out-absolute/x", Some(Refused::Outside)),
            ("outer/gone", Some(Refused::Outside)),
            ("../home/token", Some(Refused::Outside)),
            ("../home/gone", Some(Refused::Outside)),
            ("sub/../../home/token", Some(Refused::Outside)),
            ("/etc/hostname", Some(Refused::Outside)),
            ("/no/such/file", Some(Refused::Outside)),
            (".env", Some(Refused::Hidden)),
            ("env", Some(Refused::Hidden)),
            ("git/config", Some(Refused::Hidden)),
            (".git/gone", Some(Refused::Hidden)),
            ("gone", Some(Refused::Missing)),
            ("a/b", Some(Refused::Missing)),
            ("broken", Some(Refused::Missing)),
            ("sub", Some(Refused::NoFile)),
            ("", Some(Refused::NoFile)),
        ] {
            assert_eq!(folder.read(Path::new(path), 9).err(), expected, "{path}");
        }
        assert!(matches!(folder.read(Path::new("loop"), 9), Err(Refused::Unreadable(_))));
        let absolute = folder.path().join("sub/b");
        assert_eq!(folder.read(&absolute, 9), Ok(b"text".to_vec()));
    }

    #[test]
    fn a_link_anywhere_in_a_path_is_seen() {
        let (_all, folder) = scene();
        for (path, expected) in [("a", false), ("sub/b", false), ("gone", false), ("b", true), ("outer/token", true)] {
            assert_eq!(folder.has_link(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_limit() {
        let (_all, folder) = scene();
        assert_eq!(folder.read(Path::new("a"), 4), Ok(b"text".to_vec()));
        assert_eq!(folder.read(Path::new("a"), 3), Err(Refused::TooLarge(3)));
        // it says that it has none
        assert_eq!(read(Path::new("/proc/self/environ"), 0), Err(Refused::TooLarge(0)));
    }
}
