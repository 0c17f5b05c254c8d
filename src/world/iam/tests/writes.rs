use super::*;
use crate::ids::ProviderArn;
use crate::model::call::{IamCall, RoleSettings};
use crate::model::resource::Provider;
use crate::world::aws::tests::stub::{Recorded, Reply, Stub};
use crate::world::aws::tests::{key, reader};
use crate::world::{Answer, CallErrorKind, ReadAws, WriteAws, Written};

async fn write(stub: &Stub, call: &IamCall) -> Answer<Written> {
    reader(stub).writer().write(&key("prod"), call).await
}

fn create_role() -> IamCall {
    IamCall::CreateRole { role: Box::new(role("a")) }
}

fn created(seen: &Recorded) -> Reply {
    let role = role_xml("a", "arn:aws:iam::111122223333:role/irsa/me/a", "");
    Reply::result(seen.action(), &format!("<Role>{role}</Role>"))
}

fn provider_arn() -> ProviderArn {
    ProviderArn::parse("arn:aws:iam::111122223333:oidc-provider/oidc.example.com/x").unwrap()
}

fn create_provider() -> IamCall {
    let provider = Provider {
        url: "https://oidc.example.com/x".to_owned(),
        audiences: ["sts.amazonaws.com".to_owned()].into(),
        tags: tags(&[("irsa/owner", "me"), ("irsa/address", "oidc-provider/prod/c")]),
    };
    IamCall::CreateProvider { arn: provider_arn(), provider }
}

#[tokio::test]
async fn create_role_sends_tags_boundary_and_trust() {
    let stub = Stub::serve(created).await;
    let written = write(&stub, &create_role()).await.unwrap();
    assert_eq!(written, Written { request_id: Some("r-0".to_owned()), already_done: false });
    let seen = &stub.seen()[0];
    assert_eq!((seen.action(), seen.get("RoleName"), seen.get("Path")), ("CreateRole", "a", "/irsa/me/"));
    assert_eq!(seen.get("MaxSessionDuration"), "3600");
    assert_eq!(seen.get("PermissionsBoundary"), "arn:aws:iam::111122223333:policy/boundary");
    assert_eq!((seen.get("Tags.member.1.Key"), seen.get("Tags.member.1.Value")), ("irsa/address", "role/a"));
    assert_eq!((seen.get("Tags.member.2.Key"), seen.get("Tags.member.2.Value")), ("irsa/owner", "me"));
    assert_eq!(PolicyDocument::live(seen.get("AssumeRolePolicyDocument")), PolicyDocument::live(TRUST));
    assert!(!seen.form.contains_key("Description"));
}

#[tokio::test]
async fn updates_send_every_field() {
    let stub = Stub::serve(|seen| Reply::done(seen.action())).await;
    let settings = |text: &str, seconds| RoleSettings { description: text.to_owned(), max_session_duration: seconds };
    let update = IamCall::UpdateRole { name: role_name("a"), from: settings("x", 3600), to: settings("", 7200) };
    write(&stub, &update).await.unwrap();
    let put = IamCall::PutInline {
        name: role_name("a"),
        policy: policy_name("p"),
        from: None,
        to: PolicyDocument::live(ALLOW),
    };
    write(&stub, &put).await.unwrap();
    let untag = IamCall::UntagRole { name: role_name("a"), from: tags(&[("k", "v")]) };
    write(&stub, &untag).await.unwrap();
    let seen = stub.seen();
    assert_eq!(
        (seen[0].form.get("Description").map(String::as_str), seen[0].get("MaxSessionDuration")),
        (Some(""), "7200")
    );
    assert_eq!(seen[1].get("PolicyDocument"), PolicyDocument::live(ALLOW).minified());
    assert_eq!((seen[2].action(), seen[2].get("TagKeys.member.1")), ("UntagRole", "k"));
}

#[tokio::test]
async fn create_provider_sends_tags_and_no_thumbprints() {
    let stub = Stub::serve(|seen| Reply::result(seen.action(), "")).await;
    write(&stub, &create_provider()).await.unwrap();
    let seen = &stub.seen()[0];
    assert_eq!(seen.action(), "CreateOpenIDConnectProvider");
    assert_eq!(
        (seen.get("Url"), seen.get("ClientIDList.member.1")),
        ("https://oidc.example.com/x", "sts.amazonaws.com")
    );
    assert_eq!(seen.get("Tags.member.2.Value"), "me");
    assert!(!seen.form.keys().any(|name| name.starts_with("Thumbprint")));
}

