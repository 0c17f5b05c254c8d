//! Which plan files irsa accepts, and what it computes from them.

use super::kit::{Kit, allow, aws, binding, key};
use super::rules::{applied, apply, live_account, live_role};
use crate::model::desired::Adopt;
use crate::model::live::{LiveServiceAccount, Observed};
use crate::model::resource::ServiceAccount;
use crate::plan::PlanV2;
use crate::plan::change::is_map;
use crate::plan::field_diff::{self, FieldValue, PlanFields};
use crate::plan::file::{ChangeV2, FieldV2, FileError, NoteV2, RefusedV2, UnknownV2};
use serde_json::{Value, json};

const GOLDEN: &str = include_str!("../../../tests/fixtures/plan/v2.json");
const OLD: &str = include_str!("../../../tests/fixtures/plan/v1.json");

/// A plan with every possible pair of an action and a kind of object.
fn every_action() -> PlanV2 {
    let mut kit = applied();
    kit.role("goes", |role| role.bindings = vec![binding("east", "goes")]);
    kit.role("taken", |role| role.bindings = vec![binding("east", "taken")]);
    apply(&mut kit);
    let tags = live_role(&mut kit, "taken").role.tags.clone();
    live_role(&mut kit, "taken").role.tags = tags.into_iter().filter(|(key, _)| !key.starts_with("irsa/")).collect();
    kit.desired.roles.get_mut(&key("taken")).unwrap().adopt = Adopt::Unowned;
    kit.desired.roles.remove(&key("goes"));
    kit.role("comes", |role| role.bindings = vec![binding("east", "comes")]);
    kit.policy("bucket", allow("s3:PutObject"));
    live_role(&mut kit, "reports").role.description = "edited".into();
    live_account(&mut kit, "east", "worker").annotations.insert("eks.amazonaws.com/role-arn".into(), "x".into());
    kit.options.force = true;
    let file = PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z");
    let summary = &file.summary;
    assert!(summary.create > 1 && summary.update > 1 && summary.delete > 0 && summary.adopt > 0, "{summary:?}");
    file
}

/// A change that somebody makes in a file.
type Forge = fn(&mut PlanV2);

fn note(rule: &str) -> NoteV2 {
    let [address, severity, rule, text] = ["role/z", "info", rule, "no"].map(str::to_owned);
    NoteV2 { address, severity, rule, origin: String::new(), text }
}

fn read(file: PlanV2) -> Result<PlanV2, FileError> {
    PlanV2::read(&file.sealed().to_text())
}

#[test]
fn every_value_has_the_form_of_its_field() {
    fn check<T: PlanFields>(item: &T) {
        let (values, json) = (item.values(), field_diff::json(item));
        assert_eq!(values.len(), T::FIELD_TYPES.len());
        for ((name, kind), value) in T::FIELD_TYPES.iter().zip(values) {
            assert!(kind.accepts(&json[*name]), "{name}: {}", json[*name]);
            assert_eq!(matches!(value, FieldValue::Map(_)), is_map(name), "{name}");
        }
    }
    let mut kit = applied();
    live_role(&mut kit, "reports").role.permissions_boundary = Some(aws("Boundary"));
    check(&live_role(&mut kit, "reports").role);
    check(&kit.account().policies.values().find_map(Observed::present).unwrap().policy);
    check(&kit.account().providers.values().find_map(Observed::present).unwrap().provider);
    let LiveServiceAccount { namespace, name, labels, annotations, .. } =
        live_account(&mut kit, "east", "worker").clone();
    check(&ServiceAccount { namespace, name, labels, annotations });
}

#[test]
fn golden_file_is_read_and_written_unchanged() {
    let file = PlanV2::read(GOLDEN).unwrap();
    assert_eq!(file.to_text(), GOLDEN);
    assert_eq!(file.format_version, "2.0");
    assert_eq!(file.clone().sealed(), file, "the digests are computed as before");
    let actions: Vec<&str> = file.changes.iter().map(|change| change.action.as_str()).collect();
    for action in ["create", "update", "delete", "adopt"] {
        assert!(actions.contains(&action), "{action}");
    }
}

