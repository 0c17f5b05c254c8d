//! Names in the pages must exist in the program.

use super::{files, lines, pages, read};
use crate::support::program::Bench;
use std::collections::{BTreeMap, BTreeSet};

/// Flags of other programs that the pages mention alone.
const OF_OTHERS: [&str; 2] = ["--audience", "--empty"];

/// The code of a page: its inline code and the lines of its blocks, each with its position.
fn code(name: &str, page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in lines(page) {
        let place = format!("{name}:{}", line.number);
        match line.fence {
            Some("" | "console" | "sh" | "bash") => found.push((place, line.text.to_owned())),
            Some(_) => {}
            None => {
                let spans = line.text.split('`').skip(1).step_by(2);
                found.extend(spans.map(|span| (place.clone(), span.to_owned())));
            }
        }
    }
    found
}

/// The source of the program without its tests. Joins strings that span several lines.
fn source() -> String {
    let names = files("src", ".rs").into_iter().filter(|name| !name.contains("/tests"));
    let mut all = String::new();
    for name in names {
        let text = read(&name);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut line = line.to_owned();
            while line.ends_with('\\') {
                line.pop();
                line.push_str(lines.next().unwrap_or_default().trim_start());
            }
            all.push_str(&line);
            all.push('\n');
        }
    }
    all
}

/// The words in a text that begin with `start` and continue with these letters.
fn words<'a>(text: &'a str, start: &str, letter: impl Fn(char) -> bool) -> BTreeSet<&'a str> {
    let places = text.match_indices(start).map(|(at, _)| at);
    let fresh = places.filter(|&at| !text[..at].ends_with(|c: char| letter(c)));
    fresh.map(|at| &text[at..at + text[at..].find(|c| !letter(c)).unwrap_or(text.len() - at)]).collect()
}

fn flag(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter == '-'
}

