//! Reads files that a configuration, or a kubeconfig in it, names: only regular files inside the configuration's folder
//! that are not hidden, even through links.
//!
//! Resolves all links first, checks the resulting path, and opens exactly that path.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// The most links that Linux follows in a path (<https://man7.org/linux/man-pages/man7/path_resolution.7.html>).
const LINKS: usize = 40;

/// A folder; its path has no links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: OsString,
    /// Whether it is a folder or a link to one.
    pub is_folder: bool,
    pub is_link: bool,
}

/// Why a file is not read. Contains nothing from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FolderError {
    Missing,
    Outside,
    /// Its name, or that of a folder in its path, begins with a dot.
    Hidden,
    /// A folder, a device or a pipe.
    NotAFile,
    /// It has more than this many bytes.
    TooLarge(u64),
    /// The error of the operating system.
    Unreadable(String),
}

impl FolderError {
    fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Self::Missing,
            std::io::ErrorKind::PermissionDenied => Self::Unreadable("permission denied".to_owned()),
            _ => Self::Unreadable(error.to_string()),
        }
    }

    /// The reason, as a fragment in which "it" is the file. `folder` is the name of the folder in messages.
    pub(crate) fn why(&self, folder: &str) -> String {
        match self {
            Self::Missing => "there is no such file".to_owned(),
            Self::Outside => format!("it leads out of {folder}"),
            Self::Hidden => "files and folders whose names begin with a dot are not read".to_owned(),
            Self::NotAFile => "it is not a file".to_owned(),
            Self::TooLarge(limit) => format!("it has more than {limit} bytes"),
            Self::Unreadable(why) => why.clone(),
        }
    }
}

impl Folder {
    /// The folder at `path`, which may be a link.
    pub(crate) fn at(path: &Path) -> Result<Self, FolderError> {
        path.canonicalize().map(Self).map_err(|error| FolderError::of(&error))
    }

    /// Its path without links.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Resolves `path`, relative to this folder, to a path without links. Refuses a path that leads out of the folder
    /// without accessing the disk, so that nobody can probe which files exist outside.
    pub(crate) fn find(&self, path: &Path) -> Result<PathBuf, FolderError> {
        let normalized = normalized(&self.0.join(path));
        let named = normalized.strip_prefix(&self.0).map_err(|_| FolderError::Outside)?;
        if hidden(named) {
            return Err(FolderError::Hidden);
        }
        let real = self.0.join(path).canonicalize().map_err(|error| match FolderError::of(&error) {
            // links to missing and to existing files outside must be refused alike
            FolderError::Missing if self.leads_out(named) => FolderError::Outside,
            refused => refused,
        })?;
        let inside = real.strip_prefix(&self.0).map_err(|_| FolderError::Outside)?;
        if hidden(inside) { Err(FolderError::Hidden) } else { Ok(real) }
    }

    /// Whether a part of `path` is a link.
    pub(crate) fn has_link(&self, path: &Path) -> bool {
        let mut at = self.0.clone();
        path.components().any(|part| {
            at.push(part);
            at.is_symlink()
        })
    }

    /// Whether the links in `path` lead out of the folder. Does not access files outside.
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
            let Some(next) = next.map(|next| normalized(&next.join(parts.as_path()))) else { return false };
            match next.strip_prefix(&self.0) {
                Ok(inside) => inside.clone_into(&mut path),
                Err(_) => return true,
            }
        }
        false
    }

    /// The entries of the folder at `path`, sorted.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<Entry>, FolderError> {
        let real = self.find(path)?;
        let failed = |error: std::io::Error| FolderError::of(&error);
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
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FolderError> {
        read(&self.find(path)?, limit)
    }
}

/// Refuses anything but a regular file of at most `limit` bytes. Opening a pipe would block until somebody writes to
/// it.
pub(crate) fn fits(path: &Path, limit: u64) -> Result<(), FolderError> {
    let metadata = std::fs::metadata(path).map_err(|error| FolderError::of(&error))?;
    if !metadata.is_file() {
        return Err(FolderError::NotAFile);
    }
    if metadata.len() > limit { Err(FolderError::TooLarge(limit)) } else { Ok(()) }
}

/// Reads a file that the user named. Follows links.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FolderError> {
    fits(path, limit)?;
    let failed = |error: std::io::Error| FolderError::of(&error);
    #[expect(clippy::disallowed_methods, reason = "files that other rooms name are read here")]
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // files in /proc report a size of 0
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit { Err(FolderError::TooLarge(limit)) } else { Ok(bytes) }
}

/// Removes `.` and `..` from a path without accessing the disk.
fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(normalized.pop()),
            other => normalized.push(other),
        }
    }
    normalized
}

fn hidden(path: &Path) -> bool {
    path.components().any(|component| matches!(component, Component::Normal(name) if is_hidden(name)))
}

/// Whether a name begins with one dot. Names with two dots are not hidden: the files of a mounted ConfigMap are links
/// into such folders (<https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter>).
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && !name.starts_with(b"..")
}

#[cfg(test)]
mod tests;
