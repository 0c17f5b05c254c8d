//! Hand-written plans and reports, for the tests of `view` and `render`.

use crate::apply::report::{Failure, Interrupt, Outcome, Report, StepOutcome};
use crate::plan::change::Action;
use crate::plan::file::{ChangeV2, FieldV2, NoteV2, OptionsV2, PlanV2, RefusedV2, SummaryV2, UnknownV2};
use serde_json::{Value, json};

pub(crate) const EAST: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EAST";
const WEST: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/WEST";

/// A plan of these changes.
pub(crate) fn plan(changes: Vec<ChangeV2>) -> PlanV2 {
    let count = |action: &str| changes.iter().filter(|change| change.action == action).count();
    PlanV2 {
        format_version: "2.0".into(),
        irsa_version: "0.1.0".into(),
        created_at: "2026-01-02T03:04:05Z".into(),
        owner: "platform".into(),
        config_digest: format!("sha256:{}", "0".repeat(64)),
        options: OptionsV2 {
            only: Vec::new(),
            destroy: false,
            adopt: false,
            force: false,
            force_conflicts: false,
            allow_incomplete: false,
            skip_refused: false,
            shard: None,
        },
        complete: true,
        summary: SummaryV2 {
            create: count("create"),
            update: count("update"),
            delete: count("delete"),
            adopt: count("adopt"),
            unchanged: 39,
            refused: 0,
            waiting: 0,
        },
        changes,
        refused: Vec::new(),
        unknown: Vec::new(),
        notes: Vec::new(),
        ignored: Vec::new(),
        plan_digest: format!("sha256:{}", "1".repeat(64)),
        digest: format!("sha256:{}", "2".repeat(64)),
    }
}

pub(crate) fn field(path: &str, before: Value, after: Value) -> FieldV2 {
    FieldV2 { path: path.into(), before, after }
}

/// A change; the whole object is made of the fields.
pub(crate) fn change(address: &str, action: &str, reasons: &[&str], fields: Vec<FieldV2>) -> ChangeV2 {
    let whole = |side: fn(&FieldV2) -> &Value| -> Value {
        let mut object = json!({});
        for field in &fields {
            match field.path.split_once('.') {
                None => object[&field.path] = side(field).clone(),
                Some((map, key)) if !side(field).is_null() => object[map][key] = side(field).clone(),
                Some(_) => {}
            }
        }
        object
    };
    let before = if action == "create" { Value::Null } else { whole(|field| &field.before) };
    let after = if action == "delete" { Value::Null } else { whole(|field| &field.after) };
    let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
    ChangeV2 { address: address.into(), action: action.into(), reasons, before, after, fields }
}

/// The trust policy for these subjects.
pub(crate) fn trust(provider: &str, subjects: &[&str]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [web_identity(provider, subjects)] })
}

pub(crate) fn web_identity(provider: &str, subjects: &[&str]) -> Value {
    let host = provider.split_once(":oidc-provider/").unwrap().1;
    let sub = if subjects.len() == 1 { json!(subjects[0]) } else { json!(subjects) };
    json!({
        "Effect": "Allow", "Principal": { "Federated": provider }, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": { "StringEquals": { format!("{host}:aud"): "sts.amazonaws.com", format!("{host}:sub"): sub } },
    })
}

fn queue(actions: &[&str]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "Send", "Effect": "Allow", "Action": actions, "Resource": "arn:aws:sqs:eu-west-1:111122223333:reports" },
        { "Sid": "Keys", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*" },
    ] })
}

