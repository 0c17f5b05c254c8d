//! Reads the files of a configuration, and nothing outside its folder. One of the two places that touch files.

use super::diagnostics::Diagnostic;
use crate::model::origin::Origin;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Larger files are no configuration.
const SIZE_LIMIT: u64 = 16 * 1024 * 1024;

/// One file, with the starts of its lines, so that a place is found without counting from the top.
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

    /// The place of some bytes of the file.
    pub(crate) fn origin(&self, span: Range<usize>) -> Origin {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end).max(start);
        let line = self.lines.partition_point(|begin| *begin <= start).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let column = self.text[begin..start].chars().count() + 1;
        Origin { file: self.name.clone(), line, column, span: start..end }
    }

    /// The byte at which a line and column begin, both from 1 and clamped to what is there.
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

/// The files that were read, by their path relative to the folder of the top file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    root: PathBuf,
    /// The folder without symlinks; nothing if there is no such folder.
    real: Option<PathBuf>,
    files: BTreeMap<Arc<str>, Arc<Source>>,
}

const OUTSIDE: &str = "it leads out of the configuration's folder";

impl Sources {
    /// The files of the configuration whose top file is `path`, none read yet, and the name of that file.
    pub(crate) fn beside(path: &Path) -> (Self, String) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (Self { root: folder.to_owned(), real: folder.canonicalize().ok(), files: BTreeMap::new() }, name)
    }

    /// The texts, to show lines from.
    pub(crate) fn texts(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.files.iter().map(|(name, source)| (name.clone(), source.text.clone())).collect()
    }

    /// Where a text stands in quotes, in the first of the files that have it.
    pub(crate) fn quoting(&self, text: &str) -> Option<Origin> {
        let quoted = format!("\"{text}\"");
        self.files.values().find_map(|source| {
            let start = source.text.find(&quoted)?;
            Some(source.origin(start..start + quoted.len()))
        })
    }

    /// A file that the file `from` names and that was read.
    pub(crate) fn named(&self, from: &str, name: &str) -> Option<&Arc<Source>> {
        self.files.get(normal(&beside(from, name)).ok()?.as_str())
    }

    /// Reads the top file: the one file that the user names, and so the one that may be a link to anywhere.
    pub(crate) fn read_top(&mut self, name: &str) -> Result<Arc<Source>, String> {
        let path = self.root.join(name);
        self.take(normal(name)?, &path)
    }

    /// Reads a file named relative to the folder of the top file. What was read already is not read again.
    ///
    /// # Errors
    /// A text that fits behind "`name`: ".
    pub(crate) fn read(&mut self, name: &str) -> Result<Arc<Source>, String> {
        let name = normal(name)?;
        if let Some(source) = self.files.get(name.as_str()) {
            return Ok(source.clone());
        }
        let real = self.inside(&name)?;
        self.take(name, &real)
    }

    /// Where a file really is, if that is inside the folder.
    fn inside(&self, name: &str) -> Result<PathBuf, String> {
        let real = self.root.join(name).canonicalize().map_err(|error| plain(&error))?;
        match &self.real {
            Some(root) if real.starts_with(root) => Ok(real),
            _ => Err(OUTSIDE.to_owned()),
        }
    }

    fn take(&mut self, name: String, path: &Path) -> Result<Arc<Source>, String> {
        let size = std::fs::metadata(path).map_err(|error| plain(&error))?;
        if !size.is_file() {
            return Err("it is no file".to_owned());
        }
        if size.len() > SIZE_LIMIT {
            return Err(format!("it has {} bytes, the limit is {SIZE_LIMIT}", size.len()));
        }
        #[expect(clippy::disallowed_methods, reason = "this is where the configuration is read")]
        let bytes = std::fs::read(path).map_err(|error| plain(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let name: Arc<str> = name.into();
        let source = Arc::new(Source::new(name.clone(), text.into()));
        self.files.insert(name, source.clone());
        Ok(source)
    }

    /// The files that match a glob relative to the folder of the top file, sorted.
    ///
    /// # Errors
    /// If the glob is none, or leads out of the folder.
    pub(crate) fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let pattern = normal(pattern)?;
        let root = self.real.as_ref().ok_or("there is no such folder")?;
        let escaped = glob::Pattern::escape(&root.to_string_lossy());
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
        let found = glob::glob_with(&format!("{escaped}/{pattern}"), options).map_err(|error| error.msg.to_owned())?;
        let mut names = Vec::new();
        for path in found {
            let path = path.map_err(|error| plain(error.error()))?;
            if let Ok(inside) = path.strip_prefix(root)
                && !path.is_dir()
            {
                names.push(inside.to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// `sha256:…` over names and texts of all that was read.
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

    /// The path of a file named in the configuration, for a program that opens it itself (a kubeconfig). It need not
    /// be there, but must not lead out of the folder.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, String> {
        let name = normal(name)?;
        match self.inside(&name) {
            Err(why) if why == OUTSIDE => Err(why),
            _ => Ok(self.root.join(name)),
        }
    }
}

/// `name` as seen from the file `from`, relative to the folder of the top file.
pub(crate) fn beside(from: &str, name: &str) -> String {
    match from.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    }
}

/// The path without `.` and `..`; one that leads out of the folder is refused before anything is looked at.
fn normal(name: &str) -> Result<String, String> {
    let mut parts: Vec<String> = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir if parts.pop().is_some() => {}
            Component::ParentDir => return Err(OUTSIDE.to_owned()),
            Component::RootDir | Component::Prefix(_) => {
                return Err("it must be relative to the file that names it".to_owned());
            }
        }
    }
    if parts.is_empty() { Err("it names no file".to_owned()) } else { Ok(parts.join("/")) }
}

fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        _ => error.to_string(),
    }
}

/// A file that could not be read.
pub(crate) fn unreadable(name: &str, why: &str) -> Diagnostic {
    Diagnostic::nowhere(format!("`{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let source = Source::new("a".into(), "a\n\u{e4}b\n\nc".into());
        let place = |start: usize| {
            let origin = source.origin(start..start + 1);
            (origin.line, origin.column)
        };
        assert_eq!(
            [place(0), place(2), place(4), place(6), place(7), place(99)],
            [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2)]
        );
        for (line, column, offset) in [(1, 1, 0), (2, 2, 4), (2, 9, 5), (4, 1, 7), (9, 1, 8)] {
            assert_eq!(Source::offset(&source.text, line, column), offset, "{line}:{column}");
        }
    }

    #[test]
    fn paths_stay_in_the_folder() {
        for (name, expected) in [
            ("a.toml", Ok("a.toml")),
            ("./teams/../a.toml", Ok("a.toml")),
            ("teams/x.json", Ok("teams/x.json")),
            ("../a.toml", Err(())),
            ("teams/../../a.toml", Err(())),
            ("/etc/passwd", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(normal(name).as_deref().map_err(|_| ()), expected, "{name}");
        }
        assert_eq!(beside("teams/a.toml", "p.json"), "teams/p.json");
        assert_eq!(beside("irsa.toml", "p.json"), "p.json");
    }
}
