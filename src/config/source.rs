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

/// The files that were read, by their path relative to the folder of the top file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    root: PathBuf,
    files: BTreeMap<Arc<str>, Arc<str>>,
}

impl Sources {
    /// The files of the configuration whose top file is `path`, none read yet.
    pub(crate) fn beside(path: &Path) -> (Self, String) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (Self { root: folder.to_owned(), files: BTreeMap::new() }, name)
    }

    /// The texts, to show lines from.
    pub(crate) fn texts(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.files.clone()
    }

    /// A place in a file.
    pub(crate) fn origin(&self, file: &Arc<str>, span: Range<usize>) -> Origin {
        let text = self.files.get(file).map_or("", |text| text.as_ref());
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        Origin { file: file.clone(), line, column, span }
    }

    /// Reads a file named relative to the folder of the top file. What was read already is not read again.
    ///
    /// # Errors
    /// A text that fits behind "`name`: ".
    pub(crate) fn read(&mut self, name: &str) -> Result<(Arc<str>, Arc<str>), String> {
        let name: Arc<str> = normal(name)?.into();
        if let Some(text) = self.files.get(&name) {
            return Ok((name, text.clone()));
        }
        let path = self.root.join(name.as_ref());
        let real = path.canonicalize().map_err(|error| plain(&error))?;
        let root = self.root.canonicalize().map_err(|error| plain(&error))?;
        if !real.starts_with(&root) {
            return Err("it leads out of the configuration's folder".to_owned());
        }
        let size = std::fs::metadata(&real).map_err(|error| plain(&error))?;
        if !size.is_file() {
            return Err("it is no file".to_owned());
        }
        if size.len() > SIZE_LIMIT {
            return Err(format!("it has {} bytes, the limit is {SIZE_LIMIT}", size.len()));
        }
        #[expect(clippy::disallowed_methods, reason = "this is where the configuration is read")]
        let bytes = std::fs::read(&real).map_err(|error| plain(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let text: Arc<str> = text.into();
        self.files.insert(name.clone(), text.clone());
        Ok((name, text))
    }

    /// The files that match a glob relative to the folder of the top file, sorted.
    ///
    /// # Errors
    /// If the glob is none, or leads out of the folder.
    pub(crate) fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let pattern = normal(pattern)?;
        let root = glob::Pattern::escape(&self.root.to_string_lossy());
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
        let found = glob::glob_with(&format!("{root}/{pattern}"), options).map_err(|error| error.msg.to_owned())?;
        let mut names: Vec<String> = found
            .filter_map(Result::ok)
            .filter(|path| path.is_file())
            .filter_map(|path| path.strip_prefix(&self.root).ok().map(|path| path.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// `sha256:…` over names and texts of all that was read.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, text) in &self.files {
            for part in [name.as_bytes(), text.as_bytes()] {
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

    /// The path of a file named in the configuration, for a program that opens it itself (a kubeconfig).
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, String> {
        Ok(self.root.join(normal(name)?))
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
            Component::ParentDir => return Err("it leads out of the configuration's folder".to_owned()),
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
