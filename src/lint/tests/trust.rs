//! Rules on trust statements.

use super::Case;
use super::fixture::{ACCOUNT, EAST, Fixture, WEST, document, exact, on_live, on_trust, provider, wild};
use crate::ids::AccountId;
use crate::lint::tests::fixture::binding;
use crate::model::desired::PLACEHOLDER_ID;
use crate::model::note::Severity::{self, Critical, High, Info, Medium};
use crate::policy::Statement;
use serde_json::{Map, Value, json};

const WEB: &str = "system:serviceaccount:apps:web";

/// A statement that trusts the provider of `east`, with conditions on claims of its issuer.
fn web(conditions: &Value) -> Value {
    let blocks = conditions.as_object().unwrap().iter().map(|(operator, block)| {
        let keys = block.as_object().unwrap().iter().map(|(key, value)| match key.as_str() {
            "sub" | "aud" => (format!("{EAST}:{key}"), value.clone()),
            _ => (key.clone(), value.clone()),
        });
        (operator.clone(), Value::Object(keys.collect()))
    });
    let conditions: Map<String, Value> = blocks.collect();
    json!({"Effect": "Allow", "Principal": {"Federated": provider(EAST)}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": conditions})
}

fn good() -> Value {
    web(&json!({"StringEquals": {"aud": "sts.amazonaws.com", "sub": WEB}}))
}

/// The statement with a subject pattern.
fn like(subject: &Value) -> Value {
    web(&json!({"StringEquals": {"aud": "sts.amazonaws.com"}, "StringLike": {"sub": subject}}))
}

fn other(principal: &Value, action: &str, conditions: &Value) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": action, "Condition": conditions})
}

/// The statement with another condition key for the subject.
fn keyed(key: &str) -> Value {
    web(&json!({"StringEquals": {"aud": "sts.amazonaws.com", key: WEB}}))
}

fn aud(value: &Value) -> Value {
    web(&json!({"StringEquals": {"aud": value, "sub": WEB}}))
}

pub(super) fn cases() -> Vec<Case> {
    [conditions(), subjects(), principals()]
        .into_iter()
        .flatten()
        .map(|(rule, severity, bad, good)| Case { rule, severity, bad: on_trust(&bad), good: on_trust(&good) })
        .chain(known_providers())
        .collect()
}

type Pair = (&'static str, Severity, Value, Value);

fn conditions() -> Vec<Pair> {
    let both = json!({"aud": "sts.amazonaws.com", "sub": WEB});
    let under = |operator: &str| web(&json!({operator: both}));
    let west_key = format!("{WEST}:sub");
    vec![
        ("IRSA001", Critical, keyed(&west_key), good()),
        ("IRSA002", Critical, web(&json!({"StringEquals": {"aud": "sts.amazonaws.com"}})), good()),
        ("IRSA002", Critical, web(&json!({})), like(&json!("system:serviceaccount:apps:*"))),
        ("IRSA003", High, web(&json!({"StringEquals": {"sub": WEB}})), good()),
        (
            "IRSA003",
            High,
            web(&json!({"StringLike": {"aud": "*"}, "StringEquals": {"sub": WEB}})),
            web(&json!({"StringLike": {"aud": "sts.amazonaws.com"}, "StringEquals": {"sub": WEB}})),
        ),
        (
            "IRSA007",
            High,
            web(&json!({"StringEquals": {"aud": "sts.amazonaws.com", "sub": "system:serviceaccount:apps:*"}})),
            good(),
        ),
        ("IRSA007", High, aud(&json!(["sts.amazonaws.com", "*"])), good()),
        ("IRSA007", Info, like(&json!(WEB)), like(&json!("system:serviceaccount:apps:*"))),
        ("IRSA008", Critical, under("ForAllValues:StringEquals"), good()),
        ("IRSA008", Critical, under("forallvalues:stringlike"), under("StringLike")),
        ("IRSA008", Medium, under("ForAnyValue:StringEquals"), good()),
        ("IRSA009", Critical, under("StringEqualsIfExists"), good()),
        ("IRSA010", Critical, under("StringNotEquals"), good()),
        (
            "IRSA010",
            Critical,
            under("StringNotLike"),
            web(&json!({"StringEquals": both, "StringNotLike": {"sub": "*:b"}})),
        ),
        (
            "IRSA010",
            Critical,
            web(&json!({"StringEquals": {"aud": "sts.amazonaws.com"}, "Null": {"sub": "false"}})),
            good(),
        ),
        ("IRSA011", High, keyed(&format!("{}:sub", provider(EAST))), good()),
        ("IRSA011", High, keyed(&format!("https://{EAST}:sub")), good()),
        ("IRSA011", High, keyed(&format!("{EAST}/:sub")), good()),
        (
            "IRSA011",
            Medium,
            keyed(&format!("{}:sub", EAST.replace("EXAMPLE", "example"))),
            keyed(&format!("{}:sub", EAST.replace("oidc.eks", "OIDC.EKS"))),
        ),
    ]
}

fn subjects() -> Vec<Pair> {
    let apps = || like(&json!("system:serviceaccount:apps:web-*"));
    let github = |subject: &str| {
        let issuer = "token.actions.githubusercontent.com";
        other(
            &json!({"Federated": provider(issuer)}),
            "sts:AssumeRoleWithWebIdentity",
            &json!({"StringEquals": {format!("{issuer}:aud"): "sts.amazonaws.com"}, "StringLike": {format!("{issuer}:sub"): subject}}),
        )
    };
    vec![
        ("IRSA004", Critical, like(&json!("*")), apps()),
        ("IRSA004", Critical, like(&json!([WEB, "system:serviceaccount:*"])), apps()),
        ("IRSA004", Critical, like(&json!("system:serviceaccount:*:*")), apps()),
        ("IRSA004", Critical, github("*"), github("repo:org/name:*")),
        ("IRSA005", High, like(&json!("system:serviceaccount:*:web")), apps()),
        ("IRSA005", High, like(&json!([WEB, "system:serviceaccount:team-*"])), github("repo:org/*")),
        ("IRSA006", Medium, like(&json!(["system:serviceaccount:apps:*"])), good()),
        ("IRSA006", Medium, apps(), github("repo:org/*")),
        (
            "IRSA023",
            Medium,
            web(&json!({"StringEquals": {"aud": "sts.amazonaws.com", "sub": "system:serviceaccount:apps:default"}})),
            good(),
        ),
        ("IRSA023", High, like(&json!("system:serviceaccount:kube-system:*")), apps()),
    ]
}

fn principals() -> Vec<Pair> {
    let (web_identity, none) = ("sts:AssumeRoleWithWebIdentity", json!({}));
    let admin = json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:role/admin")});
    let assume = |principal: &Value| other(principal, "sts:AssumeRole", &none);
    let both = json!({"StringEquals": {format!("{EAST}:aud"): "sts.amazonaws.com", format!("{EAST}:sub"): WEB}});
    let not = |name: &str, value: Value| {
        let mut statement = good();
        let map = statement.as_object_mut().unwrap();
        map.remove(name.strip_prefix("Not").unwrap());
        map.insert(name.into(), value);
        statement
    };
    let abroad = |arn: &str| other(&json!({"Federated": arn}), web_identity, &both);
    let org = |operator: &str| json!({operator: {"aws:PrincipalOrgID": "o-abcdefghij"}});
    vec![
        ("IRSA012", High, other(&json!({"Federated": provider(EAST)}), "sts:AssumeRole", &both), good()),
        ("IRSA012", High, other(&admin, web_identity, &none), assume(&admin)),
        ("IRSA012", High, other(&json!({"Federated": provider(EAST)}), "sts:*", &both), good()),
        ("IRSA012", High, not("NotAction", json!("sts:TagSession")), good()),
        ("IRSA012", High, not("NotPrincipal", admin.clone()), good()),
        (
            "IRSA012",
            High,
            other(&json!({"Federated": format!("arn:aws:iam::{ACCOUNT}:saml-provider/idp")}), web_identity, &none),
            other(
                &json!({"Federated": format!("arn:aws:iam::{ACCOUNT}:saml-provider/idp")}),
                "sts:AssumeRoleWithSAML",
                &none,
            ),
        ),
        (
            "IRSA012",
            High,
            json!({"Effect": "Allow", "Principal": admin, "Action": ["sts:AssumeRole", web_identity]}),
            json!({"Effect": "Allow", "Principal": admin, "Action": ["sts:AssumeRole", "sts:TagSession"]}),
        ),
        ("IRSA013", Critical, assume(&json!("*")), assume(&admin)),
        (
            "IRSA013",
            Critical,
            assume(&json!({"AWS": ["*"]})),
            other(&json!("*"), "sts:AssumeRole", &org("StringEquals")),
        ),
        ("IRSA013", Critical, other(&json!("*"), "sts:AssumeRole", &org("ForAllValues:StringEquals")), assume(&admin)),
        ("IRSA013", Critical, other(&json!("*"), "sts:AssumeRole", &org("StringNotEquals")), assume(&admin)),
        (
            "IRSA013",
            Critical,
            other(&json!("*"), "sts:AssumeRole", &org("StringEqualsIfExists")),
            other(
                &json!("*"),
                "sts:AssumeRole",
                &json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a/r-b/*"}}),
            ),
        ),
        (
            "IRSA013",
            Critical,
            other(&json!("*"), "sts:AssumeRole", &json!({"StringLike": {"aws:PrincipalArn": "*"}})),
            other(
                &json!("*"),
                "sts:AssumeRole",
                &json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/ci-*"}}),
            ),
        ),
        ("IRSA014", High, assume(&json!({"AWS": "444455556666"})), assume(&admin)),
        ("IRSA014", Medium, assume(&json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:root")})), assume(&admin)),
        (
            "IRSA014",
            High,
            assume(&json!({"AWS": "arn:aws:iam::444455556666:root"})),
            other(
                &json!({"AWS": "444455556666"}),
                "sts:AssumeRole",
                &json!({"StringEquals": {"sts:ExternalId": "x1"}}),
            ),
        ),
        ("IRSA015", High, abroad(&format!("arn:aws:iam::444455556666:oidc-provider/{EAST}")), good()),
        ("IRSA015", High, abroad(&format!("arn:aws-cn:iam::{ACCOUNT}:oidc-provider/{EAST}")), good()),
        (
            "IRSA050",
            High,
            assume(&json!({"AWS": "AROAEXAMPLE1234567890"})),
            assume(&json!({"AWS": "arn:aws:iam::444455556666:role/AROAEXAMPLE1234567890"})),
        ),
        (
            "IRSA050",
            High,
            assume(&json!({"AWS": [format!("arn:aws:iam::{ACCOUNT}:role/a"), "AIDAEXAMPLE1234567890"]})),
            assume(&admin),
        ),
    ]
}

/// Rules that need live providers.
fn known_providers() -> Vec<Case> {
    let live = |statement: &Value, change: fn(&mut Fixture)| {
        on_live(|fixture| {
            fixture.live_role("app", |role| role.trust = document(statement));
            change(fixture);
        })
    };
    vec![
        Case {
            rule: "IRSA003",
            severity: High,
            bad: live(&aud(&json!("vault")), |_| {}),
            good: live(&aud(&json!("vault")), |fixture| {
                fixture.provider(EAST, |provider| {
                    provider.audiences.insert("vault".into());
                });
                fixture.app().bindings[0].audience = Some("vault".into());
            }),
        },
        Case {
            rule: "IRSA016",
            severity: High,
            bad: live(&good(), |fixture| fixture.account().providers.clear()),
            good: live(&good(), |_| {}),
        },
    ]
}

#[test]
fn audience_without_a_binding_is_medium() {
    let audience = |asked: bool| {
        let mut fixture = Fixture::new();
        fixture.app().extra_trust = vec![Statement::parse(&aud(&json!("vault")), None).unwrap()];
        fixture.app().bindings[0].audience = asked.then(|| "vault".to_owned());
        fixture.declared().into_iter().find(|note| note.rule == "IRSA003").map(|note| note.severity)
    };
    assert_eq!((audience(false), audience(true)), (Some(Medium), None));
}

#[test]
fn deny_statements_have_no_findings() {
    for (rule, _, mut bad, _) in [conditions(), subjects(), principals()].into_iter().flatten() {
        bad["Effect"] = json!("Deny");
        assert_eq!(on_trust(&bad), [], "{rule}");
    }
}

#[test]
fn good_statement_has_no_findings() {
    assert_eq!(on_trust(&good()), []);
}

#[test]
fn unknown_account_has_no_foreign_provider() {
    let on = |statement: Value, id: &str| {
        let mut fixture = Fixture::new();
        let account = fixture.desired.accounts.get_mut(&super::fixture::key("default")).unwrap();
        account.declared_id = None;
        account.id = AccountId::parse(id).unwrap();
        fixture.app().extra_trust = vec![Statement::parse(&statement, None).unwrap()];
        fixture.declared().into_iter().map(|note| (note.rule, note.severity)).collect::<Vec<_>>()
    };
    let unknown = |statement: Value| on(statement, PLACEHOLDER_ID);
    let whole = json!({"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole"});
    assert_eq!(unknown(whole.clone()), [("IRSA014".to_owned(), Medium)]);
    let text = good().to_string().replace(ACCOUNT, "444455556666");
    let provider: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(unknown(provider.clone()), []);
    // the account is known
    assert_eq!(on(whole, ACCOUNT), [("IRSA014".to_owned(), High)]);
    assert_eq!(on(provider, ACCOUNT), [("IRSA015".to_owned(), High)]);
}

#[test]
fn finding_names_part_and_statement() {
    let mut fixture = Fixture::new();
    let mut named = like(&json!("*"));
    named["Sid"] = json!("Old");
    fixture.app().extra_trust = vec![Statement::parse(&good(), None).unwrap(), Statement::parse(&named, None).unwrap()];
    let notes = fixture.declared();
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!((note.address.as_str(), note.origin.as_str()), ("role/app", "irsa.toml:5"));
    assert_eq!(note.text, "extra trust: statement `Old`: subject `*` is every ServiceAccount of the cluster");
    // declared statements are not reported again, and the others keep their number
    fixture.live_role("app", |_| {});
    assert_eq!(fixture.live(), []);
    named["Sid"] = json!("");
    fixture.app().extra_trust.pop();
    fixture.live_role("app", |role| role.trust = document(&json!([good(), named])));
    let notes = fixture.live();
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!((note.address.as_str(), note.origin.as_str()), ("role/app", ""));
    assert_eq!(note.text, "live trust: statement 2: subject `*` is every ServiceAccount of the cluster");
}

#[test]
fn subject_of_a_wildcard_binding_is_reported_once() {
    let mut fixture = Fixture::new();
    fixture.app().bindings.push(binding("east", wild("apps", "*")));
    fixture.app().bindings.push(binding("east", exact("apps", "api")));
    fixture.live_role("app", |_| {});
    assert_eq!(fixture.declared().iter().map(|note| note.rule.as_str()).collect::<Vec<_>>(), ["IRSA006"]);
    assert_eq!(fixture.live(), []);
    // a subject that only the live policy has is reported
    fixture.live_role("app", |role| role.trust = document(&like(&json!("system:serviceaccount:other:*"))));
    assert_eq!(fixture.live().iter().map(|note| note.rule.as_str()).collect::<Vec<_>>(), ["IRSA006"]);
}
