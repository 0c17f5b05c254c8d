//! `irsa import`: the result is valid, its plan adds only irsa's marks, and nobody gains or loses a role.

use crate::support::given::{OtherPeople, document, ec2_trust};
use crate::support::inside::{self, Inside};
use crate::support::many;
use crate::support::program::{Bench, Run, only_marks, refusals, without_marks};
use crate::support::world::{FIRST, SECOND, World};
use irsa_sandbox::kubernetes::Resource;
use irsa_sandbox::{ClusterSpec, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

mod accounts;
mod extends;
mod folder;
mod hostile;
mod law;
mod makers;
mod owner;
mod reasons;

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";

fn arn(kind: &str, name: &str) -> String {
    arn_in(FIRST, kind, name)
}

fn arn_in(account: &str, kind: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:{kind}/{name}")
}

/// A statement that lets ServiceAccounts in, as irsa, eksctl and Terraform write it.
fn lets_in(issuer: &str, audience: &str, subjects: &[&str]) -> Value {
    lets_in_of(FIRST, issuer, audience, subjects)
}

fn lets_in_of(account: &str, issuer: &str, audience: &str, subjects: &[&str]) -> Value {
    let host = issuer.trim_start_matches("https://");
    let subjects: Vec<String> = subjects.iter().map(|name| format!("system:serviceaccount:{name}")).collect();
    let subjects = if subjects.len() == 1 { json!(subjects[0]) } else { json!(subjects) };
    json!({
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": arn_in(account, "oidc-provider", host)},
        "Condition": {"StringEquals": {format!("{host}:sub"): subjects, format!("{host}:aud"): audience}},
    })
}

fn trust(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// A world with clusters, their providers, and a folder for irsa.
struct Scene {
    world: World,
    bench: Bench,
    clusters: &'static [&'static str],
    issuer: String,
}

impl Scene {
    /// The cluster `prod` and its provider in the first account.
    fn new() -> Self {
        let scene = Self::of(World::with_cluster("prod"), &["prod"]);
        scene.world.someone().create_provider(&scene.issuer, &["sts.amazonaws.com"]);
        scene
    }

    /// `issuer` is that of the first cluster.
    fn of(world: World, clusters: &'static [&'static str]) -> Self {
        let issuer = world.issuer(clusters[0]);
        let bench = Bench::new(world.environment());
        Self { world, bench, clusters, issuer }
    }

    /// What other people do in the first account.
    fn people(&self, calls: impl FnOnce(OtherPeople<'_>)) {
        self.people_in(FIRST, calls);
    }

    fn people_in(&self, account: &str, calls: impl FnOnce(OtherPeople<'_>)) {
        self.world.with(|sandbox| calls(OtherPeople { sandbox, account }));
    }

    fn call(&self, action: &str, fields: &[(&str, &str)]) {
        self.people(|people| people.call(action, fields));
    }

    fn create_role(&self, name: &str, trust: &str) {
        self.people(|people| people.create_role(name, trust));
    }

    /// A role that trusts this ServiceAccount, which names it.
    fn create_pair(&self, role: &str, namespace: &str, name: &str) {
        let subject = format!("{namespace}:{name}");
        self.create_role(role, &trust(&[lets_in(&self.issuer, "sts.amazonaws.com", &[&subject])]));
        self.annotate(namespace, name, &[(ROLE_ARN, &arn("role", role))]);
    }

    fn annotate(&self, namespace: &str, name: &str, annotations: &[(&str, &str)]) {
        self.annotate_in(self.clusters[0], namespace, name, annotations);
    }

    fn annotate_in(&self, cluster: &str, namespace: &str, name: &str, annotations: &[(&str, &str)]) {
        let seed = |store: &mut irsa_sandbox::kubernetes::Store| {
            store.seed_service_account(namespace, name, annotations, "kubectl-create").map(drop)
        };
        self.world.cluster(cluster).with(seed).expect("a ServiceAccount");
    }

    fn iam(&self) -> Value {
        let snapshot = |account| self.world.with(|sandbox| sandbox.iam(account, |iam| iam.snapshot()));
        without_marks(&json!([snapshot(FIRST), snapshot(SECOND)]))
    }

    /// Which ServiceAccounts get which roles, as STS decides. `audiences` are those to ask for.
    fn assumable(&self, audiences: &[&str]) -> BTreeSet<String> {
        let someone = self.world.someone();
        let mut arns = Vec::new();
        for account in [FIRST, SECOND] {
            let snapshot = self.world.with(|sandbox| sandbox.iam(account, |iam| iam.snapshot()));
            for (name, role) in snapshot["roles"].as_object().expect("roles") {
                let path = role["path"].as_str().unwrap_or("/");
                arns.push(format!("arn:aws:iam::{account}:role{path}{name}"));
            }
        }
        let mut gets = BTreeSet::new();
        for cluster in self.clusters {
            let all: Vec<(String, String)> = self.world.cluster(cluster).with(|store| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let accounts = store.all(Resource::ServiceAccounts);
                accounts.map(|item| (text(&item["metadata"]["namespace"]), text(&item["metadata"]["name"]))).collect()
            });
            for ((namespace, name), audience) in
                all.iter().flat_map(|item| audiences.iter().map(move |audience| (item, audience)))
            {
                let token = self.world.with(|sandbox| sandbox.token(cluster, namespace, name, audience));
                let token = token.expect("a key");
                let may = arns.iter().filter(|arn| someone.token_gets_role(arn, &token));
                gets.extend(may.map(|arn| format!("{cluster} {namespace}/{name} with {audience} gets {arn}")));
            }
        }
        gets
    }

    fn import(&self, code: i32, more: &[&str]) -> Run {
        let mut line = vec!["import", "--owner", "platform", "-o", "out"];
        line.extend(more);
        self.bench.ends(code, &line)
    }

    /// All files of the result.
    fn text(&self) -> String {
        let mut open = vec![self.bench.path("out")];
        let mut text = BTreeMap::new();
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let content = std::fs::read_to_string(&path).expect("a file");
                    text.insert(path.display().to_string(), content);
                }
            }
        }
        text.into_iter().fold(String::new(), |mut all, (name, text)| {
            write!(all, "### {name}\n{text}").expect("a string");
            all
        })
    }

    /// The law: the plan of the result changes only marks, apply too, and the plan after that is empty.
    #[track_caller]
    fn keeps_the_law(&self) {
        let (iam, gets) = (self.iam(), self.assumable(&["sts.amazonaws.com", "other"]));
        let config = ["-c", "out/irsa.toml"];
        let validated = self.bench.irsa(&[&config[..], &["validate"]].concat());
        assert_eq!(validated.code, 0, "{validated}{}", self.text());
        let planned = self.bench.irsa(&[&config[..], &["plan", "--adopt", "--format", "json"]].concat());
        assert_eq!(planned.code, 0, "{planned}{}", self.text());
        let plan = planned.json();
        assert_eq!(refusals(&plan), [""; 0], "{}", self.text());
        only_marks(&plan);
        for change in plan["changes"].as_array().expect("changes") {
            assert!(["adopt", "update"].contains(&change["action"].as_str().expect("an action")), "{change:#}");
        }
        let applied = self.bench.irsa(&[&config[..], &["apply", "--adopt", "--auto-approve"]].concat());
        assert_eq!(applied.code, 0, "{applied}");
        let again = self.bench.irsa(&[&config[..], &["plan", "--detailed-exitcode"]].concat());
        assert_eq!(again.code, 0, "{again}{}", self.text());
        assert_eq!(self.iam(), iam, "IAM has changed in more than marks");
        assert_eq!(self.assumable(&["sts.amazonaws.com", "other"]), gets);
    }
}

