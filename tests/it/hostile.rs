//! What a malicious server, or a neighbour in an account or a cluster, must not be able to do to a run.

use crate::ownership::{HEAD, Scene, role, trust};
use crate::support::hostile::{Answer, Asked, Hostile};
use crate::support::program::{Bench, Run, changes};
use crate::support::world::FIRST;
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::Stage;
use irsa_sandbox::kubernetes::{Resource, Store};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// The longest that a run may take when a server delays it: lists get 2 s, after a first answer within the same time.
const BOUND: Duration = Duration::from_secs(30);
/// The most memory that a run may use, in KiB: a few answers of the largest size.
const MEMORY: usize = 400 << 10;

/// Runs `irsa` and checks how much memory it uses.
fn bounded(bench: &Bench, arguments: &[&str]) -> Run {
    let begin = Instant::now();
    let mut running = bench.start(arguments);
    let status = format!("/proc/{}/status", running.child.id());
    let mut most = 0;
    while running.child.try_wait().expect("it can be waited for").is_none() && begin.elapsed() < BOUND {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = begin.elapsed();
    let run = running.ends();
    assert!(took < BOUND, "it took {took:?}: {run}");
    assert!(most < MEMORY, "it took {most} KiB: {run}");
    run
}

/// `address: why` of everything that a plan could not read.
fn unseen(plan: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = plan["unknown"].as_array().cloned().unwrap_or_default();
    list.iter().map(|item| format!("{}: {}", text(&item["address"]), text(&item["why"]))).collect()
}

/// If a server is fast and a limit is high, either of two limits may end the read: `why` then names both, with a `|`
/// between them.
#[track_caller]
fn is_invisible(run: &Run, place: &str, why: &str) {
    assert_eq!(run.code, 4, "{run}");
    let plan = run.json();
    assert_eq!(plan["complete"], false, "{run}");
    let unseen = unseen(&plan);
    let told = |item: &String| item.starts_with(place) && why.split('|').any(|why| item.contains(why));
    assert!(unseen.iter().any(told), "{place}: {why}: {unseen:#?}");
}

type Answers = fn(&Asked) -> Answer;

/// One page of ListRoles, and the marker of the next one.
fn roles_page(number: usize, roles: &str) -> Answer {
    Answer::ok(format!(
        "<ListRolesResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListRolesResult><IsTruncated>true\
         </IsTruncated><Marker>m{number}</Marker><Roles>{roles}</Roles></ListRolesResult></ListRolesResponse>"
    ))
}

fn role_xml(number: usize) -> String {
    format!(
        "<member><Path>/</Path><RoleName>r{number}</RoleName><RoleId>AROAEXAMPLE</RoleId>\
         <Arn>arn:aws:iam::{FIRST}:role/r{number}</Arn><CreateDate>2024-01-01T00:00:00Z</CreateDate></member>"
    )
}

#[test]
fn endless_iam_answer_leaves_the_account_unknown() {
    let cases: [(&str, Answers); 6] = [
        ("larger than 32 MiB", |_| Answer::Endless(200, "<ListRolesResponse>".into())),
        ("the list does not end|`--timeout`", |asked| roles_page(asked.number, "")),
        ("the list does not end", |_| roles_page(0, "")),
        ("the list does not end", |asked| roles_page(asked.number % 3, &role_xml(asked.number))),
        ("`--timeout`", |asked| {
            Answer::Late(Duration::from_millis(200), Box::new(roles_page(asked.number, &role_xml(asked.number))))
        }),
        ("more than 500000 objects|`--timeout`", |asked| {
            let roles: String = (0..20_000).map(role_xml).collect();
            roles_page(asked.number, &roles)
        }),
    ];
    for (why, answers) in cases {
        let scene = Scene::new();
        scene.declare(&role("app"));
        let server = Hostile::start(move |asked| {
            if asked.text.contains("Action=ListRoles&") {
                answers(asked)
            } else {
                Answer::Whole(403, String::new(), String::new())
            }
        });
        let mut bench = Bench::with(scene.world.environment(), &scene.bench.read("irsa.toml"));
        bench.set("AWS_ENDPOINT_URL_IAM", &server.address());
        let run = bounded(&bench, &["plan", "--format", "json", "--timeout", "2s"]);
        is_invisible(&run, "account/default", why);
    }
}

/// The bulk list is only faster: without it, irsa reads roles one by one.
#[test]
fn endless_bulk_list_is_given_up() {
    let scene = Scene::new();
    scene.declare(&(0..40).map(|number| role(&format!("app{number}"))).collect::<String>());
    scene.bench.converges();
    let body = "<GetAccountAuthorizationDetailsResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
                <GetAccountAuthorizationDetailsResult><IsTruncated>true</IsTruncated><Marker>m</Marker><RoleDetailList/>\
                </GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>";
    let circle = Fault::Page { status: 200, body: body.to_owned() };
    scene.world.fault(Stage::Before, Match::on("iam", "GetAccountAuthorizationDetails"), circle, None);
    let run = bounded(&scene.bench, &["plan", "-v"]);
    assert_eq!(run.code, 0, "{run}");
    run.says("No changes.").says("one by one: iam:GetAccountAuthorizationDetails: the list does not end");
}

#[test]
fn oversized_answer_of_any_service_is_refused() {
    for service in ["STS", "IAM", "EKS"] {
        let scene = Scene::new();
        scene.declare(&role("app"));
        let server = Hostile::start(|_| Answer::Endless(200, "{".into()));
        let mut bench = Bench::with(scene.world.environment(), &scene.bench.read("irsa.toml"));
        bench.set(&format!("AWS_ENDPOINT_URL_{service}"), &server.address());
        let run = bounded(&bench, &["plan", "--format", "json", "--timeout", "20s"]);
        let place = if service == "EKS" { "cluster/main" } else { "account/default" };
        is_invisible(&run, place, "larger than 32 MiB");
    }
}

/// A bench whose cluster is at `server`, because the user's configuration says so.
fn at(scene: &Scene, server: &str, more: &str) -> Bench {
    let mut entry = scene.world.cluster("main").kubeconfig_entry("secret-token");
    entry.cluster["cluster"] = json!({"server": server});
    let bench = Bench::new(scene.world.environment());
    bench.write("kube.yaml", &irsa_sandbox::kubernetes::kubeconfig(&[entry]));
    let cluster = format!("kubernetes = {{ kubeconfig = \"kube.yaml\", context = \"main\"{more} }}\n");
    bench.write("irsa.toml", &format!("{HEAD}{cluster}{}", role("app")));
    bench
}

fn page(next: &str, items: &str) -> Answer {
    Answer::ok(format!(r#"{{"metadata": {{"continue": "{next}"}}, "items": [{items}]}}"#))
}

fn item(number: usize) -> String {
    let metadata = json!({"namespace": "apps", "name": format!("s{number}"), "uid": "u", "resourceVersion": "1"});
    json!({ "metadata": metadata }).to_string()
}

#[test]
fn endless_kubernetes_answer_leaves_the_cluster_unknown() {
    let cases: [(&str, Answers); 7] = [
        ("larger than 32 MiB", |_| Answer::Endless(200, "{".into())),
        ("HTTP status 403", |_| Answer::Endless(403, "{".into())),
        ("the list does not end", |asked| page(&asked.number.to_string(), "")),
        ("the list does not end", |_| page("x", "")),
        ("the list does not end", |asked| page(&(asked.number % 4).to_string(), &item(asked.number))),
        ("`--timeout`", |asked| {
            let page = page(&asked.number.to_string(), &item(asked.number));
            Answer::Late(Duration::from_millis(200), Box::new(page))
        }),
        ("more than 500000 objects|`--timeout`", |asked| {
            let items = (1..20_000).fold(item(0), |mut items, number| {
                write!(items, ",{}", item(number)).expect("a string");
                items
            });
            page(&asked.number.to_string(), &items)
        }),
    ];
    for (why, answers) in cases {
        let scene = Scene::new();
        let server = Hostile::start(answers);
        let bench = at(&scene, &server.address(), ", unverified = true");
        let run = bounded(&bench, &["plan", "--format", "json", "--timeout", "2s"]);
        let place = if why.contains("403") { "service-account/main/apps/app" } else { "cluster/main" };
        is_invisible(&run, place, why);
    }
}

/// The server claims to be the declared cluster.
#[test]
fn cluster_at_an_address_without_tls_is_refused() {
    let scene = Scene::new();
    let issuer = scene.world.issuer("main");
    let discovery = json!({"issuer": issuer}).to_string();
    let server = Hostile::start(move |asked| {
        if asked.line.contains("openid-configuration") { Answer::ok(discovery.clone()) } else { page("", "") }
    });
    let by_issuer = |bench: &Bench| {
        let text =
            bench.read("irsa.toml").replace("[clusters.main]\n", &format!("[clusters.main]\nissuer = \"{issuer}\"\n"));
        bench.write("irsa.toml", &text);
    };
    for declared_by_issuer in [false, true] {
        let bench = at(&scene, &server.address(), "");
        if declared_by_issuer {
            by_issuer(&bench);
        }
        let run = bench.irsa(&["plan", "--format", "json"]);
        is_invisible(&run, "cluster/main", "leads to an `http` address");
        assert!(server.asked().is_empty(), "no token was sent there: {:?}", server.asked());
    }
    // `unverified` counts for an address on this machine, and for no other
    let word = ", unverified = true";
    let run = at(&scene, &server.address(), word).ends(0, &["plan"]);
    assert!(run.stdout.contains("1 to create") || run.stdout.contains("to create"), "{run}");
    for elsewhere in ["http://192.0.2.1:80", "http://localhost.example.com", "http://0.0.0.0:1"] {
        let run = at(&scene, elsewhere, word).irsa(&["plan", "--format", "json", "--timeout", "1s"]);
        is_invisible(&run, "cluster/main", "leads to an `http` address");
    }
}

/// The API of another cluster claims the declared issuer; EKS says otherwise.
#[test]
fn api_that_claims_the_issuer_is_refused_if_eks_disagrees() {
    let scene = Scene::new();
    scene.world.add_cluster("second");
    let (main, second) = (scene.world.cluster("main"), scene.world.cluster("second"));
    let body = json!({"issuer": main.issuer()}).to_string();
    let lie = irsa_sandbox::kubernetes::Fault::Page { status: 200, body };
    second.gate().fault(Stage::Before, irsa_sandbox::kubernetes::Match::any(), lie, None);
    let bench = Bench::new(scene.world.environment());
    let mut entry = second.kubeconfig_entry("admin-token");
    entry.context["name"] = json!("main");
    for both in [false, true] {
        let bundle = [main.certificate_authority_pem(), second.certificate_authority_pem()].concat();
        bench.write("bundle.pem", &bundle);
        if both {
            let cluster = &mut entry.cluster["cluster"];
            cluster.as_object_mut().expect("a table").remove("certificate-authority-data");
            cluster["certificate-authority"] = json!("bundle.pem");
        }
        bench.write("kube.yaml", &irsa_sandbox::kubernetes::kubeconfig(&[entry.clone()]));
        bench.write(
            "irsa.toml",
            &format!("{HEAD}kubernetes = {{ kubeconfig = \"kube.yaml\", context = \"main\" }}\n{}", role("app")),
        );
        let run = bench.ends(4, &["plan"]);
        run.says(if both {
            "invalid peer certificate"
        } else {
            "its certificate authority is not the one that EKS reports"
        });
        assert!(second.gate().log().is_empty(), "no token was sent there");
    }
}

fn labelled(store: &mut Store, namespace: &str, name: &str) {
    store.seed_service_account(namespace, name, &[], "kubectl-create").expect("a ServiceAccount");
    let label = |object: &mut Value| object["metadata"]["labels"] = json!({"irsa/owner": "me"});
    store.edit(Resource::ServiceAccounts, namespace, name, "kubectl-label", label).expect("a ServiceAccount");
}

/// Anyone in a namespace can set a label, and so make it look as if irsa owned more objects.
#[test]
fn guards_still_hold_after_others_set_our_labels() {
    let scene = Scene::new();
    let many = |more: &str| (0..6).map(|number| role(&format!("app{number}")) + more).collect::<String>();
    scene.declare(&many(""));
    scene.bench.converges();
    scene
        .world
        .cluster("main")
        .with(|store| (0..60).for_each(|number| labelled(store, "theirs", &format!("s{number}"))));
    scene.declare(&many("description = \"new\"\n"));
    scene
        .bench
        .ends(4, &["plan"])
        .says("6 of the 13 objects that irsa manages would change")
        .says("max-change-percent");
    // emptying a cluster counts as emptying it, whatever else the cluster holds
    scene.declare("[guard]\nmax-delete = 100\nmax-change-percent = 100\n[roles.app0]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\n");
    let text = scene.bench.read("irsa.toml");
    let bound_elsewhere = text
        + "[[roles.app0.trust]]\nprincipals = { aws = [\"arn:aws:iam::111122223333:role/x\"] }\nactions = [\"sts:AssumeRole\"]\n";
    scene.bench.write("irsa.toml", &bound_elsewhere);
    scene
        .bench
        .ends(4, &["plan"])
        .says("this plan would delete or release everything that irsa manages in cluster/main");
}

/// `depth` nested objects.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({}), |inner, _| json!({"f:x": inner}))
}

fn odd(scene: &Scene, name: &str, change: impl FnOnce(&mut Value)) {
    let cluster = scene.world.cluster("main");
    let deep = |object: &mut Value| {
        object["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Update", "fieldsV1": nested(130)}]);
        change(object);
    };
    assert!(cluster.with(|store| store.tamper(Resource::ServiceAccounts, "apps", name, deep)));
}