/// CreateRole of a role that exists with these tags and this boundary.
async fn role_exists(tags: StringMap, boundary: &'static str) -> (Stub, Answer<Written>) {
    let stub = Stub::serve(move |seen| {
        if seen.action() == "CreateRole" {
            return Reply::error(409, "EntityAlreadyExists", "Role with name a already exists.");
        }
        let boundary = format!(
            "<PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::111122223333:policy/{boundary}\
             </PermissionsBoundaryArn></PermissionsBoundary>{}",
            tags_xml(&tags)
        );
        let role = role_xml("a", "arn:aws:iam::111122223333:role/irsa/me/a", &boundary);
        Reply::result("GetRole", &format!("<Role>{role}</Role>"))
    })
    .await;
    let answer = write(&stub, &create_role()).await;
    (stub, answer)
}

#[tokio::test]
async fn existing_role_counts_as_created_only_with_our_tags_and_content() {
    let ours = tags(&[("irsa/owner", "me"), ("irsa/address", "role/a"), ("extra", "x")]);
    let (stub, answer) = role_exists(ours.clone(), "boundary").await;
    assert!(answer.unwrap().already_done);
    assert_eq!(stub.actions(), ["CreateRole", "GetRole"]);
    let (_, answer) = role_exists(ours, "wider").await;
    assert_eq!(answer.unwrap_err().kind, CallErrorKind::Conflict);
    for foreign in [
        tags(&[]),
        tags(&[("irsa/owner", "other"), ("irsa/address", "role/a")]),
        tags(&[("irsa/owner", "me"), ("irsa/address", "role/b")]),
    ] {
        let (_, answer) = role_exists(foreign, "boundary").await;
        let error = answer.unwrap_err();
        assert_eq!((error.kind, error.operation.as_str()), (CallErrorKind::AlreadyExists, "iam:CreateRole"));
    }
}

#[tokio::test]
async fn create_role_with_a_lost_reply_succeeds() {
    let stub = Stub::serve(|seen| match (seen.number, seen.action()) {
        (0, _) => Reply::Hangup,
        (_, "CreateRole") => Reply::error(409, "EntityAlreadyExists", "exists"),
        _ => {
            let more = format!(
                "<PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::111122223333:policy/boundary\
                 </PermissionsBoundaryArn></PermissionsBoundary>{}",
                tags_xml(&role("a").tags)
            );
            let role = role_xml("a", "arn:aws:iam::111122223333:role/irsa/me/a", &more);
            Reply::result("GetRole", &format!("<Role>{role}</Role>"))
        }
    })
    .await;
    assert!(write(&stub, &create_role()).await.unwrap().already_done);
}

#[tokio::test]
async fn removals_of_missing_objects_succeed_and_updates_fail() {
    let stub = Stub::serve(|_| Reply::gone()).await;
    let (name, document) = (role_name("a"), PolicyDocument::live(ALLOW));
    for call in [
        IamCall::DeleteRole { name: name.clone() },
        IamCall::Detach { name: name.clone(), arn: policy_arn("p") },
        IamCall::DeleteInline { name: name.clone(), policy: policy_name("p"), from: document.clone() },
        IamCall::DeleteBoundary { name: name.clone(), from: policy_arn("p") },
        IamCall::UntagRole { name: name.clone(), from: tags(&[("k", "v")]) },
        IamCall::DeletePolicy { arn: policy_arn("p") },
        IamCall::DeletePolicyVersion { arn: policy_arn("p"), version: "v1".to_owned() },
        IamCall::DeleteProvider { arn: provider_arn() },
    ] {
        assert!(write(&stub, &call).await.unwrap().already_done, "{call:?}");
    }
    for call in [
        IamCall::Attach { name: name.clone(), arn: policy_arn("p") },
        IamCall::UpdateTrust { name: name.clone(), from: document.clone(), to: document.clone() },
        IamCall::TagRole { name, from: StringMap::new(), to: tags(&[("k", "v")]) },
        IamCall::AddAudience { arn: provider_arn(), audience: "a".to_owned() },
    ] {
        assert_eq!(write(&stub, &call).await.unwrap_err().kind, CallErrorKind::NotFound, "{call:?}");
    }
    assert_eq!(stub.seen().len(), 12, "none of them twice");
}

