//! Writes result files and reads saved plans. With `folder`, the only code that touches files.
//!
//! A regular file is replaced atomically where the file system allows it. A link is followed and kept. A device, a pipe
//! or an open file is written to.

use crate::error::{Error, ExitStatus};
use crate::ui::Ui;
use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode of plan files, which contain policies.
pub(super) const PRIVATE: u32 = 0o600;
/// The mode of files that other users may read.
pub(super) const SHARED: u32 = 0o644;

/// The largest plan file that is read: about ten times the objects that an account can have.
const MAX_PLAN_FILE: u64 = 1 << 30;

/// Linux follows at most this many links in a path (<https://man7.org/linux/man-pages/man7/path_resolution.7.html>).
const MAX_LINKS: usize = 40;

/// The hint of an error about a plan file that irsa cannot use.
pub(super) const MAKE_A_NEW_ONE: &str = "create a new one with `irsa plan -o FILE`";

/// Stdin or stdout, in place of a path.
const DASH: &str = "-";

/// Where a result is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// `-`, or a path of the process's own stdout, like `/dev/stdout`.
    Stdout,
    /// A path of the process's own stderr.
    Stderr,
    /// A regular file or a new file; not a link.
    File(PathBuf),
    /// A device, a pipe, or a file that a process has open.
    Stream(PathBuf),
}

impl Destination {
    /// Follows `path`; opens nothing.
    ///
    /// # Errors
    /// If nothing can be written there: a folder, a socket, or a missing folder.
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        if path == Path::new(DASH) {
            return Ok(Self::Stdout);
        }
        let refused = |why: &str| Error::failure(format!("cannot write `{}`: {why}", path.display()));
        let end = match follow_links(path).map_err(|error| unwritable(path, &error))? {
            LinkEnd::OwnDescriptor(1) => return Ok(Self::Stdout),
            LinkEnd::OwnDescriptor(2) => return Ok(Self::Stderr),
            LinkEnd::OwnDescriptor(_) | LinkEnd::OtherDescriptor => return Ok(Self::Stream(path.to_owned())),
            LinkEnd::Path(end) => end,
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
                    return Err(refused(&why).hint("create the folder first, or name a file in another folder"));
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

    /// Writes `text`. A new or replaced file gets `mode`. A file that is written in place keeps its mode, except that
    /// [`PRIVATE`] leaves no permissions to other users.
    pub(super) async fn write(&self, ui: &Ui, text: &str, mode: u32) -> Result<(), Error> {
        let Self::Stream(path) = self else { return self.write_now(ui, text, mode) };
        // in a thread, so that a signal is handled while nobody reads the pipe
        let (path, text) = (path.clone(), text.to_owned());
        let written = tokio::task::spawn_blocking(move || append(&path, &text)).await;
        written.map_err(|error| Error::failure(format!("cannot write: {error}")))?
    }

    /// Writes `text`, and blocks while nobody reads a pipe.
    pub(super) fn write_now(&self, ui: &Ui, text: &str, mode: u32) -> Result<(), Error> {
        let print = |mut out: Box<dyn Write + '_>| out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match self {
            Self::Stdout => Ok(print(ui.stdout())?),
            Self::Stderr => Ok(print(ui.stderr())?),
            Self::File(path) => replace(path, text, mode).map_err(|error| unwritable(path, &error)),
            Self::Stream(path) => append(path, text),
        }
    }

    /// Whether writing would change this file, under any name or link.
    pub(super) fn is(&self, file: &Path) -> bool {
        match self {
            Self::Stdout | Self::Stderr => false,
            Self::File(path) | Self::Stream(path) => inode(path).is_some_and(|own| inode(file) == Some(own)),
        }
    }

    /// Whether both are the same file, which may not exist yet.
    pub(super) fn is_also(&self, other: &Self) -> bool {
        let (Self::File(one), Self::File(other)) = (self, other) else { return false };
        let new = |path: &Path| Some((folder_of(path).canonicalize().ok()?, path.file_name()?.to_owned()));
        match (inode(one), inode(other)) {
            (None, None) => new(one).is_some_and(|name| new(other) == Some(name)),
            (one, other) => one == other,
        }
    }

