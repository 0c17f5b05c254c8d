//! Broken configurations and their error messages.

use super::{Folder, errors_of, online, rendered};
use crate::config::load;
use std::fmt::Write as _;

/// Each file of `tests/fixtures/config/broken` is one configuration; its errors are a snapshot.
#[test]
fn errors_have_positions_and_hints() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config");
    let mut cases: Vec<_> =
        std::fs::read_dir(format!("{fixtures}/broken")).unwrap().map(|entry| entry.unwrap()).collect();
    cases.sort_by_key(std::fs::DirEntry::file_name);
    assert!(cases.len() > 10);
    for case in cases {
        #[expect(clippy::disallowed_methods, reason = "tests read their fixtures")]
        let text = std::fs::read_to_string(case.path()).unwrap();
        let name = case.path().file_stem().unwrap().to_string_lossy().into_owned();
        let errors = errors_of(&Folder::of(&text));
        insta::with_settings!({ snapshot_path => format!("{fixtures}/snapshots"), prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, errors);
        });
    }
}

#[test]
fn missing_top_file_is_refused_with_a_hint() {
    let folder = Folder::alone("");
    let diagnostics = load(&folder.path("missing.toml")).unwrap_err();
    let errors = rendered(&diagnostics);
    assert!(errors.contains("missing.toml`: there is no such file\nhint: name another file with"), "{errors}");
    assert!(errors.contains("irsa init"), "{errors}");
}

#[test]
fn account_id_without_quotes_is_refused_with_a_hint() {
    let errors = errors_of(&Folder::alone("owner = \"me\"\n[accounts.a]\nid = 111122223333\n"));
    assert!(
        errors.contains("expected a string, found integer")
            && errors.contains("hint: an account id is written in quotes"),
        "{errors}"
    );
}

#[test]
fn json_has_the_positions() {
    let folder = Folder::alone("owner = \"me\"\n[clusters.a]\n[clusters.a]\n[roles.r]\nservice-acounts = [\"a/b\"]\n");
    let json = folder.resolve().unwrap_err().to_json();
    let first = &json[0];
    assert_eq!(
        (first["file"].as_str(), first["line"].as_u64(), first["column"].as_u64()),
        (Some("irsa.toml"), Some(3), Some(11))
    );
    let last = &json[1];
    assert_eq!(last["message"], "unknown key `service-acounts` in [roles.r]");
    assert_eq!(last["hint"], "did you mean `service-accounts`?");
    assert_eq!(
        (last["severity"].as_str(), last["line"].as_u64(), last["column"].as_u64()),
        (Some("error"), Some(5), Some(1))
    );
}

/// Links inside the folder are followed, and links out of it are not, except for a top file that the user named.
#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_refused() {
    use std::os::unix::fs::symlink;
    let outside =
        Folder::of("=== secret.json\n{}\n=== team.toml\n[roles.x]\n=== top.toml\nowner = \"me\"\n[clusters.c]\n");
    let folder = Folder::of(
        "=== irsa.toml\nowner = \"me\"\ninclude = [\"teams/*.toml\"]\n[clusters.c]\n\
         kubernetes = { kubeconfig = \"kube.yaml\", context = \"c\" }\n[policies.p]\nfile = \"policy.json\"\n\
         === real/ok.toml\n[roles.ok]\nservice-accounts = [\"a/b\"]\n=== teams/readme\nx\n",
    );
    symlink(outside.path("secret.json"), folder.path("policy.json")).unwrap();
    symlink(outside.path("secret.json"), folder.path("kube.yaml")).unwrap();
    symlink(outside.path("team.toml"), folder.path("teams/out.toml")).unwrap();
    symlink(folder.path("real/ok.toml"), folder.path("teams/ok.toml")).unwrap();
    let errors = errors_of(&folder);
    for what in ["cannot read `policy.json`", "cannot read `kube.yaml`", "cannot include `teams/out.toml`"] {
        assert!(errors.contains(&format!("{what}: it leads out of the configuration's folder")), "{errors}");
    }
    assert!(errors.ends_with("3 mistakes in the configuration\n"), "{errors}");

    let linked = Folder::of("=== readme\nx\n");
    symlink(outside.path("top.toml"), linked.path("irsa.toml")).unwrap();
    assert!(linked.resolve().is_ok());
}

