use super::*;
use std::os::unix::fs::symlink;

fn folder_with_links() -> (tempfile::TempDir, Folder) {
    let all = tempfile::tempdir().unwrap();
    for file in [
        "in/a.toml",
        "in/b.txt",
        "in/teams/x.toml",
        "in/teams/y.toml",
        "in/teams/deep/er/z.toml",
        "in/teams/.hidden.toml",
        "in/.git/config.toml",
        "in/folder.toml/c.toml",
        "out/secret.toml",
    ] {
        let path = all.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "tests write what is found")]
        std::fs::write(path, "").unwrap();
    }
    for (target, link) in [
        ("../out", "in/away"),
        ("../out/secret.toml", "in/out.toml"),
        (".git", "in/git"),
        ("teams", "in/crews"),
        ("..", "in/teams/up"),
        ("gone", "in/teams/broken.toml"),
    ] {
        symlink(target, all.path().join(link)).unwrap();
    }
    let folder = Folder::at(&all.path().join("in")).unwrap();
    (all, folder)
}

#[test]
fn glob_matches_what_a_shell_would_match_in_the_folder() {
    let (_all, folder) = folder_with_links();
    for (pattern, expected) in [
        ("a.toml", &["a.toml"][..]),
        ("*.toml", &["a.toml", "out.toml"]),
        ("[!a]*.toml", &["out.toml"]),
        ("?.toml", &["a.toml"]),
        ("teams/*.toml", &["teams/broken.toml", "teams/x.toml", "teams/y.toml"]),
        ("crews/?.toml", &["crews/x.toml", "crews/y.toml"]),
        ("*/x.toml", &["crews/x.toml", "teams/x.toml"]),
        ("teams/up/a.toml", &["teams/up/a.toml"]),
        ("**/z.toml", &["teams/deep/er/z.toml"]),
        ("**/**/**/[xz].toml", &["teams/deep/er/z.toml", "teams/x.toml"]),
        ("**/folder.toml/*.toml", &["folder.toml/c.toml"]),
        ("folder.toml", &[]),
        ("gone.toml", &[]),
        ("gone/*.toml", &[]),
        ("a.toml/x.toml", &[]),
        // files outside the folder and hidden files match nothing
        ("*/secret.toml", &[]),
        ("**/secret.toml", &[]),
        ("*/config.toml", &[]),
        ("**/config.toml", &[]),
        ("teams/?hidden.toml", &[]),
        ("teams/[.]hidden.toml", &[]),
        ("[.]git/*.toml", &[]),
    ] {
        assert_eq!(
            matching(&folder, pattern),
            Ok(expected.iter().map(|name| (*name).to_owned()).collect()),
            "{pattern}"
        );
    }
}

#[test]
fn glob_that_leads_out_or_to_hidden_or_other_files_is_refused() {
    let (_all, folder) = folder_with_links();
    for (pattern, why) in [
        ("away/*.toml", "leads out of"),
        ("away/secret.toml", "leads out of"),
        ("git/config.toml", "begin with a dot"),
        ("git/*.toml", "begin with a dot"),
        (".git/config.toml", "begin with a dot"),
        ("teams/.hidden.toml", "begin with a dot"),
        ("teams/.*.toml", "begin with a dot"),
        ("*", "end in `.toml`"),
        ("**", "end in `.toml`"),
        ("teams/*", "end in `.toml`"),
        ("*.tom[l]", "end in `.toml`"),
        ("b.txt", "end in `.toml`"),
        ("a[", "invalid range"),
        ("x***.toml", "wildcards"),
        (&format!("{}.toml", "*?".repeat(5000)), "more than 4096"),
    ] {
        let refused = matching(&folder, pattern).expect_err(pattern);
        assert!(refused.contains(why), "{pattern}: {refused}");
    }
}
