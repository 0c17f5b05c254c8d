use super::*;
use std::os::unix::fs::symlink;

fn write(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
    std::fs::write(path, "text").unwrap();
}

fn folder_with_links() -> (tempfile::TempDir, Folder) {
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
fn file_outside_the_folder_or_hidden_is_refused() {
    let (_all, folder) = folder_with_links();
    for (path, expected) in [
        ("a", None),
        ("./sub/../a", None),
        ("b", None),
        ("sub/b", None),
        ("c", None),
        ("out", Some(FolderError::Outside)),
        ("outer/token", Some(FolderError::Outside)),
        ("outer/.token", Some(FolderError::Hidden)),
        ("null", Some(FolderError::Outside)),
        ("out-broken", Some(FolderError::Outside)),
        ("out-far", Some(FolderError::Outside)),
        ("out-absolute/x", Some(FolderError::Outside)),
        ("outer/gone", Some(FolderError::Outside)),
        ("../home/token", Some(FolderError::Outside)),
        ("../home/gone", Some(FolderError::Outside)),
        ("sub/../../home/token", Some(FolderError::Outside)),
        ("/etc/hostname", Some(FolderError::Outside)),
        ("/no/such/file", Some(FolderError::Outside)),
        (".env", Some(FolderError::Hidden)),
        ("env", Some(FolderError::Hidden)),
        ("git/config", Some(FolderError::Hidden)),
        (".git/gone", Some(FolderError::Hidden)),
        ("gone", Some(FolderError::Missing)),
        ("a/b", Some(FolderError::Missing)),
        ("broken", Some(FolderError::Missing)),
        ("sub", Some(FolderError::NotAFile)),
        ("", Some(FolderError::NotAFile)),
    ] {
        assert_eq!(folder.read(Path::new(path), 9).err(), expected, "{path}");
    }
    assert!(matches!(folder.read(Path::new("loop"), 9), Err(FolderError::Unreadable(_))));
    let absolute = folder.path().join("sub/b");
    assert_eq!(folder.read(&absolute, 9), Ok(b"text".to_vec()));
}

#[test]
fn link_anywhere_in_a_path_is_found() {
    let (_all, folder) = folder_with_links();
    for (path, expected) in [("a", false), ("sub/b", false), ("gone", false), ("b", true), ("outer/token", true)] {
        assert_eq!(folder.has_link(Path::new(path)), expected, "{path}");
    }
}

#[test]
fn file_beyond_the_limit_is_refused() {
    let (_all, folder) = folder_with_links();
    assert_eq!(folder.read(Path::new("a"), 4), Ok(b"text".to_vec()));
    assert_eq!(folder.read(Path::new("a"), 3), Err(FolderError::TooLarge(3)));
    // its metadata says that it has 0 bytes
    assert_eq!(read(Path::new("/proc/self/environ"), 0), Err(FolderError::TooLarge(0)));
}
