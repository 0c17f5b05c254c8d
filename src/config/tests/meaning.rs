//! What valid configurations resolve to.

use super::{Folder, desired, key, online, rendered};
use crate::config::Identities;
use crate::context::worked;
use crate::ids::PolicyArn;
use crate::model::desired::{
    Adopt, Attachment, Boundary, ClusterState, Guard, GuardLimits, Manage, NamedKubeconfig, Subject,
};
use crate::policy::PolicyDocument;
use std::fmt::Write as _;
use std::time::Duration;

const LEAST: &str = "owner = \"me\"\n[clusters.prod]\n[roles.reports]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\nservice-accounts = [\"reporting/worker\"]\n";

#[test]
fn minimal_configuration_has_all_defaults() {
    let desired = desired(LEAST);
    let account = &desired.accounts[&key("default")];
    assert_eq!((account.id.as_str(), account.partition.as_str(), &account.origin), ("000000000000", "aws", &None));
    let cluster = &desired.clusters[&key("prod")];
    assert_eq!(cluster.name.as_ref().unwrap().as_str(), "prod");
    assert_eq!((&cluster.account, &cluster.region, cluster.state), (&key("default"), &None, ClusterState::Active));
    let role = &desired.roles[&key("reports")];
    assert_eq!(
        (role.name.as_str(), &role.account, role.path.as_str(), role.path_declared),
        ("reports", &key("default"), "/irsa/me/", false)
    );
    assert_eq!(
        (role.max_session_duration, &role.permissions_boundary, &role.adopt),
        (3600, &Boundary::Undeclared, &Adopt::No)
    );
    let managed = PolicyArn::parse("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess").unwrap();
    assert_eq!(role.attach, [Attachment::Arn(managed)].into());
    let [binding] = &role.bindings[..] else { panic!("{:?}", role.bindings) };
    assert_eq!(
        (binding.cluster.as_str(), binding.manage, binding.effective_audience()),
        ("prod", Manage::Create, "sts.amazonaws.com")
    );
    assert_eq!(binding.subject.claim(), "system:serviceaccount:reporting:worker");
    assert_eq!((role.origin.line, role.origin.column, binding.origin.line, binding.origin.column), (3, 8, 5, 21));
    assert_eq!(desired.guard, Guard::default());
}

#[test]
fn lock_has_defaults() {
    assert_eq!(desired(LEAST).lock, None);
    let lock = |text: &str| desired(&format!("{LEAST}[lock]\n{text}")).lock.unwrap();
    let least = lock("cluster = \"prod\"\n");
    assert_eq!(
        (least.cluster.as_str(), least.namespace.as_str(), least.name.as_str(), least.duration, least.origin.line),
        ("prod", "kube-system", "irsa-me", 60, 6)
    );
    let full = lock("cluster = \"prod\"\nnamespace = \"ops\"\nname = \"deploys.irsa\"\nduration = \"2m\"\n");
    assert_eq!((full.namespace.as_str(), full.name.as_str(), full.duration), ("ops", "deploys.irsa", 120));
}

#[test]
fn invalid_lock_is_refused_at_its_position() {
    let least = LEAST.replace("service-accounts", "cluster = \"prod\"\nservice-accounts");
    for (head, text, place, said) in [
        ("", "", "irsa.toml:7:2", "`[lock]` has no `cluster`"),
        ("", "cluster = \"prd\"\n", "irsa.toml:8:11", "there is no cluster `prd`\n"),
        ("", "cluster = \"prod\"\nduration = \"14s\"\n", "irsa.toml:9:12", "must be from 15s to 1h, but this is `14s`"),
        ("", "cluster = \"prod\"\nduration = \"61m\"\n", "irsa.toml:9:12", "must be from 15s to 1h, but this is `61m`"),
        ("[clusters.a]\nstate = \"gone\"\n", "cluster = \"a\"\n", "irsa.toml:10:11", "its state is `gone`"),
        (
            "[clusters.a]\nissuer = \"https://example.com/a\"\n",
            "cluster = \"a\"\n",
            "irsa.toml:10:11",
            "nothing says how to reach its API",
        ),
    ] {
        let folder = Folder::alone(&format!("{least}{head}[lock]\n{text}"));
        let diagnostics = folder.resolve().unwrap_err();
        let errors = rendered(&diagnostics);
        assert_eq!(diagnostics.list().len(), 1, "{errors}");
        assert!(errors.contains(place) && errors.contains(said), "{place} {said}: {errors}");
    }
    // an owner that is invalid in the name of a Lease needs `name`
    let shouting = LEAST.replace("\"me\"", "\"Me\"") + "[lock]\ncluster = \"prod\"\n";
    let errors = rendered(&Folder::alone(&shouting).resolve().unwrap_err());
    assert!(errors.contains("would be called `irsa-Me`") && errors.contains("add `name`"), "{errors}");
    assert!(Folder::alone(&(shouting + "name = \"irsa-me\"\n")).resolve().is_ok());
}

