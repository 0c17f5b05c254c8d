//! Writes files: whole or not at all, where the file system lets it, and readable by the user alone unless said otherwise.
//! The other of the two places that touch files.
//!
//! Only regular files are replaced. A link stays, and what it leads to is replaced; a device, a pipe or a file that is
//! already open is written to.

use crate::error::{Error, ExitStatus};
use crate::ui::Ui;
use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// For plan files, which hold policies.
pub(crate) const PRIVATE: u32 = 0o600;
/// For files that others are to read.
pub(crate) const SHARED: u32 = 0o644;

/// The largest plan file that is read: of ten times as many objects as an account can have.
const LARGEST: u64 = 1 << 30;

/// Linux follows at most this many links in a path (<https://man7.org/linux/man-pages/man7/path_resolution.7.html>).
const LINKS: usize = 40;

/// What stands for stdin and stdout where a file is to be named.
const DASH: &str = "-";

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// `-`, or a path that leads to the process's own stdout.
    Stdout,
    /// A path that leads to the process's own stderr.
    Stderr,
    /// A regular file, or a name that is still free; not a link.
    File(PathBuf),
    /// A device, a pipe, or a file that is already open.
    Stream(PathBuf),
}

impl Destination {
    /// ReadOptions at what `path` leads to; opens nothing.
    ///
    /// # Errors
    /// If nothing can be written there: it is a folder or a socket, or there is no folder for it.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        if path == Path::new(DASH) {
            return Ok(Self::Stdout);
        }
        let refused = |why: &str| Error::failure(format!("cannot write `{}`: {why}", path.display()));
        let end = match followed(path).map_err(|error| unwritable(path, &error))? {
            End::Own(1) => return Ok(Self::Stdout),
            End::Own(2) => return Ok(Self::Stderr),
            End::Own(_) | End::Others => return Ok(Self::Stream(path.to_owned())),
            End::Path(end) => end,
        };
        match fs::symlink_metadata(&end) {
            Ok(found) if found.is_dir() => Err(refused("it is a folder").hint("name a file in it")),
            Ok(found) if found.file_type().is_socket() => Err(refused("it is a socket")),
            Ok(found) if found.is_file() => Ok(Self::File(end)),
            Ok(_) => Ok(Self::Stream(end)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let folder = folder_of(&end);
                if !folder.is_dir() {
                    let why = format!("there is no folder `{}`", folder.display());
                    return Err(refused(&why).hint("make the folder first, or name a file in another one"));
                }
                if end.as_os_str().as_encoded_bytes().ends_with(b"/") {
                    return Err(refused("that is the name of a folder").hint("name a file"));
                }
                Ok(Self::File(end))
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Err(refused("a part of the path is a file, not a folder"))
            }
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    /// Writes `text`; a file that is made, or that has `mode` [`PRIVATE`], has no more rights than `mode`.
    pub(crate) async fn write(&self, ui: &Ui, text: &str, mode: u32) -> Result<(), Error> {
        let Self::Stream(path) = self else { return self.write_now(ui, text, mode) };
        // nobody may have opened the other end of a pipe yet: a signal must be heard meanwhile
        let (path, text) = (path.clone(), text.to_owned());
        let written = tokio::task::spawn_blocking(move || through(&path, &text)).await;
        written.map_err(|error| Error::failure(format!("cannot write: {error}")))?
    }

    /// The same, in which waiting for the other end of a pipe holds up everything.
    pub(crate) fn write_now(&self, ui: &Ui, text: &str, mode: u32) -> Result<(), Error> {
        let print = |mut out: Box<dyn Write + '_>| out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match self {
            Self::Stdout => Ok(print(ui.stdout())?),
            Self::Stderr => Ok(print(ui.stderr())?),
            Self::File(path) => replace(path, text, mode).map_err(|error| unwritable(path, &error)),
            Self::Stream(path) => through(path, text),
        }
    }

    /// Whether writing would change this file, by whatever name or link.
    pub(crate) fn is(&self, file: &Path) -> bool {
        match self {
            Self::Stdout | Self::Stderr => false,
            Self::File(path) | Self::Stream(path) => identity(path).is_some_and(|own| identity(file) == Some(own)),
        }
    }

    /// Whether both are one file, which may not be there yet.
    pub(crate) fn is_also(&self, other: &Self) -> bool {
        let (Self::File(one), Self::File(other)) = (self, other) else { return false };
        let free = |path: &Path| Some((folder_of(path).canonicalize().ok()?, path.file_name()?.to_owned()));
        match (identity(one), identity(other)) {
            (None, None) => free(one).is_some_and(|name| free(other) == Some(name)),
            (one, other) => one == other,
        }
    }

    /// What is in the file; nothing where there is none, or where reading would take away what is written.
    pub(crate) fn before(&self) -> String {
        match self {
            Self::File(path) => read(path).unwrap_or_default(),
            Self::Stdout | Self::Stderr | Self::Stream(_) => String::new(),
        }
    }
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What is the same for all names of a regular file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((found.dev(), found.ino()))
}

