//! Configurations of a hostile pull request: to read or print secrets, or to exhaust the reader.

use super::{Folder, errors_of, rendered};
use crate::config::{Diagnostics, load, load_top};
use std::os::unix::fs::symlink;

const HEAD: &str = "owner = \"me\"\n[clusters.c]\n";
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}"#;
/// The content of every file that must not be read.
const SECRET: &str = "canary-4711";

/// A configuration folder, and a folder outside it.
fn folder_and_outside() -> (Folder, Folder) {
    let secrets = format!(
        "=== token\n{SECRET}\n=== x.toml\n{SECRET} = 1\n=== x.json\n{SECRET}\n=== credentials\n[default]\nkey = {SECRET}\n"
    );
    let outside = Folder::of(&secrets);
    let folder = Folder::of(&format!(
        "=== irsa.toml\n{HEAD}=== .env\nKEY={SECRET}\n=== .git/config\n[x]\n  y = {SECRET}\n=== .x.toml\nkey = {SECRET}\n=== .x.json\n{SECRET}\n\
         === notes.txt\n{SECRET}\n=== key.json\n{{\"type\": \"service_account\",\n \"private_key\": \"{SECRET}\"}}\n=== broken.json\n{{\"private_key\": {SECRET}\n\
         === ok.json\n{POLICY}\n=== ok.toml\n[roles.ok]\nservice-accounts = [\"a/b\"]\n"
    ));
    for (target, link) in [
        (outside.path("x.toml"), "out.toml"),
        (outside.path("x.json"), "out.json"),
        (outside.path("token"), "token.toml"),
        (outside.path(""), "away"),
        (folder.path(".env"), "env.toml"),
        (folder.path(".env"), "env.json"),
        (folder.path("notes.txt"), "notes.toml"),
        (folder.path("notes.txt"), "notes.json"),
        (folder.path("ok.toml"), "policy.json"),
        (folder.path(".git"), "git"),
        ("/proc/self/environ".into(), "environ.toml"),
        ("/proc/self/environ".into(), "environ.json"),
    ] {
        symlink(target, folder.path(link)).unwrap();
    }
    (folder, outside)
}

/// The concatenation of `count` pieces.
fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect::<Vec<_>>().concat()
}

/// The errors as text. Neither text nor JSON contains the secret or the environment of the process.
#[track_caller]
fn without_secrets(what: &str, diagnostics: &Diagnostics) -> String {
    let errors = rendered(diagnostics);
    for text in [errors.clone(), diagnostics.to_json().to_string()] {
        assert!(!text.contains("4711") && !text.contains("CARGO"), "{what}:\n{text}");
    }
    errors
}

#[test]
fn include_of_anything_but_toml_in_the_folder_is_refused() {
    for entry in [
        ".env",
        ".git/config",
        ".x.toml",
        "./.x.toml",
        "git/config",
        "notes.txt",
        "key.json",
        "out.toml",
        "token.toml",
        "env.toml",
        "notes.toml",
        "environ.toml",
        "away/x.toml",
        "away/*.toml",
        "away/**/*.toml",
        "*",
        "**",
        "**/*",
        ".*",
        ".*/*",
        ".g*/config",
        "*.txt",
        "../*.toml",
        "/proc/self/environ",
        "*v*.toml",
        "[oe]*.toml",
    ] {
        let (folder, outside) = folder_and_outside();
        folder.write("irsa.toml", &format!("include = [{entry:?}]\n{HEAD}"));
        let errors = without_secrets(entry, &folder.resolve().expect_err(entry));
        assert!(errors.contains("irsa.toml:1:12"), "{entry}:\n{errors}");
        let outside_path = outside.path("").display().to_string();
        let found = entry.starts_with("away/*") && errors.contains("x.toml`");
        assert!(!errors.contains(&outside_path) && !found, "{entry}: the message has a name from outside:\n{errors}");
    }
    let (folder, _outside) = folder_and_outside();
    folder.write("irsa.toml", &format!("include = [\"ok*.toml\", \"[o]k.toml\"]\n{HEAD}"));
    assert_eq!(folder.resolve().unwrap().roles.len(), 1);
}

#[test]
fn policy_file_of_anything_but_a_policy_in_the_folder_is_refused() {
    for file in [
        ".env",
        ".git/config",
        ".x.json",
        "git/config",
        "notes.txt",
        "ok.toml",
        "irsa.toml",
        "key.json",
        "broken.json",
        "out.json",
        "away/x.json",
        "env.json",
        "notes.json",
        "policy.json",
        "environ.json",
        "../x.json",
        "/proc/self/environ",
        "",
    ] {
        for key in ["policies.p", "roles.r.inline.p"] {
            let (folder, _outside) = folder_and_outside();
            let role = "[roles.r]\nservice-accounts = [\"a/b\"]\n";
            folder.write("irsa.toml", &format!("{HEAD}{role}[{key}]\nfile = {file:?}\n"));
            let errors = without_secrets(file, &folder.resolve().expect_err(file));
            assert!(errors.contains("irsa.toml:6:8"), "{file}:\n{errors}");
        }
    }
    let (folder, _outside) = folder_and_outside();
    folder.write("irsa.toml", &format!("{HEAD}[policies.p]\nfile = \"./sub/../ok.json\"\n"));
    assert!(folder.resolve().is_ok());
}