#[test]
fn malformed_object_leaves_only_itself_unknown() {
    let scene = Scene::new();
    scene.declare(&(role("app") + &role("other")));
    scene.bench.converges();
    let cluster = scene.world.cluster("main");
    cluster.with(|store| store.seed_service_account("apps", "stranger", &[], "helm")).expect("a ServiceAccount");
    // irsa ignores a malformed object of somebody else
    odd(&scene, "stranger", |_| ());
    scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
    scene.bench.ends(0, &["drift", "--confirm-after", "0s"]);
    // irsa reports a malformed object that may be ours, and continues
    odd(&scene, "stranger", |object| object["metadata"]["labels"] = json!({"irsa/owner": "me"}));
    let plan = scene.bench.ends(0, &["plan", "--format", "json"]).json();
    let told =
        |note: &Value| note["address"] == "service-account/main/apps/stranger" && note["rule"] == "orphans-unseen";
    assert!(plan["notes"].as_array().expect("notes").iter().any(told), "{plan:#}");
    // a malformed declared object is unknown; its neighbour is still updated
    odd(&scene, "app", |_| ());
    scene.declare(&(role("app") + &role("other").replace("ReadOnly", "Full")));
    let run = scene.bench.irsa(&["plan", "--format", "json", "--deny", "none"]);
    is_invisible(&run, "service-account/main/apps/app", "nested too deeply");
    assert_eq!(unseen(&run.json()).len(), 1, "{run}");
    assert_eq!(changes(&run.json()), ["update role/other"]);
}

