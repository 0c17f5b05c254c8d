//! The sandbox for tests, started in the test process: irsa uses it over HTTP, and tests change it directly.

use super::someone::Someone;
use irsa_sandbox::aws::{Call, Decision, Fault, Match, Record, Refusal};
use irsa_sandbox::gate::{Admission, Stage};
use irsa_sandbox::kubernetes::{self, Cluster, Resource, Store};
use irsa_sandbox::{ClusterSpec, Sandbox, SandboxOptions};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use tokio::runtime::Runtime;

/// The first account. The access key `test` belongs to it.
pub(crate) const FIRST: &str = "111122223333";
/// The second account.
pub(crate) const SECOND: &str = "444455556666";
const REGION: &str = "eu-west-1";

/// A running sandbox.
pub(crate) struct World {
    runtime: Runtime,
    // a mutex, because tests change the sandbox while they share it
    sandbox: Mutex<Sandbox>,
}

impl World {
    /// A sandbox with these options.
    pub(crate) fn of(options: SandboxOptions) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let sandbox = runtime.block_on(Sandbox::start(options)).expect("a sandbox");
        Self { runtime, sandbox: Mutex::new(sandbox) }
    }

    /// Two empty accounts.
    pub(crate) fn empty() -> Self {
        Self::of(SandboxOptions::empty())
    }

    /// Two accounts and three clusters.
    pub(crate) fn demo() -> Self {
        Self::of(SandboxOptions::demo())
    }

    /// One cluster in the first account.
    pub(crate) fn with_cluster(name: &str) -> Self {
        Self::of(SandboxOptions { clusters: vec![ClusterSpec::new(name, FIRST, REGION)], ..SandboxOptions::empty() })
    }

    /// Runs `work` on the sandbox itself.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Sandbox) -> T) -> T {
        work(&mut self.sandbox.lock().expect("no test has failed inside"))
    }

    /// The environment variables with which a program uses the sandbox as the first account.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        self.with(|sandbox| sandbox.environment())
    }

    /// The same for a program that also reads the issuers' documents.
    pub(crate) fn environment_with_issuers(&self) -> BTreeMap<String, String> {
        let mut environment = self.environment();
        environment.extend(self.with(|sandbox| sandbox.issuer_environment()));
        environment
    }

    /// SDK clients of somebody else in the first account.
    pub(crate) fn someone(&self) -> Someone {
        Someone::at(&self.with(|sandbox| sandbox.endpoint()), "test")
    }

    /// The Kubernetes API of a cluster.
    pub(crate) fn cluster(&self, name: &str) -> Arc<Cluster> {
        self.with(|sandbox| sandbox.cluster(name))
    }

    pub(crate) fn issuer(&self, cluster: &str) -> String {
        self.cluster(cluster).issuer().to_owned()
    }

    /// The text of the kubeconfig.
    pub(crate) fn kubeconfig(&self) -> String {
        std::fs::read_to_string(self.with(|sandbox| sandbox.kubeconfig())).expect("it was written")
    }

    pub(crate) fn add_cluster(&self, name: &str) {
        let spec = ClusterSpec::new(name, FIRST, REGION);
        self.with(|sandbox| self.runtime.block_on(sandbox.add_cluster(&spec))).expect("a cluster");
    }

    pub(crate) fn remove_cluster(&self, name: &str) {
        self.with(|sandbox| sandbox.remove_cluster(name)).expect("a cluster");
    }

    /// Creates the cluster anew: empty, with another issuer.
    pub(crate) fn replace_cluster(&self, name: &str) {
        self.with(|sandbox| self.runtime.block_on(sandbox.replace_cluster(name))).expect("a cluster");
    }

    /// The clusters of the first account.
    #[expect(clippy::unused_self, reason = "it is the demo's world that has them")]
    pub(crate) fn first_clusters(&self) -> [String; 2] {
        ["shop-eu".to_owned(), "data-eu".to_owned()]
    }

    /// The cluster of the second account.
    #[expect(clippy::unused_self, reason = "it is the demo's world that has it")]
    pub(crate) fn second_cluster(&self) -> String {
        "shop-us".to_owned()
    }

    /// The head of a configuration for the demo's accounts (`one`, `two`) and clusters.
    pub(crate) fn clusters_toml(&self, owner: &str) -> String {
        let mut text =
            format!("owner = \"{owner}\"\n[accounts.one]\nid = \"{FIRST}\"\n[accounts.two]\nid = \"{SECOND}\"\n");
        writeln!(text, "assume-role = \"arn:aws:iam::{SECOND}:role/OrganizationAccountAccessRole\"").expect("a string");
        for cluster in self.first_clusters() {
            writeln!(text, "[clusters.{cluster}]\naccount = \"one\"\nregion = \"{REGION}\"").expect("a string");
        }
        writeln!(text, "[clusters.{}]\naccount = \"two\"\nregion = \"us-east-1\"", self.second_cluster())
            .expect("a string");
        text
    }

    /// Creates a namespace in every cluster of the demo.
    pub(crate) fn create_namespaces(&self, name: &str) {
        for cluster in self.first_clusters().into_iter().chain([self.second_cluster()]) {
            self.cluster(&cluster).with(|store| create_namespace(store, name));
        }
    }

    /// The trust policy of a role of the first account.
    pub(crate) fn role_trust(&self, role: &str) -> Value {
        self.with(|sandbox| sandbox.iam(FIRST, |iam| iam.role_trust(role))).expect("a role").trust
    }

    pub(crate) fn has_role(&self, account: &str, role: &str) -> bool {
        self.with(|sandbox| sandbox.iam(account, |iam| iam.role_trust(role))).is_some()
    }

    /// Records that the role was used just now.
    pub(crate) fn use_role(&self, role: &str) {
        let now = jiff::Timestamp::now();
        assert!(
            self.with(|sandbox| sandbox.iam(FIRST, |iam| iam.set_last_used(role, now))),
            "there is no role `{role}`"
        );
    }

    /// Everything in an account's IAM that does not have the owner `me`.
    pub(crate) fn foreign(&self, account: &str) -> Value {
        let mut all = self.with(|sandbox| sandbox.iam(account, |iam| iam.snapshot()));
        for kind in all.as_object_mut().into_iter().flat_map(|kinds| kinds.values_mut()) {
            match kind {
                Value::Object(objects) => objects.retain(|_, object| !ours(object)),
                Value::Array(objects) => objects.retain(|object| !ours(object)),
                _ => {}
            }
        }
        all
    }

    fn log(&self) -> Vec<Record> {
        self.with(|sandbox| sandbox.log())
    }

    /// The bodies of the requests with this action that irsa sent.
    pub(crate) fn requests(&self, action: &str) -> Vec<String> {
        let sent = self.log().into_iter().filter(|record| by_irsa(&record.call) && record.call.action == action);
        sent.map(|record| record.call.body).collect()
    }

    /// The actions of all requests that irsa sent.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.log().into_iter().filter(|record| by_irsa(&record.call)).map(|record| record.call.action).collect()
    }

    /// The writes that irsa sent.
    pub(crate) fn writes(&self) -> Vec<String> {
        let writes = self.log().into_iter().filter(|record| by_irsa(&record.call) && record.call.is_write());
        writes.map(|record| format!("{} {}", record.call.action, record.call.object)).collect()
    }

    pub(crate) fn clear_log(&self) {
        self.with(|sandbox| sandbox.gate().forget());
    }

    fn refuse(&self, what: Match) {
        self.fault(Stage::Before, what, Fault::Deny, None);
    }

    /// Injects a fault from now on, this many times or permanently.
    pub(crate) fn fault(&self, stage: Stage, what: Match, fault: Fault, times: Option<u32>) {
        self.with(|sandbox| sandbox.gate().fault(stage, what, fault, times));
    }

    /// Closes or opens the AWS port: connections to a closed port are refused.
    pub(crate) fn refuse_connections(&self, refuse: bool) {
        self.with(|sandbox| self.runtime.block_on(sandbox.refuse_connections(refuse))).expect("the port");
    }

    /// Answers AccessDenied to this IAM action.
    pub(crate) fn deny(&self, action: &str) {
        self.refuse(Match::on("iam", action));
    }

    /// Answers AccessDenied to this IAM action on one object.
    pub(crate) fn deny_object(&self, action: &str, object: &str) {
        self.refuse(Match::on("iam", action).about(object));
    }

    /// Answers AccessDenied to every IAM and EKS request of an account.
    pub(crate) fn deny_account(&self, account: &str) {
        for service in ["iam", "eks"] {
            self.refuse(Match { account: Some(account.to_owned()), ..Match::service(service) });
        }
    }

    /// Throttles every request with this IAM action.
    pub(crate) fn throttle(&self, action: &str) {
        let throttled = Fault::Refuse(Refusal::throttled("iam"));
        self.with(|sandbox| sandbox.gate().fault(Stage::Before, Match::on("iam", action), throttled, None));
    }

    /// Answers 403 to every request to a cluster.
    pub(crate) fn deny_kubernetes(&self, cluster: &str) {
        let any = kubernetes::Match::any();
        self.cluster(cluster).gate().fault(Stage::Before, any, kubernetes::Fault::Deny, None);
    }

    /// Removes all AWS faults.
    pub(crate) fn allow_all(&self) {
        self.with(|sandbox| {
            sandbox.gate().heal();
            sandbox.gate().admit_by(None);
        });
    }

    /// Holds the first request with this action before it is carried out. The receiver gets a message when it has
    /// arrived; the sender releases it.
    pub(crate) fn hold(&self, action: &str) -> (mpsc::Receiver<()>, tokio::sync::oneshot::Sender<()>) {
        let (reached, heard) = mpsc::channel();
        let (release, released) = tokio::sync::oneshot::channel();
        let hold = HeldRequest {
            action: action.to_owned(),
            first: AtomicBool::new(true),
            reached: Mutex::new(reached),
            released: tokio::sync::Mutex::new(Some(released)),
        };
        self.with(|sandbox| sandbox.gate().admit_by(Some(Arc::new(hold))));
        (heard, release)
    }
}