#[test]
fn identities_replace_placeholders() {
    let configuration = Folder::alone(LEAST).load().unwrap();
    let desired = configuration.resolve(&online("aws-cn")).unwrap();
    assert_eq!(desired.accounts[&key("default")].id.as_str(), "999988887777");
    assert_eq!(desired.clusters[&key("prod")].region.as_ref().unwrap().as_str(), "eu-west-1");
    let Attachment::Arn(arn) = desired.roles[&key("reports")].attach.first().unwrap() else { panic!("an ARN") };
    assert_eq!(arn.as_str(), "arn:aws-cn:iam::aws:policy/AmazonS3ReadOnlyAccess");
    assert_eq!(desired.config_digest, configuration.digest());
}

#[test]
fn digest_covers_exactly_the_files_that_are_read() {
    let folder = Folder::of(
        "=== irsa.toml\nowner = \"me\"\ninclude = [\"a.toml\"]\n[policies.p]\nfile = \"p.json\"\n=== a.toml\n[clusters.c]\n=== p.json\n{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\", \"Action\": \"a:b\", \"Resource\": \"*\"}}\n",
    );
    let digest = || folder.load().unwrap_or_else(|list| panic!("{}", rendered(&list))).digest().to_owned();
    let first = digest();
    assert!(first.starts_with("sha256:") && first.len() == 71);
    folder.write("unrelated.json", "{}");
    assert_eq!(digest(), first);
    folder.write("a.toml", "[clusters.c]\n\n");
    let second = digest();
    assert_ne!(second, first);
    folder.write("p.json", "{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\", \"Action\": \"a:c\", \"Resource\": \"*\"}}\n");
    assert_ne!(digest(), second);
}

