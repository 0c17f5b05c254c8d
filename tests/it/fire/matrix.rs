//! The fault matrix: every operation that irsa calls, with every fault, once and permanently.
//!
//! The operations come from the request log of a run without faults, so that none can be forgotten. Each cell starts
//! from the same snapshot. Two threads, each with its own stage, share the cells.

use super::stage::{Stage, differences};
use super::watch::{Cell, Fault, Operation, Struck, Watch};
use crate::support::inside::{self, Ended};
use crate::support::program::tell;
use irsa_sandbox::kubernetes;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The longest that a run may take on its own clock, whatever hangs: a few waits of the default `--timeout`, one after
/// the other.
const BOUND: Duration = Duration::from_mins(15);

/// The operations that a run on the stage calls.
struct Plot {
    operations: BTreeSet<Operation>,
}

async fn plot(stage: &Stage) -> Plot {
    stage.reset();
    stage.inside.sandbox.gate().forget();
    for cluster in super::stage::CLUSTERS {
        stage.inside.sandbox.cluster(cluster).gate().forget();
    }
    let ended = stage.apply(1).await;
    assert_eq!(ended.code, 0, "{ended}");
    let mut operations: BTreeSet<Operation> =
        stage.inside.sandbox.log().iter().map(|record| Operation::of_aws(&record.call)).collect();
    for cluster in super::stage::CLUSTERS {
        let log: Vec<kubernetes::Record> = stage.inside.sandbox.cluster(cluster).gate().log();
        operations.extend(log.iter().map(|record| Operation::of_kubernetes(&record.call)));
    }
    Plot { operations }
}

fn cells(plot: &Plot) -> Vec<Cell> {
    let mut cells = Vec::new();
    for operation in &plot.operations {
        for fault in Fault::ALL {
            // reads never conflict, and only a write can be missing from a later stale read
            if matches!(fault, Fault::Busy | Fault::Stale(_)) && !operation.write {
                continue;
            }
            for forever in [false, true] {
                cells.push(Cell { operation: operation.clone(), fault, forever });
            }
        }
    }
    cells
}

/// Plays one cell. Returns what went wrong.
async fn play(stage: &Stage, watch: &Watch, cell: &Cell, shown: bool) -> Vec<String> {
    stage.reset();
    watch.set(cell);
    let first = stage.apply(7).await;
    if shown {
        tell(&format!("the run of {cell}: {first}"));
    }
    let (struck, mut wrong) = watch.heal();
    stage.inside.dials.refuse(false, 0);
    stage.inside.dials.refuse(true, 0);
    stage.inside.sandbox.stale_reads(0);
    if struck.times == 0 {
        return vec!["it was never called".to_owned()];
    }
    if first.took > BOUND {
        wrong.push(format!("the run took {:?}", first.took));
    }
    if ![0, 1, 4, 6].contains(&first.code) {
        wrong.push(format!("exit {}", first.code));
    }
    if first.code != 0 {
        wrong.extend(named(cell, &struck, &first));
    }
    if cell.forever && first.code != 0 && cell.operation.write && cell.fault != Fault::ConnectionRefused {
        wrong.extend(lost(stage, &struck).await);
    }
    if !wrong.is_empty() {
        wrong.push(format!("the run: {first}"));
    }
    wrong.extend(settled(stage, cell, first.code).await);
    // violations during the runs after it
    wrong.extend(watch.heal().1);
    wrong
}

/// Checks that the message of a failed run names the failed operation and object.
fn named(cell: &Cell, struck: &Struck, ended: &Ended) -> Vec<String> {
    let mut wrong = Vec::new();
    let text = ended.text();
    let words = cell.operation.words();
    // an unreachable server makes later operations fail too; after a denied list irsa reads in another way, and reports
    // what it still cannot see
    let listed = cell.operation.name == "list serviceaccounts" && text.contains("not every namespace could be listed");
    let gone = cell.fault == Fault::ConnectionRefused || listed;
    if !gone && !text.contains(&words) {
        wrong.push(format!("`{words}` is not named"));
    }
    let object = struck.object.as_deref().unwrap_or_default();
    let name = object.rsplit('/').next().unwrap_or_default();
    let in_list = cell.operation.name.starts_with("List") && !cell.operation.name.ends_with("RolePolicies");
    if cell.operation.write && !name.is_empty() && !in_list && !text.contains(name) && !text.contains("oidc-provider/")
    {
        wrong.push(format!("`{name}` is not named"));
    }
    if cell.fault.has_request_id() && cell.operation.service != "kubernetes" {
        // the sandbox's request ids begin like this
        if !text.contains("00000000-0000-4000-8000-") {
            wrong.push("no request id is named".to_owned());
        }
    }
    wrong
}

/// Objects that were not changed although they do not depend on the object with the fault.
async fn lost(stage: &Stage, struck: &Struck) -> Vec<String> {
    let plan = stage.inside.irsa(7, "after.toml", &["plan", "--format", "json"]).await;
    let value: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap_or_default();
    let left: Vec<&str> =
        value["changes"].as_array().into_iter().flatten().filter_map(|change| change["address"].as_str()).collect();
    let object = struck.object.as_deref().unwrap_or_default();
    let touched = |address: &str| dependents(object).iter().any(|part| address.contains(part.as_str()));
    let lost: Vec<&str> = left.into_iter().filter(|address| !touched(address)).collect();
    if lost.is_empty() { Vec::new() } else { vec![format!("although only {object} was struck, {lost:?} are undone")] }
}