#[test]
fn file_of_another_format_version_is_refused() {
    assert_eq!(PlanV2::read(OLD), Err(FileError::Format("1.0".into())));
    for version in ["2.1", "3.0", "", "2.0 ", &"9".repeat(1_000_000)] {
        let text = GOLDEN.replace("\"2.0\"", &format!("\"{version}\""));
        let Err(FileError::Format(shown)) = PlanV2::read(&text) else { panic!("{version}") };
        assert!(version.starts_with(&shown) && shown.len() <= 20);
    }
    for text in ["{}", "[]", "", "{\"format-version\": 2.0}", "{\"format-version\": \"2.0\"}"] {
        assert!(matches!(PlanV2::read(text), Err(FileError::Malformed(_))), "{text}");
    }
}

#[test]
fn file_with_other_bytes_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (what, text) in [
        ("a key twice", GOLDEN.replacen("  \"owner\"", "  \"owner\": \"x\",\n  \"owner\"", 1)),
        (
            "a key twice in an object",
            GOLDEN.replacen("\"description\": \"", "\"description\": \"x\",\n        \"description\": \"", 1),
        ),
        ("a key more", GOLDEN.replacen("  \"owner\"", "  \"extra\": 1,\n  \"owner\"", 1)),
        ("a key less", GOLDEN.replacen("  \"owner\": \"team\",\n", "", 1)),
        ("a space more", GOLDEN.replacen("\": ", "\":  ", 1)),
        ("an escape for a letter", GOLDEN.replacen("\"team\"", "\"te\\u0061m\"", 1)),
        ("another line end", GOLDEN.replace('\n', "\r\n")),
        ("a mark of byte order", format!("\u{feff}{GOLDEN}")),
        ("more behind it", format!("{GOLDEN}{GOLDEN}")),
        ("depth", GOLDEN.replacen("\"reasons\": [", &format!("\"reasons\": [{deep},"), 1)),
    ] {
        assert_ne!(text, GOLDEN, "{what}");
        assert!(matches!(PlanV2::read(&text), Err(FileError::Changed | FileError::Malformed(_))), "{what}");
    }
}

#[test]
fn forged_counts_are_computed_again() {
    let true_one = every_action();
    let mut file = true_one.clone();
    file.refused = vec![RefusedV2 { address: "role/x".into(), why: "no".into(), hint: String::new(), word: None }];
    file.unknown = vec![UnknownV2 { address: "role/y".into(), why: "no".into() }];
    let waits = note("waiting");
    file.notes.extend([waits.clone(), waits]);
    file.summary.delete = 0;
    file.summary.create += 7;
    let told = read(file).unwrap();
    assert_eq!(told.summary.delete, true_one.summary.delete);
    assert_eq!(told.summary.create, true_one.summary.create);
    assert_eq!((told.summary.refused, told.summary.waiting, told.complete), (1, true_one.summary.waiting + 1, false));
    // the result is a valid file
    assert_eq!(PlanV2::read(&told.to_text()).as_ref(), Ok(&told));
}

#[test]
fn word_of_a_refusal_is_one_that_explain_takes() {
    let with = |word: Option<&str>| {
        let mut file = every_action();
        let [address, why, hint] = ["role/x", "no", ""].map(str::to_owned);
        file.refused = vec![RefusedV2 { address, why, hint, word: word.map(str::to_owned) }];
        file.summary.refused = 1;
        PlanV2::read(&file.sealed().to_text())
    };
    assert!(with(Some("no-owner")).is_ok());
    assert!(with(None).is_ok_and(|file| file.refused[0].reason() == "no"), "a file of an earlier version");
    assert_eq!(with(Some("no-word")), Err(FileError::Contradiction("`no-word` is not a word for a refusal".into())));
}