    /// The content of a file; empty if it does not exist, and for a stream, since reading would consume it.
    pub(super) fn content(&self) -> String {
        match self {
            Self::File(path) => read(path).unwrap_or_default(),
            Self::Stdout | Self::Stderr | Self::Stream(_) => String::new(),
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Device and inode of a regular file: the same under all its names.
fn inode(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((found.dev(), found.ino()))
}

/// Where the links of a path end.
enum LinkEnd {
    /// A file descriptor of this process.
    OwnDescriptor(u32),
    /// A file descriptor of another process.
    OtherDescriptor,
    Path(PathBuf),
}

/// Follows links up to a file descriptor: the name behind `/proc/PID/fd/N` is not where the process writes
/// (<https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html>).
fn follow_links(path: &Path) -> io::Result<LinkEnd> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if let Some(descriptor) = descriptor(&path) {
            return Ok(descriptor);
        }
        let Ok(target) = fs::read_link(&path) else { return Ok(LinkEnd::Path(path)) };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other("too many links lead to it"))
}

/// The file descriptor of a path like `/dev/fd/N` or `/proc/self/fd/N`.
fn descriptor(path: &Path) -> Option<LinkEnd> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = path.parent()?.canonicalize().ok().filter(|folder| folder.ends_with("fd"))?;
    let is_own = Path::new("/proc/self").canonicalize().is_ok_and(|own| folder.starts_with(own));
    if is_own || folder == Path::new("/dev/fd") {
        return Some(LinkEnd::OwnDescriptor(number));
    }
    folder.starts_with("/proc").then_some(LinkEnd::OtherDescriptor)
}

/// Replaces a regular file atomically. If its folder is read-only, or the file is a mount of its own as in a container,
/// writes it in place.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let temporary = path.with_file_name(format!(".irsa-{:016x}.new", RandomState::new().build_hasher().finish()));
    let written = new_file(&temporary, mode).map(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let (error, can_retry) = match written {
        Ok(Ok(())) => match fs::rename(&temporary, path) {
            Ok(()) => return Ok(()),
            Err(error) => (error, true),
        },
        Ok(Err(error)) => (error, false),
        Err(error) => (error, true),
    };
    // if this fails too, the first error is the one to report
    let _ = fs::remove_file(&temporary);
    if can_retry && path.is_file() { write_in_place(path, text, mode) } else { Err(error) }
}

fn write_in_place(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if mode == PRIVATE && file.metadata()?.permissions().mode() & 0o077 != 0 {
        let open = |error| io::Error::other(format!("other users may read it, and that cannot be changed: {error}"));
        file.set_permissions(Permissions::from_mode(PRIVATE)).map_err(open)?;
    }
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Appends to a device, a pipe or an open file.
fn append(path: &Path, text: &str) -> Result<(), Error> {
    let written = OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| unwritable(path, &error))
}

/// Writes a file that must not exist yet.
pub(super) fn create(path: &Path, text: &str) -> Result<(), Error> {
    let created = new_file(path, SHARED).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    created.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::failure(format!("`{}` already exists", path.display()))
            .hint("name another file with `--config`, or remove it first"),
        // names the missing folder, if that is the reason
        _ => Destination::of(path).err().unwrap_or_else(|| unwritable(path, &error)),
    })
}

/// New files for a folder. They are written to a hidden folder in it, and moved to their places when all are complete: a
/// run that ends early leaves none of them. Dropping it removes what it made and did not move.
#[derive(Debug)]
pub(super) struct NewFiles<'a> {
    folder: &'a Path,
    hidden: PathBuf,
    /// The folders that did not exist, the innermost first.
    made: Vec<PathBuf>,
    is_complete: bool,
}

impl<'a> NewFiles<'a> {
    /// Creates `folder`.
    ///
    /// # Errors
    /// If it has one of these files or folders, or nothing can be written there.
    pub(super) fn begin(folder: &'a Path, names: &[&str]) -> Result<Self, Error> {
        if fs::metadata(folder).is_ok_and(|found| !found.is_dir()) {
            return Err(Error::failure(format!("`{}` is not a folder", folder.display())).hint("name another folder"));
        }
        for name in names {
            refuse_existing(folder, name)?;
        }
        let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        let hidden = folder.join(format!(".irsa-{:016x}.new", RandomState::new().build_hasher().finish()));
        let files = Self { folder, hidden, made, is_complete: false };
        fs::create_dir_all(&files.hidden).map_err(|error| unwritable(folder, &error))?;
        Ok(files)
    }