#[test]
fn role_takes_defaults_that_it_does_not_override() {
    let text = "owner = \"me\"\n[clusters.c]\n[defaults.role]\npath = \"/team/\"\nmax-session-duration = \"2h\"\npermissions-boundary = \"arn:aws:iam::aws:policy/PowerUserAccess\"\ntags = { a = \"1\", b = \"2\" }\n\
        [roles.x]\nservice-accounts = [\"n/x\"]\n[roles.y]\nservice-accounts = [\"n/y\"]\npath = \"/own/\"\nmax-session-duration = \"12h\"\npermissions-boundary = \"none\"\ntags = { b = \"3\" }\n";
    let desired = desired(text);
    let (x, y) = (&desired.roles[&key("x")], &desired.roles[&key("y")]);
    assert_eq!((x.path.as_str(), x.path_declared, x.max_session_duration), ("/team/", false, 7200));
    assert_eq!((y.path.as_str(), y.path_declared, y.max_session_duration), ("/own/", true, 43_200));
    assert!(matches!(&x.permissions_boundary, Boundary::Policy(arn) if arn.name() == "PowerUserAccess"));
    assert_eq!(y.permissions_boundary, Boundary::None);
    assert_eq!(x.tags, [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect());
    assert_eq!(y.tags, [("a", "1"), ("b", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect());
}

#[test]
fn policy_is_resolved_for_each_account_that_attaches_it() {
    let text = "owner = \"me\"\n[accounts.a]\nid = \"111122223333\"\n[accounts.b]\nid = \"444455556666\"\n\
        [clusters.a]\naccount = \"a\"\nregion = \"eu-west-1\"\nname = \"real-a\"\n[clusters.b]\naccount = \"b\"\nregion = \"us-east-1\"\n\
        [policies.p]\nstatements = [{ actions = [\"s3:GetObject\"], resources = [\"arn:{{ partition }}:s3:::{{ owner }}-{{ account_id }}-{{ region }}-{{ cluster }}\"] }]\n\
        [policies.unused]\nstatements = [{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::{{ region }}\"] }]\n\
        [roles.a]\ncluster = \"a\"\nattach = [\"p\"]\nservice-accounts = [\"n/a\"]\n[roles.a2]\ncluster = \"a\"\nattach = [\"p\"]\nservice-accounts = [\"n/a2\"]\n\
        [roles.b]\ncluster = \"b\"\nattach = [\"p\"]\nservice-accounts = [\"n/b\"]\n";
    let desired = desired(text);
    let resources: Vec<(String, String)> = desired
        .policies
        .iter()
        .map(|((account, _), policy)| {
            (account.to_string(), policy.document.to_value()["Statement"][0]["Resource"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected =
        [("a", "arn:aws:s3:::me-111122223333-eu-west-1-real-a"), ("b", "arn:aws:s3:::me-444455556666-us-east-1-b")];
    assert_eq!(resources, expected.map(|(account, arn)| (account.to_owned(), arn.to_owned())));
    assert_eq!(desired.roles[&key("b")].account, key("b"));
    let policy = &desired.policies[&(key("a"), key("p"))];
    assert_eq!((policy.name.as_str(), policy.path.as_str()), ("p", "/irsa/me/"));
}

#[test]
fn globs_match_active_clusters_and_names_any() {
    let text = "owner = \"me\"\n[clusters.p-1]\n[clusters.p-2]\n[clusters.p-3]\nstate = \"gone\"\n[clusters.q]\n\
        [roles.glob]\ncluster = [\"p-*\", \"q\"]\nservice-accounts = [\"n/glob\"]\n[roles.named]\ncluster = [\"p-3\", \"p-?\"]\nservice-accounts = [\"n/named\"]\n";
    let desired = desired(text);
    let clusters = |role: &str| -> Vec<String> {
        desired.roles[&key(role)].bindings.iter().map(|item| item.cluster.to_string()).collect()
    };
    assert_eq!(clusters("glob"), ["p-1", "p-2", "q"]);
    assert_eq!(clusters("named"), ["p-1", "p-2", "p-3"]);
}

#[test]
fn only_active_cluster_is_the_default() {
    let desired = desired(
        "owner = \"me\"\n[clusters.new]\n[clusters.old]\nstate = \"gone\"\n[roles.r]\nservice-accounts = [\"n/r\"]\n[[service-accounts]]\nrole = \"r\"\nnamespace = \"n\"\nname = [\"s\", \"t\"]\nmanage = \"annotate\"\n",
    );
    let bindings = &desired.roles[&key("r")].bindings;
    assert_eq!(bindings.len(), 3);
    assert!(bindings.iter().all(|binding| binding.cluster == key("new")));
}

#[test]
fn repeated_binding_is_kept_once() {
    let desired = desired(
        "owner = \"me\"\n[clusters.c]\n[roles.r]\nservice-accounts = [\"n/r\", \"n/r\"]\n[[service-accounts]]\nrole = \"r\"\nnamespace = \"n\"\nname = [\"r\"]\nmanage = \"create\"\n",
    );
    assert_eq!(desired.roles[&key("r")].bindings.len(), 1);
}

#[test]
fn wildcard_is_trust_only_and_may_be_shared_by_roles() {
    let entry = |role: &str| {
        format!(
            "[[service-accounts]]\nrole = \"{role}\"\nnamespace = \"n\"\nname = [\"x-*\", \"y\"]\nallow-wildcard = \"tests\"\n"
        )
    };
    let text = format!(
        "owner = \"me\"\n[clusters.c]\n[roles.r]\n[roles.s]\n{}{}",
        entry("r"),
        entry("s").replace(", \"y\"", "")
    );
    let desired = desired(&text);
    let bindings = &desired.roles[&key("r")].bindings;
    assert!(
        matches!(&bindings[0].subject, Subject::Exact(_, name) if name.as_str() == "y")
            && bindings[0].manage == Manage::Create
    );
    assert!(
        matches!(&bindings[1].subject, Subject::Wildcard { reason, .. } if reason == "tests")
            && bindings[1].manage == Manage::None
    );
    assert_eq!(desired.roles[&key("s")].bindings.len(), 1);
}

#[test]
fn cluster_with_only_an_issuer_has_no_eks_name() {
    let text = "owner = \"me\"\n[clusters.metal]\nissuer = \"https://example.com/metal\"\nkubernetes = { kubeconfig = \"sub/../kube.yaml\", context = \"m\", unverified = true }\n[clusters.eks]\nissuer = \"https://example.com/eks\"\nname = \"eks\"\n[clusters.silent]\nissuer = \"https://example.com/silent\"\n\
        [roles.r]\ncluster = \"metal\"\nservice-accounts = [\"n/r\"]\n[[service-accounts]]\nrole = \"r\"\ncluster = \"silent\"\nnamespace = \"n\"\nname = \"x\"\nmanage = \"none\"\n";
    let folder = Folder::alone(text);
    let desired = folder.resolve().unwrap_or_else(|list| panic!("{}", rendered(&list)));
    let metal = &desired.clusters[&key("metal")];
    assert_eq!(
        (&metal.name, metal.kubernetes.context.as_deref(), metal.kubernetes.unverified),
        (&None, Some("m"), true)
    );
    let named = NamedKubeconfig { path: folder.path("kube.yaml"), folder: folder.path("").canonicalize().unwrap() };
    assert_eq!(metal.kubernetes.kubeconfig, Some(named));
    assert!(desired.clusters[&key("eks")].name.is_some());
}

#[test]
fn recreated_cluster_may_reuse_the_name_of_a_gone_one() {
    let desired = desired("owner = \"me\"\n[clusters.prod]\nstate = \"gone\"\n[clusters.prod-2]\nname = \"prod\"\n");
    assert_eq!(desired.clusters.len(), 2);
}

#[test]
fn templates_are_rendered_in_every_form_of_document() {
    let text = "=== irsa.toml\nowner = \"me\"\n[clusters.c]\nregion = \"eu-west-1\"\n[roles.r]\nservice-accounts = [\"n/r\"]\n[roles.r.inline.json]\njson = '{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Resource\": \"arn:{{ partition }}:s3:::{{ owner }}\"}}'\n\
        [roles.r.inline.file]\nfile = \"p.json\"\n[roles.r.inline.other]\nfile = \"p.json.j2\"\n[[roles.r.trust]]\nprincipals = { aws = \"arn:aws:iam::{{ account_id }}:root\" }\nactions = [\"sts:AssumeRole\"]\n\
        === p.json\n{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Resource\": \"arn:aws:s3:::a-{{ region }}\"}}\n\
        === p.json.j2\n{# why #}{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Resource\": \"arn:aws:s3:::b-{{ region }}\"}}\n";
    let desired = Folder::of(text).resolve().unwrap_or_else(|list| panic!("{}", rendered(&list)));
    let role = &desired.roles[&key("r")];
    let texts: Vec<String> = role.inline.values().map(PolicyDocument::minified).collect();
    for (text, resource) in
        texts.iter().zip(["arn:aws:s3:::a-eu-west-1", "arn:aws:s3:::me", "arn:aws:s3:::b-eu-west-1"])
    {
        assert!(text.contains(resource), "{texts:?}");
    }
    assert_eq!(role.extra_trust[0].to_value()["Principal"]["AWS"], "arn:aws:iam::000000000000:root");
}

#[test]
fn adopt_keys_are_resolved() {
    let desired = desired(
        "owner = \"me\"\n[clusters.c]\n[roles.a]\nservice-accounts = [\"n/a\"]\nadopt = true\n[roles.b]\nservice-accounts = [\"n/b\"]\nadopt = true\nadopt-from = \"other\"\n[roles.c]\nservice-accounts = [\"n/c\"]\nprevent-destroy = true\nignore-attached = [\"arn:*:audit-*\"]\n",
    );
    let adopt = |name: &str| desired.roles[&key(name)].adopt.clone();
    assert_eq!([adopt("a"), adopt("b"), adopt("c")], [Adopt::Unowned, Adopt::From(key("other")), Adopt::No]);
    assert!(
        desired.roles[&key("c")].prevent_destroy
            && desired.roles[&key("c")].ignore_attached[0].matches("arn:aws:audit-x")
    );
}

#[test]
fn guard_forget_and_other_top_level_keys_are_resolved() {
    let desired = desired(
        "version = 1\nowner = \"me\"\nforget = [\"role/old\", \"service-account/c/n/x\", \"role/old\"]\nignore-tags = [\"cost:*\"]\n[guard]\nmax-change-percent = 0\nmin-existing = 3\nmax-delete = 9\nrecent-use = \"7d\"\n[prune]\npaths = [\"/legacy/\"]\n[clusters.c]\n",
    );
    assert_eq!(
        desired.guard,
        Guard {
            max_change_percent: 0,
            min_existing: 3,
            max_delete: 9,
            recent_use: Duration::from_hours(7 * 24),
            at_most: GuardLimits::default(),
        }
    );
    let forget: Vec<String> = desired.forget.iter().map(|(address, _)| address.to_string()).collect();
    assert_eq!(forget, ["role/old", "service-account/c/n/x"]);
    assert!(desired.ignore_tags[0].matches("cost:team"));
    assert_eq!(desired.prune_paths.first().unwrap().as_str(), "/legacy/");
}

#[test]
fn time_grows_linearly_with_the_number_of_roles() {
    let text = |roles: usize| {
        let mut text = String::from("owner = \"me\"\n[clusters.a]\n[clusters.b]\n");
        for i in 0..roles {
            let _ = write!(
                text,
                "[roles.role-{i}]\ncluster = \"*\"\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/one-{i}\", \"apps/two-{i}\"]\n"
            );
        }
        text
    };
    let time = |roles: usize| {
        let folder = Folder::alone(&text(roles));
        let begin = worked();
        let configuration = folder.load().unwrap();
        let desired = configuration.resolve(&Identities::default()).unwrap();
        assert_eq!(desired.roles.len(), roles);
        worked().saturating_sub(begin)
    };
    // one thread, because `worked` counts the time of this one
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (few, many) = alone.install(|| ((0..10).map(|_| time(100)).sum::<Duration>(), time(1000)));
    // the kernel counts in ticks of some milliseconds
    let most = few * 4 + Duration::from_millis(40);
    assert!(many < most, "ten times 100 roles took {few:?}, 1000 took {many:?}");
}