#[test]
fn plan_digest_covers_changes_and_options_but_no_explanations() {
    let file = every_action().sealed();
    let same: [(&str, Forge); 7] = [
        ("created-at", |file| file.created_at = "2027-01-01T00:00:00Z".into()),
        ("irsa-version", |file| file.irsa_version = "9.9.9".into()),
        ("reasons", |file| file.changes[0].reasons = vec!["used by pod `x-1`".into()]),
        ("refused", |file| {
            let [address, why, hint] = ["role/x", "used 5 minutes ago", ""].map(str::to_owned);
            file.refused.push(RefusedV2 { address, why, hint, word: None });
        }),
        ("unknown", |file| file.unknown.push(UnknownV2 { address: "role/x".into(), why: "request id 1".into() })),
        ("notes", |file| file.notes.push(note("foreign-trust"))),
        ("unchanged", |file| file.summary.unchanged += 1),
    ];
    for (what, change) in same {
        let mut other = file.clone();
        change(&mut other);
        let other = other.sealed();
        assert_eq!(other.plan_digest, file.plan_digest, "{what}");
        assert_ne!(other.digest, file.digest, "{what}");
    }
    let different: [(&str, Forge); 13] = [
        ("owner", |file| file.owner = "x".into()),
        ("config-digest", |file| file.config_digest.push('0')),
        ("only", |file| file.options.only.push("role/*".into())),
        ("destroy", |file| file.options.destroy = true),
        ("skip-refused", |file| file.options.skip_refused = true),
        ("shard", |file| file.options.shard = Some("0/2".into())),
        ("a change less", |file| drop(file.changes.pop())),
        ("the order", |file| file.changes.swap(0, 1)),
        ("address", |file| file.changes[0].address.push('x')),
        ("action", |file| file.changes[0].action = "adopt".into()),
        ("before", |file| file.changes[0].before = json!({})),
        ("after", |file| file.changes[0].after = json!({})),
        ("fields", |file| file.changes[0].fields.clear()),
    ];
    for (what, change) in different {
        let mut other = file.clone();
        change(&mut other);
        assert_ne!(other.sealed().plan_digest, file.plan_digest, "{what}");
    }
}

fn find<'a>(file: &'a mut PlanV2, address: &str) -> &'a mut ChangeV2 {
    file.changes.iter_mut().find(|change| change.address == address).unwrap_or_else(|| panic!("no {address}"))
}

fn field<'a>(change: &'a mut ChangeV2, path: &str) -> &'a mut FieldV2 {
    change.fields.iter_mut().find(|field| field.path == path).unwrap_or_else(|| panic!("no {path}"))
}

