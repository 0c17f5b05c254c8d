//! `irsa import --config`: the result and the configuration that it extends are valid together.

use super::Scene;
use crate::support::program::{changes, only_marks};

#[test]
fn existing_configuration_gets_what_it_does_not_declare() {
    let scene = Scene::new();
    scene.create_pair("old", "apps", "old");
    scene.create_pair("new", "apps", "new");
    let mut text = "owner = \"platform\"\n[clusters.main]\nname = \"prod\"\nregion = \"eu-west-1\"\n\
                    [defaults.role]\npath = \"/x/\"\nmax-session-duration = \"2h\"\n[roles.old]\npath = \"/\"\n\
                    max-session-duration = \"1h\"\nservice-accounts = [\"apps/old\"]\n"
        .to_owned();
    scene.bench.write("irsa.toml", &text);
    scene.bench.ends(0, &["apply", "--adopt", "--auto-approve"]);
    let run = scene.bench.ends(0, &["import", "-c", "irsa.toml", "-o", "more/new"]);
    run.says("add to `irsa.toml`: include = [\"more/new/imported.toml\", \"more/new/roles/*.toml\"]");
    assert_eq!(scene.bench.read("irsa.toml"), text, "the existing file is not changed");
    text.insert_str(0, "include = [\"more/new/imported.toml\", \"more/new/roles/*.toml\"]\n");
    scene.bench.write("irsa.toml", &text);
    let plan = scene.bench.plan(&["--adopt"]);
    assert_eq!(changes(&plan), ["adopt role/new", "update service-account/main/apps/new"], "{plan:#}");
    only_marks(&plan);
    scene.bench.ends(64, &["import", "-c", "irsa.toml", "-o", "/tmp/elsewhere"]).says("is not below the folder");
    for odd in ["li[ve]", "a\"b", "a*"] {
        scene.bench.ends(64, &["import", "-c", "irsa.toml", "-o", odd]).says("`include` cannot name the folder");
    }
}

const ONE: &str = "owner = \"platform\"\n[clusters.main]\nname = \"prod\"\nregion = \"eu-west-1\"\n";

const OLD: &str = "[roles.old]\npath = \"/\"\nservice-accounts = [\"apps/old\"]\n";

/// A scene with this configuration, and the role `old` that it declares.
fn declared(text: &str) -> Scene {
    let scene = Scene::new();
    scene.create_pair("old", "apps", "old");
    scene.create_pair("new", "apps", "new");
    scene.bench.write("irsa.toml", text);
    scene
}

/// Imports into `more`, includes the result as irsa says, and checks that the plan has only these changes.
#[track_caller]
fn adds(scene: &Scene, expected: &[&str]) {
    let run = scene.bench.ends(0, &["import", "-c", "irsa.toml", "-o", "more"]);
    let line = run.stderr.lines().find_map(|line| Some(line.strip_prefix("add to ")?.split_once(": ")?.1));
    let line = line.unwrap_or_else(|| panic!("{run}"));
    let text = scene.bench.read("irsa.toml");
    let text = if text.contains("include = [") {
        run.says("add to `include` at irsa.toml:1");
        text.replacen("include = [", &format!("include = [{line}, "), 1)
    } else {
        format!("{line}\n{text}")
    };
    scene.bench.write("irsa.toml", &text);
    let run = scene.bench.irsa(&["plan", "--adopt", "--format", "json"]);
    assert_eq!(run.code, 0, "{run}{text}{}", scene.bench.read("more/imported.toml"));
    let plan = run.json();
    assert_eq!(changes(&plan), expected, "{plan:#}");
    only_marks(&plan);
}

#[test]
fn further_cluster_is_refused_with_the_lines_that_would_change() {
    for (entries, line) in [
        (OLD, "irsa.toml:7: add `cluster = \"main\"`"),
        (
            "[roles.old]\npath = \"/\"\n[[service-accounts]]\nrole = \"old\"\nnamespace = \"apps\"\nname = \"old\"\n",
            "irsa.toml:7: add `cluster = \"main\"`",
        ),
        (
            "[roles.old]\npath = \"/\"\ncluster = \"*\"\nservice-accounts = [\"apps/old\"]\n",
            "irsa.toml:7: name the clusters that `*` stands for today",
        ),
    ] {
        let scene = declared(&format!("{ONE}{entries}"));
        scene.bench.ends(0, &["apply", "--adopt", "--auto-approve"]);
        scene.world.add_cluster("stage");
        let run = scene.bench.ends(3, &["import", "-c", "irsa.toml", "-o", "more"]);
        run.says(line).says("nothing was written").says("`--cluster prod`");
        assert!(!scene.bench.path("more").exists(), "{run}");
        scene.bench.ends(0, &["import", "-c", "irsa.toml", "-o", "more", "--cluster", "prod"]);
    }
}

