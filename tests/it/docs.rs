//! Checks the documentation against the program: runs the commands of the pages, validates their configurations, and
//! compares every flag, key, exit code, rule, metric, permission and message that they name.
//!
//! In a page, a shell runs the lines of a `console` block that begin with `$`, in a folder of that page, against a
//! sandbox with the cluster `prod` (namespace `reporting`). A `toml` block is a whole `irsa.toml`, and stays in that
//! folder for the commands after it; `toml fragment` is a part of one. `…` in the output of a command stands for any
//! text within a line, and alone on a line for any lines. `IRSA_BLESS=1` rewrites the blocks that differ.

use crate::support::program::{Bench, irsa};
use crate::support::python;
use crate::support::world::{World, create_namespaces_in};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod names;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files in a folder and below it that have this ending, as paths from the root.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let entry = entry.expect("an entry");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files(&name, ending));
        } else if name.ends_with(ending) {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// Every page, with its path from the root.
fn pages() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    names.extend(files("docs", ".md"));
    names.extend(files("examples", ".md"));
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

/// A line of a page: either a line of a fenced block, with the info string of the fence, or a line of text.
struct Line<'a> {
    number: usize,
    fence: Option<&'a str>,
    text: &'a str,
}

/// The lines of a page without the fences.
fn lines(page: &str) -> Vec<Line<'_>> {
    let mut fence = None;
    let mut found = Vec::new();
    for (index, text) in page.lines().enumerate() {
        match text.strip_prefix("```") {
            Some(_) if fence.is_some() => fence = None,
            Some(info) => fence = Some(info.trim()),
            None => found.push(Line { number: index + 1, fence, text }),
        }
    }
    found
}

/// The fenced blocks of a page: the info string, and the range of lines between the fences, counted from 0.
fn blocks(page: &str) -> Vec<(&str, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    for (index, text) in page.lines().enumerate() {
        let Some(info) = text.strip_prefix("```") else { continue };
        match open.take() {
            Some((info, start)) => found.push((info, start..index)),
            None => open = Some((info.trim(), index + 1)),
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    found
}

/// A folder in which the commands of a page run.
struct Shell {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    _world: World,
}

impl Shell {
    fn new() -> Self {
        let (world, folder) = (World::with_cluster("prod"), tempfile::tempdir().expect("a folder"));
        create_namespaces_in(&world.cluster("prod"), &["reporting"]);
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = irsa().parent().expect("a folder").display().to_string();
        let mut environment = world.environment_with_issuers();
        environment.extend([
            ("PATH".to_owned(), format!("{programs}:{}:{path}", python::bin().display())),
            ("HOME".to_owned(), folder.path().display().to_string()),
            ("NO_COLOR".to_owned(), "1".to_owned()),
            ("AWS_PAGER".to_owned(), String::new()),
        ]);
        Self { folder, environment, _world: world }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("it is writable");
    }

    /// Runs the line and returns stdout and stderr in the order in which they arrive, without what differs from run to
    /// run.
    fn run(&self, line: &str) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 2>&1\n{line}")]).env_clear().envs(&self.environment);
        let output = command.current_dir(self.folder.path()).output().expect("sh runs");
        let text = settled(&String::from_utf8_lossy(&output.stdout));
        if output.status.success() { Ok(text) } else { Err(format!("`{line}` ends with {}\n{text}", output.status)) }
    }
}

/// The text with `…` in place of the ids of issuers and of digests.
fn settled(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
            continue;
        }
        let upper = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
        let varies = match word.len() {
            32 => word.chars().all(upper),
            64 => word.chars().all(|c| c.is_ascii_hexdigit()),
            _ => false,
        };
        out.push_str(if varies { "…" } else { &word });
        word.clear();
        out.push(letter);
    }
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// Whether the shown lines, with their `…`, match the printed lines.
fn shows(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => (0..=printed.len()).any(|skipped| shows(rest, &printed[skipped..])),
        (Some((first, shown)), Some((line, printed))) => within(first, line) && shows(shown, printed),
        _ => false,
    }
}

