//! Reads and keeps the files of a configuration. Refuses files outside its folder, hidden files and other extensions:
//! error messages quote lines, and a file that was not read cannot be quoted.

use super::diagnostics::{Diagnostic, Diagnostics};
use super::file_kind::{FileKind, SIZE_LIMIT};
use super::include;
use crate::folder::{self, Folder, FolderError};
use crate::model::desired::NamedKubeconfig;
use crate::model::origin::Origin;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The most bytes of all files together.
const TOTAL_LIMIT: u64 = 64 * 1024 * 1024;
/// The most files.
const COUNT_LIMIT: usize = 50_000;
/// Beyond this many bytes of a line, columns count bytes instead of characters. Otherwise a line with a million keys
/// would take quadratic time.
const COUNTED: usize = 4096;

/// One file with the byte offsets of its lines, so that a position is found without counting from the top.
#[derive(Debug)]
pub(crate) struct Source {
    pub name: Arc<str>,
    pub text: Arc<str>,
    lines: Vec<usize>,
}

impl Source {
    pub(crate) fn new(name: Arc<str>, text: Arc<str>) -> Self {
        let starts = text.match_indices('\n').map(|(place, _)| place + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { name, text, lines }
    }

    /// The position of these bytes.
    pub(crate) fn origin(&self, span: Range<usize>) -> Origin {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end).max(start);
        let line = self.lines.partition_point(|begin| *begin <= start).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let counted = self.text.floor_char_boundary(start.min(begin + COUNTED));
        let column = self.text[begin..counted].chars().count() + (start - counted) + 1;
        Origin { file: self.name.clone(), line, column, span: start..end }
    }

    /// A line, from 1. None if the file ends before it.
    pub(crate) fn line(&self, line: usize) -> Option<&str> {
        let begin = *self.lines.get(line.checked_sub(1)?)?;
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        self.text.get(begin..end)
    }

    /// The byte offset of a line and column, both from 1 and limited to the length of the text.
    pub(crate) fn offset(text: &str, line: usize, column: usize) -> usize {
        let mut begin = 0;
        for _ in 1..line {
            match text[begin..].find('\n') {
                Some(newline) => begin += newline + 1,
                None => return text.len(),
            }
        }
        let rest = text[begin..].split('\n').next().unwrap_or_default();
        begin + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(place, _)| place)
    }
}

/// The files of one configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    root: PathBuf,
    /// The folder of the top file; None if it does not exist.
    folder: Option<Folder>,
    /// The files read so far, by their path relative to the folder of the top file.
    files: BTreeMap<Arc<str>, Arc<Source>>,
    total: u64,
    /// Whether messages must not quote anything, because the top file is a link out of its folder.
    withheld: bool,
}

