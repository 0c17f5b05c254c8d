//! Checks the module boundaries: compares the `use` lines of src with the table in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

struct Row {
    rooms: BTreeSet<String>,
    crates: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn words(cell: &str) -> BTreeSet<String> {
    cell.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The table "Which room may use which".
fn table() -> BTreeMap<String, Row> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let section = text.split("## Which room may use which").nth(1).expect("the section").split("\n## ").next();
    let rows = section.into_iter().flat_map(str::lines).filter(|line| line.starts_with("| "));
    let cells = rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .filter(|cells| cells.len() == 3 && cells[0] != "room" && !cells[0].starts_with('-'))
        .map(|cells| (cells[0].to_owned(), Row { rooms: words(cells[1]), crates: words(cells[2]) }))
        .collect()
}

/// Every file of src with its room, without tests and comments.
fn sources() -> Vec<(PathBuf, String, String)> {
    let mut files = Vec::new();
    let mut open = vec![root().join("src")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("src") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut list = Vec::new();
    for path in files {
        let inside = path.strip_prefix(root().join("src")).expect("in src").to_owned();
        let room = inside.iter().next().expect("a name").to_string_lossy().trim_end_matches(".rs").to_owned();
        let is_test = inside.iter().any(|part| ["tests", "tests.rs"].contains(&&*part.to_string_lossy()));
        if is_test || room == "lib" || room == "main" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        list.push((inside, room, code.join("\n")));
    }
    list.sort();
    list
}

/// The first name after every `prefix::`, also if braces hold several.
fn names_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (place, _) in code.match_indices(prefix) {
        let before = code[..place].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[place + prefix.len()..];
        let list = match rest.strip_prefix('{') {
            Some(inside) => {
                let mut depth = 0;
                let end = inside.find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth < 0
                });
                let mut flat = String::new();
                let mut depth = 0;
                for c in inside[..end.unwrap_or(inside.len())].chars() {
                    depth += i32::from(c == '{');
                    if depth == 0 {
                        flat.push(c);
                    }
                    depth -= i32::from(c == '}');
                }
                flat.split(',').map(|name| name.trim().to_owned()).collect()
            }
            None => vec![rest.to_owned()],
        };
        for name in list {
            let word: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !word.is_empty() {
                names.insert(word);
            }
        }
    }
    names
}

