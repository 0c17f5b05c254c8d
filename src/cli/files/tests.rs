use super::*;
use crate::ui::Ui;
use std::os::unix::fs::symlink;

fn put(path: &Path, text: &str) -> Result<(), Error> {
    Destination::of(path)?.write_now(&Ui::capturing().0, text, PRIVATE)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn existing_plan_file_is_replaced_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    put(&path, "one").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    put(&path, "two").unwrap();
    assert_eq!((read(&path).unwrap().as_str(), mode(&path)), ("two", 0o600));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    assert!(create(&path, "three").is_err());
    assert_eq!(read(&path).unwrap(), "two");
}

#[test]
fn file_written_in_place_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    create(&path, "a text that is longer").unwrap();
    write_in_place(&path, "two", PRIVATE).unwrap();
    assert_eq!((read(&path).unwrap().as_str(), mode(&path)), ("two", 0o600));
    assert!(write_in_place(&folder.path().join("new"), "x", PRIVATE).is_err(), "it creates no file");
}

#[test]
fn links_are_followed_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("sub")).unwrap();
    for (target, link) in [("sub/real", "one"), ("one", "two"), ("loop", "loop"), ("sub", "dir")] {
        symlink(target, path(link)).unwrap();
    }
    // the link dangles the first time
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
        let error = put(&path(name), "x").unwrap_err();
        assert!(error.message.contains(why), "{name}: {}", error.message);
    }
}

#[test]
fn paths_of_open_files_are_not_regular_files() {
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