#[test]
fn missing_region_is_an_error_only_online() {
    let folder = Folder::alone(
        "owner = \"me\"\n[clusters.main]\n[clusters.old]\nstate = \"gone\"\n[clusters.metal]\nissuer = \"https://example.com/metal\"\n",
    );
    let configuration = folder.load().unwrap();
    let mut identities = online("aws");
    assert!(configuration.resolve(&identities).is_ok());
    identities.default_region = None;
    let diagnostics = configuration.resolve(&identities).unwrap_err();
    let errors = rendered(&diagnostics);
    assert_eq!(diagnostics.list().len(), 1, "{errors}");
    assert!(errors.contains("region of cluster `main`") && errors.contains("AWS_REGION"), "{errors}");
    identities.online = false;
    assert!(configuration.resolve(&identities).is_ok());
}

#[test]
fn policy_of_another_partition_is_refused_online() {
    let text = "owner = \"me\"\n[clusters.main]\n[roles.r]\nservice-accounts = [\"a/b\"]\nattach = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]\n";
    let configuration = Folder::alone(text).load().unwrap();
    assert!(configuration.resolve(&online("aws")).is_ok());
    let errors = rendered(&configuration.resolve(&online("aws-cn")).unwrap_err());
    assert!(errors.contains("it is in partition `aws`, but the role is in `aws-cn`"), "{errors}");
}

/// Each message has the limit and the value.
#[test]
fn sizes_beyond_aws_limits_are_refused() {
    let statement = |count: usize| {
        let buckets: Vec<String> =
            (0..count).map(|i| format!("\"arn:aws:s3:::bucket-with-a-long-name-{i:06}\"")).collect();
        format!("statements = [{{ actions = [\"s3:GetObject\"], resources = [{}] }}]", buckets.join(", "))
    };
    let mut text =
        String::from("owner = \"me\"\n[clusters.main]\n[clusters.metal]\nissuer = \"https://example.com/metal\"\n");
    let _ = writeln!(text, "[policies.big]\n{}", statement(200));
    let tags: Vec<String> = (0..49).map(|i| format!("t{i} = \"x\"")).collect();
    let aws: Vec<String> = (0..26).map(|i| format!("\"aws:Policy{i}\"")).collect();
    let names: Vec<String> = (0..90).map(|i| format!("\"service-account-{i:03}\"")).collect();
    let _ = writeln!(
        text,
        "[roles.big]\ncluster = \"main\"\nservice-accounts = [\"apps/big\"]\nattach = [{}]\ntags = {{ {} }}\ndescription = \"{}\"\n",
        aws.join(", "),
        tags.join(", "),
        "x".repeat(1001)
    );
    let _ = writeln!(text, "[roles.big.inline.a]\n{}\n[roles.big.inline.b]\n{}", statement(150), statement(150));
    let _ = writeln!(
        text,
        "[roles.many]\n[[service-accounts]]\nrole = \"many\"\ncluster = \"metal\"\nmanage = \"none\"\nnamespace = \"apps\"\nname = [{}]",
        names.join(", ")
    );
    let folder = Folder::alone(&text);
    let diagnostics = folder.resolve().unwrap_err();
    let mut messages: Vec<&str> = diagnostics.list().iter().map(|item| item.message.as_str()).collect();
    messages.sort_unstable();
    let expected = [
        "26 managed policies are attached, but the limit is 25",
        "a description is at most 1000 characters long, but this one has 1001",
        "policy `big` has 9294 characters, but the limit is 6144",
        "role `big` has 49 tags, and irsa adds 2: 51 in all, but the limit is 50",
        "the inline policies of role `big` have 13988 characters, but the limit is 10240",
        "the trust policy of role `many` has 4695 characters, but the limit is 4096",
    ];
    assert_eq!(messages, expected);
    // one less of each is accepted
    let small = text
        .replace("aws:Policy25", "aws:Policy24")
        .replace("t48 = \"x\"", "")
        .replace(&"x".repeat(1001), &"x".repeat(1000));
    let left = Folder::alone(&small).resolve().unwrap_err();
    assert_eq!(left.list().len(), diagnostics.list().len() - 3, "{}", rendered(&left));
}