#[test]
fn rooms_use_only_the_rooms_in_the_table() {
    let table = table();
    assert!(table.len() >= 15, "the table was not read");
    let mut wrong = Vec::new();
    for (file, room, code) in sources() {
        let Some(row) = table.get(&room) else {
            wrong.push(format!("{}: room `{room}` is not in the table", file.display()));
            continue;
        };
        for name in names_behind(&code, "crate::") {
            if name != room && table.contains_key(&name) && !row.rooms.contains(&name) {
                wrong.push(format!("{}: `{room}` may not know `{name}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_use_only_the_guarded_crates_in_the_table() {
    let table = table();
    let guarded: BTreeSet<&String> = table.values().flat_map(|row| &row.crates).collect();
    let mut wrong = Vec::new();
    for (file, room, code) in sources() {
        for name in &guarded {
            let used = code.match_indices(&format!("{name}::")).any(|(place, _)| {
                !code[..place].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if used && table.get(&room).is_some_and(|row| !row.crates.contains(*name)) {
                wrong.push(format!("{}: `{room}` may not name crate `{name}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Two rooms form a cycle if each uses the other, directly or through other rooms.
#[test]
fn rooms_form_no_cycle() {
    let table = table();
    for start in table.keys() {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = table[start].rooms.iter().collect();
        while let Some(room) = open.pop() {
            assert_ne!(room, start, "`{start}` comes to know itself");
            if seen.insert(room) {
                open.extend(table.get(room).into_iter().flat_map(|row| &row.rooms));
            }
        }
    }
}

/// Expands `a::{b, c::{d, e}}` to `a::b`, `a::c::d` and `a::c::e`.
fn expanded(path: &str) -> Vec<String> {
    let Some((head, list)) = path.split_once('{') else { return vec![path.trim().to_owned()] };
    let list = list.trim_end().strip_suffix('}').unwrap_or(list);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in list.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match parts.last_mut() {
            Some(part) if c != ',' || depth > 0 => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| expanded(&format!("{}{}", head.trim(), part.trim()))).collect()
}

/// The modules that the code of `module` uses, as paths from the crate root.
fn named_paths(module: &[String], code: &str) -> Vec<Vec<String>> {
    let children: BTreeSet<&str> = code
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name))
        .collect();
    let uses = code.split("use ").skip(1).filter_map(|rest| rest.split_once(';')).flat_map(|(path, _)| expanded(path));
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let inline = code.split(|c| !is_path(c)).filter(|word| word.contains("::")).map(str::to_owned);
    let resolve = |path: String| {
        let mut words: Vec<&str> = path.split("::").collect();
        let mut at: Vec<String> = module.to_vec();
        match words.first() {
            Some(&"crate") => at.clear(),
            Some(&("super" | "self")) => {
                while let Some(word) = words.first().filter(|word| ["super", "self"].contains(word)) {
                    if *word == "super" {
                        at.pop();
                    }
                    words.remove(0);
                }
                words.insert(0, "");
            }
            Some(first) if children.contains(first) => words.insert(0, ""),
            _ => return None,
        }
        at.extend(words.into_iter().skip(1).map(str::to_owned));
        Some(at)
    };
    uses.chain(inline).filter_map(resolve).collect()
}

/// Which file uses which file. A module and its submodules count as one: they may use each other.
fn uses_between_files(files: &[(Vec<String>, String)]) -> BTreeMap<&[String], BTreeSet<&[String]>> {
    let modules: BTreeSet<&[String]> = files.iter().map(|(module, _)| module.as_slice()).collect();
    let file_of = |path: &[String]| (1..=path.len()).rev().find_map(|length| modules.get(&path[..length]).copied());
    let mut uses: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for (module, code) in files {
        let named = named_paths(module, code);
        let others = named.iter().filter_map(|path| file_of(path));
        let others = others.filter(|other| !module.starts_with(other) && !other.starts_with(module));
        uses.insert(module, others.collect());
    }
    uses
}

/// The files that use themselves through other files.
fn in_cycles(files: &[(Vec<String>, String)]) -> Vec<String> {
    let uses = uses_between_files(files);
    let comes_back = |start: &&&[String]| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![**start]);
        while let Some(file) = open.pop() {
            for next in &uses[file] {
                if next == *start {
                    return true;
                }
                if seen.insert(*next) {
                    open.push(next);
                }
            }
        }
        false
    };
    uses.keys().filter(comes_back).map(|module| module.join("::")).collect()
}

/// In a cycle of files, a reader of one file must read them all.
#[test]
fn files_form_no_cycle() {
    let module = |path: &Path| path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let files: Vec<(Vec<String>, String)> =
        sources().into_iter().map(|(path, _, code)| (module(&path), code)).collect();
    assert!(uses_between_files(&files).values().map(BTreeSet::len).sum::<usize>() > 500, "the uses were not read");
    let cycles = in_cycles(&files);
    assert!(cycles.is_empty(), "these files use each other in a cycle: {}", cycles.join(", "));
}

#[test]
fn cycle_of_files_is_found() {
    let file = |module: &str, code: &str| (module.split("::").map(str::to_owned).collect(), code.to_owned());
    let files = [
        file("plan", "mod roles;\nmod order;\nuse roles::all;"),
        file("plan::roles", "use super::{order::{first, second}, parts};\nuse std::fmt;"),
        file("plan::order", "fn f() { crate::plan::parts::one() }"),
        file("plan::parts", "use super::roles;"),
        file("plan::alone", "use super::roles::all;"),
    ];
    assert_eq!(in_cycles(&files), ["plan::order", "plan::parts", "plan::roles"]);
    assert_eq!(in_cycles(&files[..3]), [""; 0]);
}

#[test]
fn files_of_src_have_at_most_460_lines() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter_map(|(file, _, _)| {
            let text = fs::read_to_string(root().join("src").join(&file)).expect("a source file");
            let lines = text.lines().count();
            (lines > 460).then(|| format!("{}: {lines} lines", file.display()))
        })
        .collect();
    assert!(long.is_empty(), "about 450 lines are the most:\n{}", long.join("\n"));
}

#[test]
fn used_names_are_found_in_code() {
    let code = "use crate::{ids::Key, model::{live, desired}};\nlet x = crate::world::iam::y;\nuse other_crate::zzz;";
    let names: Vec<String> = names_behind(code, "crate::").into_iter().collect();
    assert_eq!(names, ["ids", "model", "world"]);
}