    /// Writes the files, by path below the folder; the last one is moved last.
    ///
    /// # Errors
    /// If one exists, or writing fails. Then none of them is left.
    pub(super) fn finish<'t>(mut self, files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<(), Error> {
        let mut entries: Vec<&str> = Vec::new();
        for (name, text) in files {
            let path = self.hidden.join(name);
            fs::create_dir_all(folder_of(&path)).map_err(|error| unwritable(&path, &error))?;
            create(&path, text)?;
            let entry = name.split_once('/').map_or(name, |(folder, _)| folder);
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        let mut moved = Vec::new();
        for entry in entries {
            let target = self.folder.join(entry);
            let done = refuse_existing(self.folder, entry).and_then(|()| {
                fs::rename(self.hidden.join(entry), &target).map_err(|error| unwritable(&target, &error))
            });
            if let Err(error) = done {
                // back into the hidden folder, which is removed
                for entry in moved {
                    let _ = fs::rename(self.folder.join(entry), self.hidden.join(entry));
                }
                return Err(error);
            }
            moved.push(entry);
        }
        self.is_complete = true;
        Ok(())
    }
}

impl Drop for NewFiles<'_> {
    fn drop(&mut self) {
        // nothing else can be done if this fails: the name says what it is
        let _ = fs::remove_dir_all(&self.hidden);
        if !self.is_complete {
            // only folders that are still empty
            let _ = self.made.iter().try_for_each(fs::remove_dir);
        }
    }
}

fn refuse_existing(folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(name);
    match fs::symlink_metadata(&path) {
        Ok(_) => Err(Error::failure(format!("`{}` already exists", path.display()))
            .hint("name another folder with `-o`: existing files are never overwritten")),
        Err(_) => Ok(()),
    }
}

/// The path of `folder`, which need not exist, from the folder of the file `top`: empty if it is that folder.
pub(super) fn path_below(top: &Path, folder: &Path) -> Result<String, Error> {
    let outside = || {
        let message = format!("`{}` is not below the folder of `{}`", folder.display(), top.display());
        Error::usage(message).hint("a configuration includes only files below its folder: name a folder there")
    };
    let base = folder_of(top).canonicalize().map_err(|error| unwritable(top, &error))?;
    let mut missing = Vec::new();
    let mut at = folder.to_owned();
    let found = loop {
        if let Ok(found) = if at.as_os_str().is_empty() { Path::new(".").canonicalize() } else { at.canonicalize() } {
            break found;
        }
        missing.push(at.file_name().ok_or_else(outside)?.to_owned());
        at = at.parent().ok_or_else(outside)?.to_owned();
    };
    let whole = missing.iter().rev().fold(found, |path, name| path.join(name));
    let below = whole.strip_prefix(&base).map_err(|_| outside())?;
    let below = below.to_str().map(str::to_owned).ok_or_else(outside)?;
    // the path becomes a part of `include`, which takes patterns
    if below.contains(['*', '?', '[', ']', '{', '}', '"', '\\']) || below.contains(char::is_control) {
        return Err(Error::usage(format!("`include` cannot name the folder `{}`", folder.display()))
            .hint("choose a name without wildcards, brackets, quotes and control characters"));
    }
    Ok(below)
}

/// Reads a saved plan.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let not_a_plan = |why: &str| {
        Error::new(ExitStatus::Stale, format!("`{}`: not a plan file: {why}", path.display())).hint(MAKE_A_NEW_ONE)
    };
    let text = open(path).and_then(|file| {
        let mut text = String::new();
        // one byte more than allowed: a device or a pipe has no size, and may have no end
        file.take(MAX_PLAN_FILE + 1).read_to_string(&mut text).map(|_| text)
    });
    match text {
        Ok(text) if text.len() as u64 > MAX_PLAN_FILE => {
            Err(not_a_plan(&format!("it has more than {} MiB", MAX_PLAN_FILE >> 20)))
        }
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::failure(format!("`{}`: there is no such file", path.display()))
                .hint("create a plan file with `irsa plan -o FILE`"))
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(not_a_plan("it is not text")),
        Err(error) => Err(Error::failure(format!("cannot read `{}`: {error}", path.display()))),
    }
}

/// Opens a file, or stdin for `-`.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new(DASH) {
        return Ok(Box::new(io::stdin()));
    }
    #[expect(clippy::disallowed_methods, reason = "a saved plan is not part of the configuration")]
    File::open(path).map(|file| Box::new(file) as Box<dyn Read>)
}

fn new_file(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::failure(format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests;
