//! Rules on permissions and documents.

use super::Case;
use super::fixture::{Fixture, attached, document, on_live, on_permissions, on_role};
use crate::ids::{PolicyArn, PolicyName};
use crate::model::note::Severity::{self, Critical, High, Low, Medium};
use crate::policy::{PolicyDocument, Statement};
use serde_json::{Value, json};

fn allow(actions: &Value, resources: &Value) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resources})
}

fn only_if(mut statement: Value, conditions: Value) -> Value {
    statement["Condition"] = conditions;
    statement
}

fn all(actions: &Value) -> Value {
    allow(actions, &json!("*"))
}

pub(super) fn cases() -> Vec<Case> {
    let statements = [everything(), roles(), broad(), handed_on(), left_open()].into_iter().flatten();
    let statements = statements.map(|(rule, severity, bad, good)| Case {
        rule,
        severity,
        bad: on_permissions(&bad),
        good: on_permissions(&good),
    });
    statements.chain(attachments()).chain(documents()).collect()
}

type Pair = (&'static str, Severity, Value, Value);

fn everything() -> Vec<Pair> {
    let tagged = json!({"StringEquals": {"aws:ResourceTag/team": "a"}});
    let bucket = json!(["arn:aws:s3:::reports/*", "arn:aws:s3:::reports"]);
    vec![
        ("IRSA030", Critical, all(&json!("*")), all(&json!("s3:ListAllMyBuckets"))),
        ("IRSA030", Critical, all(&json!(["s3:Get*", "*:*"])), allow(&json!("*"), &bucket)),
        ("IRSA030", Critical, allow(&json!("*"), &json!("arn:aws:*:*:*:*")), allow(&json!("*"), &bucket)),
        ("IRSA030", High, only_if(all(&json!("*")), tagged), all(&json!("s3:ListAllMyBuckets"))),
    ]
}

fn roles() -> Vec<Pair> {
    let role = json!("arn:aws:iam::111122223333:role/worker");
    let any_role = json!("arn:aws:iam::111122223333:role/*");
    let lambda = json!({"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}});
    let launch = json!(["iam:PassRole", "ec2:RunInstances"]);
    let boundary = json!({"StringEquals": {"iam:PermissionsBoundary": "arn:aws:iam::111122223333:policy/b"}});
    vec![
        ("IRSA031", Critical, all(&json!("iam:*")), all(&json!(["iam:Get*", "iam:List*"]))),
        ("IRSA031", Critical, all(&json!("IAM:Put*Policy")), allow(&json!("iam:PutRolePolicy"), &role)),
        ("IRSA031", Critical, all(&launch), all(&json!("ec2:RunInstances"))),
        ("IRSA031", Critical, allow(&json!("iam:UpdateAssumeRolePolicy"), &any_role), all(&json!("iam:PassRole"))),
        ("IRSA031", Critical, all(&json!("iam:PutRolePolicy")), only_if(all(&json!("iam:PutRolePolicy")), boundary)),
        ("IRSA032", High, all(&json!("iam:PassRole")), allow(&json!("iam:PassRole"), &role)),
        ("IRSA032", High, allow(&json!("iam:Pass*"), &any_role), only_if(all(&json!("iam:PassRole")), lambda)),
        ("IRSA033", High, all(&json!("sts:AssumeRole")), allow(&json!("sts:AssumeRole"), &role)),
        (
            "IRSA033",
            High,
            allow(&json!("sts:*"), &json!("arn:aws:iam::*:role/*")),
            only_if(all(&json!("sts:AssumeRole")), json!({"StringEquals": {"aws:ResourceOrgID": "o-abcdefghij"}})),
        ),
    ]
}

fn broad() -> Vec<Pair> {
    let but = |name: &str, rest: Value| with(json!({"Effect": "Allow", name: "arn:aws:s3:::a"}), rest);
    let secret = json!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:app-*");
    let any_secret = json!("arn:aws:secretsmanager:*:*:secret:*");
    vec![
        (
            "IRSA034",
            High,
            json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
            json!({"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}),
        ),
        (
            "IRSA034",
            Medium,
            but("NotResource", json!({"Action": "s3:Get*"})),
            but("Resource", json!({"Action": "s3:Get*"})),
        ),
        (
            "IRSA035",
            Medium,
            all(&json!(["s3:GetObject"])),
            allow(&json!("s3:GetObject"), &json!("arn:aws:s3:::reports/*")),
        ),
        (
            "IRSA035",
            Medium,
            allow(&json!("secretsmanager:Get*"), &any_secret),
            allow(&json!("secretsmanager:Get*"), &secret),
        ),
        (
            "IRSA035",
            Medium,
            allow(&json!("s3:*Object"), &json!("arn:aws:s3:::*/*")),
            allow(&json!("s3:*"), &json!("arn:aws:s3:::secret/*")),
        ),
        ("IRSA035", Medium, all(&json!("ssm:GetParameter*")), all(&json!("ssm:DescribeParameters"))),
        ("IRSA036", Medium, all(&json!("sqs:*")), all(&json!(["sqs:ListQueues", "sqs:Get*"]))),
        (
            "IRSA036",
            Medium,
            all(&json!("SQS:*")),
            allow(&json!("sqs:*"), &json!("arn:aws:sqs:eu-west-1:111122223333:reports")),
        ),
    ]
}

fn handed_on() -> Vec<Pair> {
    let bucket = json!("arn:aws:s3:::reports");
    let own = json!("arn:aws:iam::111122223333:role/app");
    let path = json!("arn:aws:iam::111122223333:role/irsa/team/*");
    let tenant = json!("arn:aws:iam::111122223333:role/tenant/*");
    let put = json!("iam:PutRolePolicy");
    vec![
        ("IRSA037", High, all(&json!("s3:PutBucketPolicy")), allow(&json!("s3:PutBucketPolicy"), &bucket)),
        ("IRSA037", Medium, all(&json!("ecr:SetRepositoryPolicy")), all(&json!("ecr:GetAuthorizationToken"))),
        ("IRSA038", High, allow(&put, &path), allow(&put, &tenant)),
        ("IRSA038", High, allow(&put, &path), allow(&json!("iam:GetRole"), &own)),
    ]
}

fn left_open() -> Vec<Pair> {
    let read = |resource: &str| allow(&json!("s3:GetObject"), &json!(resource));
    vec![
        ("IRSA039", High, read("arn:aws:s3:::${BUCKET}/*"), read("arn:aws:s3:::a/${aws:PrincipalTag/team}/*")),
        ("IRSA039", High, read("arn:aws:s3:::<bucket>/*"), read("arn:aws:s3:::bucket/*")),
        ("IRSA046", High, all(&json!("ecrr:GetAuthorizationToken")), all(&json!("ecr:GetAuthorizationToken"))),
        ("IRSA046", Medium, all(&json!("quantumfoam:Brew")), all(&json!("ecr:GetAuthorizationToken"))),
    ]
}

fn with(mut statement: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("an object") };
    statement.as_object_mut().unwrap().extend(more);
    statement
}

fn attachments() -> Vec<Case> {
    let role = |arn: &str| {
        on_role(|role| {
            role.attach.insert(attached(arn));
        })
    };
    let live = |arn: &str| {
        on_live(|fixture| {
            fixture.live_role("app", |role| {
                role.attached.insert(PolicyArn::parse(arn).unwrap());
            });
        })
    };
    let (admin, iam) = ("arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::aws:policy/IAMFullAccess");
    let read = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let own = "arn:aws:iam::111122223333:policy/AdministratorAccess";
    vec![
        Case { rule: "IRSA030", severity: Critical, bad: role(admin), good: role(read) },
        Case {
            rule: "IRSA030",
            severity: Critical,
            bad: role(&admin.replace("aws:iam", "aws-cn:iam")),
            good: role(own),
        },
        Case { rule: "IRSA030", severity: Critical, bad: live(admin), good: live(read) },
        Case { rule: "IRSA031", severity: Critical, bad: role(iam), good: role(read) },
        Case { rule: "IRSA031", severity: Critical, bad: live(iam), good: live(read) },
    ]
}

fn documents() -> Vec<Case> {
    let name = || PolicyName::parse("x").unwrap();
    let inline = |document: PolicyDocument| on_role(|role| drop(role.inline.insert(name(), document)));
    let live_trust =
        |text: &str| on_live(|fixture| fixture.live_role("app", |role| role.trust = PolicyDocument::live(text)));
    let read = allow(&json!("s3:GetObject"), &json!("arn:aws:s3:::a/*"));
    let trust = |sid: &str| {
        json!({"Sid": sid, "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::111122223333:role/{sid}")}})
    };
    let versioned = |version: &str| json!({"Version": version, "Statement": trust("a")}).to_string();
    let sid = |sid: &str| with(read.clone(), json!({"Sid": sid}));
    let extra = |sids: [&str; 2]| {
        on_role(|role| role.extra_trust = sids.map(|sid| Statement::parse(&trust(sid), None).unwrap()).to_vec())
    };
    // each resource has 100 characters
    let long = |count: usize| {
        let resources: Vec<String> = (0..count).map(|index| format!("arn:aws:s3:::{index:0>84}")).collect();
        document(&allow(&json!("s3:GetObject"), &json!(resources)))
    };
    let managed = |count: usize| {
        let mut fixture = Fixture::new();
        fixture.policy("x", long(count));
        fixture.declared()
    };
    vec![
        Case {
            rule: "IRSA042",
            severity: Low,
            bad: live_trust(&json!({"Statement": trust("a")}).to_string()),
            good: live_trust(&versioned("2012-10-17")),
        },
        Case {
            rule: "IRSA042",
            severity: Low,
            bad: live_trust(&versioned("2008-10-17")),
            good: live_trust(&versioned("2012-10-17")),
        },
        Case {
            rule: "IRSA043",
            severity: Medium,
            bad: live_trust("{\"Statement\": []}"),
            good: live_trust(&versioned("2012-10-17")),
        },
        Case {
            rule: "IRSA044",
            severity: High,
            bad: inline(document(&json!([sid("a"), sid("a")]))),
            good: inline(document(&json!([sid("a"), sid("b"), sid("")]))),
        },
        Case { rule: "IRSA044", severity: High, bad: extra(["a", "a"]), good: extra(["a", "b"]) },
        Case { rule: "IRSA045", severity: Low, bad: inline(long(83)), good: inline(long(78)) },
        Case { rule: "IRSA045", severity: High, bad: inline(long(103)), good: inline(long(78)) },
        Case { rule: "IRSA045", severity: Low, bad: managed(50), good: managed(47) },
        Case { rule: "IRSA045", severity: High, bad: managed(62), good: managed(47) },
    ]
}

#[test]
fn deny_statements_have_no_findings() {
    for (rule, _, mut bad, _) in [everything(), roles(), broad(), handed_on()].into_iter().flatten() {
        bad["Effect"] = json!("Deny");
        assert_eq!(on_permissions(&bad), [], "{rule}");
    }
}

#[test]
fn statements_of_one_policy_count_together() {
    let apart = json!([all(&json!("iam:PassRole")), all(&json!(["lambda:CreateFunction", "lambda:Invoke*"]))]);
    let notes = on_permissions(&apart);
    let texts: Vec<&str> = notes.iter().filter(|note| note.rule == "IRSA031").map(|note| note.text.as_str()).collect();
    assert!(texts[0].contains("`iam:PassRole` with `lambda:CreateFunction` with `lambda:InvokeFunction`"), "{texts:?}");
}

#[test]
fn live_policy_as_declared_has_no_second_finding() {
    let mut fixture = Fixture::new();
    fixture.policy("x", document(&all(&json!("*"))));
    fixture.app().inline.insert(PolicyName::parse("y").unwrap(), document(&all(&json!("*"))));
    fixture.app().attach.insert(attached("arn:aws:iam::aws:policy/AdministratorAccess"));
    // the role has one finding for both policies
    assert_eq!(fixture.declared().len(), 2);
    fixture.live_policy("x", document(&all(&json!(["*", "*"]))));
    fixture.live_role("app", |role| {
        role.attached.insert(PolicyArn::parse("arn:aws:iam::aws:policy/AdministratorAccess").unwrap());
    });
    assert_eq!(fixture.live(), []);
}

#[test]
fn default_quotas_equal_those_of_a_live_account() {
    use crate::model::live::Quotas;
    use crate::policy::budget;
    let quotas = Quotas::default();
    assert_eq!(
        (quotas.trust_size, quotas.inline_size, quotas.managed_size, quotas.attached_per_role),
        (budget::TRUST_SIZE, budget::INLINE_SIZE, budget::MANAGED_SIZE, budget::ATTACHED_PER_ROLE)
    );
}
