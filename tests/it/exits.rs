//! Every documented exit code, checked with the real binary.

use crate::ownership::{Scene, role};
use crate::support::program::Bench;
use crate::support::standin::free_port;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

fn offline() -> Bench {
    Bench::with(BTreeMap::new(), "owner = \"me\"\n[clusters.main]\n[roles.app]\nservice-accounts = [\"apps/app\"]\n")
}

#[test]
fn exit_0_when_done_or_nothing_to_do() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.ends(0, &["validate"]).says("is valid");
    scene.bench.ends(0, &["plan"]);
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    scene.bench.ends(0, &["apply", "--auto-approve"]).says("No changes.");
    let drift = scene.bench.ends(0, &["drift", "--confirm-after", "0s"]);
    assert_eq!(drift.stdout, "", "quiet when clean");
}

#[test]
fn exit_1_for_a_service_error() {
    let bench = offline();
    bench.ends(1, &["show", "no-such-file"]);
    bench.write("there.toml", "");
    bench.ends(1, &["init", "--config", "there.toml"]);
    // irsa wrote nothing before the error
    let scene = Scene::new();
    scene.declare(&role("app").replace("attach = [\"aws:AmazonS3ReadOnlyAccess\"]\n", ""));
    scene.bench.converges();
    scene.declare(&(role("app").replace("attach = [\"aws:AmazonS3ReadOnlyAccess\"]\n", "") + "description = \"x\"\n"));
    scene.world.deny("UpdateRole");
    let run = scene.bench.ends(1, &["apply", "--auto-approve"]);
    run.says("iam:UpdateRole").says("AccessDenied").says("role/app");
}

#[test]
fn exit_2_for_changes() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.ends(2, &["plan", "--detailed-exitcode"]);
    scene.bench.ends(2, &["drift", "--confirm-after", "0s"]);
    scene.bench.ends(2, &["drift", "--confirm-after", "0s", "--metrics-file", "irsa.prom"]);
    assert!(
        scene.bench.read("irsa.prom").contains("irsa_drift_objects{owner=\"me\",kind=\"role\",action=\"create\"} 1")
    );
}

#[test]
fn exit_3_for_an_invalid_configuration() {
    let bench = offline();
    bench.write("irsa.toml", "owner = \"me\"\n[cluster.main]\n[roles.app]\nservice-acounts = [\"apps/app\"]\n");
    for command in ["validate", "plan", "apply", "drift"] {
        let run = bench.ends(3, &[command]);
        run.says("irsa.toml:2").says("`clusters`").says("irsa.toml:4").says("`service-accounts`");
    }
    bench.ends(3, &["validate", "--config", "missing.toml"]).says("missing.toml");
    // a finding about a declared role
    bench.write(
        "irsa.toml",
        "owner = \"me\"\n[clusters.main]\n[roles.app]\nattach = [\"aws:AdministratorAccess\"]\nservice-accounts = [\"apps/app\"]\n",
    );
    bench.ends(3, &["validate"]).says("IRSA030").says("irsa.toml:3");
    bench.ends(3, &["plan"]);
    bench.ends(0, &["validate", "--deny", "none"]).says("IRSA030");
}

#[test]
fn exit_4_for_a_refusal() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    // no terminal to confirm on
    let run = scene.bench.ends(4, &["apply"]);
    run.says("--auto-approve");
    // nobody can confirm a plan that is not shown
    scene.bench.ends(4, &["apply", "--format", "json"]).says("--auto-approve");
    assert!(scene.world.writes().is_empty());
    // irsa cannot read a part of the live state
    scene.world.deny_kubernetes("main");
    scene.bench.ends(4, &["plan"]);
    scene.bench.ends(0, &["plan", "--allow-incomplete"]);
}

#[test]
fn exit_4_for_an_unreachable_endpoint() {
    let mut bench = offline();
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    for (name, value) in [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ] {
        bench.set(name, value);
    }
    let run = bench.ends(4, &["plan", "--timeout", "1s"]);
    run.says("account/default").says("sts:GetCallerIdentity");
    // irsa could read nothing at all, so a plan would be meaningless
    bench.ends(1, &["plan", "--timeout", "1s", "--allow-incomplete"]);
}

#[test]
fn exit_6_for_a_partial_apply() {
    let scene = Scene::new();
    scene.declare(&(role("app") + &role("other")));
    scene.world.deny_object("AttachRolePolicy", "other");
    let run = scene.bench.ends(6, &["apply", "--auto-approve"]);
    run.says("role/other").says("iam:AttachRolePolicy").says("AccessDenied");
    assert!(scene.someone.has_role("app"));
    assert!(scene.service_account("app").is_some(), "independent work goes on");
    assert!(scene.service_account("other").is_none(), "dependents are skipped");
    scene.world.allow_all();
    scene.bench.converges();
}