#[test]
fn role_of_a_service_account_is_declared_in_the_short_form() {
    let scene = Scene::new();
    scene.create_pair("reports", "reporting", "worker");
    let run = scene.import(0, &[]);
    run.says("wrote `out/irsa.toml`: 1 cluster, 1 role, 1 ServiceAccount, 0 policies");
    let role = "[roles.reports]\nservice-accounts = [\"reporting/worker\"]\n";
    assert_eq!(scene.bench.read("out/roles/reporting.toml"), role);
    let top = format!(
        "owner = \"platform\"\ninclude = [\"roles/*.toml\"]\n\n[accounts.default]\nid = \"{FIRST}\"\n\n[clusters.prod]\n\
         region = \"eu-west-1\"\n\n[defaults.role]\npath = \"/\"\n"
    );
    assert_eq!(scene.bench.read("out/irsa.toml"), top);
    scene.keeps_the_law();
}

/// Every shape of a role that is not the usual one, in one account.
fn odd_world() -> Scene {
    let scene = Scene::new();
    let (issuer, host) = (scene.issuer.clone(), scene.issuer.trim_start_matches("https://").to_owned());
    let usual = |subjects: &[&str]| lets_in(&issuer, "sts.amazonaws.com", subjects);
    scene.create_pair("plain", "apps", "plain");
    // one statement with two subjects, of which one does not exist
    scene.create_role("two", &trust(&[usual(&["apps:two", "apps:missing"])]));
    scene.annotate("apps", "two", &[(ROLE_ARN, &arn("role", "two"))]);
    // no audience condition, and a wildcard: no binding is exactly this
    let mut like = usual(&["apps:wild"]);
    like["Condition"] = json!({"StringLike": {format!("{host}:sub"): "system:serviceaccount:apps:*"}});
    scene.create_role("wild", &trust(&[like, usual(&["apps:wild"])]));
    scene.annotate("apps", "wild", &[(ROLE_ARN, &arn("role", "wild"))]);
    // a wildcard as irsa writes it
    let mut like = usual(&["apps:wild-1"]);
    like["Condition"] = json!({"StringEquals": {format!("{host}:aud"): "sts.amazonaws.com"},
        "StringLike": {format!("{host}:sub"): "system:serviceaccount:apps:wild-*"}});
    scene.create_role("pattern", &trust(&[like]));
    scene.annotate("apps", "wild-1", &[(ROLE_ARN, &arn("role", "pattern"))]);
    // principals beside the cluster
    let person = json!({"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": arn("role", "plain"), "Service": "ec2.amazonaws.com"},
        "Condition": {"Bool": {"aws:MultiFactorAuthPresent": true}, "NumericLessThan": {"aws:MultiFactorAuthAge": 300}}});
    scene.create_role("mixed", &trust(&[usual(&["apps:mixed"]), person]));
    scene.annotate("apps", "mixed", &[(ROLE_ARN, &arn("role", "mixed"))]);
    // an audience that the provider does not accept
    scene.create_role("audience", &trust(&[lets_in(&issuer, "other", &["apps:audience"])]));
    let annotations = [(ROLE_ARN, arn("role", "audience")), ("eks.amazonaws.com/audience", "other".to_owned())];
    let annotations: Vec<(&str, &str)> = annotations.iter().map(|(key, value)| (*key, value.as_str())).collect();
    scene.annotate("apps", "audience", &annotations);
    // two roles trust one ServiceAccount, and only one of them is named
    scene.create_role("second", &trust(&[usual(&["apps:plain"])]));
    // a name that is no key, a path, a description, tags, a session, a boundary
    let boundary = arn("policy", "boundary");
    scene.people(|people| people.create_policy("boundary", &document("Allow", ["s3:*"])));
    scene.call(
        "CreateRole",
        &[
            ("RoleName", "=odd,name@x"),
            ("Path", "/teams/a/"),
            ("Description", "what \"it\" does\n# not a comment"),
            ("MaxSessionDuration", "5400"),
            ("PermissionsBoundary", &boundary),
            ("AssumeRolePolicyDocument", &trust(&[usual(&["apps:odd"])])),
            ("Tags.member.1.Key", "team/x = y"),
            ("Tags.member.1.Value", "a b"),
            ("Tags.member.2.Key", "ManagedBy"),
            ("Tags.member.2.Value", "Terraform"),
        ],
    );
    let odd = arn("role", "teams/a/=odd,name@x");
    let keys = ["eks.amazonaws.com/token-expiration", "eks.amazonaws.com/sts-regional-endpoints"];
    scene.annotate("apps", "odd", &[(ROLE_ARN, &odd), (keys[0], "86400"), (keys[1], "true")]);
    // policies: AWS's, one's own with five versions, a long one, and text that looks like a template
    scene.people(|people| people.attach("plain", "arn:aws:iam::aws:policy/ReadOnlyAccess"));
    let path = [("PolicyName", "shared.policy"), ("Path", "/p/"), ("Description", "of many")];
    let first = document("Allow", ["s3:GetObject"]);
    scene.call("CreatePolicy", &[&path[..], &[("PolicyDocument", first.as_str())]].concat());
    let shared = arn("policy", "p/shared.policy");
    for number in 0..4 {
        let next = document("Allow", [&format!("s3:GetObject{number}")]);
        let fields = [("PolicyArn", shared.as_str()), ("PolicyDocument", &next), ("SetAsDefault", "true")];
        scene.call("CreatePolicyVersion", &fields);
    }
    for role in ["plain", "two"] {
        scene.people(|people| people.attach(role, &shared));
    }
    let braces = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject",
        "Resource": ["arn:aws:s3:::b/{{ account_id }}", "arn:aws:s3:::b/{{{# x", "arn:aws:s3:::b/${aws:username}"]}]});
    let long: Vec<String> = (0..40).map(|number| format!("arn:aws:s3:::bucket-{number}/*")).collect();
    let long = json!({"Statement": {"Sid": "Old", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": long}});
    for (name, text) in [("braces", braces), ("long", long)] {
        scene.people(|people| people.put_inline("plain", name, &text.to_string()));
    }
    scene.people(|people| people.put_inline("two", "all", &document("Allow", ["*"])));
    // a broken link, an unknown role, and a ServiceAccount of Helm
    scene.annotate("apps", "broken", &[(ROLE_ARN, &arn("role", "plain"))]);
    scene.annotate("apps", "lost", &[(ROLE_ARN, &arn("role", "gone"))]);
    scene.create_role("helm", &trust(&[usual(&["apps:helm"])]));
    scene.annotate("apps", "helm", &[(ROLE_ARN, &arn("role", "helm")), ("meta.helm.sh/release-name", "shop")]);
    // text that looks like a template in a trust policy, and the old version
    let tagged = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn("role", "plain")},
        "Condition": {"StringEquals": {"aws:PrincipalTag/{{ x }}": ["{{ account_id }}", "{%{# y", "{}"]}}});
    scene.create_role("tagged", &trust(&[usual(&["apps:tagged"]), tagged]));
    scene.annotate("apps", "tagged", &[(ROLE_ARN, &arn("role", "tagged"))]);
    let old = trust(&[usual(&["apps:old"])]).replace("2012-10-17", "2008-10-17");
    scene.create_role("old", &old);
    scene.annotate("apps", "old", &[(ROLE_ARN, &arn("role", "old"))]);
    // nobody's business
    scene.create_role("ec2", &ec2_trust());
    scene
}

