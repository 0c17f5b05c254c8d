//! Where results go: files of every kind, stdout for one document at a time, and annotations on lines of a repository.

use crate::ownership::{Scene, role};
use crate::support::program::{Bench, Run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const VALID: &str = "owner = \"me\"\n[clusters.main]\n[roles.app]\nservice-accounts = [\"apps/app\"]\n";

fn offline(text: &str) -> Bench {
    Bench::with(BTreeMap::new(), text)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// Flags that name an output file: the arguments, the exit code, and a part of what irsa writes.
fn flags() -> [(Vec<&'static str>, i32, &'static str); 5] {
    let drift = vec!["drift", "--confirm-after", "0s"];
    [
        (vec!["plan", "-o"], 0, "\"plan-digest\""),
        (vec!["plan", "--json-into"], 0, "\"plan-digest\""),
        ([drift.clone(), vec!["--metrics-file"]].concat(), 2, "irsa_last_run_exit_code{owner=\"me\"} 2"),
        ([drift, vec!["--json-into"]].concat(), 2, "\"plan-digest\""),
        (vec!["validate", "--json-into"], 0, "\"valid\": true"),
    ]
}

/// A configuration with a role that does not exist yet.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene
}

fn with<'a>(line: &[&'a str], path: &'a str) -> Vec<&'a str> {
    line.iter().copied().chain([path]).collect()
}

#[test]
fn symlink_is_kept_and_its_target_replaced() {
    let scene = scene();
    let bench = &scene.bench;
    fs::create_dir(bench.path("far")).expect("a folder");
    for (index, (line, code, text)) in flags().into_iter().enumerate() {
        let (link, real) = (format!("link{index}"), format!("far/real{index}"));
        symlink(&real, bench.path(&link)).expect("a link");
        // the first time the link dangles; the second time its target exists, with other permissions
        for _ in 0..2 {
            bench.ends(code, &with(&line, &link));
            assert!(bench.path(&link).is_symlink(), "{line:?}");
            assert!(bench.read(&real).contains(text), "{line:?}: {}", bench.read(&real));
            let most = if line.contains(&"--metrics-file") { 0o644 } else { 0o600 };
            assert_eq!(mode(&bench.path(&real)) & !most, 0, "{line:?}");
            fs::set_permissions(bench.path(&real), Permissions::from_mode(0o666)).expect("it is ours");
        }
    }
    let left = bench.entries("far");
    assert!(left.iter().all(|name| name.starts_with("real")), "{left:?}");
}

