//! Forged saved plans: their digests and parts agree, but the configuration does not ask for these changes.

use super::kit::{Kit, allow, aws, key};
use super::rules::{applied, apply, live_account, live_role, names};
use crate::model::live::{Observed, RoleSummary};
use crate::model::pattern::Pattern;
use crate::plan::PlanV2;
use crate::plan::file::{ChangeV2, FieldV2};
use crate::plan::saved::recheck;
use serde_json::{Value, json};

const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// A kit in which one role differs, and its plan.
fn edited() -> (Kit, PlanV2) {
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "ours".into();
    let file = PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z");
    assert_eq!(file.changes.len(), 1);
    (kit, file)
}

/// The steps that remain of a valid file, or why it is stale.
fn outcome(file: &PlanV2, kit: &mut Kit) -> Result<Vec<String>, String> {
    let file = PlanV2::read(&file.clone().sealed().to_text()).expect("the file is valid");
    match recheck(&file, kit.plan(), &kit.desired, &kit.live) {
        Ok(plan) => Ok(names(&plan)),
        Err(mut stale) => {
            assert_eq!(stale.len(), 1, "{stale:#?}");
            let only = stale.remove(0);
            Err(format!("{}: {}", only.address, only.why))
        }
    }
}

fn set(change: &mut ChangeV2, path: &str, before: Value, after: Value) {
    let (top, inner) = path.split_once('.').map_or((path, None), |(top, inner)| (top, Some(inner)));
    let set = |object: &mut Value, value: Value| match (inner, object.is_null() || value.is_null()) {
        (Some(inner), false) => object[top][inner] = value,
        (None, false) => object[top] = value,
        _ => {}
    };
    set(&mut change.before, before.clone());
    set(&mut change.after, after.clone());
    if before != after {
        change.fields.push(FieldV2 { path: path.into(), before, after });
        change.fields.sort_by(|one, other| one.path.cmp(&other.path));
    }
}

/// A change of an object that matches its declaration. It has no fields yet.
fn invented(kit: &mut Kit, name: &str) -> ChangeV2 {
    live_role(kit, name).role.description = "x".into();
    let mut file = PlanV2::of(&kit.plan(), "");
    live_role(kit, name).role.description = String::new();
    let at = file.changes.iter().position(|change| change.address == format!("role/{name}")).unwrap();
    let mut change = file.changes.remove(at);
    (change.before["description"], change.fields) = (json!(""), Vec::new());
    change
}

#[test]
fn added_field_is_stale() {
    let (mut kit, good) = edited();
    let attached = good.changes[0].after["attached"].clone();
    for (path, before, after) in [
        ("attached", attached, json!([ADMIN])),
        ("max-session-duration", json!(3600), json!(43_200)),
        ("permissions-boundary", Value::Null, json!(ADMIN)),
        ("inline.more", Value::Null, json!({ "Statement": [] })),
        ("tags.team", Value::Null, json!("x")),
    ] {
        let mut file = good.clone();
        set(&mut file.changes[0], path, before, after);
        let why = outcome(&file, &mut kit).unwrap_err();
        assert_eq!(why, format!("role/reports: field `{path}` has changed since the plan was saved"));
    }
    assert_eq!(outcome(&good, &mut kit), Ok(vec!["update role/reports".to_owned()]));
}

#[test]
fn forged_unchanged_field_is_stale() {
    let (mut kit, good) = edited();
    let trust = json!({ "Version": "2012-10-17", "Statement": [] });
    for (path, value) in [
        ("attached", json!([])),
        ("name", json!("harmless")),
        ("path", json!("/harmless/")),
        ("permissions-boundary", json!(ADMIN)),
        ("trust", trust),
        ("tags.irsa/owner", json!("another")),
    ] {
        let mut file = good.clone();
        set(&mut file.changes[0], path, value.clone(), value);
        let why = outcome(&file, &mut kit).unwrap_err();
        assert_eq!(why, format!("role/reports: field `{path}` has changed since the plan was saved"));
    }
    let mut file = good.clone();
    for side in ["before", "after"] {
        let change = &mut file.changes[0];
        let object = if side == "before" { &mut change.before } else { &mut change.after };
        object["inline"] = json!({});
    }
    let why = outcome(&file, &mut kit).unwrap_err();
    assert_eq!(why, "role/reports: field `inline.queue` has changed since the plan was saved");
}

#[test]
fn ignored_tags_and_attachments_of_others_are_not_stale() {
    let (mut kit, _) = edited();
    kit.desired.ignore_tags = vec![Pattern::new("cost:*")];
    kit.desired.roles.get_mut(&key("reports")).unwrap().ignore_attached =
        vec![Pattern::new("arn:aws:iam::aws:policy/Audit*")];
    live_role(&mut kit, "reports").role.tags.insert("cost:center".into(), "1".into());
    live_role(&mut kit, "reports").role.attached.insert(aws("AuditOne"));
    let file = PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z");
    let role = &mut live_role(&mut kit, "reports").role;
    role.tags.insert("cost:center".into(), "2".into());
    role.tags.insert("aws:new".into(), "3".into());
    role.attached.remove(&aws("AuditOne"));
    role.attached.insert(aws("AuditTwo"));
    assert_eq!(outcome(&file, &mut kit), Ok(vec!["update role/reports".to_owned()]));
    // the same if the plan is done already
    live_role(&mut kit, "reports").role.description = "ours".into();
    assert_eq!(outcome(&file, &mut kit), Ok(Vec::new()));
    live_role(&mut kit, "reports").role.description = String::new();
    live_role(&mut kit, "reports").role.attached.insert(aws("PowerUserAccess"));
    assert_eq!(
        outcome(&file, &mut kit),
        Err("role/reports: field `attached` has changed since the plan was saved".into())
    );
}

