//! Runs `tests/conformance/aws_probe.py`, which uses boto3 to check that the sandbox behaves as AWS documents itself.
//!
//! This test also counts the probe's checks, so that none can be left out silently.

use crate::support::program::Bench;
use crate::support::python;
use crate::support::world::FIRST;
use irsa_sandbox::{ClusterSpec, Sandbox, SandboxOptions};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::runtime::Runtime;

/// A probe that ends early or checks nothing makes fewer checks than this.
const AT_LEAST: usize = 240;

const SUBJECT: (&str, &str) = ("apps", "reader");
const AUDIENCE: &str = "sts.amazonaws.com";

/// An empty sandbox, and tokens of a cluster in a region that the probe does not look at.
async fn start() -> (Sandbox, serde_json::Value) {
    let shift = Arc::new(AtomicI64::new(0));
    let late = Arc::clone(&shift);
    let clock = move || jiff::Timestamp::now() + jiff::SignedDuration::from_secs(late.load(Ordering::SeqCst));
    let options = SandboxOptions { clock: Arc::new(clock), ..SandboxOptions::empty() };
    let mut sandbox = Sandbox::start(options).await.expect("a sandbox");
    let cluster = sandbox.add_cluster(&ClusterSpec::new("signer", FIRST, "eu-west-1")).await.expect("a cluster");
    let token = |account: &str, audience| sandbox.token("signer", SUBJECT.0, account, audience).expect("a token");
    shift.store(-7200, Ordering::SeqCst);
    let expired = token(SUBJECT.1, AUDIENCE);
    shift.store(0, Ordering::SeqCst);
    let tokens = json!({
        "issuer": cluster.issuer(),
        "audience": AUDIENCE,
        "subject": format!("system:serviceaccount:{}:{}", SUBJECT.0, SUBJECT.1),
        "good": token(SUBJECT.1, AUDIENCE),
        "other-subject": token("writer", AUDIENCE),
        "other-audience": token(SUBJECT.1, "vault"),
        "expired": expired,
    });
    (sandbox, tokens)
}

#[test]
fn sandbox_behaves_as_aws_documents_itself() {
    let runtime = Runtime::new().expect("a runtime");
    let (sandbox, tokens) = runtime.block_on(start());
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("tokens.json");
    std::fs::write(&file, tokens.to_string()).expect("it is writable");
    let probe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/aws_probe.py");
    let output = Command::new(python::program("python"))
        // writes no compiled files beside the sources
        .arg("-B")
        .arg(&probe)
        .arg(sandbox.endpoint())
        .arg(&file)
        .env_clear()
        .env("HOME", home.path())
        .env("PYTHONIOENCODING", "utf-8")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let starting = |word: &str| out.lines().filter(|line| line.starts_with(word)).collect::<Vec<_>>();
    let (passed, failed) = (starting("ok   "), starting("FAIL "));
    let line = format!("aws conformance: {} checks\n", passed.len());
    // writes to stderr directly, so that the test runner does not capture it
    let _ = std::io::stderr().write_all(line.as_bytes());
    assert!(failed.is_empty(), "{} checks fail:\n{}", failed.len(), failed.join("\n"));
    assert!(output.status.success(), "the probe ended early:\n{out}{err}");
    let different: BTreeSet<_> = passed.iter().collect();
    assert!(passed.len() >= AT_LEAST, "only {} checks were made", passed.len());
    assert_eq!(passed.len(), different.len(), "two are called the same");
}

/// The configuration has two new roles, and one trusts the other. IAM does not know the new role everywhere at once: it
/// shows the role's id in place of the ARN, and refuses to have it named as a principal.
#[test]
fn apply_waits_until_a_new_role_can_be_a_principal() {
    let runtime = Runtime::new().expect("a runtime");
    let sandbox = runtime.block_on(Sandbox::start(SandboxOptions::empty())).expect("a sandbox");
    sandbox.iam(FIRST, |iam| iam.unsettled(2));
    let configuration = format!(
        r#"
owner = "me"
[roles.runner]
attach = ["aws:AmazonS3ReadOnlyAccess"]
[[roles.runner.trust]]
principals = {{ aws = ["arn:aws:iam::{FIRST}:root"] }}
actions = ["sts:AssumeRole"]
[roles.target]
attach = ["aws:AmazonSQSReadOnlyAccess"]
[[roles.target.trust]]
principals = {{ aws = ["arn:aws:iam::{FIRST}:role/irsa/me/runner"] }}
actions = ["sts:AssumeRole"]
"#
    );
    let bench = Bench::with(sandbox.environment(), &configuration);
    bench.ends(0, &["apply", "--auto-approve"]);
    let refused = |record: &irsa_sandbox::aws::Record| {
        record.call.action == "CreateRole" && record.call.object == "target" && record.outcome == Some(400)
    };
    assert!(sandbox.log().iter().filter(|record| refused(record)).count() >= 2, "it had to wait");
    bench.ends(0, &["plan", "--detailed-exitcode"]);
}