#[test]
fn further_cluster_is_added_where_entries_name_theirs() {
    let old = "[roles.old]\npath = \"/\"\ncluster = \"main\"\nservice-accounts = [\"apps/old\"]\n";
    let scene = declared(&format!("{ONE}{old}"));
    scene.bench.ends(0, &["apply", "--adopt", "--auto-approve"]);
    scene.world.add_cluster("stage");
    adds(&scene, &["adopt role/new", "update service-account/main/apps/new"]);
    assert!(scene.bench.read("more/imported.toml").contains("[clusters.stage]"));
    assert!(scene.bench.read("more/roles/apps.toml").contains("cluster = \"main\""));
}

/// Existing includes, other keys, policies that are declared already, and settings that hold for all roles.
#[test]
fn settings_of_the_existing_configuration_change_no_imported_role() {
    let scene = declared(&format!(
        "include = [\"teams/*.toml\"]\nignore-tags = [\"cost:*\"]\nforget = [\"role/gone\", \"orphan/default/role/lost\"]\n{ONE}\
         [defaults.role]\npath = \"/x/\"\nmax-session-duration = \"2h\"\npermissions-boundary = \"arn:aws:iam::{0}:policy/limit\"\n\
         tags = {{ Team = \"a\" }}\n[policies.mine]\nname = \"shared\"\npath = \"/\"\nfile = \"shared.json\"\n\
         [policies.unused]\nname = \"spare\"\nfile = \"shared.json\"\n",
        super::FIRST
    ));
    let read = crate::support::given::document("Allow", ["s3:GetObject"]);
    scene.bench.write("shared.json", &read);
    scene.bench.write(
        "teams/a.toml",
        "[roles.other-key]\nname = \"old\"\npath = \"/\"\nmax-session-duration = \"1h\"\npermissions-boundary = \"none\"\n\
         attach = [\"mine\"]\nservice-accounts = [\"apps/old\"]\n",
    );
    for name in ["shared", "spare"] {
        scene.people(|people| people.create_policy(name, &read));
    }
    for (role, policy) in [("old", "shared"), ("new", "shared"), ("new", "spare")] {
        scene.people(|people| people.attach(role, &super::arn("policy", policy)));
    }
    for role in ["gone", "lost", "lacks"] {
        scene.create_pair(role, "apps", role);
    }
    for role in ["old", "new", "gone", "lost"] {
        for (key, value) in [("Team", "b"), ("cost:center", "7")] {
            scene.people(|people| people.tag_role(role, key, value));
        }
    }
    let text = scene.bench.read("teams/a.toml").replace("attach", "tags = { Team = \"b\" }\nattach");
    scene.bench.write("teams/a.toml", &text);
    scene.bench.ends(0, &["apply", "--adopt", "--auto-approve"]);
    adds(&scene, &["adopt policy/default/spare", "adopt role/new", "update service-account/main/apps/new"]);
    let (top, roles) = (scene.bench.read("more/imported.toml"), scene.bench.read("more/roles/apps.toml"));
    for text in [
        "role `gone` in account `default`: `forget` names it",
        "role `lost` in account `default`: `forget` names it",
        "role `lacks` in account `default`: `[defaults.role]` would give it the tag `Team`",
    ] {
        assert!(top.contains(text), "{text}: {top}");
    }
    assert!(roles.contains("attach = [\"mine\", \"spare\"]"), "{roles}");
    assert!(!roles.contains("cost:center"), "{roles}");
}

#[test]
fn owner_of_the_configuration_counts() {
    let scene = declared(ONE);
    let run = scene.bench.ends(64, &["import", "-c", "irsa.toml", "-o", "more", "--owner", "other"]);
    run.says("`--owner` is `other`, and the configuration has owner `platform`");
    assert!(!scene.bench.path("more").exists());
}

/// A cluster that is declared by its issuer, or that irsa must not look at.
#[test]
fn declared_cluster_is_not_found_again() {
    let two = ["adopt role/new", "adopt role/old"];
    let bindings = ["update service-account/metal/apps/new", "update service-account/metal/apps/old"];
    for entries in ["", OLD] {
        adds(&with_issuer(entries), &[two, bindings].concat());
    }
    let scene = declared(&format!("{ONE}kubernetes = \"none\"\n"));
    adds(&scene, &two);
}

/// A scene whose configuration declares the cluster by its issuer, with these entries.
fn with_issuer(entries: &str) -> Scene {
    let scene = declared("");
    let issuer = &scene.issuer;
    let metal = format!("[clusters.metal]\nissuer = \"{issuer}\"\nkubernetes = {{ context = \"prod\" }}\n");
    scene.bench.write("irsa.toml", &format!("owner = \"platform\"\n{metal}{entries}"));
    scene
}