fn within(shown: &str, printed: &str) -> bool {
    let mut rest = printed;
    let mut pieces = shown.split('…').peekable();
    let Some(after) = rest.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    rest = after;
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// Runs a `console` block. Returns the block with the real output, and whether the page already matches it.
fn played(shell: &Shell, block: &[&str]) -> Result<(Vec<String>, bool), String> {
    let (mut after, mut right) = (Vec::new(), true);
    let starts: Vec<usize> = (0..block.len()).filter(|&index| block[index].starts_with("$ ")).collect();
    if starts.first() != Some(&0) {
        return Err("a `console` block begins with a line `$ …`".to_owned());
    }
    for (number, &start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(block.len());
        let shown = block[start + 1..end].to_vec();
        let printed = shell.run(&block[start][2..])?;
        let printed: Vec<&str> = printed.lines().collect();
        after.push(block[start].to_owned());
        if shows(&shown, &printed) {
            after.extend(shown.into_iter().map(str::to_owned));
        } else {
            right = false;
            after.extend(printed.into_iter().map(str::to_owned));
        }
    }
    Ok((after, right))
}

#[test]
fn page_with_wrong_output_is_found() {
    let printed = ["Plan: 3 to create", "", "+ role/reports created"];
    for right in [&printed[..], &["…"], &["…", "+ role/… created"], &["Plan: … to create", "…"], &["…", "", "…"]]
    {
        assert!(shows(right, &printed), "{right:?}");
    }
    let wrong: [&[&str]; 5] = [
        &[],
        &["Plan: 3 to create"],
        &["Plan: … to delete", "…"],
        &["…", "+ role/reports deleted"],
        &["Plan: 3 to create", "", "+ role/…s create"],
    ];
    for wrong in wrong {
        assert!(!shows(wrong, &printed), "{wrong:?}");
    }
    let shell = Shell::new();
    shell.write("irsa.toml", "owner = \"me\"\n");
    let (after, right) = played(&shell, &["$ irsa plan", "Plan: 9 to create"]).expect("it runs");
    assert!(!right && after.len() > 1 && !after.contains(&"Plan: 9 to create".to_owned()), "{after:?}");
    assert!(
        played(&shell, &["$ irsa validate --config missing.toml"]).is_err(),
        "a command that fails is shown to fail"
    );
}

#[test]
fn commands_print_what_the_pages_show() {
    let bless = std::env::var_os("IRSA_BLESS").is_some();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (name, page) in pages() {
        let blocks = blocks(&page);
        if !blocks.iter().any(|(info, _)| *info == "console") {
            continue;
        }
        let (shell, lines) = (Shell::new(), page.lines().collect::<Vec<_>>());
        let (mut text, mut copied, mut right) = (Vec::new(), 0, true);
        for (info, range) in blocks {
            let block = &lines[range.clone()];
            match info {
                "toml" => shell.write("irsa.toml", &(block.join("\n") + "\n")),
                "console" => {
                    count += 1;
                    let place = format!("{name}:{}", range.start);
                    let (after, same) = played(&shell, block).unwrap_or_else(|error| panic!("{place}: {error}"));
                    if !same {
                        wrong.push(format!(
                            "{place} shows\n{}\nand the program prints\n{}",
                            block.join("\n"),
                            after.join("\n")
                        ));
                    }
                    right &= same;
                    text.extend(lines[copied..range.start].iter().map(|line| (*line).to_owned()));
                    text.extend(after);
                    copied = range.end;
                }
                _ => {}
            }
        }
        text.extend(lines[copied..].iter().map(|line| (*line).to_owned()));
        if bless && !right {
            fs::write(root().join(&name), text.join("\n") + "\n").expect("the pages are writable");
        }
    }
    assert!(count >= 5, "{count} blocks were run");
    assert!(bless || wrong.is_empty(), "run the test with IRSA_BLESS=1, or mend:\n{}", wrong.join("\n\n"));
}

/// What a fragment may refer to.
const AROUND: &str = r#"
owner = "platform"
[accounts.prod]
id = "111122223333"
[accounts.dev]
id = "444455556666"
[clusters]
dev = { account = "dev", region = "eu-west-1" }
prod = { account = "prod", region = "eu-west-1" }
prod-eu = { account = "prod", region = "eu-west-1" }
prod-us = { account = "prod", region = "us-east-1" }
metal = { account = "prod", issuer = "https://oidc.example.com/metal" }
old = { account = "prod", region = "eu-west-1", state = "gone" }
[policies.read-bucket]
file = "policies/read-bucket.json"
[roles]
reports = { account = "prod", cluster = "prod-eu", service-accounts = ["around/reports"] }
reports-dev = { cluster = "dev", permissions-boundary = "none", service-accounts = ["around/reports-dev"] }
runner = { account = "prod", cluster = "prod-eu", service-accounts = ["around/runner"] }
"#;
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::reports/*"}]}"#;

/// Merges a fragment into the surrounding configuration. The fragment's value counts if both have a key.
fn merge(around: &mut toml::Table, fragment: toml::Table) {
    for (key, value) in fragment {
        match (around.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(table)) => merge(below, table),
            (_, value) => drop(around.insert(key, value)),
        }
    }
}

#[test]
fn configurations_in_the_pages_are_valid() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (name, page) in pages() {
        let lines: Vec<&str> = page.lines().collect();
        for (info, range) in blocks(&page).into_iter().filter(|(info, _)| info.starts_with("toml")) {
            let mut text = lines[range.clone()].join("\n");
            if info == "toml fragment" {
                let mut whole: toml::Table = AROUND.parse().expect("TOML");
                match text.parse() {
                    Ok(fragment) => merge(&mut whole, fragment),
                    Err(error) => wrong.push(format!("{name}:{}: {error}", range.start)),
                }
                text = whole.to_string();
            }
            let bench = Bench::with(BTreeMap::from([("AWS_REGION".to_owned(), "eu-west-1".to_owned())]), &text);
            bench.write("policies/read-bucket.json", POLICY);
            let run = bench.irsa(&["validate", "--deny", "none"]);
            if run.code != 0 {
                wrong.push(format!("{name}:{}: {run}", range.start));
            }
            count += 1;
        }
    }
    assert!(count > 20, "{count} configurations were checked");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn json_and_yaml_in_the_pages_are_well_formed() {
    let mut count = 0;
    for (name, page) in pages() {
        let lines: Vec<&str> = page.lines().collect();
        for (info, range) in blocks(&page) {
            let text = lines[range.clone()].join("\n");
            let wrong = match info {
                "json" => serde_json::from_str::<serde_json::Value>(&text).err().map(|error| error.to_string()),
                "yaml" => serde_saphyr::from_multiple::<serde_json::Value>(&text).err().map(|error| error.to_string()),
                _ => continue,
            };
            assert_eq!(wrong, None, "{name}:{}", range.start);
            count += 1;
        }
    }
    assert!(count > 5, "{count} blocks were read");
}

/// The anchor that GitHub and similar sites give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = lines(page).into_iter().filter(|line| line.fence.is_none() && line.text.starts_with('#'));
    headings.map(|line| anchor(line.text.trim_start_matches('#'))).collect()
}

#[test]
fn links_and_anchors_have_a_target() {
    let (pages, mut broken) = (pages(), Vec::new());
    for (name, page) in &pages {
        let folder = root().join(name).parent().map(PathBuf::from).expect("a folder");
        for line in lines(page).into_iter().filter(|line| line.fence.is_none()) {
            for link in line.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                if link.contains("://") {
                    continue;
                }
                let target = if file.is_empty() { root().join(name) } else { folder.join(file) };
                let leads = target.exists()
                    && (anchor.is_empty()
                        || fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor)));
                if !leads {
                    broken.push(format!("{name}:{}: {link}", line.number));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Every page that a message or a comment of the program names must exist.
#[test]
fn pages_that_the_program_names_exist() {
    let mut missing = Vec::new();
    for file in files("src", ".rs").into_iter().chain(files("src", ".toml")) {
        let text = read(&file);
        for rest in text.split("docs/").skip(1) {
            let end = rest.find(".md").map(|end| &rest[..end]).unwrap_or_default();
            let word = |c: char| c.is_ascii_lowercase() || matches!(c, '-' | '/');
            if !end.is_empty() && end.chars().all(word) && !root().join(format!("docs/{end}.md")).exists() {
                missing.push(format!("{file}: docs/{end}.md"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