/// An error does not cause others.
#[test]
fn one_mistake_gives_one_error() {
    for text in [
        "owner = \"me\"\n[clusters.\"b@d\"]\n[roles.r]\ncluster = \"b@d\"\nservice-accounts = [\"a/b\"]\n",
        "owner = \"me\"\n[clusters.c]\n[roles.r]\nservice-acounts = [\"a/b\"]\n",
        "owner = \"me\"\n[clusters.c]\n[roles.r]\n[[service-accounts]]\nrole = \"rr\"\nnamespace = \"a\"\nname = \"b\"\n",
        "owner = \"me\"\n[clusters.c]\n[roles.r]\n[[service-accounts]]\nrole = \"r\"\nnamespac = \"a\"\nname = \"b\"\n",
        "owner = 5\n[clusters.c]\n",
        "owner = \"me\"\n[accounts.a]\nidd = \"111122223333\"\n[clusters.c]\n",
        "owner = \"me\"\n[clusters.c]\n[policies.p]\nfil = \"x\"\n",
        "owner = \"me\"\ninclude = [\"x.toml\"]\n[clusters.c]\n[roles.r]\nservice-accounts = [\"a/b\"]\nattach = [\"in-x\"]\n",
        "owner = \"me\"\n[clusters.c]\nacount = \"x\"\n[roles.r]\nservice-accounts = [\"a/b\"]\n",
        "owner = \"me\"\n[clusters.c]\n[policies.p]\njson = \"{}\"\n[roles.a]\nattach = [\"p\"]\nservice-accounts = [\"a/a\"]\n[roles.b]\nattach = [\"p\"]\nservice-accounts = [\"a/b\"]\n",
        "owner = \"me\"\n[clusters.c]\n[defaults.role]\nmax-session-duration = \"1x\"\n[roles.a]\nservice-accounts = [\"a/a\"]\n[roles.b]\nservice-accounts = [\"a/b\"]\n",
    ] {
        let diagnostics = Folder::alone(text).resolve().unwrap_err();
        assert_eq!(diagnostics.list().len(), 1, "{text}\n{}", rendered(&diagnostics));
    }
}

#[test]
fn error_in_a_shared_document_is_reported_once_with_any_number_of_threads() {
    let mut text = String::from("=== irsa.toml\nowner = \"me\"\n[clusters.c]\n");
    for role in ["a", "b", "c", "d"] {
        let _ = write!(text, "[roles.{role}]\nservice-accounts = [\"n/{role}\"]\ninline.p.file = \"p.json\"\n");
    }
    text.push_str("=== p.json\n{\"Version\": \"2012-10-17\"}\n");
    let folder = Folder::of(&text);
    let pool = |width: usize| rayon::ThreadPoolBuilder::new().num_threads(width).build().unwrap();
    let errors = |width: usize| pool(width).install(|| errors_of(&folder));
    assert!(errors(1).contains("1 mistake in the configuration"), "{}", errors(1));
    assert_eq!(errors(3), errors(1));
}

#[test]
fn same_name_of_two_policies_is_refused_even_if_their_documents_are() {
    let good = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
    for (one, other, mistakes) in [(good, good, 1), ("{", good, 2), (good, "{", 2), ("{", "{}", 3)] {
        let one = format!("[policies.a]\nname = \"Reports\"\njson = '{one}'\n");
        let other = format!("[policies.b]\nname = \"reports\"\njson = '{other}'\n");
        let roles = "[roles.r]\nattach = [\"a\", \"b\"]\nservice-accounts = [\"n/r\"]\n";
        let folder = Folder::alone(&format!("owner = \"me\"\n[clusters.c]\n{one}{other}{roles}"));
        let diagnostics = folder.resolve().unwrap_err();
        let text = rendered(&diagnostics);
        assert!(text.contains("policies `a` and `b` have the same name, `reports`, in the same account"), "{text}");
        assert_eq!(diagnostics.list().len(), mistakes, "{text}");
    }
}

#[test]
fn duplicate_key_from_a_template_is_refused() {
    let errors = errors_of(&Folder::alone(
        "owner = \"me\"\n[clusters.c]\n[roles.r]\nservice-accounts = [\"n/r\"]\n[roles.r.inline.p]\nstatements = [{ actions = [\"s3:*\"], \
         resources = [\"*\"], conditions.StringEquals = { \"aws:me\" = \"x\", \"aws:{{ owner }}\" = \"y\" } }]\n",
    ));
    assert!(errors.contains("key `aws:me` occurs twice after its template is filled in"), "{errors}");
    assert!(errors.contains("irsa.toml:6"), "{errors}");
}
