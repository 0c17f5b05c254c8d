//! Checks README's commands, the command reference and the examples.

use crate::support::program::Bench;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn readme_has_the_sandbox_commands() {
    let readme = read("README.md");
    for command in ["cargo run -p sandbox", "cargo test --workspace --locked"] {
        assert!(readme.lines().any(|line| line == command), "`{command}` is a line of README.md");
        assert!(read(".ci/run").contains(command), "`{command}` is run by .ci/run");
    }
}

/// From its heading `irsa` on, `docs/commands.md` is the help text of every command, word for word. `IRSA_BLESS=1`
/// rewrites it.
#[test]
fn command_reference_is_the_help_text() {
    let bench = Bench::new(BTreeMap::new());
    let page = read("docs/commands.md");
    let (by_hand, _) = page.split_once("\n## irsa\n").expect("a heading `irsa`");
    let mut text = by_hand.to_owned();
    let top = bench.ends(0, &["--help"]).stdout;
    let names: Vec<String> = top
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .expect("the list of commands")
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    assert_eq!(
        names,
        [
            "init",
            "import",
            "validate",
            "plan",
            "apply",
            "drift",
            "show",
            "access",
            "verify",
            "explain",
            "schema",
            "completions",
            "man"
        ]
    );
    let block = format!("\n## irsa\n\n```\n{}\n```\n", trimmed(&top));
    text.push_str(&block);
    for name in &names {
        let help = bench.ends(0, &[name, "--help"]).stdout;
        let own = help.split("\nGlobal options:").next().unwrap_or(&help);
        let block = format!("\n## irsa {name}\n\n```\n{}\n```\n", trimmed(own));
        text.push_str(&block);
    }
    let path = root().join("docs/commands.md");
    if std::env::var_os("IRSA_BLESS").is_some() {
        fs::write(&path, &text).expect("docs/ is writable");
    }
    assert_eq!(read("docs/commands.md"), text, "docs/commands.md is not the help: run the test with IRSA_BLESS=1");
}

fn trimmed(text: &str) -> String {
    text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Every folder under examples/ with an `irsa.toml`.
fn examples() -> Vec<PathBuf> {
    let folders = fs::read_dir(root().join("examples")).expect("examples/");
    let mut list: Vec<PathBuf> =
        folders.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("irsa.toml").is_file()).collect();
    list.sort();
    list
}

#[test]
fn every_example_is_valid_and_explained() {
    let examples = examples();
    assert!(examples.len() >= 3, "{examples:?}");
    let bench = Bench::new(BTreeMap::new());
    for example in examples {
        let file = example.join("irsa.toml").display().to_string();
        bench.ends(0, &["validate", "--config", &file]).says("is valid");
        assert!(example.join("README.md").is_file(), "{file} has a README.md beside it");
    }
    bench.ends(0, &["validate", "--config", &root().join("irsa.toml.example").display().to_string()]);
}