/// Where the links of a path end.
enum End {
    /// A file that this process has open under this number.
    Own(u32),
    /// A file that another process has open.
    Others,
    Path(PathBuf),
}

/// Follows the links at the end of a path, but none of the kernel's own to an open file: the name behind those is not
/// where the process that opened it writes (<https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html>).
fn followed(path: &Path) -> io::Result<End> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if let Some(open) = descriptor(&path) {
            return Ok(open);
        }
        let Ok(target) = fs::read_link(&path) else { return Ok(End::Path(path)) };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other("too many links lead to it"))
}

/// Whether the path is `/dev/fd/N`, `/proc/self/fd/N` or the like.
fn descriptor(path: &Path) -> Option<End> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = path.parent()?.canonicalize().ok()?;
    let own = Path::new("/proc/self").canonicalize().is_ok_and(|own| folder.starts_with(own));
    match folder.ends_with("fd") {
        true if own || folder == Path::new("/dev/fd") => Some(End::Own(number)),
        true if folder.starts_with("/proc") => Some(End::Others),
        _ => None,
    }
}

/// Writes a regular file. Whoever reads sees the old or the new text, unless no file can be put into its place: it is
/// mounted by itself, as in a container, or nothing may be made in its folder. Then it is written where it is.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let beside = path.with_file_name(format!(".irsa-{:016x}.new", RandomState::new().build_hasher().finish()));
    let replaced = match make(&beside, mode) {
        Ok(mut file) => match file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
            Ok(()) => fs::rename(&beside, path),
            Err(error) => {
                // the half-written file is of no use to anyone; if it cannot be removed, the error says enough
                let _ = fs::remove_file(&beside);
                return Err(error);
            }
        },
        Err(error) => Err(error),
    };
    let Err(error) = replaced else { return Ok(()) };
    let _ = fs::remove_file(&beside);
    if path.is_file() { in_place(path, text, mode) } else { Err(error) }
}

fn in_place(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if mode == PRIVATE && file.metadata()?.permissions().mode() & 0o077 != 0 {
        let open = |error| io::Error::other(format!("others may read it, and that cannot be changed: {error}"));
        file.set_permissions(Permissions::from_mode(PRIVATE)).map_err(open)?;
    }
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Writes to what is there. A file that is open under a number is added to: what others wrote to it stays.
fn through(path: &Path, text: &str) -> Result<(), Error> {
    let written = OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| unwritable(path, &error))
}

/// Writes a file that must not be there yet.
pub(crate) fn create(path: &Path, text: &str) -> Result<(), Error> {
    let made = make(path, SHARED).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::failure(format!("`{}` is there already", path.display()))
            .hint("name another file with `--config`, or remove it first"),
        // says which folder is missing, if that is why
        _ => Destination::of(path).err().unwrap_or_else(|| unwritable(path, &error)),
    })
}

