//! What a pull request may write to have something read, told or brought down.

use super::{Folder, rendered, said};
use crate::config::{Diagnostics, load, load_top};
use std::os::unix::fs::symlink;

const HEAD: &str = "owner = \"me\"\n[clusters.c]\n";
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}"#;
/// In every file that must not be read.
const SECRET: &str = "canary-4711";

/// A folder, and one beside it that belongs to somebody else.
fn scene() -> (Folder, Folder) {
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

/// The pieces of these numbers, one behind the other.
fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect::<Vec<_>>().concat()
}

/// Nothing of the secret, nor the variables of the process, is told, to people or programs.
#[track_caller]
fn keeps_quiet(what: &str, diagnostics: &Diagnostics) -> String {
    let told = rendered(diagnostics);
    for text in [told.clone(), diagnostics.to_json().to_string()] {
        assert!(!text.contains("4711") && !text.contains("CARGO"), "{what}:\n{text}");
    }
    told
}

#[test]
fn an_include_reads_toml_of_the_folder_and_nothing_else() {
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
        let (folder, outside) = scene();
        folder.write("irsa.toml", &format!("include = [{entry:?}]\n{HEAD}"));
        let told = keeps_quiet(entry, &folder.resolve().expect_err(entry));
        assert!(told.contains("irsa.toml:1:12"), "{entry}:\n{told}");
        let elsewhere = outside.path("").display().to_string();
        let found = entry.starts_with("away/*") && told.contains("x.toml`");
        assert!(!told.contains(&elsewhere) && !found, "{entry}: a name was found:\n{told}");
    }
    let (folder, _outside) = scene();
    folder.write("irsa.toml", &format!("include = [\"ok*.toml\", \"[o]k.toml\"]\n{HEAD}"));
    assert_eq!(folder.resolve().unwrap().roles.len(), 1);
}

#[test]
fn a_policy_file_is_a_policy_of_the_folder_and_nothing_else() {
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
            let (folder, _outside) = scene();
            let role = "[roles.r]\nservice-accounts = [\"a/b\"]\n";
            folder.write("irsa.toml", &format!("{HEAD}{role}[{key}]\nfile = {file:?}\n"));
            let told = keeps_quiet(file, &folder.resolve().expect_err(file));
            assert!(told.contains("irsa.toml:6:8"), "{file}:\n{told}");
        }
    }
    let (folder, _outside) = scene();
    folder.write("irsa.toml", &format!("{HEAD}[policies.p]\nfile = \"./sub/../ok.json\"\n"));
    assert!(folder.resolve().is_ok());
}

#[test]
fn a_kubeconfig_lies_in_the_folder_and_is_not_hidden() {
    for file in [".env", ".git/config", "git/config", "away/token", "out.json", "../x", "/etc/passwd", "env.json"] {
        let (folder, _outside) = scene();
        let kubernetes = format!("kubernetes = {{ context = \"c\", kubeconfig = {file:?} }}\n");
        folder.write("irsa.toml", &format!("{HEAD}{kubernetes}"));
        keeps_quiet(file, &folder.resolve().expect_err(file));
    }
}

#[test]
fn a_top_file_that_leads_elsewhere_is_read_for_the_user_alone_and_not_shown() {
    for target in ["out.toml", "env.toml", "notes.toml", "environ.toml", "token.toml"] {
        let (folder, _outside) = scene();
        std::fs::remove_file(folder.path("irsa.toml")).unwrap();
        symlink(target, folder.path("irsa.toml")).unwrap();
        let unnamed = load_top(&folder.path("irsa.toml"), false).expect_err(target);
        let told = keeps_quiet(target, &unnamed);
        assert!(
            told.contains("leads out") || told.contains("begin with a dot") || told.contains("another extension"),
            "{told}"
        );
        // the user, or a CI job that names the file that a pull request has changed
        let named = load(&folder.path("irsa.toml")).and_then(|all| all.resolve(&super::Identities::default()));
        let told = keeps_quiet(target, &named.expect_err(target));
        assert!(told.contains("this is no valid configuration") && told.contains("--config"), "{told}");
    }
    // what it has in it works, for whoever keeps it elsewhere
    let (folder, outside) = scene();
    outside.write("top.toml", HEAD);
    std::fs::remove_file(folder.path("irsa.toml")).unwrap();
    symlink(outside.path("top.toml"), folder.path("irsa.toml")).unwrap();
    assert!(folder.resolve().is_ok());
    outside.write("top.toml", &format!("{HEAD}[roles.{SECRET}]\n"));
    let told = keeps_quiet("a mistake in its meaning", &folder.resolve().unwrap_err());
    assert!(told.contains("this is no valid configuration"), "{told}");
    // and so does a link within the folder, such as those of a mounted ConfigMap
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
fn a_template_of_any_size_is_refused_with_its_place() {
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
            let told = said(&Folder::of(&format!("=== irsa.toml\n{HEAD}{role}{declared}{files}")));
            assert!(told.contains("irsa.toml:"), "{}", &told[..told.len().min(2000)]);
            assert!(told.len() < 1 << 20, "{} bytes are told", told.len());
        }
    }
}

/// Texts that are large, deep or full of mistakes: they are refused, on the small stacks of a crew of threads.
#[test]
fn nothing_that_is_read_brings_the_reader_down() {
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
        let told = said(&folder);
        let shown = &text[..text.floor_char_boundary(60)];
        assert!(told.len() < 4 << 20, "{shown}: {} bytes are told", told.len());
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
            let told =
                said(&Folder::of(&format!("=== irsa.toml\n{HEAD}[policies.p]\nfile = \"p.json\"\n=== p.json\n{text}")));
            assert!(told.len() < 4 << 20, "{} bytes are told", told.len());
        }
    }
}

#[test]
fn globs_and_lists_multiply_only_so_far() {
    let clusters = numbered(1100, |i| format!("[clusters.c{i}]\n"));
    let names: Vec<String> = (0..1000).map(|i| format!("\"a/n{i}\"")).collect();
    let text =
        format!("owner = \"me\"\n{clusters}[roles.r]\ncluster = \"*\"\nservice-accounts = [{}]\n", names.join(","));
    let told = said(&Folder::alone(&text));
    assert!(told.contains("has more than 1000000 bindings") && told.contains("1 mistake"), "{told}");
    let roles = numbered(1000, |i| {
        format!(
            "[roles.r{i}]\ncluster = \"*\"\n[[roles.r{i}.trust]]\nactions = \"sts:AssumeRole\"\nprincipals = {{ service = \"ec2.amazonaws.com\" }}\n"
        )
    });
    let told = said(&Folder::alone(&format!("owner = \"me\"\n{clusters}{roles}")));
    assert!(told.contains("more than 1000000 bindings") && told.contains("1 mistake"), "{told}");
}

#[test]
fn files_are_only_so_large_and_so_many() {
    let folder = Folder::alone(&format!("{HEAD}#{}", "x".repeat(16 << 20)));
    assert!(said(&folder).contains("it has more than 16777216 bytes"));
    let folder = Folder::alone(&format!("include = [\"big/*.toml\"]\n{HEAD}"));
    for number in 0..5 {
        folder.write(&format!("big/{number}.toml"), &format!("#{}", "x".repeat(15 << 20)));
    }
    assert!(said(&folder).contains("together have more than 67108864 bytes"));
    let folder = Folder::alone(&format!("{HEAD}[policies.p]\nfile = \"p.json\"\n"));
    folder.write("p.json", &format!("{POLICY}{}", " ".repeat(131_072)));
    assert!(said(&folder).contains("cannot read `p.json`: it has more than 131072 bytes"));
}