#[test]
fn change_of_a_matching_object_is_stale_unless_done() {
    let (mut kit, good) = edited();
    let (wide, attached) = (invented(&mut kit, "keep"), json!([ADMIN]));
    for (path, before, after, done) in [
        ("attached", json!([]), attached.clone(), false),
        ("attached", attached, json!([]), true),
        ("description", json!("x"), json!(""), true),
        ("description", json!(""), json!("x"), false),
        ("tags.team", json!("x"), Value::Null, true),
        ("tags.team", Value::Null, json!("x"), false),
    ] {
        let mut change = wide.clone();
        set(&mut change, path, before, after);
        if path == "tags.team" && done {
            change.before["tags"]["team"] = json!("x");
        }
        if path == "tags.team" && !done {
            change.after["tags"]["team"] = json!("x");
        }
        let mut file = good.clone();
        file.changes.push(change);
        let expected = if done {
            Ok(vec!["update role/reports".to_owned()])
        } else {
            Err("role/keep: the configuration no longer asks for it".to_owned())
        };
        assert_eq!(outcome(&file, &mut kit), expected, "{path}");
    }
    // an unchanged field is forged
    let mut change = wide;
    set(&mut change, "description", json!("x"), json!(""));
    set(&mut change, "attached", json!([ADMIN]), json!([ADMIN]));
    let mut file = good;
    file.changes.push(change);
    assert!(outcome(&file, &mut kit).is_err());
}

#[test]
fn delete_is_done_only_if_the_object_is_gone() {
    let (mut kit, good) = edited();
    let gone = |kit: &mut Kit| {
        let role = kit.desired.roles.remove(&key("keep")).unwrap();
        let file = PlanV2::of(&kit.plan(), "");
        kit.desired.roles.insert(key("keep"), role);
        file.changes.into_iter().find(|change| change.address == "orphan/default/role/keep").unwrap()
    };
    let delete = gone(&mut kit);
    let with = |name: &str, address: &str| {
        let mut change = delete.clone();
        change.address = address.into();
        change.before["name"] = json!(name);
        change.fields.iter_mut().find(|field| field.path == "name").unwrap().before = json!(name);
        let mut file = good.clone();
        file.changes.push(change);
        file
    };
    let refused = |address: &str| Err(format!("{address}: the configuration no longer asks for it"));
    // a declared role under the address of an orphan
    let address = "orphan/default/role/keep";
    assert_eq!(outcome(&with("keep", address), &mut kit), refused(address));
    // a role of another owner that was only listed
    let summary = RoleSummary {
        name: "theirs".parse().unwrap(),
        path: "/".into(),
        trust: allow("sts:AssumeRole"),
        description: String::new(),
        max_session_duration: 3600,
    };
    kit.account().role_list = Observed::Present(vec![summary]);
    let address = "orphan/default/role/Theirs";
    assert_eq!(outcome(&with("Theirs", address), &mut kit), refused(address));
    // keys that the configuration does not have
    let address = "role/unheard-of";
    assert_eq!(outcome(&with("unheard-of", address), &mut kit), refused(address));
    let address = "orphan/elsewhere/role/old";
    assert_eq!(outcome(&with("old", address), &mut kit), refused(address));
    // a role that does not exist is deleted already
    assert_eq!(outcome(&with("old", "orphan/default/role/old"), &mut kit), Ok(vec!["update role/reports".to_owned()]));
}

#[test]
fn release_is_done_although_another_manager_owns_the_field() {
    let mut kit = applied();
    live_account(&mut kit, "east", "worker").annotations.insert("eks.amazonaws.com/audience".into(), "old".into());
    live_account(&mut kit, "east", "worker").annotations.insert("eks.amazonaws.com/role-arn".into(), "old".into());
    let mut file = PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z");
    let address = "service-account/east/apps/worker";
    assert_eq!(file.changes.iter().map(|change| change.address.as_str()).collect::<Vec<_>>(), [address]);
    let change = &mut file.changes[0];
    let path = "annotations.eks.amazonaws.com/audience";
    change.before["annotations"]["eks.amazonaws.com/audience"] = json!("old");
    if change.fields.iter().all(|field| field.path != path) {
        change.fields.push(FieldV2 { path: path.into(), before: json!("old"), after: Value::Null });
        change.fields.sort_by(|one, other| one.path.cmp(&other.path));
    }
    apply(&mut kit);
    assert_eq!(outcome(&file, &mut kit), Ok(Vec::new()));
}
