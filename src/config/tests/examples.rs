//! The files that users copy are valid: the starter file, the annotated example, the folders under `examples/`.

use super::{Folder, key, rendered};
use crate::config::{Identities, load, starter};
use crate::model::desired::{ClusterState, Desired, Subject};
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn resolved(path: &str) -> Desired {
    let resolved = load(&root().join(path)).and_then(|configuration| configuration.resolve(&Identities::default()));
    resolved.unwrap_or_else(|diagnostics| panic!("{path}:\n{}", rendered(&diagnostics)))
}

#[test]
fn starter_file_is_valid_with_and_without_its_commented_parts() {
    let desired = Folder::alone(starter()).resolve().unwrap();
    assert_eq!(desired.roles[&key("reports")].bindings.len(), 1);
    // the commented parts are valid too
    let shown: String = starter()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.starts_with('[')
                    || rest.starts_with("region =")
                    || rest.starts_with("statements")
                    || rest.starts_with("  {")
                    || rest.starts_with(']') =>
            {
                rest
            }
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    let desired = Folder::alone(&shown).resolve().unwrap_or_else(|diagnostics| panic!("{}", rendered(&diagnostics)));
    assert_eq!(desired.roles[&key("reports")].inline.len(), 1, "{shown}");
}

#[test]
fn annotated_example_is_valid() {
    let desired = resolved("irsa.toml.example");
    assert!(desired.roles.len() == 2 && desired.policies.len() == 2);
}

#[test]
fn every_example_folder_is_valid_and_has_a_readme() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if !path.join("irsa.toml").is_file() {
            continue;
        }
        seen += 1;
        resolved(path.join("irsa.toml").to_str().unwrap());
        assert!(path.join("README.md").is_file(), "{}", path.display());
    }
    assert!(seen >= 4);
}

#[test]
fn examples_resolve_as_their_readmes_say() {
    let minimal = resolved("examples/minimal/irsa.toml");
    assert_eq!(minimal.roles.len(), 1);

    let clusters = resolved("examples/many-clusters/irsa.toml");
    let reports: Vec<&str> =
        clusters.roles[&key("reports")].bindings.iter().map(|binding| binding.cluster.as_str()).collect();
    assert_eq!(reports, ["prod-eu", "prod-eu", "prod-us", "prod-us"]);
    assert!(
        clusters.roles[&key("runner")]
            .bindings
            .iter()
            .any(|binding| matches!(binding.subject, Subject::Wildcard { .. }))
    );

    let accounts = resolved("examples/many-accounts/irsa.toml");
    let texts: Vec<&str> = accounts.policies.values().map(|policy| policy.document.text()).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts.iter().any(|text| text.contains("reports-111122223333-eu-west-1")));
    assert!(texts.iter().any(|text| text.contains("reports-444455556666-eu-central-1")));
    assert_eq!(accounts.roles[&key("exporter")].account, key("data"));

    let replaced = resolved("examples/cluster-replacement/irsa.toml");
    assert_eq!(replaced.clusters[&key("blue")].state, ClusterState::Gone);
    assert!(replaced.roles[&key("cart")].bindings.iter().all(|binding| binding.cluster == key("green")));
}