#[test]
fn kubeconfig_outside_the_folder_or_hidden_is_refused() {
    for file in [".env", ".git/config", "git/config", "away/token", "out.json", "../x", "/etc/passwd", "env.json"] {
        let (folder, _outside) = folder_and_outside();
        let kubernetes = format!("kubernetes = {{ context = \"c\", kubeconfig = {file:?} }}\n");
        folder.write("irsa.toml", &format!("{HEAD}{kubernetes}"));
        without_secrets(file, &folder.resolve().expect_err(file));
    }
}

#[test]
fn top_file_that_links_out_of_the_folder_is_read_only_if_named_and_never_quoted() {
    for target in ["out.toml", "env.toml", "notes.toml", "environ.toml", "token.toml"] {
        let (folder, _outside) = folder_and_outside();
        std::fs::remove_file(folder.path("irsa.toml")).unwrap();
        symlink(target, folder.path("irsa.toml")).unwrap();
        let unnamed = load_top(&folder.path("irsa.toml"), false).expect_err(target);
        let errors = without_secrets(target, &unnamed);
        assert!(
            errors.contains("leads out") || errors.contains("begin with a dot") || errors.contains("another extension"),
            "{errors}"
        );
        // the user, or a CI job that names the file that a pull request has changed
        let named = load(&folder.path("irsa.toml")).and_then(|all| all.resolve(&super::Identities::default()));
        let errors = without_secrets(target, &named.expect_err(target));
        assert!(errors.contains("this is not a valid configuration") && errors.contains("--config"), "{errors}");
    }
    // its content works, for users who keep the file elsewhere
    let (folder, outside) = folder_and_outside();
    outside.write("top.toml", HEAD);
    std::fs::remove_file(folder.path("irsa.toml")).unwrap();
    symlink(outside.path("top.toml"), folder.path("irsa.toml")).unwrap();
    assert!(folder.resolve().is_ok());
    outside.write("top.toml", &format!("{HEAD}[roles.{SECRET}]\n"));
    let errors = without_secrets("an error found by `resolve`", &folder.resolve().unwrap_err());
    assert!(errors.contains("this is not a valid configuration"), "{errors}");
    // so does a link within the folder, such as those of a mounted ConfigMap
    let mounted = Folder::of(&format!(
        "=== ..2026/irsa.toml\n{HEAD}include = [\"more.toml\"]\n[policies.p]\nfile = \"p.json\"\n=== ..2026/more.toml\n=== ..2026/p.json\n{POLICY}\n"
    ));
    mounted.write("..2026/irsa.toml", &format!("include = [\"more.toml\"]\n{HEAD}[policies.p]\nfile = \"p.json\"\n"));
    symlink("..2026", mounted.path("..data")).unwrap();
    for file in ["irsa.toml", "more.toml", "p.json"] {
        symlink(format!("..data/{file}"), mounted.path(file)).unwrap();
    }
    assert!(load_top(&mounted.path("irsa.toml"), false).unwrap().resolve(&super::Identities::default()).is_ok());
}

#[test]
fn huge_template_is_refused_with_a_position() {
    let many = |piece: &str| piece.repeat(100_000);
    for text in [
        format!("{{{{ account_id{} }}}}", many(" | upper")),
        format!("{{{{ account_id{} }}}}", many(" + account_id")),
        format!("{{{{ {}account_id }}}}", many("not ")),
        format!("{{{{ {}account_id{} }}}}", many("("), many(")")),
        format!("{{{{ {}{} }}}}", many("["), many("]")),
        format!("{}x{}", many("{% if region %}"), many("{% endif %}")),
        many("{{ x }}"),
        many("{{"),
        many("{#"),
        "{{ owner }}".repeat(12_000),
    ] {
        let policy = POLICY.replace("b/*", &text);
        let role = "[roles.r]\nservice-accounts = [\"a/b\"]\n";
        for (declared, files) in [
            ("[policies.p]\nfile = \"p.json\"\n".to_owned(), format!("=== p.json\n{policy}")),
            (format!("[policies.p]\njson = '''\n{policy}'''\n"), String::new()),
            (format!("[roles.r.inline.p]\nstatements = [{{ actions = \"s3:*\", resources = '''{text}''' }}]\n"), String::new()),
            (format!("[[roles.r.trust]]\nactions = \"sts:AssumeRole\"\nprincipals = {{ aws = '''{text}''' }}\n"), String::new()),
            (format!("[roles.r.inline.p]\nstatements = [{{ actions = \"s3:*\", resources = \"*\", conditions = {{ Bool = {{ '''{text}''' = true }} }} }}]\n").replace("'''", "'"), String::new()),
        ] {
            let errors = errors_of(&Folder::of(&format!("=== irsa.toml\n{HEAD}{role}{declared}{files}")));
            assert!(errors.contains("irsa.toml:"), "{}", &errors[..errors.len().min(2000)]);
            assert!(errors.len() < 1 << 20, "{} bytes of errors", errors.len());
        }
    }
}

