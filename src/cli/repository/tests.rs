use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

#[test]
fn paths_are_relative_to_the_root_of_the_repository() {
    let all = tempfile::tempdir().unwrap();
    let path = |name: &str| all.path().join(name);
    for folder in ["repo/.git", "repo/deploy/teams", "loose"] {
        std::fs::create_dir_all(path(folder)).unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
    std::fs::write(path("repo/deploy/teams/real.toml"), "").unwrap();
    symlink("teams/real.toml", path("repo/deploy/link.toml")).unwrap();
    symlink("../loose", path("repo/out")).unwrap();
    let named = |workspace: &str, config: &str, file: &str| {
        let workspace = path(workspace).display().to_string();
        let variables = BTreeMap::from([("GITHUB_WORKSPACE".to_owned(), workspace)]);
        Repository::of(&Context::fixed(variables, 0, 1), &path(config)).path(file)
    };
    for (workspace, config, file, expected) in [
        ("none", "repo/deploy/irsa.toml", "irsa.toml", "deploy/irsa.toml"),
        ("none", "repo/irsa.toml", "teams/x.toml", "teams/x.toml"),
        ("none", "repo/deploy/irsa.toml", "link.toml", "deploy/teams/real.toml"),
        ("repo/deploy", "repo/deploy/irsa.toml", "irsa.toml", "irsa.toml"),
        ("", "repo/deploy/irsa.toml", "irsa.toml", "repo/deploy/irsa.toml"),
        ("loose", "repo/deploy/irsa.toml", "irsa.toml", "deploy/irsa.toml"),
    ] {
        assert_eq!(named(workspace, config, file), expected, "{workspace}, {config}, {file}");
    }
    let loose = path("loose/irsa.toml").display().to_string();
    assert_eq!(named("repo", "loose/irsa.toml", "irsa.toml"), loose, "unchanged outside of a repository");
}