#[tokio::test]
async fn invalid_principal_is_retried_only_if_this_run_created_it() {
    let stub = Stub::serve(|seen| match (seen.action(), seen.number) {
        ("CreateRole", number) if number < 3 => {
            Reply::error(400, "MalformedPolicyDocument", "Invalid principal in policy: \"FEDERATED\":\"x\"")
        }
        ("CreateRole", _) => created(seen),
        (action, _) => Reply::result(action, ""),
    })
    .await;
    let reader = reader(&stub);
    let writer = reader.writer();
    let error = writer.write(&key("prod"), &create_role()).await.unwrap_err();
    assert_eq!((error.kind, stub.seen().len()), (CallErrorKind::Invalid, 1));
    writer.write(&key("prod"), &create_provider()).await.unwrap();
    assert_eq!(writer.write(&key("prod"), &create_role()).await.map(|written| written.already_done), Ok(false));
    assert_eq!(stub.actions(), ["CreateRole", "CreateOpenIDConnectProvider", "CreateRole", "CreateRole"]);
}

#[tokio::test]
async fn role_created_by_this_run_is_read_until_it_is_found() {
    let stub = Stub::serve(|seen| match (seen.action(), seen.number) {
        ("GetRole", number) if number < 3 => Reply::gone(),
        _ => created(seen),
    })
    .await;
    let reader = reader(&stub);
    assert_eq!(reader.role_attributes(&key("prod"), &role_name("a")).await, Ok(None));
    reader.writer().write(&key("prod"), &create_role()).await.unwrap();
    assert!(reader.role_attributes(&key("prod"), &role_name("a")).await.unwrap().is_some());
}

fn policy_reply(seen: &Recorded, live: &str) -> Reply {
    match seen.action() {
        "GetPolicy" => Reply::result(
            "GetPolicy",
            "<Policy><PolicyName>p</PolicyName><Arn>arn:aws:iam::111122223333:policy/p</Arn><Path>/</Path>\
             <DefaultVersionId>v2</DefaultVersionId></Policy>",
        ),
        "GetPolicyVersion" => {
            let document = encoded(live);
            Reply::result(
                "GetPolicyVersion",
                &format!("<PolicyVersion><Document>{document}</Document></PolicyVersion>"),
            )
        }
        "ListPolicyVersions" => Reply::result("ListPolicyVersions", "<IsTruncated>false</IsTruncated><Versions/>"),
        other => panic!("{other}"),
    }
}

fn new_version() -> IamCall {
    IamCall::CreatePolicyVersion {
        arn: policy_arn("p"),
        from: PolicyDocument::live(TRUST),
        to: PolicyDocument::live(ALLOW),
    }
}

#[tokio::test]
async fn policy_version_with_a_lost_reply_is_created_once() {
    let stub = Stub::serve(|seen| match seen.action() {
        "CreatePolicyVersion" => Reply::Hangup,
        _ => policy_reply(seen, ALLOW),
    })
    .await;
    assert!(write(&stub, &new_version()).await.unwrap().already_done);
    assert_eq!(stub.actions().iter().filter(|action| *action == "CreatePolicyVersion").count(), 1);
    assert_eq!(stub.seen()[0].get("SetAsDefault"), "true");
}

#[tokio::test]
async fn policy_version_that_did_not_arrive_is_sent_again() {
    let stub = Stub::serve(|seen| match (seen.number, seen.action()) {
        (0, _) => Reply::Hangup,
        (_, "CreatePolicyVersion") => Reply::result("CreatePolicyVersion", ""),
        _ => policy_reply(seen, TRUST),
    })
    .await;
    assert!(!write(&stub, &new_version()).await.unwrap().already_done);
    assert_eq!(stub.actions().iter().filter(|action| *action == "CreatePolicyVersion").count(), 2);
}

#[tokio::test]
async fn concurrent_modifications_are_retried_and_delete_conflicts_are_not() {
    let stub = Stub::serve(|seen| match seen.number {
        0 => Reply::error(409, "ConcurrentModification", "busy"),
        1 => Reply::error(409, "EntityTemporarilyUnmodifiable", "busy"),
        _ => Reply::done(seen.action()),
    })
    .await;
    write(&stub, &IamCall::Attach { name: role_name("a"), arn: policy_arn("p") }).await.unwrap();
    assert_eq!(stub.seen().len(), 3);
    let stub = Stub::serve(|_| Reply::error(409, "DeleteConflict", "must detach all policies first")).await;
    let error = write(&stub, &IamCall::DeleteRole { name: role_name("a") }).await.unwrap_err();
    assert_eq!((error.kind, stub.seen().len()), (CallErrorKind::Conflict, 1));
}