/// Large, deep or very broken texts are refused, even on the small stacks of a thread pool.
#[test]
fn huge_or_deep_texts_do_not_exhaust_the_reader() {
    let many = |piece: &str| piece.repeat(1 << 16);
    let top = [
        format!("x = {}{}", many("["), many("]")),
        format!("x = {}1{}", many("{a="), many("}")),
        format!("x{} = 1", many(".a")),
        format!("[x{}]", many(".a")),
        format!("[roles.x]\n[[roles.x.trust]]\nconditions = {}1{}", "{a=".repeat(70), "}".repeat(70)),
        format!("{} = 1", many("k")),
        format!("[roles.{}]", many("k")),
        format!("[defaults.role]\ntags = {{ {} }}", numbered(1 << 16, |i| format!("a{i}=1,"))),
        many("=\n"),
        many("[[x]]\n"),
        many("[roles.x]\n"),
        numbered(1 << 15, |i| format!("[roles.r{i}]\ncluster = \"k{i}\"\n")),
        numbered(1 << 15, |i| format!("[roles.\"r {i}\"]\n")),
        format!("include = [{}]", many("\"*/**/*?*.toml\",")),
        format!("include = [\"{}.toml\"]", many("*?")),
        format!("include = [\"{}x.toml\"]", "**/".repeat(1000)),
        format!("[roles.r]\ncluster = [{}]", many("\"*a*b*c*d*e*\",")),
        "\u{0}".repeat(1 << 20),
        "\"".repeat(1 << 20),
        "'''".to_owned() + &many("\n"),
    ];
    for text in top {
        let folder = Folder::alone(&format!("{HEAD}{text}\n"));
        folder.write("a/b/c/d.toml", "");
        let errors = errors_of(&folder);
        let shown = &text[..text.floor_char_boundary(60)];
        assert!(errors.len() < 4 << 20, "{shown}: {} bytes of errors", errors.len());
    }
    let policies = [
        format!("{{\"Statement\": {}{}}}", many("["), many("]")),
        format!("{{\"Statement\": {}1{}}}", many("{\"a\":"), many("}")),
        format!("{{\"Statement\": [{}1]}}", many("1,")),
        format!("{{\"Statement\": {{{}\"a\":1}}}}", many("\"a\":1,")),
        format!("{{\"Statement\": \"{}", many("\\u")),
    ];
    for text in policies {
        for text in [text.clone(), text[..text.len().min(100_000)].to_owned()] {
            let errors = errors_of(&Folder::of(&format!(
                "=== irsa.toml\n{HEAD}[policies.p]\nfile = \"p.json\"\n=== p.json\n{text}"
            )));
            assert!(errors.len() < 4 << 20, "{} bytes of errors", errors.len());
        }
    }
}

#[test]
fn too_many_bindings_are_refused() {
    let clusters = numbered(1100, |i| format!("[clusters.c{i}]\n"));
    let names: Vec<String> = (0..1000).map(|i| format!("\"a/n{i}\"")).collect();
    let text =
        format!("owner = \"me\"\n{clusters}[roles.r]\ncluster = \"*\"\nservice-accounts = [{}]\n", names.join(","));
    let errors = errors_of(&Folder::alone(&text));
    assert!(errors.contains("has more than 1000000 bindings") && errors.contains("1 mistake"), "{errors}");
    let roles = numbered(1000, |i| {
        format!(
            "[roles.r{i}]\ncluster = \"*\"\n[[roles.r{i}.trust]]\nactions = \"sts:AssumeRole\"\nprincipals = {{ service = \"ec2.amazonaws.com\" }}\n"
        )
    });
    let errors = errors_of(&Folder::alone(&format!("owner = \"me\"\n{clusters}{roles}")));
    assert!(errors.contains("more than 1000000 bindings") && errors.contains("1 mistake"), "{errors}");
}

#[test]
fn large_and_numerous_files_are_refused() {
    let folder = Folder::alone(&format!("{HEAD}#{}", "x".repeat(16 << 20)));
    assert!(errors_of(&folder).contains("it has more than 16777216 bytes"));
    let folder = Folder::alone(&format!("include = [\"big/*.toml\"]\n{HEAD}"));
    for number in 0..5 {
        folder.write(&format!("big/{number}.toml"), &format!("#{}", "x".repeat(15 << 20)));
    }
    assert!(errors_of(&folder).contains("together have more than 67108864 bytes"));
    let folder = Folder::alone(&format!("{HEAD}[policies.p]\nfile = \"p.json\"\n"));
    folder.write("p.json", &format!("{POLICY}{}", " ".repeat(131_072)));
    assert!(errors_of(&folder).contains("cannot read `p.json`: it has more than 131072 bytes"));
}