#[test]
fn commands_and_flags_are_those_of_the_help() {
    let help = read("docs/commands.md");
    let (_, help) = help.split_once("## irsa\n").expect("the help of every command");
    let known = words(help, "--", flag);
    let commands: BTreeSet<&str> =
        help.lines().filter_map(|line| line.strip_prefix("## irsa ")).chain(["help", "COMMAND"]).collect();
    let mut unknown = Vec::new();
    for (name, page) in pages() {
        for (place, code) in code(&name, &page) {
            let line = code.strip_prefix("$ ").unwrap_or(&code);
            let own = line.starts_with("--");
            let Some(rest) = line.strip_prefix("irsa ").or(own.then_some(line)) else { continue };
            let end = rest.find([';', '|', '#', '>']).unwrap_or(rest.len());
            let command = rest.split_whitespace().next().unwrap_or_default();
            if !own && command.chars().all(|c| c.is_ascii_alphabetic()) && !commands.contains(command) {
                unknown.push(format!("{place}: irsa {command}"));
            }
            let flags = words(&rest[..end], "--", flag);
            unknown.extend(
                flags
                    .into_iter()
                    .filter(|flag| !known.contains(flag) && *flag != "--" && !OF_OTHERS.contains(flag))
                    .map(|flag| format!("{place}: {flag}")),
            );
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// Each command has exactly the formats that the table lists for it.
#[test]
fn formats_are_those_of_each_command() {
    let page = read("docs/commands.md");
    let (_, section) = page.split_once("\n## Output formats\n").expect("the formats");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let rows = section.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `--format`"));
    let bench = Bench::new(BTreeMap::new());
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (format, listed) = (cells[1].trim_matches('`'), cells[3]);
        for command in ["validate", "plan", "apply", "drift", "show", "verify"] {
            let mut line = vec![command, "--format", format];
            line.extend((command == "show").then_some("no-such-file"));
            let has = !bench.irsa(&line).stderr.contains("has no `--format");
            assert_eq!(has, listed == "all" || listed.split(", ").any(|it| it == command), "{command} {format}");
            count += 1;
        }
    }
    assert_eq!(count, 48);
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let table = read("src/error.rs");
    let (_, table) = table.split_once("pub fn code").expect("the table of codes");
    let (table, _) = table.split_once("\n    }\n").expect("its end");
    let codes: BTreeSet<&str> =
        table.split("=> ").skip(1).filter_map(|rest| rest.split(',').next()).filter(|code| is_number(code)).collect();
    let page = read("docs/commands.md");
    let (_, rows) = page.split_once("## Exit codes").expect("the exit codes");
    let (rows, _) = rows.split_once("\n## ").expect("another section");
    let rows = rows.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let listed: BTreeSet<&str> = rows.flat_map(|cell| cell.split(", ")).filter(|cell| is_number(cell)).collect();
    assert_eq!(listed, codes);
    let mut unknown = Vec::new();
    for (name, page) in pages() {
        for line in lines(&page) {
            for start in ["exits ", "exit ", "exit code ", "exits with ", "exit with "] {
                for rest in line.text.split(start).skip(1) {
                    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    if end > 0 && !codes.contains(&rest[..end]) {
                        unknown.push(format!("{name}:{}: {start}{}", line.number, &rest[..end]));
                    }
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// Checks `key = …` and `[table]` in the text, and the first column of the tables of keys.
#[test]
fn keys_are_those_of_the_schema() {
    let bench = Bench::new(BTreeMap::new());
    let schema = bench.ends(0, &["schema", "config"]).json();
    let mut keys = BTreeSet::new();
    collect(&schema, &mut keys);
    let mut unknown = Vec::new();
    for (name, page) in pages() {
        let mut of_keys = false;
        for line in lines(&page).into_iter().filter(|line| line.fence.is_none()) {
            of_keys = line.text.starts_with("| key |") || (of_keys && line.text.starts_with('|'));
            let spans: Vec<&str> = line.text.split('`').skip(1).step_by(2).collect();
            let mut named: Vec<&str> =
                spans.iter().filter_map(|span| span.split_once(" = ").map(|(key, _)| key)).collect();
            named.extend(spans.iter().filter_map(|span| {
                let table = span.strip_prefix('[')?.trim_start_matches('[');
                table.find(['.', ']']).map(|end| &table[..end]).filter(|_| span.ends_with(']'))
            }));
            if of_keys && line.text.starts_with("| `") {
                let cell = line.text[2..].split(" |").next().unwrap_or_default();
                named.extend(cell.split('`').skip(1).step_by(2));
            }
            let keyed = named.into_iter().filter(|key| !key.is_empty() && key.chars().all(flag));
            let wrong = keyed.filter(|key| !keys.contains(*key));
            unknown.extend(wrong.map(|key| format!("{name}:{}: {key}", line.number)));
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

fn collect(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        keys.extend(properties.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(object) => object.values().for_each(|value| collect(value, keys)),
        serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, keys)),
        _ => {}
    }
}

#[test]
fn lint_rules_are_those_of_the_program() {
    let page = read("docs/lint-rules.md");
    let known: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## IRSA")).collect();
    for (name, page) in pages() {
        for id in page.split("IRSA").skip(1).filter_map(|rest| rest.get(..3)).filter(|id| is_number(id)) {
            assert!(known.contains(id), "{name}: IRSA{id}");
        }
    }
}

/// The first column of the table of notes lists every note of the planner.
#[test]
fn notes_are_those_of_the_program() {
    let source = source();
    let page = read("docs/troubleshooting.md");
    let (_, section) = page.split_once("\n## Notes").expect("the notes");
    let listed: BTreeSet<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let told = source.split(".note(").skip(1).filter_map(|rest| {
        let (call, _) = rest.split_once(';')?;
        let (severity, rest) = call.split_once("Severity::")?.1.split_once(", \"")?;
        severity.chars().all(|c| c.is_ascii_alphabetic()).then(|| rest.split('"').next()).flatten()
    });
    let mut told: BTreeSet<&str> = told.collect();
    told.extend(source.split("const RULE: &str = \"").skip(1).filter_map(|rest| rest.split('"').next()));
    told.extend(source.split("FOREIGN_TRUST: &str = \"").skip(1).filter_map(|rest| rest.split('"').next()));
    assert_eq!(listed, told);
}

/// The first column of each table of messages holds what the program prints, with `…` for what it fills in.
#[test]
fn messages_are_those_of_the_program() {
    let source = source();
    let page = read("docs/troubleshooting.md");
    let mut of_messages = false;
    let (mut unknown, mut count) = (Vec::new(), 0);
    for line in lines(&page) {
        of_messages = line.text.starts_with("| message |") || (of_messages && line.text.starts_with('|'));
        let Some(message) = line.text.strip_prefix("| `").filter(|_| of_messages) else { continue };
        let message = message.split("` |").next().unwrap_or_default();
        count += 1;
        let pieces = message.split('…').filter(|piece| piece.trim().len() > 2);
        unknown
            .extend(pieces.filter(|piece| !source.contains(*piece)).map(|piece| format!("{}: {piece}", line.number)));
    }
    assert!(count > 15, "{count} messages");
    assert!(unknown.is_empty(), "docs/troubleshooting.md:\n{}", unknown.join("\n"));
}

#[test]
fn metrics_are_those_of_the_program() {
    let letter = |c: char| c.is_ascii_lowercase() || c == '_';
    let (source, page) = (read("src/cli/metrics.rs"), read("docs/drift.md"));
    let (source, _) = source.split_once("#[cfg(test)]").unwrap_or((&source, ""));
    assert_eq!(words(&page, "irsa_", letter), words(source, "irsa_", letter));
}

/// The actions of IAM and EKS that a text names.
fn actions(text: &str) -> BTreeSet<String> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let named = ["iam:", "eks:"].into_iter().flat_map(|service| words(text, service, letter));
    named.filter(|action| action.len() > 4).map(str::to_owned).collect()
}

/// The text below a heading of the permissions page.
fn permissions(heading: &str) -> String {
    let page = read("docs/permissions.md");
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).expect("the heading");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The policies of the page allow exactly the actions that the program calls.
#[test]
fn permissions_are_those_that_the_program_calls() {
    let apply = permissions("AWS: to apply");
    let (apply, _) = apply.split_once("\n### ").expect("what is outside the default path");
    let plan = permissions("AWS: to plan");
    let (plan, _) = plan.split_once("`sts:").expect("what follows the policy");
    let allowed: BTreeSet<String> = actions(plan).into_iter().chain(actions(apply)).collect();
    let source = source();
    let mut called = BTreeSet::from(["eks:DescribeCluster".to_owned()]);
    let named = |rest: &str| Some(format!("iam:{}", rest.split('"').next()?));
    called.extend(source.split("Action::iam(\"").skip(1).filter_map(named));
    let (_, writes) = source.split_once("impl IamCall").expect("the writes");
    let (_, writes) = writes.split_once("fn row").expect("the table of all writes");
    let (writes, _) = writes.split_once("\n    }\n").expect("its end");
    called.extend(writes.split("(\"").skip(1).filter_map(named));
    assert!(called.len() > 30, "{called:?}");
    assert_eq!(allowed, called);
}

#[test]
fn permissions_of_import_and_verify_are_those_that_they_call() {
    let source = source();
    let called = source.split("Action { service: \"eks\", name: \"").skip(1);
    let called: BTreeSet<String> = called.filter_map(|rest| Some(format!("eks:{}", rest.split('"').next()?))).collect();
    let mut named = actions(&permissions("AWS: to import"));
    named.extend(actions(&permissions("Verify")));
    named.insert("eks:DescribeCluster".to_owned());
    assert_eq!(named, called);
}

/// A shard reads what `irsa plan` reads, except what the page lists.
#[test]
fn permissions_of_a_shard_are_those_of_the_example() {
    let plan = permissions("AWS: to plan");
    let (plan, _) = plan.split_once("`sts:").expect("what follows the policy");
    let without = actions(&permissions("For shards"));
    let reads: BTreeSet<String> = actions(plan).difference(&without).cloned().collect();
    assert_eq!(actions(&read("examples/fleet/policy-read.json")), reads);
}