#[test]
fn named_cluster_that_is_declared_by_its_issuer_is_no_second_one() {
    let scene = with_issuer("");
    scene
        .bench
        .ends(0, &["import", "-c", "irsa.toml", "-o", "more", "--cluster", "prod"])
        .says(": 0 clusters, 2 roles");
    assert!(!scene.bench.read("more/imported.toml").contains("[clusters."));
    let text = scene.bench.read("irsa.toml");
    scene.bench.write("irsa.toml", &format!("include = [\"more/imported.toml\", \"more/roles/*.toml\"]\n{text}"));
    assert_eq!(changes(&scene.bench.plan(&["--adopt"])), ["adopt role/new", "adopt role/old"]);
}

/// `--cluster` names a cluster in every region of `--region`, and it exists in one of them.
#[test]
fn region_without_the_named_cluster_has_no_new_cluster() {
    let scene = declared(&format!("{ONE}{OLD}"));
    let regions = ["--region", "eu-west-1", "--region", "us-east-1"];
    scene.bench.ends(0, &[&["import", "-c", "irsa.toml", "-o", "more", "--cluster", "prod"], &regions[..]].concat());
}

#[test]
fn cluster_is_named_by_its_key_too() {
    let scene = declared(&format!("{ONE}{OLD}"));
    scene.world.add_cluster("stage");
    scene.bench.ends(0, &["import", "-c", "irsa.toml", "-o", "more", "--cluster", "main", "--cluster", "prod"]);
    assert!(scene.bench.read("more/roles/apps.toml").contains("[roles.new]"));
    assert!(!scene.bench.read("more/imported.toml").contains("[clusters."));
}

#[test]
fn declared_cluster_that_eks_does_not_have_is_not_read() {
    let scene = declared(&format!("{ONE}[clusters.x]\nname = \"typo\"\nregion = \"eu-west-1\"\n"));
    for (options, out) in [(&[][..], "more"), (&["--cluster", "x"], "named")] {
        let run = scene.bench.ends(4, &[&["import", "-c", "irsa.toml", "-o", out], options].concat());
        run.says("not read: cluster `x`: EKS has no cluster `typo` in eu-west-1; correct it at irsa.toml:5");
    }
}

#[test]
fn credentials_of_another_account_are_refused() {
    let scene = declared(&format!("{ONE}[accounts.q]\nid = \"999988887777\"\n"));
    let run = scene.bench.ends(4, &["import", "-c", "irsa.toml", "-o", "more"]);
    run.says("no account could be used").says("the declared `id` is 999988887777");
    assert!(!scene.bench.path("more").exists());
}

#[test]
fn role_that_the_configuration_declares_is_said_to_be_declared() {
    let scene = Scene::new();
    let mut tag = super::lets_in(&scene.issuer, "sts.amazonaws.com", &["apps:tag"]);
    tag["Action"] = serde_json::json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
    scene.create_role("tag", &super::trust(&[tag]));
    scene.annotate("apps", "tag", &[(super::ROLE_ARN, &super::arn("role", "tag"))]);
    scene.import(0, &[]);
    let run = scene.bench.ends(0, &["import", "-c", "out/irsa.toml", "-o", "out/more"]);
    run.says(
        "the configuration declares its role as `roles.tag`, which does not bind it (its statement has the action",
    );
}

/// The namespace of the second step, and a role that another one took the ServiceAccount from.
#[test]
fn service_account_that_an_earlier_step_left_unmanaged_is_listed() {
    let scene = Scene::new();
    let trusts = |subjects: &[&str]| super::trust(&[super::lets_in(&scene.issuer, "sts.amazonaws.com", subjects)]);
    scene.create_role("nn", &trusts(&["apps:nn", "payments:nn"]));
    for namespace in ["apps", "payments"] {
        scene.annotate(namespace, "nn", &[(super::ROLE_ARN, &super::arn("role", "nn"))]);
    }
    scene.import(0, &["--namespace", "apps"]);
    let run = scene.bench.ends(0, &["import", "-c", "out/irsa.toml", "-o", "out/more", "--namespace", "payments"]);
    let text = format!(
        "ServiceAccount `payments/nn` in cluster `prod`: role `nn` binds it with `manage = \"none\"` at \
         roles/_several.toml:5, and its annotation names `{}`",
        super::arn("role", "nn")
    );
    run.says(&text);
    assert!(scene.bench.read("out/more/imported.toml").contains(&text));

    let scene = Scene::new();
    scene.create_pair("three", "apps", "x");
    scene.create_role("two", &super::trust(&[super::lets_in(&scene.issuer, "sts.amazonaws.com", &["apps:x"])]));
    scene.import(0, &["--role", "two"]);
    let run = scene.bench.ends(0, &["import", "-c", "out/irsa.toml", "-o", "out/more", "--role", "three"]);
    run.says("`apps/x` in cluster `prod`: role `two` binds it with `manage = \"none\"` at roles/apps.toml:");
    run.says(&format!("names `{}`", super::arn("role", "three")));
}