/// Everything that a plan can show.
pub(crate) fn everything() -> PlanV2 {
    let tags = |address: &str| {
        [
            field("tags.irsa/address", Value::Null, json!(address)),
            field("tags.irsa/owner", Value::Null, json!("platform")),
        ]
    };
    let mut provider = vec![
        field("audiences", Value::Null, json!(["sts.amazonaws.com"])),
        field("url", Value::Null, json!("https://oidc.eks.eu-west-1.amazonaws.com/id/EAST")),
    ];
    provider.extend(tags("oidc-provider/prod/prod-eu"));
    let mut plan = plan(vec![
        change("oidc-provider/prod/prod-eu", "create", &["roles of this account trust the cluster"], provider),
        created_role(),
        updated_role(),
        adopted_role(),
        created_service_account(),
        taken_back_service_account(),
        change(
            "orphan/prod/role/old-reports",
            "delete",
            &["no longer declared"],
            vec![
                field("attached", json!(["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]), Value::Null),
                field("description", json!(""), Value::Null),
                field("max-session-duration", json!(3600), Value::Null),
                field("name", json!("old-reports"), Value::Null),
                field("path", json!("/irsa/platform/"), Value::Null),
                field("trust", trust(WEST, &["system:serviceaccount:reporting:old"]), Value::Null),
            ],
        ),
    ]);
    plan.complete = false;
    plan.summary.refused = 1;
    plan.summary.waiting = 1;
    plan.refused = vec![RefusedV2 {
        address: "role/billing".into(),
        why: "role `billing` exists and belongs to owner `finance`".into(),
        hint: "use another `name`, or set `adopt-from = \"finance\"` once that configuration has let it go".into(),
        word: Some("other-owner".into()),
    }];
    plan.unknown =
        vec![UnknownV2 { address: "cluster/metal".into(), why: "connection refused (10.0.0.1:6443)".into() }];
    plan.notes = notes();
    plan
}

fn notes() -> Vec<NoteV2> {
    let note = |address: &str, severity: &str, rule: &str, origin: &str, text: &str| NoteV2 {
        address: address.into(),
        severity: severity.into(),
        rule: rule.into(),
        origin: origin.into(),
        text: text.into(),
    };
    vec![
        note("role/ci", "high", "IRSA010", "irsa.toml:31", "every ServiceAccount of namespace `ci` may assume it"),
        note(
            "account/prod",
            "info",
            "foreign-trust",
            "",
            "irsa does not manage role `legacy`, which can be assumed from `prod-eu`",
        ),
        note(
            "service-account/prod-eu/batch/nightly",
            "info",
            "waiting",
            "teams/batch.toml:4",
            "its namespace is not there yet",
        ),
    ]
}

pub(crate) fn created_role() -> ChangeV2 {
    change(
        "role/reports",
        "create",
        &["declared at irsa.toml:12, not there", "trust policy: 412 of 2048 characters"],
        vec![
            field("attached", Value::Null, json!(["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"])),
            field("description", Value::Null, json!("reads reports")),
            field("inline.queue", Value::Null, queue(&["sqs:SendMessage", "sqs:GetQueueUrl"])),
            field("max-session-duration", Value::Null, json!(3600)),
            field("name", Value::Null, json!("reports")),
            field("path", Value::Null, json!("/irsa/platform/")),
            field("permissions-boundary", Value::Null, Value::Null),
            field("tags.irsa/address", Value::Null, json!("role/reports")),
            field("tags.irsa/owner", Value::Null, json!("platform")),
            field("trust", Value::Null, trust(EAST, &["system:serviceaccount:reporting:worker"])),
        ],
    )
}

pub(crate) fn updated_role() -> ChangeV2 {
    let before = trust(EAST, &["system:serviceaccount:ci:builder", "system:serviceaccount:ci:old"]);
    let mut after = trust(EAST, &["system:serviceaccount:ci:builder", "system:serviceaccount:ci:deployer"]);
    let people = json!({ "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:role/break-glass" },
        "Action": "sts:AssumeRole", "Condition": { "Bool": { "aws:MultiFactorAuthPresent": "true" } } });
    after["Statement"].as_array_mut().unwrap().push(people);
    change(
        "role/ci",
        "update",
        &["differs from its declaration, declared at irsa.toml:31", "trust policy: 655 of 2048 characters"],
        vec![
            field(
                "attached",
                json!([
                    "arn:aws:iam::aws:policy/AdministratorAccess",
                    "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
                ]),
                json!(["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]),
            ),
            field("description", json!("builds"), json!("builds and deploys")),
            field(
                "inline.queue",
                queue(&["sqs:SendMessage", "sqs:GetQueueUrl"]),
                queue(&["sqs:SendMessage", "sqs:DeleteMessage"]),
            ),
            field("max-session-duration", json!(3600), json!(5400)),
            field("tags.team", json!("tools"), Value::Null),
            field("trust", before, after),
        ],
    )
}

fn adopted_role() -> ChangeV2 {
    change(
        "role/legacy",
        "adopt",
        &["taken over, declared at irsa.toml:40"],
        vec![
            field("tags.irsa/address", Value::Null, json!("role/legacy")),
            field("tags.irsa/owner", Value::Null, json!("platform")),
        ],
    )
}

fn created_service_account() -> ChangeV2 {
    change(
        "service-account/prod-eu/reporting/worker",
        "create",
        &["declared at irsa.toml:15, not there"],
        vec![
            field(
                "annotations.eks.amazonaws.com/role-arn",
                Value::Null,
                json!("arn:aws:iam::111122223333:role/irsa/platform/reports"),
            ),
            field("annotations.irsa/created", Value::Null, json!("true")),
            field("labels.irsa/owner", Value::Null, json!("platform")),
            field("name", Value::Null, json!("worker")),
            field("namespace", Value::Null, json!("reporting")),
        ],
    )
}

pub(crate) fn taken_back_service_account() -> ChangeV2 {
    change(
        "service-account/prod-eu/ci/builder",
        "update",
        &[
            "differs from its declaration at irsa.toml:33",
            "irsa takes annotation `eks.amazonaws.com/role-arn` over from `kubectl-annotate`",
        ],
        vec![field(
            "annotations.eks.amazonaws.com/role-arn",
            json!("arn:aws:iam::111122223333:role/somebody-elses"),
            json!("arn:aws:iam::111122223333:role/irsa/platform/ci"),
        )],
    )
}

fn step(address: &str, action: Action, outcome: Outcome) -> StepOutcome {
    StepOutcome { address: address.parse().unwrap(), action, outcome, note: None }
}

/// A report in which everything happens.
pub(crate) fn report() -> Report {
    let failure = Failure {
        operation: "iam:PutRolePolicy".into(),
        code: Some("MalformedPolicyDocument".into()),
        why: "policy `queue`: The policy failed legacy parsing".into(),
        request_id: Some("5f1c2d3e-0000-4000-8000-000000000000".into()),
        hint: Some("correct `[roles.reports.inline.queue]`".into()),
        stale: false,
        written: false,
        held_up: false,
        done: vec!["iam:CreateRole".into()],
        left: vec!["iam:PutRolePolicy".into(), "iam:AttachRolePolicy".into()],
    };
    let stale = Failure {
        operation: "iam:UpdateAssumeRolePolicy".into(),
        code: None,
        why: "field `trust` is neither as planned before nor after".into(),
        request_id: None,
        hint: Some("plan again".into()),
        stale: true,
        written: false,
        held_up: false,
        done: Vec::new(),
        left: vec!["iam:UpdateAssumeRolePolicy".into()],
    };
    let unseen = StepOutcome {
        note: Some("written, but IAM does not show it yet: audience `sts.amazonaws.com`".into()),
        ..step("oidc-provider/prod/prod-eu", Action::Create, Outcome::Applied)
    };
    Report {
        outcomes: vec![
            unseen,
            step("role/reports", Action::Create, Outcome::Failed(failure)),
            step("role/ci", Action::Update, Outcome::Failed(stale)),
            step("role/legacy", Action::Adopt, Outcome::Applied),
            step(
                "service-account/prod-eu/reporting/worker",
                Action::Create,
                Outcome::Skipped("`role/reports`, which it depends on, failed".into()),
            ),
            step("service-account/prod-eu/ci/builder", Action::Update, Outcome::AlreadyDone),
            step("orphan/prod/role/old-reports", Action::Delete, Outcome::Applied),
        ],
        interrupted: Some(Interrupt::Terminate),
        lock_lost: None,
    }
}
