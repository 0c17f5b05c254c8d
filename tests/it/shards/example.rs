//! `examples/fleet`: irsa accepts the command lines of its Jobs, and its permissions are exactly those that a shard
//! needs.

use super::{CLUSTERS, WHOLE, actor, all, fleet, name};
use crate::support::inside;
use clap::Parser;
use irsa::cli::Cli;
use irsa_sandbox::kubernetes::Resource;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn read(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fleet").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The Jobs, including those that a CronJob creates.
fn jobs() -> Vec<Value> {
    let list = documents("fleet.yaml").into_iter().filter_map(|document| match document["kind"].as_str() {
        Some("Job") => Some(document["spec"].clone()),
        Some("CronJob") => Some(document["spec"]["jobTemplate"]["spec"].clone()),
        _ => None,
    });
    list.collect()
}

#[test]
fn every_pod_runs_one_shard_and_is_restricted() {
    let jobs = jobs();
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        assert_eq!((&job["completionMode"], &job["completions"]), (&json!("Indexed"), &json!(20)));
        let pod = &job["template"]["spec"];
        let container = &pod["containers"][0];
        let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).expect("arguments");
        for index in 0..20 {
            // expands `$(VAR)` as kubelet does; the Job controller sets the variable
            let line = arguments.iter().map(|word| word.replace("$(JOB_COMPLETION_INDEX)", &index.to_string()));
            let line: Vec<String> = ["irsa".to_owned()].into_iter().chain(line).collect();
            assert!(line.iter().any(|word| *word == format!("--shard={index}/20")), "{line:?}");
            Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        }
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(pod["automountServiceAccountToken"], false, "the pods ask nothing of the cluster that they are in");
        assert_eq!(pod["volumes"][0]["configMap"]["name"], "irsa-fleet");
    }
    let documents = documents("fleet.yaml");
    let map = documents.iter().find(|document| document["kind"] == "ConfigMap").expect("a ConfigMap");
    assert_eq!(map["data"]["irsa.toml"].as_str(), Some(read("irsa.toml").as_str()), "the file beside it");
}

/// The AWS actions and Kubernetes verbs that a shard uses, in either way of reading: from `drift` over a fleet in which
/// something is missing and something is left over.
async fn asked() -> (BTreeSet<String>, BTreeSet<(String, String)>) {
    let inside = fleet().await;
    inside.write("fleet.toml", &WHOLE.text());
    let ended = inside.irsa(9, "fleet.toml", &["apply", "--auto-approve"]).await;
    assert_eq!(ended.code, 0, "{ended}");
    // ServiceAccounts that are missing, in one namespace of one cluster and in five of another, and one that is left
    // over
    let more = "[[service-accounts]]\nrole = \"own-c03\"\ncluster = \"c03\"\nnamespace = \"NAME\"\nname = \"more\"\n";
    let more: String = ["n1", "n2", "n3", "n4", "n5"].map(|name| more.replace("NAME", name)).concat();
    let left = WHOLE.text().replace(
        "cluster = \"c04\"\nservice-accounts = [\"shop/app\"]",
        "cluster = \"c04\"\nservice-accounts = [\"shop/other\"]",
    );
    assert_ne!(left, WHOLE.text());
    inside.write("fleet.toml", &format!("{left}{more}"));
    inside.sandbox.cluster("c05").with(|store| {
        let _ = store.delete(
            Resource::ServiceAccounts,
            "shop",
            "app",
            &irsa_sandbox::kubernetes::Preconditions::default(),
            false,
        );
    });
    let ended = all(&inside, "fleet.toml", &["drift"]).await;
    assert!(
        ended.iter().any(|run| run.code == 2) && ended.iter().all(|run| [0, 2].contains(&run.code)),
        "{}",
        ended[0]
    );
    // enough roles that one shard reads in bulk
    let many = (0..60).map(|number| {
        format!("[roles.many-{number}]\ncluster = \"c06\"\nservice-accounts = [\"shop/many-{number}\"]\n")
    });
    let many = many.collect::<Vec<_>>().concat();
    inside.write("many.toml", &format!("{}{many}", WHOLE.text()));
    let ended = inside.irsa(9, "many.toml", &["apply", "--auto-approve"]).await;
    assert_eq!(ended.code, 0, "{ended}");
    let ended = all(&inside, "many.toml", &["drift"]).await;
    assert!(ended.iter().all(|run| run.code == 0), "{}", ended[0]);

    let ours = |agent: &str| actor(agent).starts_with("shard");
    let aws = inside.sandbox.log().into_iter().filter(|record| ours(&record.call.user_agent));
    let aws = aws.map(|record| format!("{}:{}", record.call.service, record.call.action)).collect();
    let kubernetes = (0..CLUSTERS).flat_map(|number| inside.sandbox.cluster(&name(number)).gate().log());
    let kubernetes = kubernetes.filter(|record| ours(&record.call.user_agent) && !record.call.resource.is_empty());
    (aws, kubernetes.map(|record| (record.call.resource, record.call.verb)).collect())
}

#[test]
fn example_policy_allows_exactly_what_a_shard_reads() {
    let (aws, kubernetes) = inside::runtime().block_on(asked());
    let policy: Value = serde_json::from_str(&read("policy-read.json")).expect("JSON");
    let statement = &policy["Statement"][0];
    assert_eq!(statement["Effect"], "Allow");
    let allowed: BTreeSet<String> = serde_json::from_value(statement["Action"].clone()).expect("actions");
    // the first needs no permission; the second is needed by the credentials that assume the role
    let free = ["sts:GetCallerIdentity", "sts:AssumeRole"].map(str::to_owned);
    let asked: BTreeSet<String> = aws.difference(&free.into()).cloned().collect();
    assert_eq!(asked, allowed);

    let documents = documents("cluster.yaml");
    let role = documents.iter().find(|document| document["kind"] == "ClusterRole").expect("a ClusterRole");
    let mut allowed = BTreeSet::new();
    for rule in role["rules"].as_array().expect("rules") {
        assert_eq!(rule["apiGroups"], json!([""]));
        let words = |key: &str| -> Vec<String> { serde_json::from_value(rule[key].clone()).expect("words") };
        for resource in words("resources") {
            allowed.extend(words("verbs").into_iter().map(|verb| (resource.clone(), verb)));
        }
    }
    assert_eq!(kubernetes, allowed);
    let binding = documents.iter().find(|document| document["kind"] == "ClusterRoleBinding").expect("a binding");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
}