#[test]
fn odd_roles_keep_everything_they_have() {
    let scene = odd_world();
    scene.world.someone().associate("prod", "apps", "plain", &arn("role", "ec2"));
    let run = scene.import(0, &[]);
    for text in [
        "not declared: ServiceAccount `apps/broken` in cluster `prod`: ",
        "not declared: ServiceAccount `apps/lost` in cluster `prod`: there is no role",
        "of `apps/plain` in cluster `prod`: irsa does not manage associations yet",
        "not declared: role `old` in account `default`: its trust policy is of version 2008-10-17",
    ] {
        run.says(text);
        let listed = text.trim_start_matches("not declared: ");
        assert!(scene.bench.read("out/irsa.toml").contains(listed), "{}", scene.text());
    }
    let text = scene.text();
    assert!(!text.contains("[roles.ec2]"), "{text}");
    let declared = [
        "manage = \"annotate\"",
        "# apps/helm: made by Helm, release `shop`",
        "# made by Terraform, as its tags say",
        "max-session-duration = \"90m\"",
        "token-expiration = \"24h\"",
        "attach = [\"shared.policy\", \"aws:ReadOnlyAccess\"]",
        "imported as it was",
        "name = \"=odd,name@x\"",
        "name = \"wild-*\"\nallow-wildcard = \"imported as it was\"",
    ];
    for part in declared {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    scene.keeps_the_law();
}

#[test]
fn existing_files_are_refused_before_anything_is_read() {
    let scene = Scene::new();
    scene.bench.write("out/roles/mine.toml", "# mine\n");
    scene.world.clear_log();
    scene.import(1, &[]).says("`out/roles` already exists");
    assert_eq!(scene.world.actions(), [""; 0]);
    assert_eq!(scene.bench.read("out/roles/mine.toml"), "# mine\n");
}

#[test]
fn missing_region_owner_or_folder_is_a_usage_error() {
    let mut scene = Scene::new();
    scene.bench.ends(64, &["import", "--owner", "x"]).says("--out <DIR>");
    scene.bench.ends(64, &["import", "-o", "out"]).says("`--owner` is missing");
    scene.bench.set("AWS_REGION", "");
    scene.bench.set("AWS_DEFAULT_REGION", "");
    scene.import(64, &[]).says("the region of account `default` is unknown");
    scene.import(1, &["--region", "eu-west-1", "--cluster", "none"]).says("there is no cluster `none`");
}

#[test]
fn glob_that_selects_nothing_is_a_usage_error() {
    let scene = Scene::new();
    scene.create_pair("reports", "reporting", "worker");
    scene.create_role("ec2", &ec2_trust());
    for (option, glob) in [("--namespace", "report"), ("--role", "m[0"), ("--role", "ec2"), ("--role", "")] {
        let text = format!("`{option} '{glob}'` matches nothing in these clusters; nothing was written");
        scene.import(64, &["--namespace", "*", option, glob]).says(&text);
    }
    assert!(!scene.bench.path("out").exists());
    // what could not be read may match
    scene.world.deny_object("GetRole", "reports");
    scene.import(4, &["--role", "reports"]);
}

#[test]
fn cluster_that_is_named_twice_counts_once() {
    let scene = Scene::new();
    scene.create_pair("reports", "reporting", "worker");
    scene.import(0, &["--cluster", "prod", "--cluster", "prod"]).says(": 1 cluster, 1 role");
    scene.keeps_the_law();
}

#[test]
fn unread_cluster_exits_4_and_its_service_accounts_stay_as_they_are() {
    let scene = Scene::new();
    scene.create_pair("reports", "reporting", "worker");
    scene.world.deny_kubernetes("prod");
    scene.import(4, &[]).says("not read: cluster `prod`");
    let text = scene.text();
    assert!(text.contains("manage = \"none\"") && text.contains("the ServiceAccount was not read"), "{text}");
    scene.world.allow_all();
    scene.keeps_the_law();
}

/// The tag forbids a delete with any value but `false`.
#[test]
fn protected_role_stays_protected() {
    for (value, declared) in [("true", true), ("yes", true), ("false", false)] {
        let scene = Scene::new();
        scene.create_pair("kept", "apps", "kept");
        scene.people(|people| people.tag_role("kept", "irsa/prevent-destroy", value));
        scene.import(0, &[]);
        assert_eq!(scene.text().contains("prevent-destroy = true"), declared, "{value}: {}", scene.text());
    }
}

#[test]
fn role_of_another_owner_is_listed_and_not_taken() {
    let scene = Scene::new();
    scene.create_pair("theirs", "apps", "theirs");
    scene.people(|people| people.tag_role("theirs", "irsa/owner", "b"));
    scene.import(0, &[]).says("role `theirs` in account `default`: it belongs to owner `b`");
    assert!(!scene.text().contains("[roles."), "{}", scene.text());
}

#[test]
fn namespace_and_role_globs_select() {
    let scene = Scene::new();
    for (role, namespace) in [("a-one", "team-a"), ("a-two", "team-a"), ("b-one", "team-b")] {
        scene.create_pair(role, namespace, role);
    }
    scene.import(0, &["--namespace", "*-a", "--role", "*-one"]);
    let text = scene.text();
    assert!(text.contains("[roles.a-one]"), "{text}");
    assert!(!text.contains("[roles.a-two]") && !text.contains("b-one"), "{text}");
    scene.keeps_the_law();
}

/// A thousand roles in an account and ServiceAccounts in its cluster.
fn seed_many(sandbox: &Sandbox, count: usize) {
    sandbox.iam(FIRST, |iam| iam.set_quota("RolesQuota", 10_000));
    let cluster = sandbox.cluster("main");
    let issuer = cluster.issuer().to_owned();
    let people = OtherPeople { sandbox, account: FIRST };
    people.call("CreateOpenIDConnectProvider", &[("Url", &issuer), ("ClientIDList.member.1", "sts.amazonaws.com")]);
    for number in 0..count {
        let name = format!("r{number}");
        people.create_role(&name, &trust(&[lets_in(&issuer, "sts.amazonaws.com", &[&format!("apps:s{number}")])]));
        let role = arn("role", &name);
        let seed = |store: &mut irsa_sandbox::kubernetes::Store| {
            store.seed_service_account("apps", &format!("s{number}"), &[(ROLE_ARN, &role)], "eksctl").map(drop)
        };
        cluster.with(seed).expect("a ServiceAccount");
    }
    for number in 0..3 {
        people.create_policy(&format!("p{number}"), &document("Allow", ["s3:GetObject"]));
        people.attach("r1", &arn("policy", &format!("p{number}")));
    }
}

#[test]
fn import_of_1000_roles_takes_at_most_12_requests_more_than_a_plan() {
    inside::runtime().block_on(async {
        let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["apps"])];
        let inside = Inside::start(SandboxOptions { clusters, ..SandboxOptions::empty() }).await;
        seed_many(&inside.sandbox, 1_000);
        let folder = inside.path("out").display().to_string();
        let sum = |inside: &Inside| -> usize {
            many::aws(inside).values().chain(many::kubernetes(inside, "main").values()).sum()
        };
        many::forget(&inside, &["main"]);
        let ended = inside.irsa_alone(1, &["import", "--owner", "me", "-o", &folder]).await;
        assert_eq!(ended.code, 0, "{ended}");
        let imported = sum(&inside);
        many::forget(&inside, &["main"]);
        let ended = inside.irsa(1, "out/irsa.toml", &["plan", "--adopt"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(ended.stdout.contains("1003 to adopt"), "{ended}");
        let planned = sum(&inside);
        assert!(imported <= planned + 12 + 3, "{imported} requests, a plan takes {planned}");
    });
}