#[test]
fn device_and_named_pipe_are_written_to_and_kept() {
    let scene = scene();
    let bench = &scene.bench;
    // through a link, never the device itself: a broken irsa would replace the device
    symlink("/dev/null", bench.path("null")).expect("a link");
    let made = Command::new("mkfifo").arg(bench.path("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    for (line, code, text) in flags() {
        bench.ends(code, &with(&line, "null"));
        assert!(bench.path("null").is_symlink(), "{line:?}");
        let reader = Command::new("cat").arg(bench.path("pipe")).stdout(Stdio::piped()).spawn().expect("cat runs");
        bench.ends(code, &with(&line, "pipe"));
        let read = reader.wait_with_output().expect("it ends").stdout;
        assert!(String::from_utf8_lossy(&read).contains(text), "{line:?}");
        let kind = fs::symlink_metadata(bench.path("pipe")).expect("it is there").file_type();
        assert!(kind.is_fifo(), "{line:?}");
    }
}

#[test]
fn signal_ends_a_run_whose_pipe_nobody_reads() {
    let scene = scene();
    let made = Command::new("mkfifo").arg(scene.bench.path("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    let running = scene.bench.start(&["plan", "-o", "pipe", "--no-progress", "-v"]);
    running.says("requests sent");
    running.signal("TERM");
    let run = running.ends();
    assert_eq!(run.code, 143, "{run}");
}

#[test]
fn impossible_output_path_is_refused_before_any_request() {
    let scene = scene();
    let bench = &scene.bench;
    fs::create_dir(bench.path("folder")).expect("a folder");
    let _socket = UnixListener::bind(bench.path("socket")).expect("a socket");
    symlink("loop", bench.path("loop")).expect("a link");
    for line in flags().into_iter().map(|(line, ..)| line).chain([vec!["apply", "--auto-approve", "--json-into"]]) {
        for (path, why) in [
            ("folder", "`folder`: it is a folder"),
            ("none/plan.json", "there is no folder `none`"),
            ("irsa.toml/plan.json", "a part of the path is a file"),
            ("socket", "it is a socket"),
            ("loop", "too many links"),
            ("new/", "the name of a folder"),
        ] {
            bench.ends(1, &with(&line, path)).says(why);
        }
    }
    assert!(scene.world.cluster("main").gate().log().is_empty(), "nothing was asked");
    bench.ends(1, &["man", "-o", "none"]).says("there is no folder `none`");
    bench.ends(1, &["man", "-o", "irsa.toml"]).says("a part of the path is a file");
    bench.ends(1, &["init", "-c", "none/irsa.toml"]).says("there is no folder `none`");
    for command in ["init", "schema", "man"] {
        bench.ends(64, &[command, "--json-into", "x"]).says("has no `--json-into`");
    }
}

/// Under any name and through any link, valid or not: irsa never writes a result over a file that it reads.
#[test]
fn input_files_are_not_overwritten() {
    let scene = scene();
    let bench = &scene.bench;
    bench.ends(0, &["plan", "-o", "saved.json"]);
    fs::create_dir(bench.path("teams")).expect("a folder");
    bench.write("q.json", r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:*:*:q"}]}"#);
    bench.write("teams/more.toml", "[policies.q]\nfile = \"../q.json\"\n");
    bench.write("irsa.toml", &format!("include = [\"teams/*.toml\"]\n{}", bench.read("irsa.toml")));
    bench.ends(0, &["validate"]);
    symlink("irsa.toml", bench.path("link")).expect("a link");
    fs::hard_link(bench.path("irsa.toml"), bench.path("hard")).expect("a link");
    let files = ["irsa.toml", "./teams/../irsa.toml", "link", "hard", "teams/more.toml", "q.json"];
    let before = files.map(|file| bench.read(file));
    scene.world.cluster("main").gate().forget();
    let lines = || flags().into_iter().map(|(line, ..)| line).chain([vec!["apply", "--auto-approve", "--json-into"]]);
    for line in lines() {
        for file in files {
            bench.ends(64, &with(&line, file)).says("which this run reads");
        }
    }
    assert_eq!(files.map(|file| bench.read(file)), before);
    assert!(scene.world.cluster("main").gate().log().is_empty(), "nothing was asked");
    // this includes a saved plan
    let saved = bench.read("saved.json");
    for command in ["apply", "show"] {
        bench
            .ends(64, &[command, "saved.json", "--json-into", "saved.json"])
            .says("`saved.json`, which this run reads");
    }
    assert_eq!(bench.read("saved.json"), saved);
    // this includes files with errors
    for broken in ["irsa.toml", "teams/more.toml", "q.json"] {
        let sound = bench.read(broken);
        bench.write(broken, "owner = ");
        for line in lines() {
            let run = bench.irsa(&with(&line, broken));
            assert!([3, 64].contains(&run.code), "{run}");
            assert_eq!(bench.read(broken), "owner = ", "{run}");
        }
        bench.write(broken, &sound);
    }
}

#[test]
fn two_outputs_into_one_file_are_refused() {
    let scene = scene();
    let bench = &scene.bench;
    let drift = ["drift", "--confirm-after", "0s", "--metrics-file", "same.x", "--json-into"];
    for again in ["same.x", "./same.x"] {
        bench.ends(64, &with(&drift, again)).says("`--metrics-file` and `--json-into` name one file");
    }
    bench.ends(2, &with(&drift, "other.x"));
    symlink("same.x", bench.path("link")).expect("a link");
    bench.ends(64, &with(&drift, "link")).says("name one file");
    // the plan file is the same document
    bench.ends(0, &["plan", "-o", "p.json", "--json-into", "p.json"]);
    bench.ends(0, &["apply", "p.json"]);
}

#[test]
fn usage_error_is_a_github_annotation() {
    let scene = scene();
    for line in [
        &["plan", "--format", "github", "--only", "zzz/*"][..],
        &["plan", "--format", "github", "--bogus"],
        &["drift", "--format=github", "--shard", "9/3"],
        &["validate", "--format", "github", "--json-into", "-"],
    ] {
        let run = scene.bench.ends(64, line);
        assert!(run.stdout.starts_with("::error title=irsa::"), "{run}");
        assert!(run.stderr.contains("error"), "{run}");
    }
    assert_eq!(scene.bench.ends(64, &["schema", "--format", "github", "--bogus"]).stdout, "");
}

/// Runs as a user who may write the file but not its folder, so irsa cannot replace the file with a new one.
#[test]
fn output_file_in_a_read_only_folder_is_written_in_place() {
    let bench = offline(VALID);
    let folder = bench.path("mounted");
    fs::create_dir(&folder).expect("a folder");
    bench.write("mounted/result.json", &"x".repeat(100_000));
    let file = folder.join("result.json");
    fs::set_permissions(&file, Permissions::from_mode(0o666)).expect("it is ours");
    let before = fs::metadata(&file).expect("it is there").ino();
    let root = fs::metadata(&folder).expect("it is there").uid() == 0;
    let program = bench.path("irsa");
    let mut command = bench.command(&["validate", "--json-into", "mounted/result.json"]);
    if root {
        // root ignores permissions
        const NOBODY: u32 = 65534;
        fs::copy(crate::support::program::irsa(), &program).expect("it is copied");
        let line: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(&program);
        command.args(line).env_clear().current_dir(bench.path("")).uid(NOBODY).gid(NOBODY);
        std::os::unix::fs::chown(&file, Some(NOBODY), Some(NOBODY)).expect("root may");
        fs::set_permissions(bench.path(""), Permissions::from_mode(0o755)).expect("it is ours");
        fs::set_permissions(bench.path("irsa.toml"), Permissions::from_mode(0o644)).expect("it is ours");
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("it is ours");
    let output = command.output().expect("irsa runs");
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("it is ours");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_str(&bench.read("mounted/result.json")).expect("JSON and nothing behind it");
    assert_eq!(document["valid"], true);
    assert_eq!(fs::metadata(&file).expect("it is there").ino(), before, "it is the same file");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(bench.entries("mounted").len(), 1);
}

#[test]
fn stdout_holds_one_document() {
    let scene = scene();
    let bench = &scene.bench;
    for stdout in ["-", "/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"] {
        for (line, code, text) in flags() {
            let run = bench.ends(code, &with(&line, stdout));
            assert!(run.stdout.contains(text), "{run}");
            if !line.contains(&"--metrics-file") {
                run.json();
            }
            let people = if line[0] == "validate" { "is valid" } else { "to create" };
            assert!(run.stderr.contains(people) && !run.stdout.contains(people), "{run}");
        }
    }
    assert!(!bench.path("-").exists());
    // the same document, printed once
    for line in [
        &["plan", "-o", "-", "--format", "json"][..],
        &["plan", "-o", "-", "--json-into", "-"],
        &["plan", "--json-into", "-", "--format", "json"],
        &["validate", "--json-into", "-", "--format", "json"],
    ] {
        let run = bench.ends(0, line);
        run.json();
    }
    for line in [
        &["plan", "-o", "-", "--format", "markdown"][..],
        &["plan", "--json-into", "-", "--format", "github"],
        &["drift", "--metrics-file", "-", "--format", "json"],
        &["drift", "--metrics-file", "/dev/stdout", "--json-into", "-"],
        &["validate", "--json-into", "-", "--format", "github"],
    ] {
        bench.ends(64, line).says("there is room for one");
    }
    // with `-q`: the plan and nothing else
    assert_eq!(bench.ends(0, &["plan", "-o", "-", "-q"]).stderr, "");
    // a regular file behind the descriptor keeps its content
    let file = fs::File::create(bench.path("log")).expect("a file");
    let mut command = bench.command(&["plan", "-o", "/dev/stdout"]);
    assert!(command.stdout(file).status().expect("irsa runs").success());
    serde_json::from_str::<Value>(&bench.read("log")).expect("the plan and nothing else");
    assert_eq!(bench.ends(0, &["init", "-c", "-"]).stdout, bench.ends(0, &["init", "-c", "/dev/stdout"]).stdout);
    assert!(bench.ends(0, &["man", "-o", "-"]).stdout.contains(".TH"));
}

#[test]
fn plan_can_be_piped_into_apply() {
    let scene = scene();
    let saved = scene.bench.ends(0, &["plan", "-o", "-"]);
    let piped = |line: &[&str]| -> String {
        let mut child = scene.bench.command(line).stdin(Stdio::piped()).spawn().expect("irsa runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, saved.stdout.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(piped(&["show", "-"]).contains("role/app"));
    assert!(piped(&["apply", "-"]).contains("Applied"));
    assert!(scene.bench.ends(0, &["plan"]).stdout.contains("No changes."));
}

/// `--json-into` writes what `--format json` prints, however the run ends.
#[test]
fn json_into_has_the_result_for_every_exit_code() {
    let scene = scene();
    let bench = &scene.bench;
    let json = |run: &Run| -> Value {
        let text = bench.read("out.json");
        fs::remove_file(bench.path("out.json")).expect("it was written");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {run}"))
    };
    for format in ["text", "markdown", "github", "jsonl", "html"] {
        let run = bench.ends(2, &["plan", "--detailed-exitcode", "--format", format, "--json-into", "out.json"]);
        assert_eq!(json(&run)["summary"]["create"], 3, "{run}");
    }
    let run = bench.ends(2, &["drift", "--confirm-after", "0s", "--json-into", "out.json"]);
    assert_eq!(json(&run)["summary"]["create"], 3);
    // exit 6: the report
    scene.world.deny("AttachRolePolicy");
    let run = bench.ends(6, &["apply", "--auto-approve", "--json-into", "out.json"]);
    let report = json(&run);
    assert_eq!((&report["succeeded"], &report["format-version"]), (&Value::Bool(false), &Value::from("1.0")));
    run.says("AccessDenied");
    // exit 4: the refused plan
    scene.someone.create_role("other", &crate::ownership::trust(), &[]);
    scene.declare(&(role("app") + &role("other")));
    for line in [&["plan"][..], &["drift", "--confirm-after", "0s"], &["apply", "--auto-approve"]] {
        let line = [line, &["--json-into", "out.json"]].concat();
        let run = bench.ends(4, &line);
        assert_eq!(json(&run)["refused"][0]["address"], "role/other", "{run}");
    }
    // exit 3: no plan; the errors are those of `validate`
    scene.declare("[roles.x]\nnope = 1\n");
    bench.ends(3, &["plan", "--json-into", "out.json"]);
    assert!(!bench.path("out.json").exists());
    let run = bench.ends(3, &["validate", "--json-into", "out.json"]);
    assert_eq!(json(&run)["valid"], false);
    run.says("unknown key `nope`");
    // no output if there is nothing to report, but the file is written
    let bench = offline(VALID);
    bench.ends(0, &["validate", "--json-into", "out.json"]);
    assert!(bench.read("out.json").contains("\"findings\": ["));
}

fn commands(run: &Run) -> Vec<&str> {
    run.stdout.lines().filter(|line| line.starts_with("::")).collect()
}

#[test]
fn annotations_name_files_relative_to_the_repository_root() {
    let scene = scene();
    let finding = "[roles.bad]\nattach = [\"aws:AdministratorAccess\"]\nservice-accounts = [\"apps/bad\"]\n";
    let mut bench = Bench::new(scene.world.environment());
    bench.write(".git/HEAD", "ref: refs/heads/main\n");
    bench.write("deploy/irsa.toml", "owner = \"me\"\ninclude = [\"teams/*.toml\"]\n[clusters.main]\n");
    bench.write("deploy/teams/a,b.toml", finding);
    let lines: [&[&str]; 4] = [&["validate"], &["plan"], &["drift"], &["apply", "--auto-approve"]];
    let file = bench.path("deploy/irsa.toml").display().to_string();
    let all = |bench: &Bench, wanted: &str| {
        for line in lines {
            let line = [line, &["--format", "github", "-c", &file]].concat();
            let run = bench.ends(3, &line);
            let found = commands(&run);
            assert_eq!(found.len(), 1, "{run}");
            assert!(found[0].starts_with(wanted), "{wanted}: {run}");
        }
    };
    all(&bench, "::error file=deploy/teams/a%2Cb.toml,line=1,title=IRSA030::role/bad: ");
    bench.write("deploy/teams/a,b.toml", "[roles.bad]\nattach = \"100%\"\n");
    all(&bench, "::error file=deploy/teams/a%2Cb.toml,line=2,col=10,title=configuration::expected a list");
    let workspace = bench.path("deploy").display().to_string();
    bench.set("GITHUB_WORKSPACE", &workspace);
    all(&bench, "::error file=teams/a%2Cb.toml,line=2,col=10,");
    bench.set("GITHUB_WORKSPACE", "/nowhere");
    bench.write("deploy/teams/a,b.toml", "[roles.bad]\n\"a\\u202e%\\n::error::b\" = 1\n");
    all(
        &bench,
        "::error file=deploy/teams/a%2Cb.toml,line=2,col=1,title=configuration::unknown key `a<U+202E>%25<U+000A>::error::b`",
    );
    // a byte order mark does not count as a column
    bench.write("deploy/teams/a,b.toml", "\u{feff}rolls = 1\n");
    all(&bench, "::error file=deploy/teams/a%2Cb.toml,line=1,col=1,");
    // a note of a plan, not denied
    bench.write("deploy/teams/a,b.toml", finding);
    let run = bench.ends(0, &["plan", "--format", "github", "--deny", "none", "-c", &file]);
    assert!(run.stdout.contains("::error file=deploy/teams/a%2Cb.toml,line=1,title=IRSA030::"), "{run}");
    let run = bench.ends(0, &["validate", "--format", "github", "--deny", "none", "-c", &file]);
    assert!(run.stdout.contains("::warning file=deploy/teams/a%2Cb.toml,line=1,title=IRSA030::"), "{run}");
    assert!(run.stdout.contains("::notice title=irsa validate::"), "{run}");
    // an error without a line is an annotation too
    let run = bench.ends(3, &["validate", "--format", "github", "-c", "gone.toml"]);
    assert!(commands(&run)[0].starts_with("::error title=configuration::`gone.toml`: there is no such file%0Ahint: "));
}

/// The value has exactly the keys that a schema requires.
#[track_caller]
fn fits(schema: &Value, value: &Value) {
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(object), keys(properties), "{value}");
        object.iter().for_each(|(key, value)| fits(&properties[key], value));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(&schema["items"], item);
    }
}

#[test]
fn validate_json_has_everything_that_the_text_has() {
    let schema = offline(VALID).ends(0, &["schema", "validation"]).json();
    let bench = offline(&format!("\u{feff}{VALID}attach = [\"aws:AdministratorAccess\"]\n"));
    let run = bench.ends(3, &["validate", "--format", "json"]);
    fits(&schema, &run.json());
    let finding = &run.json()["findings"][0];
    assert_eq!(run.json()["valid"], false);
    for (key, wanted) in [("file", "irsa.toml"), ("rule", "IRSA030"), ("severity", "critical"), ("address", "role/app")]
    {
        assert_eq!(finding[key], wanted, "{finding}");
    }
    assert_eq!((&finding["line"], &finding["column"], &finding["denied"]), (&3.into(), &1.into(), &true.into()));
    assert!(finding["text"].is_string() && finding["hint"].is_string());
    let run = bench.ends(0, &["validate", "--format", "json", "--deny", "none"]);
    assert_eq!((&run.json()["valid"], &run.json()["findings"][0]["denied"]), (&true.into(), &false.into()));
    bench.write("irsa.toml", "\u{feff}owner = 1\n[clusters.a]\n[clusters.a]\n");
    let run = bench.ends(3, &["validate", "--format", "json"]);
    fits(&schema, &run.json());
    let mistakes = run.json()["diagnostics"].as_array().cloned().expect("a list");
    let place = |mistake: &Value| (mistake["line"].clone(), mistake["column"].clone());
    assert_eq!(place(&mistakes[0]), (1.into(), 9.into()), "{run}");
    assert_eq!(mistakes[0]["text"], "expected a string, found integer");
    assert!(mistakes.iter().any(|mistake| mistake["also"][0]["line"] == 2), "{run}");
    // in the text output too
    bench.ends(3, &["validate"]).says("--> irsa.toml:1:9");
    let mut whole = String::new();
    fs::File::open(bench.path("irsa.toml")).and_then(|mut file| file.read_to_string(&mut whole)).expect("it is there");
    assert!(whole.starts_with('\u{feff}'));
}
