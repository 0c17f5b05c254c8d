//! The local part of a run: no network, no cluster. `cargo bench -p bench` runs all of it, `cargo bench -p bench -- plan` a part.
//!
//! What the figures mean is in CONTRIBUTING.md. Times differ from machine to machine; compare two of one run.

mod fleet;
mod live;

use divan::{AllocProfiler, Bencher, black_box};
use fleet::Fleet;
use irsa::config::{Configuration, Identities, load};
use irsa::lint;
use irsa::model::desired::Desired;
use irsa::model::live::Live;
use irsa::plan::plan;
use irsa::policy::PolicyDocument;
use irsa::policy::document::PolicyKind;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: AllocProfiler<mimalloc::MiMalloc> = AllocProfiler::new(mimalloc::MiMalloc);

/// The numbers of roles. Each role has five ServiceAccounts.
const ROLES: [usize; 2] = [1000, 10_000];

fn main() {
    divan::main();
}

/// A fleet on disk.
fn written(roles: usize) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    Fleet::of(roles).write(folder.path()).expect("files");
    folder
}

fn configuration(roles: usize) -> Configuration {
    let folder = written(roles);
    load(&folder.path().join("irsa.toml")).unwrap_or_else(|_| panic!("the fleet is sound"))
}

/// The identities of a run that knows its accounts.
fn identities() -> Identities {
    Identities { online: true, ..Identities::default() }
}

fn desired(roles: usize) -> Desired {
    configuration(roles).resolve(&identities()).unwrap_or_else(|_| panic!("the fleet is sound"))
}

/// Live state that matches the configuration, so that a plan has nothing to do.
fn same(desired: &Desired) -> Live {
    let empty = live::empty(desired);
    let made = plan(desired, &empty, &live::options(), Vec::new());
    live::made(desired, empty, &made)
}

#[divan::bench(args = ROLES)]
fn a_load(bencher: Bencher<'_, '_>, roles: usize) {
    let folder = written(roles);
    let top = folder.path().join("irsa.toml");
    bencher.bench_local(|| load(black_box(&top)));
}

#[divan::bench(args = ROLES)]
fn b_resolve(bencher: Bencher<'_, '_>, roles: usize) {
    let configuration = configuration(roles);
    bencher.bench_local(|| black_box(&configuration).resolve(&identities()));
}

#[divan::bench(args = ROLES)]
fn c_lint_declared(bencher: Bencher<'_, '_>, roles: usize) {
    let desired = desired(roles);
    bencher.bench_local(|| lint::declared(black_box(&desired)));
}

#[divan::bench(args = ROLES)]
fn d_lint_live(bencher: Bencher<'_, '_>, roles: usize) {
    let desired = desired(roles);
    let live = same(&desired);
    bencher.bench_local(|| lint::live(black_box(&desired), &live));
}

#[divan::bench(args = ROLES)]
fn e_plan_no_change(bencher: Bencher<'_, '_>, roles: usize) {
    let desired = desired(roles);
    let live = same(&desired);
    let options = live::options();
    assert!(plan(&desired, &live, &options, Vec::new()).is_empty());
    bencher.bench_local(|| plan(black_box(&desired), &live, &options, Vec::new()));
}

#[divan::bench(args = ROLES)]
fn f_plan_all_new(bencher: Bencher<'_, '_>, roles: usize) {
    let desired = desired(roles);
    let live = live::empty(&desired);
    let options = live::options();
    assert!(plan(&desired, &live, &options, Vec::new()).refused.is_empty());
    bencher.bench_local(|| plan(black_box(&desired), &live, &options, Vec::new()));
}

/// All parts of a run with nothing to do: reads the files once, then resolves and lints them offline, and again with
/// the accounts.
#[divan::bench(args = ROLES)]
fn g_whole_run(bencher: Bencher<'_, '_>, roles: usize) {
    let folder = written(roles);
    let top = folder.path().join("irsa.toml");
    let live = same(&desired(roles));
    bencher.bench_local(|| {
        let configuration = load(black_box(&top)).unwrap_or_else(|_| panic!("the fleet is sound"));
        let offline = configuration.resolve(&Identities::default()).unwrap_or_else(|_| panic!("the fleet is sound"));
        let mut findings = lint::declared(&offline);
        let desired = configuration.resolve(&identities()).unwrap_or_else(|_| panic!("the fleet is sound"));
        findings.extend(lint::live(&desired, &live));
        plan(&desired, &live, &live::options(), findings)
    });
}

const DOCUMENT: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Sid": "Queue", "Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:GetQueueUrl"],
   "Resource": "arn:aws:sqs:eu-west-1:111122223333:reports"},
  {"Sid": "Bucket", "Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::reports/*"],
   "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}"#;

#[divan::bench]
fn h_policy_parse() -> PolicyDocument {
    PolicyDocument::parse(black_box(DOCUMENT), PolicyKind::Permissions).expect("a policy")
}

#[divan::bench]
fn i_policy_compare(bencher: Bencher<'_, '_>) {
    let declared = PolicyDocument::parse(DOCUMENT, PolicyKind::Permissions).expect("a policy");
    // as IAM sends it
    let live = PolicyDocument::live(&utf8_percent_encode(DOCUMENT, NON_ALPHANUMERIC).to_string());
    assert_eq!(declared, live);
    bencher.bench_local(|| black_box(&declared) == black_box(&live));
}