/// Reads a saved plan.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let text = open(path).and_then(|file| {
        let mut text = String::new();
        // one more than may be: a device or a pipe tells no size, and may have no end
        file.take(LARGEST + 1).read_to_string(&mut text).map(|_| text)
    });
    if text.as_ref().is_ok_and(|text| text.len() as u64 > LARGEST) {
        let message = format!("`{}`: it is no plan file: it has more than {} MiB", path.display(), LARGEST >> 20);
        return Err(Error::new(ExitStatus::Stale, message).hint("make a new one with `irsa plan -o FILE`"));
    }
    text.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::failure(format!("`{}`: there is no such file", path.display()))
            .hint("make a plan file with `irsa plan -o FILE`"),
        // a byte of it was changed, or it never was one
        ErrorKind::InvalidData => {
            Error::new(ExitStatus::Stale, format!("`{}`: it is no plan file: it is no text", path.display()))
                .hint("make a new one with `irsa plan -o FILE`")
        }
        _ => Error::failure(format!("cannot read `{}`: {error}", path.display())),
    })
}

/// `-` is stdin, as `irsa plan -o -` is stdout.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new(DASH) {
        return Ok(Box::new(io::stdin()));
    }
    #[expect(clippy::disallowed_methods, reason = "a saved plan is no part of the configuration")]
    File::open(path).map(|file| Box::new(file) as Box<dyn Read>)
}

/// A new, empty file.
fn make(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::failure(format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Ui;
    use std::os::unix::fs::symlink;

    fn put(path: &Path, text: &str) -> Result<(), Error> {
        Destination::of(path)?.write_now(&Ui::keeping().0, text, PRIVATE)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_plan_file_is_replaced_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        put(&path, "one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        put(&path, "two").unwrap();
        assert_eq!((read(&path).unwrap().as_str(), mode(&path)), ("two", 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(create(&path, "three").is_err());
        assert_eq!(read(&path).unwrap(), "two");
    }

    #[test]
    fn a_file_that_is_written_in_its_place_is_private_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        create(&path, "a text that is longer").unwrap();
        in_place(&path, "two", PRIVATE).unwrap();
        assert_eq!((read(&path).unwrap().as_str(), mode(&path)), ("two", 0o600));
        assert!(in_place(&folder.path().join("new"), "x", PRIVATE).is_err(), "it makes none");
    }

    #[test]
    fn links_stay_and_lead_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        for (target, link) in [("sub/real", "one"), ("one", "two"), ("loop", "loop"), ("sub", "dir")] {
            symlink(target, path(link)).unwrap();
        }
        // the first time it dangles
        for text in ["new", "newer"] {
            put(&path("two"), text).unwrap();
            assert_eq!((read(&path("sub/real")).unwrap().as_str(), mode(&path("sub/real"))), (text, 0o600));
            assert!(path("one").is_symlink() && path("two").is_symlink());
        }
        put(&path("dir/other"), "x").unwrap();
        assert!(path("sub/other").is_file());
        for (name, why) in [
            ("loop", "too many links"),
            ("dir", "it is a folder"),
            ("sub", "it is a folder"),
            ("none/x", "there is no folder"),
            ("free/", "the name of a folder"),
            ("one/x", "a part of the path is a file"),
        ] {
            let told = put(&path(name), "x").unwrap_err();
            assert!(told.message.contains(why), "{name}: {}", told.message);
        }
    }

    #[test]
    fn what_is_open_is_no_file_of_its_name() {
        for (path, target) in [
            ("-", Destination::Stdout),
            ("/dev/stdout", Destination::Stdout),
            ("/dev/fd/1", Destination::Stdout),
            ("/proc/self/fd/1", Destination::Stdout),
            ("/proc/thread-self/fd/1", Destination::Stdout),
            ("/dev/stderr", Destination::Stderr),
            ("/dev/null", Destination::Stream("/dev/null".into())),
            ("/dev/fd/7", Destination::Stream("/dev/fd/7".into())),
        ] {
            assert_eq!(Destination::of(Path::new(path)).unwrap(), target, "{path}");
        }
    }
}
