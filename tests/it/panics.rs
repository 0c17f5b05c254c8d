//! A bug makes irsa panic at the worst moment: while it holds the Lease and a write is under way.
//!
//! Runs irsa inside the test, where the transport below irsa can be made to panic. `cli::panics` tests that the process
//! ends with 1 and prints one line.

use crate::support::inside::{self, Inside};
use crate::support::world::FIRST;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use clap::Parser;
use futures::FutureExt;
use irsa::cli::{Cli, run_on};
use irsa::ui::Ui;
use irsa_sandbox::kubernetes::{Fault, Match, Resource, Stage};
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;

const CONFIGURATION: &str = "owner = \"me\"\n[clusters.main]\n[lock]\ncluster = \"main\"\n\
                             [roles.app]\nservice-accounts = [\"apps/app\"]\n";

/// A transport that panics when irsa is about to create a role.
#[derive(Debug, Clone)]
struct Panics(SharedHttpClient);

#[derive(Debug, Clone)]
struct PanicsAt(SharedHttpConnector);

impl HttpClient for Panics {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(PanicsAt(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for PanicsAt {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let connector = self.0.clone();
        HttpConnectorFuture::new(async move {
            assert!(!body.contains("Action=CreateRole&"), "the program has a mistake");
            connector.call(request).await
        })
    }
}

/// Runs an apply that panics. Returns the content of the Lease after it, and what irsa printed.
fn applied(prepare: impl FnOnce(&Inside)) -> (Value, String) {
    inside::runtime().block_on(async {
        let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["apps"])];
        let inside = Inside::start(SandboxOptions { clusters, ..SandboxOptions::empty() }).await;
        inside.write("irsa.toml", CONFIGURATION);
        prepare(&inside);
        let mut machine = inside.machine("irsa", 1);
        let aws = machine.transports.aws.take().expect("it is wired");
        let client = Panics(aws.http_client().expect("it is wired"));
        machine.transports.aws = Some(aws.into_builder().http_client(SharedHttpClient::new(client)).build());
        let path = inside.path("irsa.toml").display().to_string();
        let (ui, kept) = Ui::capturing();
        let cli = Cli::try_parse_from(["irsa", "--config", &path, "apply", "--auto-approve"]).expect("arguments");
        let run = AssertUnwindSafe(Box::pin(run_on(&machine, &ui, cli))).catch_unwind().await;
        let panic = run.expect_err("it panicked");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the program has a mistake"));
        let cluster = inside.sandbox.cluster("main");
        let lease = cluster.with(|store| store.get(Resource::Leases, "kube-system", "irsa-me").cloned());
        let spec = lease.expect("it was taken")["spec"].clone();
        assert!(cluster.with(|store| store.service_account("apps", "app").is_none()), "nothing was written after it");
        (spec, kept.stderr())
    })
}

#[test]
fn panic_while_holding_the_lock_releases_it() {
    let (spec, said) = applied(|_| {});
    assert_eq!((&spec["holderIdentity"], &spec["leaseDurationSeconds"]), (&json!(""), &json!(1)), "{said}");
}

#[test]
fn panic_with_a_lock_that_cannot_be_released_says_when_it_expires() {
    for fault in [Fault::Deny, Fault::Hang] {
        let (spec, said) = applied(|inside| {
            let gate = Match::on("update", "leases");
            inside.sandbox.cluster("main").gate().fault(Stage::Before, gate, fault, None);
        });
        assert!(spec["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty()), "{spec}");
        assert!(
            said.contains("the lock (Lease `kube-system/irsa-me` in cluster `main`) could not be released"),
            "{said}"
        );
        assert!(said.contains("it expires within 60s"), "{said}");
    }
}