/// A ServiceAccount that irsa cannot parse may still reference the role that is to be deleted.
#[test]
fn role_is_kept_while_a_malformed_service_account_may_reference_it() {
    let scene = Scene::new();
    scene.declare(&(role("app") + &role("other")));
    scene.bench.converges();
    let arn = format!("arn:aws:iam::{FIRST}:role/irsa/me/other");
    let cluster = scene.world.cluster("main");
    let seed = |store: &mut Store| {
        store.seed_service_account("apps", "stranger", &[("eks.amazonaws.com/role-arn", &arn)], "helm")
    };
    cluster.with(seed).expect("a ServiceAccount");
    odd(&scene, "stranger", |_| ());
    scene.declare(&role("app"));
    let run = scene.bench.ends(4, &["plan"]);
    run.says("did not read in full").says("orphans-unseen").says("service-account/main/apps/stranger");
    odd(&scene, "stranger", |object| object["metadata"]["annotations"] = json!({}));
    scene.bench.ends(0, &["plan"]).says("- orphan/default/role/other");
}

#[test]
fn unusual_oidc_providers_of_others_do_no_harm() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    let foreign = [
        "tenant.auth0.com/",
        "login.example.com:8443/x",
        "Login.Example.COM/Realms/A/",
        "x.example.com/a//b/",
        "\u{e4}.example",
    ];
    scene.world.with(|sandbox| {
        sandbox.iam(FIRST, |iam| foreign.iter().for_each(|host_path| iam.seed_provider(host_path, "client")));
    });
    // a role of somebody else trusts one of them
    let mut theirs = trust();
    theirs["Statement"][0]["Principal"] =
        json!({"Federated": format!("arn:aws:iam::{FIRST}:oidc-provider/tenant.auth0.com/")});
    theirs["Statement"][0]["Action"] = json!("sts:AssumeRoleWithWebIdentity");
    scene.someone.create_role("theirs", &theirs, &[]);
    scene.bench.converges();
    scene.bench.ends(0, &["drift", "--confirm-after", "0s"]);
    scene.bench.ends(0, &["apply", "--auto-approve", "--destroy"]);
    for host_path in foreign {
        assert!(scene.world.with(|sandbox| sandbox.iam(FIRST, |iam| iam.provider(host_path))).is_some(), "{host_path}");
    }
}