struct HeldRequest {
    action: String,
    first: AtomicBool,
    reached: Mutex<mpsc::Sender<()>>,
    released: tokio::sync::Mutex<Option<tokio::sync::oneshot::Receiver<()>>>,
}

impl Admission<Call> for HeldRequest {
    fn decide<'a>(&'a self, stage: Stage, call: &'a Call, _outcome: Option<u16>) -> Decision<'a> {
        Box::pin(async move {
            if stage == Stage::Before && call.action == self.action && self.first.swap(false, Ordering::SeqCst) {
                // the test may have ended
                let _ = self.reached.lock().expect("it does not panic").send(());
                if let Some(released) = self.released.lock().await.take() {
                    let _ = released.await;
                }
            }
            None
        })
    }
}

/// Whether irsa sent the request. The user agent tells it apart from the tests' own SDK clients.
fn by_irsa(call: &Call) -> bool {
    !call.user_agent.contains("app/tests")
}

fn ours(object: &Value) -> bool {
    object.to_string().contains("\"irsa/owner\":\"me\"") || object.to_string().contains("irsa/owner\",\"Value\":\"me\"")
}

pub(crate) fn create_namespace(store: &mut Store, name: &str) {
    store.ensure_namespace(name).expect("a namespace");
}

/// Creates several namespaces in one cluster.
pub(crate) fn create_namespaces_in(cluster: &Cluster, names: &[&str]) {
    cluster.with(|store| names.iter().for_each(|name| create_namespace(store, name)));
}

/// Creates a running pod that uses a ServiceAccount.
pub(crate) fn create_pod(cluster: &Cluster, namespace: &str, name: &str, service_account: &str) {
    cluster.with(|store| store.seed_pod(namespace, name, service_account)).expect("a pod");
}

/// The ServiceAccount, if it exists.
pub(crate) fn service_account(cluster: &Cluster, namespace: &str, name: &str) -> Option<Value> {
    cluster.with(|store| store.service_account(namespace, name).cloned())
}

/// Replaces the object without one of its annotations, as `kubectl replace` does.
pub(crate) fn wipe_annotation(cluster: &Cluster, namespace: &str, name: &str, annotation: &str) {
    let wiped = cluster.with(|store| {
        store.edit(Resource::ServiceAccounts, namespace, name, "kubectl-replace", |object| {
            if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                annotations.remove(annotation);
            }
        })
    });
    wiped.expect("a ServiceAccount");
}