impl Sources {
    /// The files of the configuration whose top file is `path`, before any is read, and the name of that file.
    pub(crate) fn of_top_file(path: &Path) -> (Self, String) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (Self { root: folder.to_owned(), folder: Folder::at(folder).ok(), ..Self::default() }, name)
    }

    /// The errors with the texts of the files, to quote lines.
    pub(crate) fn diagnostics(&self, list: Vec<Diagnostic>) -> Diagnostics {
        if self.withheld {
            return Diagnostics::withheld(list, self.paths());
        }
        let texts = self.files.iter().map(|(name, source)| (name.clone(), source.text.clone())).collect();
        Diagnostics::new(list, texts, self.paths())
    }

    /// The first place where the text is written in double quotes.
    pub(crate) fn find_quoted(&self, text: &str) -> Option<Origin> {
        let quoted = format!("\"{text}\"");
        self.files.values().find_map(|source| {
            let start = source.text.find(&quoted)?;
            Some(source.origin(start..start + quoted.len()))
        })
    }

    /// The paths of the files that were read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.keys().map(|name| self.root.join(&**name)).collect()
    }

    /// The file that the file `from` calls `name`, if it was read.
    pub(crate) fn get(&self, from: &str, name: &str) -> Option<&Arc<Source>> {
        self.files.get(normalized(&relative_to(from, name)).ok()?.as_str())
    }

    /// Reads the top file. If it is a link out of the folder, to a hidden file or to a file with another extension,
    /// reads it only if the user named it, and then quotes nothing from it: a pull request may have put a link where CI
    /// expects a file. In a relative path all folders below the working directory are checked for links, otherwise only
    /// the file.
    ///
    /// # Errors
    /// The reason, which fits behind "`NAME`: ".
    pub(crate) fn read_top(&mut self, name: &str, by_user: bool) -> Result<Arc<Source>, String> {
        let mut path = self.root.join(name);
        let below = path.is_relative() && !path.components().any(|part| part == Component::ParentDir);
        let (base, named) = if below { (Path::new("."), path.as_path()) } else { (&*self.root, Path::new(name)) };
        let base = Folder::at(base)?;
        if base.has_link(named) {
            match base
                .find(named)
                .map_err(String::from)
                .and_then(|real| check_target(FileKind::Include, &real).map(|()| real))
            {
                Ok(real) => path = real,
                Err(_) if by_user && path.exists() => self.withheld = true,
                Err(why) => return Err(why),
            }
        }
        let bytes = folder::read(&path, SIZE_LIMIT)?;
        self.add(normalized(name)?, bytes)
    }

    /// Reads a file named relative to the folder of the top file, once.
    ///
    /// # Errors
    /// The reason, which fits behind "`NAME`: ".
    pub(crate) fn read(&mut self, name: &str, kind: FileKind) -> Result<Arc<Source>, String> {
        let name = normalized(name)?;
        kind.check_extension(&name)?;
        if let Some(source) = self.files.get(name.as_str()) {
            return Ok(source.clone());
        }
        let real = self.folder.as_ref().ok_or(FolderError::Missing)?.find(Path::new(&name))?;
        check_target(kind, &real)?;
        let bytes = folder::read(&real, kind.limit())?;
        self.add(name, bytes)
    }

    /// Adds a text as the file of this name, without reading it.
    ///
    /// # Errors
    /// The reason, which fits behind "`NAME`: ".
    pub(crate) fn keep(&mut self, name: &str, text: &str) -> Result<Arc<Source>, String> {
        self.add(normalized(name)?, text.as_bytes().to_vec())
    }

    fn add(&mut self, name: String, bytes: Vec<u8>) -> Result<Arc<Source>, String> {
        self.total += bytes.len() as u64;
        if self.total > TOTAL_LIMIT {
            return Err(format!("all files of the configuration together have more than {TOTAL_LIMIT} bytes"));
        }
        if self.files.len() >= COUNT_LIMIT {
            return Err(format!("the configuration has more than {COUNT_LIMIT} files"));
        }
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        // Windows editors write a byte order mark, which is not part of the first line
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let name: Arc<str> = name.into();
        let source = Arc::new(Source::new(name.clone(), text.into()));
        self.files.insert(name, source.clone());
        Ok(source)
    }

    /// The files that match a glob relative to the folder of the top file, sorted.
    ///
    /// # Errors
    /// If the glob is malformed, or could match a file that must not be read.
    pub(crate) fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let pattern = normalized(pattern)?;
        include::matching(self.folder.as_ref().ok_or("there is no such folder")?, &pattern)
    }

    /// `sha256:…` over the names and texts of all files that were read.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, source) in &self.files {
            for part in [name.as_bytes(), source.text.as_bytes()] {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part);
            }
        }
        let mut digest = String::from("sha256:");
        for byte in hasher.finalize() {
            // writing to a String cannot fail
            let _ = write!(digest, "{byte:02x}");
        }
        digest
    }

    /// A kubeconfig that the configuration names. It may be missing, because `validate` also runs where it is not.
    pub(crate) fn kubeconfig(&self, name: &str) -> Result<NamedKubeconfig, String> {
        let name = normalized(name)?;
        let folder = self.folder.as_ref().ok_or("there is no such folder")?;
        match folder.find(Path::new(&name)) {
            Ok(_) | Err(FolderError::Missing) => {
                Ok(NamedKubeconfig { path: self.root.join(name), folder: folder.path().to_owned() })
            }
            Err(refused) => Err(refused.into()),
        }
    }
}

/// Refuses a link to a file with another extension.
fn check_target(kind: FileKind, real: &Path) -> Result<(), String> {
    kind.check_extension(&real.to_string_lossy())
        .map_err(|why| format!("it links to a file with another extension: {why}"))
}

/// The path that the file `from` calls `name`, relative to the folder of the top file.
pub(crate) fn relative_to(from: &str, name: &str) -> String {
    match from.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    }
}

/// The path without `.` and `..`. Refuses a path out of the folder without accessing the disk.
fn normalized(name: &str) -> Result<String, String> {
    let mut parts: Vec<String> = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir if parts.pop().is_some() => {}
            Component::ParentDir => return Err(FolderError::Outside.into()),
            Component::RootDir | Component::Prefix(_) => {
                return Err("it must be relative to the file that names it".to_owned());
            }
        }
    }
    if parts.is_empty() { Err("it does not name a file".to_owned()) } else { Ok(parts.join("/")) }
}

#[cfg(test)]
mod tests;