/// Parts of the addresses of an object and of everything that waits for it.
fn dependents(object: &str) -> Vec<String> {
    let name = object.rsplit('/').next().unwrap_or_default();
    // irsa adds an audience to a provider only after every role that trusts the provider has lost what it is to lose;
    // the provider's own dependents wait too
    let audience: &[&str] = match name {
        "grow" | "shrink" | "gone" | "held" | "turn" | "limits" | "new" | "wide" | "stay" => &[
            "oidc-provider/one/shop-eu",
            "role/adopted",
            "role/fresh",
            "role/grow",
            "shop/bare",
            "shop/d",
            "shop/n",
            "shop/o",
        ],
        _ => &[],
    };
    let parts: &[&str] = match name {
        "grow" => &["role/grow", "shop/a", "shop/d", "shop/x", "role/stay"],
        // irsa deletes the policy once no role attaches it
        "shrink" => &["role/shrink", "shop/b", "shop/c", "policy/old"],
        "gone" => &["role/gone", "shop/g", "policy/old"],
        "fresh" => &["role/fresh", "shop/n", "shop/bare"],
        "wide" => &["role/wide", "shop/w", "oidc-provider"],
        "adopted" => &["role/adopted", "shop/o"],
        "held" => &["role/held", "shop/k", "shop/l", "policy/one/limits", "role/turn"],
        "turn" => &["role/turn", "shop/m", "policy/one/limits", "role/held"],
        "limits" => &["policy/one/limits", "role/held", "role/turn", "shop/k", "shop/l", "shop/m"],
        "far" => &["role/far", "shop/f", "shop/h"],
        "stay" => &["role/stay", "shop/s", "shop/x", "role/grow"],
        "old" => &["policy/old", "role/shrink", "role/gone"],
        "new" => &["policy/one/new", "role/grow", "role/fresh", "role/stay", "shop/"],
        "versions" => &["policy/two/versions", "role/far", "shop-us/"],
        "a" | "d" | "x" => &["shop/a", "shop/d", "shop/x", "role/stay"],
        "b" | "c" => &["shop/b", "shop/c", "role/shrink", "policy/old"],
        "g" => &["shop/g", "role/gone", "policy/old"],
        "n" | "bare" => &["shop/n", "shop/bare"],
        "o" => &["shop/o"],
        "w" => &["shop/w"],
        "f" | "h" => &["shop/f", "shop/h"],
        "s" => &["shop/s"],
        "k" | "l" => &["shop/k", "shop/l", "role/held", "policy/one/limits", "role/turn"],
        "m" => &["shop/m"],
        // a provider, or an object without a name: everything may wait for it
        _ => &["/"],
    };
    parts.iter().chain(audience).map(|part| (*part).to_owned()).collect()
}

/// The next run must do what is left, and after it nothing may be left.
async fn settled(stage: &Stage, cell: &Cell, code: u8) -> Vec<String> {
    let mut wrong = Vec::new();
    if code != 0 {
        let second = stage.apply(8).await;
        if second.code != 0 {
            wrong.push(format!("the next run: {second}"));
        }
    }
    let plan = stage.plan(9).await;
    if plan.code != 0 {
        wrong.push(format!("then the plan is not empty: {plan}"));
    }
    let view = stage.view();
    let (wanted, mut ours) = (stage.after.ours.clone(), view.ours);
    if cell.operation.name == "list pods" {
        // irsa cannot see whether a pod still uses it, so it releases a ServiceAccount that it created, and does not
        // delete it
        let let_go = json!({"annotations": null, "labels": null});
        ours.retain(|place, object| {
            !(["shop-eu shop/c", "shop-eu shop/g", "shop-eu shop/l"].contains(&place.as_str()) && *object == let_go)
        });
    }
    let differ = differences(&wanted, &ours);
    if !differ.is_empty() {
        wrong.push(format!("what is live is not what was to be: {differ:?}"));
    }
    let differ = differences(&stage.after.others, &view.others);
    if !differ.is_empty() {
        wrong.push(format!("what belongs to others was changed: {differ:?}"));
    }
    wrong
}

/// The cells that one thread plays.
fn work(next: &AtomicUsize, only: Option<&str>) -> (usize, BTreeMap<String, Vec<String>>) {
    inside::runtime().block_on(async {
        let stage = Arc::new(Stage::set().await);
        let cells = cells(&plot(&stage).await);
        let watch = Watch::new(&stage);
        let mut failures = BTreeMap::new();
        loop {
            let index = next.fetch_add(1, Ordering::SeqCst);
            let Some(cell) = cells.get(index) else { break };
            let name = cell.to_string();
            if only.is_some_and(|only| !name.contains(only)) {
                continue;
            }
            let wrong = play(&stage, &watch, cell, only.is_some()).await;
            if !wrong.is_empty() {
                tell(&format!("{name}: {}", wrong[0]));
                failures.insert(name, wrong);
            }
        }
        (cells.len(), failures)
    })
}

#[test]
fn run_after_any_fault_in_any_operation_converges() {
    let only = std::env::var("IRSA_TEST_CELL").ok();
    let next = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (next, only) = (Arc::clone(&next), only.clone());
            std::thread::spawn(move || work(&next, only.as_deref()))
        })
        .collect();
    let mut count = 0;
    let mut failures = BTreeMap::new();
    for thread in threads {
        let (cells, failed) = thread.join().expect("a thread of the matrix");
        count = cells;
        failures.extend(failed);
    }
    tell(&format!("fault matrix: {count} cells"));
    let shown: Vec<String> =
        failures.iter().take(12).map(|(cell, wrong)| format!("== {cell}\n{}", wrong.join("\n"))).collect();
    let names: Vec<&String> = failures.keys().collect();
    assert!(failures.is_empty(), "{} of {count} cells failed: {names:#?}\n{}", failures.len(), shown.join("\n"));
}
