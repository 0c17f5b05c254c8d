//! A thousand clusters in twenty shards: exactly one shard plans each object of the fleet.

use super::{actor, addresses};
use crate::support::inside::{self, Inside};
use crate::support::program::tell;
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const CLUSTERS: usize = 1_000;
const ACCOUNTS: usize = 5;
const SHARDS: usize = 20;

fn account(number: usize) -> String {
    format!("{:012}", 111_122_223_333 + number)
}

fn configuration() -> String {
    let mut text = "owner = \"fleet\"\n[policies.shared]\n\
                    statements = [{ actions = [\"sqs:ReceiveMessage\"], resources = [\"*\"] }]\n"
        .to_owned();
    for number in 0..ACCOUNTS {
        let id = account(number);
        let _ = write!(text, "[accounts.a{number}]\nid = \"{id}\"\n");
        if number > 0 {
            let _ = writeln!(text, "assume-role = \"arn:aws:iam::{id}:role/OrganizationAccountAccessRole\"");
        }
    }
    for number in 0..CLUSTERS {
        let account = number % ACCOUNTS;
        let attach = if number < 50 { "[\"shared\"]" } else { "[]" };
        let _ = write!(
            text,
            "[clusters.c{number}]\naccount = \"a{account}\"\nregion = \"eu-west-1\"\n\
             [roles.own-{number}]\ncluster = \"c{number}\"\nservice-accounts = [\"default/app\"]\nattach = {attach}\n\
             [roles.own-{number}.inline.own]\nstatements = [{{ actions = [\"s3:GetObject\"], resources = [\"*\"] }}]\n"
        );
    }
    // roles over clusters of several shards and accounts
    for number in 0..100 {
        let bound: Vec<String> = [0, 101, 502].map(|more| format!("c{}", (number * 10 + more) % CLUSTERS)).to_vec();
        let _ = write!(
            text,
            "[roles.wide-{number}]\naccount = \"a{}\"\nattach = [\"shared\"]\n[[service-accounts]]\nrole = \"wide-{number}\"\n\
             cluster = {bound:?}\nnamespace = \"default\"\nname = \"wide-{number}\"\n",
            number % ACCOUNTS
        );
    }
    text
}

#[test]
fn each_object_of_1000_clusters_is_planned_by_one_of_20_shards() {
    let began = std::time::Instant::now();
    inside::runtime().block_on(async {
        let clusters = (0..CLUSTERS)
            .map(|number| ClusterSpec::new(&format!("c{number}"), &account(number % ACCOUNTS), "eu-west-1"))
            .collect();
        let accounts = (0..ACCOUNTS).map(account).collect();
        let inside = Inside::start(SandboxOptions { accounts, clusters, access_roles: true, ..SandboxOptions::empty() }).await;
        inside.write("fleet.toml", &configuration());
        let started = began.elapsed();
        let ended = inside.irsa(1, "fleet.toml", &["plan", "--format=json"]).await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let whole: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let wanted = addresses(&whole["changes"]);
        assert_eq!(wanted.len(), whole["changes"].as_array().map_or(0, Vec::len));
        let all_at_once = began.elapsed();

        let mut planned: BTreeMap<String, usize> = BTreeMap::new();
        let mut waiting = 0;
        for index in 0..SHARDS {
            let shard = format!("--shard={index}/{SHARDS}");
            let ended = inside.irsa_as(&format!("shard{index}"), 1, "fleet.toml", &["plan", "--format=json", &shard]).await;
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            let plan: Value = serde_json::from_str(&ended.stdout).expect("JSON");
            assert_eq!(plan["complete"], true);
            let notes = plan["notes"].as_array().into_iter().flatten().filter(|note| note["rule"] == "waiting");
            let waits: BTreeSet<String> = notes.filter_map(|note| note["address"].as_str().map(str::to_owned)).collect();
            assert_eq!(plan["summary"]["waiting"], waits.len());
            waiting += waits.len();
            for address in addresses(&plan["changes"]).into_iter().chain(waits) {
                *planned.entry(address).or_default() += 1;
            }
        }
        let several: Vec<_> = planned.iter().filter(|(_, times)| **times != 1).collect();
        assert!(several.is_empty(), "planned more than once: {several:?}");
        assert_eq!(planned.keys().cloned().collect::<BTreeSet<String>>(), wanted);
        assert!(waiting < planned.len() / 4, "most of a fleet does not wait for other shards: {waiting}");

        let mut described: BTreeMap<String, usize> = BTreeMap::new();
        for record in inside.sandbox.log() {
            let actor = actor(&record.call.user_agent);
            if actor.starts_with("shard") && record.call.action == "DescribeCluster" {
                *described.entry(actor).or_default() += 1;
            }
        }
        let most = described.values().max().copied().unwrap_or_default();
        assert!(described.len() == SHARDS && most < 150, "a shard asks for its own clusters and a few others: {described:?}");
        tell(&format!(
            "fleet: {} objects of {CLUSTERS} clusters in {SHARDS} shards, {waiting} wait; at most {most} clusters described \
             by one; sandbox {started:?}, all at once {:?}, in shards {:?}",
            planned.len(),
            all_at_once.checked_sub(started).unwrap_or_default(),
            began.elapsed().checked_sub(all_at_once).unwrap_or_default(),
        ));
    });
}
