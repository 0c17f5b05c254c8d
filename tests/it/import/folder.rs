//! Where `irsa import` writes: everything or nothing, and over nothing.

use super::Scene;
use crate::support::moments::PATIENCE;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A scene with one role and its ServiceAccount.
fn one_role() -> Scene {
    let scene = Scene::new();
    scene.create_pair("reports", "apps", "reports");
    scene
}

#[test]
fn folder_with_other_files_keeps_them() {
    let scene = one_role();
    scene.bench.write("out/README.md", "mine\n");
    scene.import(0, &[]);
    assert_eq!(scene.bench.entries("out"), ["README.md", "irsa.toml", "roles"]);
    assert_eq!(scene.bench.read("out/README.md"), "mine\n");
    scene.import(1, &[]).says("`out/irsa.toml` already exists");
    fs::remove_file(scene.bench.path("out/irsa.toml")).expect("a file");
    scene.import(1, &[]).says("`out/roles` already exists");
    assert_eq!(scene.bench.entries("out"), ["README.md", "roles"]);
}

#[test]
fn link_to_a_folder_is_followed_and_a_link_is_not_overwritten() {
    let scene = one_role();
    let link = |target: &str, name: &str| {
        symlink(scene.bench.path(target), scene.bench.path(name)).expect("a link");
    };
    fs::create_dir(scene.bench.path("real")).expect("a folder");
    link("real", "out");
    scene.import(0, &[]);
    assert_eq!(scene.bench.entries("real"), ["irsa.toml", "roles"]);
    fs::remove_file(scene.bench.path("out")).expect("a link");
    link("gone", "out");
    scene.import(1, &[]).says("cannot write `out`");
    fs::create_dir(scene.bench.path("other")).expect("a folder");
    link("nowhere", "other/irsa.toml");
    scene.bench.ends(1, &["import", "--owner", "x", "-o", "other"]).says("`other/irsa.toml` already exists");
    assert_eq!(scene.bench.entries("other"), ["irsa.toml"]);
}

#[test]
fn folder_that_cannot_be_written_is_refused_before_anything_is_read() {
    let scene = one_role();
    scene.bench.write("out", "a file\n");
    scene.world.clear_log();
    scene.import(1, &[]).says("`out` is not a folder");
    scene.bench.ends(1, &["import", "--owner", "x", "-o", "out/below"]).says("out/below");
    let locked = scene.bench.path("locked");
    fs::create_dir(&locked).expect("a folder");
    let mode = |mode| fs::set_permissions(&locked, fs::Permissions::from_mode(mode)).expect("a mode");
    mode(0o500);
    // the superuser may write anywhere
    if fs::write(locked.join("probe"), "").is_err() {
        scene.bench.ends(1, &["import", "--owner", "x", "-o", "locked/new"]).says("cannot write `locked/new`");
    }
    mode(0o700);
    assert_eq!(scene.world.actions(), [""; 0]);
}

#[test]
fn interrupted_or_killed_import_leaves_nothing_that_the_next_one_refuses() {
    let scene = one_role();
    let held = || {
        let (reached, release) = scene.world.hold("ListRoles");
        let running = scene.bench.start(&["import", "--owner", "platform", "-o", "deep/out"]);
        reached.recv_timeout(PATIENCE).expect("a request");
        (running, release)
    };
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (running, release) = held();
        running.signal(signal);
        let run = running.ends();
        assert_eq!(run.code, code, "{run}");
        drop(release);
        assert!(!scene.bench.path("deep").exists(), "{run}");
    }
    let (running, release) = held();
    running.kill();
    drop(release);
    scene.world.allow_all();
    // only a hidden folder, which nothing reads
    assert!(scene.bench.entries("deep/out").iter().all(|name| name.starts_with('.')));
    scene.bench.ends(0, &["import", "--owner", "platform", "-o", "deep/out"]);
    scene.bench.ends(0, &["-c", "deep/out/irsa.toml", "validate"]);
}

#[test]
fn file_that_appears_during_the_run_is_kept_and_nothing_is_written_beside_it() {
    let scene = one_role();
    let (reached, release) = scene.world.hold("ListRoles");
    let running = scene.bench.start(&["import", "--owner", "platform", "-o", "out"]);
    reached.recv_timeout(PATIENCE).expect("a request");
    scene.bench.write("out/irsa.toml", "# mine\n");
    release.send(()).expect("irsa waits");
    let run = running.ends();
    assert_eq!(run.code, 1, "{run}");
    run.says("`out/irsa.toml` already exists");
    assert_eq!(scene.bench.entries("out"), ["irsa.toml"]);
    assert_eq!(scene.bench.read("out/irsa.toml"), "# mine\n");
}

#[test]
fn folder_with_a_space_is_quoted_in_the_hints() {
    let scene = one_role();
    let run = scene.bench.ends(0, &["import", "--owner", "platform", "-o", "a b"]);
    run.says("`irsa validate -c 'a b/irsa.toml'` and `irsa plan -c 'a b/irsa.toml' --adopt`");
}
