//! Writes files: whole or not at all, and readable by the user alone unless said otherwise. The other of the two places
//! that touch files.

use crate::error::{Error, ExitStatus};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// For plan files, which hold policies.
pub(crate) const PRIVATE: u32 = 0o600;
/// For files that others are to read.
pub(crate) const SHARED: u32 = 0o644;

/// The largest plan file that is read: of ten times as many objects as an account can have.
const LARGEST: u64 = 1 << 30;

/// Writes `text` to a new file beside `path` and renames it: whoever reads sees the old or the new text.
pub(crate) fn replace(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let beside = beside(path);
    let written = write_new(&beside, text, mode).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // the half-written file is of no use to anyone; if it cannot be removed, the error below says enough
        let _ = fs::remove_file(&beside);
    }
    written.map_err(|error| unwritable(path, &error))
}

/// Writes a file that must not be there yet.
pub(crate) fn create(path: &Path, text: &str) -> Result<(), Error> {
    write_new(path, text, SHARED).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::failure(format!("`{}` is there already", path.display()))
            .hint("name another file with `--config`, or remove it first"),
        _ => unwritable(path, &error),
    })
}

/// Reads a saved plan.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    #[expect(clippy::disallowed_methods, reason = "a saved plan is no part of the configuration")]
    let text = fs::File::open(path).and_then(|file| {
        let mut text = String::new();
        // one more than may be: a device or a pipe tells no size, and may have no end
        file.take(LARGEST + 1).read_to_string(&mut text).map(|_| text)
    });
    if text.as_ref().is_ok_and(|text| text.len() as u64 > LARGEST) {
        let message = format!("`{}`: it is no plan file: it has more than {} MiB", path.display(), LARGEST >> 20);
        return Err(Error::new(ExitStatus::Stale, message).hint("make a new one with `irsa plan -o FILE`"));
    }
    text.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::failure(format!("`{}`: there is no such file", path.display()))
            .hint("make a plan file with `irsa plan -o FILE`"),
        // a byte of it was changed, or it never was one
        std::io::ErrorKind::InvalidData => {
            Error::new(ExitStatus::Stale, format!("`{}`: it is no plan file: it is no text", path.display()))
                .hint("make a new one with `irsa plan -o FILE`")
        }
        _ => Error::failure(format!("cannot read `{}`: {error}", path.display())),
    })
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

fn write_new(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::failure(format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_plan_file_is_replaced_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        replace(&path, "one", PRIVATE).unwrap();
        replace(&path, "two", PRIVATE).unwrap();
        assert_eq!(read(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(create(&path, "three").is_err());
        assert_eq!(read(&path).unwrap(), "two");
    }
}
