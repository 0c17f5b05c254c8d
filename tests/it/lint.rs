//! Runs the corpus of policies through the real binary: bad policies must be found, good ones must pass, and what IAM
//! would refuse must be refused.

use crate::ownership::Scene;
use crate::support::program::{Bench, Run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEAD: &str =
    "owner = \"team\"\n[accounts.main]\nid = \"111122223333\"\n[clusters.main]\nregion = \"eu-west-1\"\n";

/// The title and the body of each case in a file.
fn cases(file: &str) -> Vec<(String, String)> {
    let path = format!("{}/tests/fixtures/lint/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let case = |case: &str| {
        let (title, body) = case.split_once('\n').expect("a title and a body");
        (title.to_owned(), body.to_owned())
    };
    text.split("### ").skip(1).map(case).collect()
}

/// JSON as TOML on one line.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{} = {}", json!(key), toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// A trust statement in TOML.
fn trust(role: &str, statement: &Value) -> String {
    let mut text = format!("[[roles.{role}.trust]]\n");
    for (element, value) in statement.as_object().expect("a statement") {
        let (key, value) = match element.as_str() {
            "Effect" => ("effect", value.clone()),
            "Action" => ("actions", list(value)),
            "NotAction" => ("not-actions", list(value)),
            "Condition" => ("conditions", value.clone()),
            "Principal" => ("principals", principals(value)),
            other => panic!("{other}"),
        };
        let _ = writeln!(text, "{key} = {}", toml(&value));
    }
    text
}

fn list(value: &Value) -> Value {
    if value.is_array() { value.clone() } else { json!([value]) }
}

fn principals(value: &Value) -> Value {
    let Some(kinds) = value.as_object() else { return value.clone() };
    kinds.iter().map(|(kind, names)| (kind.to_lowercase(), names.clone())).collect()
}

/// One configuration with all cases. The map holds the title of each role's case.
fn configuration(folder: &str) -> (String, BTreeMap<String, String>) {
    let (mut text, mut titles) = (HEAD.to_owned(), BTreeMap::new());
    let mut add = |title: String, body: &dyn Fn(&str) -> String| {
        let role = format!("case-{}", titles.len());
        let _ = writeln!(text, "[roles.{role}]");
        let body = body(&role).replace("the-role", &role);
        // TOML needs the keys of the role itself before its tables
        let bound = if body.starts_with("service-accounts") { "" } else { "service-accounts = [\"apps/web\"]\n" };
        let bound = bound.replace("web", &role);
        let _ = writeln!(text, "{bound}{body}");
        titles.insert(format!("role/{role}"), title);
    };
    for (title, body) in cases(&format!("{folder}/permissions.txt")) {
        add(title, &|role| {
            format!("[roles.{role}.inline.x]\njson = '''\n{{\"Version\":\"2012-10-17\",\"Statement\":{body}}}'''\n")
        });
    }
    for (title, body) in cases(&format!("{folder}/trust.txt")) {
        let statement = serde_json::from_str(&body).expect(&title);
        add(title, &|role| trust(role, &statement));
    }
    for (title, body) in cases(&format!("{folder}/roles.txt")) {
        add(title, &|_| body.clone());
    }
    (text, titles)
}

fn offline(text: &str) -> Bench {
    Bench::with(BTreeMap::new(), text)
}

fn findings(run: &Run) -> Vec<Value> {
    run.json()["findings"].as_array().cloned().unwrap_or_else(|| panic!("{run}"))
}

#[test]
fn each_bad_policy_is_found_once_by_its_rule() {
    let (text, titles) = configuration("bad");
    assert!(titles.len() >= 150, "{}", titles.len());
    let run = offline(&text).ends(3, &["validate", "--format", "json"]);
    assert_eq!(run.json()["diagnostics"], json!([]), "{}", run.json()["diagnostics"]);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in findings(&run) {
        let said = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        assert!(said("origin").starts_with("irsa.toml:"), "{finding}");
        found.entry(said("address")).or_default().push(format!("{} {}", said("rule"), said("severity")));
    }
    for (address, title) in &titles {
        let (wanted, _) = title.split_once(':').expect("`RULE SEVERITY: what`");
        let told = found.get(address).cloned().unwrap_or_default();
        assert!(told.iter().any(|told| told == wanted), "{address}: {title}: {told:?}");
        let rules: Vec<&str> = told.iter().filter_map(|told| told.split(' ').next()).collect();
        assert!(rules.windows(2).all(|pair| pair[0] != pair[1]), "{address}: {title}: {told:?}");
    }
}

#[test]
fn good_policies_have_no_findings() {
    let (text, titles) = configuration("good");
    assert!(titles.len() >= 60, "{}", titles.len());
    let bench = offline(&text);
    let run = bench.ends(0, &["validate", "--format", "json", "--deny", "medium"]);
    let worse = |finding: &&Value| matches!(finding["severity"].as_str(), Some("medium" | "high" | "critical"));
    let alarms: Vec<Value> = findings(&run).iter().filter(worse).cloned().collect();
    assert_eq!(alarms, [] as [Value; 0]);
    bench.ends(0, &["validate"]).says("is valid");
}

#[test]
fn invalid_arn_is_refused_with_its_line() {
    let mut text = HEAD.to_owned();
    let mut places = Vec::new();
    for (index, (title, body)) in cases("bad/refused.txt").into_iter().enumerate() {
        let _ = writeln!(text, "[roles.r{index}]\nservice-accounts = [\"apps/r{index}\"]\n[roles.r{index}.inline.x]");
        let _ = writeln!(text, "statements = [{{ actions = [\"s3:GetObject\"], {} }}]", body.trim_end());
        places.push((title, text.lines().count()));
    }
    let run = offline(&text).ends(3, &["validate", "--format", "json"]);
    let diagnostics = run.json()["diagnostics"].as_array().cloned().unwrap_or_default();
    for (title, line) in places {
        let (words, _) = title.split_once(':').expect("`WORDS: what`");
        let told = diagnostics.iter().any(|diagnostic| {
            diagnostic["line"] == line && diagnostic["message"].as_str().is_some_and(|message| message.contains(words))
        });
        assert!(told, "{title} at line {line}: {diagnostics:#?}");
    }
    // the message has file, line and column
    offline(&text).ends(3, &["validate"]).says("irsa.toml:9:15");
}

#[test]
fn invalid_arn_in_a_policy_file_is_located_in_that_file() {
    let bench = offline(&format!(
        "{HEAD}[roles.app]\nservice-accounts = [\"apps/app\"]\nattach = [\"p\"]\n[policies.p]\nfile = \"p.json\"\n"
    ));
    let policy = |arn: &str| {
        let resources = format!("      \"Resource\": [\"arn:aws:s3:::a\", \"{arn}\"]");
        format!(
            "{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{{\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\",\n{resources} }}]\n}}\n"
        )
    };
    for arn in ["arn:aws:s3::b", "arn:${AWS::Partition}:s3:::b", "arn:aws-cn:s3:::b"] {
        bench.write("p.json", &policy(arn));
        bench.ends(3, &["validate"]).says("p.json:4:38").says(arn);
    }
    bench.write("p.json", &policy("arn:{{ partition }}:s3:::b"));
    bench.ends(0, &["validate"]);
}

#[test]
fn partition_comes_from_the_declared_region_or_the_environment() {
    let with = |region: &str, arn: &str| {
        format!(
            "owner = \"team\"\n[clusters.main]\n{region}[roles.app]\nservice-accounts = [\"apps/app\"]\n\
             [roles.app.inline.x]\nstatements = [{{ actions = [\"s3:GetObject\"], resources = [\"{arn}\"] }}]\n"
        )
    };
    let (aws, china) = ("arn:aws:s3:::a/*", "arn:aws-cn:s3:::a/*");
    let region = "region = \"cn-north-1\"\n";
    offline(&with("", aws)).ends(0, &["validate"]);
    offline(&with("", china)).ends(3, &["validate"]).says("is in partition `aws-cn`, but the account is in `aws`");
    offline(&with(region, china)).ends(0, &["validate"]);
    offline(&with(region, aws)).ends(3, &["validate"]).says("is in partition `aws`, but the account is in `aws-cn`");
    let mut bench = offline(&with("", china));
    bench.set("AWS_REGION", "cn-northwest-1");
    bench.ends(0, &["validate"]);
    // a template takes the partition that irsa determined
    offline(&with(region, "arn:{{ partition }}:s3:::a/*")).ends(0, &["validate"]);
    let trust = "[[roles.app.trust]]\nprincipals = { aws = \"arn:aws-cn:iam::111122223333:role/x\" }\nactions = [\"sts:AssumeRole\"]\n";
    offline(&(with("", aws) + trust)).ends(3, &["validate"]).says("arn:aws-cn:iam::111122223333:role/x");
}

/// STS tells irsa the partition, so that no plan is refused because of a guess.
#[test]
fn partition_that_sts_reports_overrides_the_guess() {
    let scene = Scene::new();
    let inline = |arn: &str| {
        format!(
            "[roles.app]\nservice-accounts = [\"apps/app\"]\n[roles.app.inline.x]\n\
             statements = [{{ actions = [\"s3:GetObject\"], resources = [\"{arn}\"] }}]\n"
        )
    };
    scene.declare(&inline("arn:aws:s3:::a/*"));
    scene.bench.ends(0, &["plan"]);
    scene.declare(&inline("arn:aws-us-gov:s3:::a/*"));
    scene.bench.ends(3, &["plan"]).says("irsa.toml:6").says("but the account is in `aws`");
    assert!(scene.world.writes().is_empty());
}

#[test]
fn action_listed_with_many_others_is_one_finding() {
    let text = format!(
        "{HEAD}[roles.app]\nservice-accounts = [\"apps/app\"]\n[roles.app.inline.x]\n\
         statements = [{{ actions = [\"iam:*\"], resources = [\"*\"] }}]\n[roles.app.inline.y]\n\
         statements = [{{ actions = [\"iam:*\", \"lambda:*\"], resources = [\"*\"] }}]\n"
    );
    let run = offline(&text).ends(3, &["validate", "--format", "json"]);
    let findings = findings(&run);
    let of = |rule: &str| findings.iter().filter(|finding| finding["rule"] == rule).count();
    assert_eq!((of("IRSA031"), of("IRSA032")), (1, 1), "{findings:#?}");
    assert!(
        findings.iter().all(|finding| finding["text"].as_str().is_some_and(|text| text.len() < 700)),
        "{findings:#?}"
    );
}

/// The live statement equals the declared one, and names a provider that does not exist.
#[test]
fn declared_trust_in_a_missing_provider_is_found() {
    let scene = Scene::new();
    let trusting = |issuer: &str| {
        let provider = format!("arn:aws:iam::{{{{ account_id }}}}:oidc-provider/{issuer}");
        format!(
            "[roles.app]\nservice-accounts = [\"apps/app\"]\n[[roles.app.trust]]\n\
             principals = {{ federated = \"{provider}\" }}\nactions = [\"sts:AssumeRoleWithWebIdentity\"]\n\
             conditions = {{ StringEquals = {{ \"{issuer}:aud\" = \"sts.amazonaws.com\", \"{issuer}:sub\" = \"system:serviceaccount:a:b\" }} }}\n"
        )
    };
    let gone = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
    scene.declare(&trusting(gone));
    // irsa cannot know that offline
    scene.bench.ends(0, &["validate"]);
    for command in [&["plan"][..], &["apply", "--auto-approve"], &["drift", "--confirm-after", "0s"]] {
        scene.bench.ends(3, command).says("IRSA016").says(gone).says("irsa.toml:3");
    }
    assert!(scene.world.writes().is_empty());
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "critical"]);
    scene.bench.ends(3, &["plan"]).says("IRSA016");
    let plan = scene.bench.ends(0, &["plan", "--deny", "none", "--format", "json"]).json();
    let notes = plan["notes"].as_array().cloned().unwrap_or_default();
    assert_eq!(notes.iter().filter(|note| note["rule"] == "IRSA016").count(), 1, "{notes:#?}");
    // no finding for a provider that irsa is about to create, and then has created
    let issuer = scene.world.issuer("main");
    let scene = Scene::new();
    let own = scene.world.issuer("main");
    assert!(own.starts_with("https://") && issuer.starts_with("https://"));
    scene.declare(&trusting(&own["https://".len()..]));
    scene.bench.ends(0, &["plan"]);
    scene.bench.converges();
}