#[test]
fn exit_64_for_wrong_usage() {
    let bench = offline();
    bench.ends(64, &[]);
    bench.ends(64, &["plan", "--no-such-flag"]);
    bench.ends(64, &["validate", "--format", "html"]);
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.ends(64, &["plan", "--only", "role/no-such"]).says("role/no-such");
}

/// A signal arrives during a write: irsa completes that write, starts no other, and reports what is left.
#[test]
fn exit_130_and_143_for_signals() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let scene = Scene::new();
        let roles: String = (0..6).map(|number| role(&format!("app{number}"))).collect();
        scene.declare(&roles);
        let (reached, release) = scene.world.hold("CreateRole");
        let child =
            scene.bench.command(&["apply", "--auto-approve", "--parallelism", "1"]).spawn().expect("irsa starts");
        reached.recv().expect("a CreateRole was sent");
        let kill = std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        // irsa reports the signal on stderr when it receives it; the write continues after that
        release.send(()).expect("the sandbox listens");
        let output = child.wait_with_output().expect("irsa ends");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{text}");
        let made = (0..6).filter(|number| scene.someone.has_role(&format!("app{number}"))).count();
        assert!(made < 6, "no write starts after the signal: {text}");
        scene.bench.converges();
    }
}

#[test]
fn apply_with_stdin_from_a_pipe_is_refused() {
    for answer in ["yes\n", "no\n", ""] {
        let scene = Scene::new();
        scene.declare(&role("app"));
        let mut child = scene.bench.command(&["apply"]).stdin(Stdio::piped()).spawn().expect("irsa starts");
        // irsa may end before it reads stdin
        let _ = child.stdin.take().expect("a pipe").write_all(answer.as_bytes());
        let output = child.wait_with_output().expect("irsa ends");
        assert_eq!(output.status.code(), Some(4), "{answer:?}");
        assert!(!scene.someone.has_role("app"));
    }
}

/// A Python script. It runs the command in its second and later arguments on a terminal, and answers the first question
/// with its first argument.
const ON_A_TERMINAL: &str = r#"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
seen, answered = b"", False
while True:
    try:
        chunk = os.read(terminal, 4096)
    except OSError:
        break
    if not chunk:
        break
    seen += chunk
    if not answered and b"Do you want to apply these changes?" in seen:
        # a line, or Ctrl-C alone: a line behind it would be an answer too
        end = "" if sys.argv[1] == "\x03" else "\n"
        os.write(terminal, (sys.argv[1] + end).encode())
        answered = True
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[test]
fn apply_is_confirmed_only_by_yes() {
    for (answer, code) in [("yes", 0), ("no", 4), ("y", 4), ("", 4), ("\u{3}", 130)] {
        let scene = Scene::new();
        scene.declare(&role("app"));
        let irsa = scene.bench.command(&["apply"]);
        let mut command = std::process::Command::new("python3");
        command.args(["-c", ON_A_TERMINAL, answer]).arg(irsa.get_program()).args(irsa.get_args());
        let environment = irsa.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(environment).current_dir(irsa.get_current_dir().expect("a folder"));
        let output = command.output().expect("python3 runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{answer:?}: {text}");
        assert_eq!(scene.someone.has_role("app"), code == 0, "{answer:?}: {text}");
        let error_begins_a_line = |line: &str| !line.contains("error:") || line.starts_with("error:");
        assert!(text.lines().all(error_begins_a_line), "{answer:?}: {text}");
    }
}

#[test]
fn init_writes_a_valid_file() {
    let bench = Bench::new(BTreeMap::new());
    bench.ends(0, &["init"]);
    bench.ends(0, &["validate"]);
    bench.ends(1, &["init"]).says("already");
}

#[test]
fn schema_completions_and_man_are_printed() {
    let bench = Bench::new(BTreeMap::new());
    for what in ["config", "plan", "report"] {
        let schema = bench.ends(0, &["schema", what]).json();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(bench.ends(0, &["completions", shell]).stdout.contains("irsa"));
    }
    assert!(bench.ends(0, &["man"]).stdout.contains(".TH irsa"));
    std::fs::create_dir(bench.path("man")).expect("it is writable");
    bench.ends(0, &["man", "--out", "man"]);
    assert!(bench.read("man/irsa-plan.1").contains("irsa"));
    let help = bench.ends(0, &["--help"]).stdout;
    for later in ["usage", "revoke", "graph", "permissions", "presets", "migrate"] {
        assert!(!help.contains(&format!("\n  {later} ")), "`{later}` does not work yet");
    }
}