/// The name of a change, the change, and the message.
const CONTRADICTIONS: &[(&str, Forge, &str)] = &[
    ("no owner", |file| file.owner = "a\nb".into(), "is not a valid owner"),
    ("no shard", |file| file.options.shard = Some("x".into()), "its `shard` is not of the form `I/N`"),
    (
        "a shard of everything that goes",
        |file| (file.options.shard, file.options.destroy) = (Some("0/2".into()), true),
        "or it also has `destroy`",
    ),
    ("twice", |file| file.changes.push(file.changes[0].clone()), "` twice"),
    (
        "a letter of another alphabet",
        |file| find(file, "role/comes").address = "role/c\u{43e}mes".into(),
        "is not an address",
    ),
    (
        "a letter of another alphabet, in an orphan",
        |file| find(file, "orphan/default/role/goes").address = "orphan/default/role/g\u{43e}es".into(),
        "is not an address",
    ),
    ("no address", |file| find(file, "role/comes").address = "all".into(), "is not an address"),
    ("an unknown action", |file| find(file, "role/comes").action = "replace".into(), "has an unknown action"),
    (
        "another action",
        |file| find(file, "role/comes").action = "update".into(),
        "which contradicts its `before` and `after`",
    ),
    (
        "a delete that leaves something",
        |file| find(file, "role/reports").action = "delete".into(),
        "which contradicts its `before` and `after`",
    ),
    (
        "the object of another kind",
        |file| find(file, "role/comes").address = "policy/default/comes".into(),
        "has an object of another kind",
    ),
    ("a key more", |file| find(file, "role/comes").after["extra"] = json!(1), "has an object of another kind"),
    (
        "a list that is none",
        |file| find(file, "role/comes").after["attached"] = json!("x"),
        "has an object of another kind",
    ),
    (
        "a tag that is none",
        |file| find(file, "role/comes").after["tags"]["a"] = json!([1]),
        "has an object of another kind",
    ),
    (
        "the name of another",
        |file| find(file, "orphan/default/role/goes").before["name"] = json!("stays"),
        "has the name of another object",
    ),
    (
        "the namespace of another",
        |file| find(file, "service-account/east/apps/comes").after["namespace"] = json!("kube-system"),
        "has the name of another object",
    ),
    (
        "a whole that differs",
        |file| find(file, "role/reports").after["attached"] = json!([]),
        "contradicts itself about field `attached`",
    ),
    (
        "another before",
        |file| find(file, "role/reports").before["description"] = json!("x"),
        "about field `description`",
    ),
    ("another after", |file| find(file, "role/reports").after["description"] = json!("x"), "about field `description`"),
    (
        "a field more",
        |file| {
            let field = FieldV2 { path: "attached".into(), before: Value::Null, after: json!(["x"]) };
            find(file, "role/reports").fields.insert(0, field);
        },
        "about field `attached`",
    ),
    (
        "a field that does not differ",
        |file| {
            let change = find(file, "role/reports");
            let list = change.after["attached"].clone();
            change.fields.insert(0, FieldV2 { path: "attached".into(), before: list.clone(), after: list });
        },
        "about field `attached`",
    ),
    ("a field less", |file| find(file, "role/reports").fields.clear(), "about field `description`"),
    (
        "a field twice",
        |file| {
            let change = find(file, "role/reports");
            change.fields.push(change.fields[0].clone());
        },
        "out of order",
    ),
    ("an empty tag", |file| find(file, "role/reports").after["tags"]["flag"] = json!(""), "about field `tags.flag`"),
    (
        "documents that differ",
        |file| {
            let document = |action: &str| serde_json::from_str::<Value>(allow(action).text()).unwrap();
            let change = find(file, "role/reports");
            (change.before["trust"], change.after["trust"]) = (document("s3:A"), document("s3:B"));
        },
        "about field `trust`",
    ),
    (
        "a document that is another text",
        |file| find(file, "role/reports").before["trust"] = json!("s3:A"),
        "about field `trust`",
    ),
    (
        "the field of another",
        |file| field(find(file, "role/comes"), "trust").path = "trusts".into(),
        "about field `trust",
    ),
];

#[test]
fn file_that_contradicts_itself_is_refused() {
    let good = every_action();
    assert_eq!(read(good.clone()).map(|file| file.changes), Ok(good.changes.clone()));
    for (what, forge, said) in CONTRADICTIONS {
        let mut file = good.clone();
        forge(&mut file);
        match read(file) {
            Err(FileError::Contradiction(why)) => assert!(why.contains(said), "{what}: {why}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn documents_of_one_meaning_are_no_contradiction() {
    let mut file = every_action();
    let trust = &mut find(&mut file, "role/reports").before["trust"];
    let action = trust["Statement"][0]["Action"].clone();
    trust["Statement"][0]["Action"] = json!([action]);
    read(file).unwrap();
}

#[test]
fn plan_with_every_kind_of_object_is_read_back() {
    let mut kit = Kit::new();
    kit.policy("p", allow("s3:GetObject"));
    kit.role("r", |role| role.bindings = vec![binding("east", "r")]);
    for _ in 0..2 {
        let file = PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z");
        assert_eq!(file.changes.len(), 4, "a provider, a policy, a role and a ServiceAccount");
        assert_eq!(PlanV2::read(&file.to_text()).as_ref(), Ok(&file));
        apply(&mut kit);
        kit.options.destroy = true;
    }
}