#[test]
fn endless_files_are_not_read_to_their_end() {
    let scene = Scene::new();
    let endless = "/dev/zero";
    let kubeconfig = |change: fn(&mut Value, &mut Value)| {
        let mut entry = scene.world.cluster("main").kubeconfig_entry("admin-token");
        change(&mut entry.cluster["cluster"], &mut entry.user["user"]);
        irsa_sandbox::kubernetes::kubeconfig(&[entry])
    };
    let cases = [
        kubeconfig(|_, user| *user = json!({"tokenFile": "/dev/zero"})),
        kubeconfig(|_, user| *user = json!({"client-certificate": "/dev/zero", "client-key": "/dev/zero"})),
        kubeconfig(|cluster, _| {
            *cluster = json!({"server": cluster["server"], "certificate-authority": "/dev/zero"});
        }),
    ];
    let mut bench = Bench::new(scene.world.environment());
    bench.write("irsa.toml", &format!("{HEAD}kubernetes = {{ context = \"main\" }}\n{}", role("app")));
    bench.set("KUBECONFIG", endless);
    let run = bounded(&bench, &["plan", "--format", "json"]);
    is_invisible(&run, "cluster/main", "larger than 16 MiB");
    for text in cases {
        bench.write("config", &text);
        let path = bench.path("config").display().to_string();
        bench.set("KUBECONFIG", &path);
        let run = bounded(&bench, &["plan", "--format", "json"]);
        is_invisible(&run, "cluster/main", "`/dev/zero` cannot be read: it is larger than 16 MiB");
    }
    // a program that prints for ever
    bench.write(
        "config",
        &kubeconfig(|_, user| {
            let exec =
                json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": ["/dev/zero"]});
            *user = json!({ "exec": exec });
        }),
    );
    let run = bounded(&bench, &["plan", "--format", "json"]);
    is_invisible(&run, "cluster/main", "printed more than 1 MiB");
}
