use super::*;
use crate::model::live::{Quotas, RoleSummary};
use crate::world::aws::tests::stub::{Recorded, Reply, Stub};
use crate::world::aws::tests::{key, reader};
use crate::world::{CallErrorKind, ReadAws};

const ARN: &str = "arn:aws:iam::111122223333:role/irsa/me/a";

fn one_role(seen: &Recorded, arn: &str) -> Reply {
    let boundary = "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
         <PermissionsBoundaryArn>arn:aws:iam::111122223333:policy/boundary</PermissionsBoundaryArn></PermissionsBoundary>\
         <RoleLastUsed><LastUsedDate>2024-05-01T00:00:00Z</LastUsedDate></RoleLastUsed>\
         <MaxSessionDuration>7200</MaxSessionDuration><Description>d</Description>\
         <Tags><member><Key>team</Key><Value>x</Value></member></Tags>";
    match seen.action() {
        "GetRole" => Reply::result("GetRole", &format!("<Role>{}</Role>", role_xml("a", arn, boundary))),
        "ListAttachedRolePolicies" => Reply::result(
            "ListAttachedRolePolicies",
            "<IsTruncated>false</IsTruncated><AttachedPolicies><member><PolicyName>p</PolicyName>\
             <PolicyArn>arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess</PolicyArn></member></AttachedPolicies>",
        ),
        "ListRolePolicies" => Reply::result(
            "ListRolePolicies",
            "<IsTruncated>false</IsTruncated><PolicyNames><member>known</member><member>stray</member></PolicyNames>",
        ),
        "GetRolePolicy" if seen.get("PolicyName") == "missing" => Reply::gone(),
        "GetRolePolicy" => Reply::result(
            "GetRolePolicy",
            &format!(
                "<RoleName>a</RoleName><PolicyName>{}</PolicyName><PolicyDocument>{}</PolicyDocument>",
                seen.get("PolicyName"),
                encoded(ALLOW)
            ),
        ),
        "GetCallerIdentity" => Reply::result(
            "GetCallerIdentity",
            "<Arn>arn:aws:iam::111122223333:user/a</Arn><UserId>x</UserId><Account>111122223333</Account>",
        ),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn list_of_three_pages_is_read_to_its_end() {
    let stub = Stub::serve(|seen| {
        let page: usize = seen.get("Marker").parse().unwrap_or(0);
        assert_eq!(seen.get("MaxItems"), "1000");
        let member = role_xml(&format!("r{page}"), &format!("{ARN}{page}"), "");
        let more = if page < 2 { format!("<Marker>{}</Marker>", page + 1) } else { String::new() };
        let body = format!("<IsTruncated>{}</IsTruncated>{more}<Roles><member>{member}</member></Roles>", page < 2);
        Reply::result("ListRoles", &body)
    })
    .await;
    let roles = reader(&stub).roles(&key("prod")).await.unwrap().items;
    let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["r0", "r1", "r2"]);
    assert_eq!(roles[0].trust, PolicyDocument::live(TRUST));
    assert_eq!((roles[0].max_session_duration, roles[0].description.as_str()), (3600, ""));
}

#[tokio::test]
async fn truncated_page_without_a_new_marker_is_an_error() {
    for (marker, why) in
        [("", "the answer says that the list goes on"), ("<Marker>same</Marker>", "the list does not end")]
    {
        let body = format!("<IsTruncated>true</IsTruncated>{marker}<Roles/>");
        let stub = Stub::serve(move |_| Reply::result("ListRoles", &body)).await;
        let error = reader(&stub).roles(&key("prod")).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Other);
        assert!(error.message.starts_with(why), "{error}");
    }
}

#[tokio::test]
async fn malformed_entries_are_returned_beside_the_others() {
    let stub = Stub::serve(|seen| {
        let policy = |name: &str, arn: &str| format!("<member><PolicyName>{name}</PolicyName>{arn}</member>");
        let (good, odd) = ("<Arn>arn:aws:iam::111122223333:policy/p</Arn>", "<Arn>arn:aws:iam::1:policy/p</Arn>");
        let members = match seen.action() {
            "ListRoles" => ["not a name", "a", "", "b"]
                .map(|name| format!("<member>{}</member>", role_xml(name, ARN, "")))
                .concat(),
            "ListPolicies" => [policy("odd", odd), policy("p", good), policy("none", "")].concat(),
            _ => "<member><Arn>arn:aws:iam::111122223333:oidc-provider/\u{e4}</Arn></member><member/>\
                  <member><Arn>arn:aws:iam::111122223333:oidc-provider/Auth.example.com:8443/x/</Arn></member>"
                .to_owned(),
        };
        let list = match seen.action() {
            "ListRoles" => "Roles",
            "ListPolicies" => "Policies",
            _ => "OpenIDConnectProviderList",
        };
        Reply::result(seen.action(), &format!("<IsTruncated>false</IsTruncated><{list}>{members}</{list}>"))
    })
    .await;
    let (reader, key) = (reader(&stub), key("prod"));
    let roles = reader.roles(&key).await.unwrap();
    assert_eq!(roles.items.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(roles.malformed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["not a name", ""]);
    assert!(roles.malformed[0].why.starts_with("iam:ListRoles: `not a name`: "), "{:?}", roles.malformed);
    let policies = reader.policies(&key).await.unwrap();
    assert_eq!(policies.items.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), ["p"]);
    assert_eq!(policies.malformed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["odd", "none"]);
    // a provider whose ARN no cluster can have is left out; one without an ARN may be managed by irsa
    let providers = reader.providers(&key).await.unwrap();
    let hosts: Vec<_> = providers.items.iter().map(crate::ids::ProviderArn::host_path).collect();
    assert_eq!(hosts, ["Auth.example.com:8443/x/"]);
    assert_eq!(providers.malformed.len(), 1);
}

#[tokio::test]
async fn role_is_read_with_its_policies_despite_a_wrong_guess() {
    let stub = Stub::serve(|seen| one_role(seen, ARN)).await;
    let guessed = [policy_name("known"), policy_name("missing")].into();
    let live = reader(&stub).role(&key("prod"), &role_name("a"), &guessed).await.unwrap().unwrap();
    assert_eq!(live.arn.as_str(), ARN);
    assert_eq!(live.last_used, Some(1_714_521_600));
    let role = live.role;
    assert_eq!((role.description.as_str(), role.max_session_duration), ("d", 7200));
    assert_eq!(role.permissions_boundary, Some(policy_arn("boundary")));
    assert_eq!(role.tags, tags(&[("team", "x")]));
    assert_eq!(
        role.attached.iter().map(PolicyArn::as_str).collect::<Vec<_>>(),
        ["arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"]
    );
    let names: Vec<&str> = role.inline.keys().map(PolicyName::as_str).collect();
    assert_eq!(names, ["known", "stray"]);
    assert_eq!(role.inline[&policy_name("known")], PolicyDocument::live(ALLOW));
    assert!(role.inline[&policy_name("known")].text().contains("a+b"));
    let mut actions = stub.actions();
    assert_eq!(actions.len(), 6, "GetRole, two lists, two guesses, one more: {actions:?}");
    assert_eq!(actions.pop().as_deref(), Some("GetRolePolicy"));
    assert_eq!(stub.seen()[5].get("PolicyName"), "stray");
}

#[tokio::test]
async fn arn_of_a_role_that_reads_back_as_an_id_is_composed() {
    let stub = Stub::serve(|seen| one_role(seen, "AROAEXAMPLEIDENTIFIER")).await;
    let live = reader(&stub).role(&key("prod"), &role_name("a"), &BTreeSet::new()).await.unwrap().unwrap();
    assert_eq!(live.arn.as_str(), ARN);
}

#[tokio::test]
async fn missing_role_and_policy_are_absent() {
    let stub = Stub::serve(|_| Reply::gone()).await;
    let reader = reader(&stub);
    let (prod, name) = (key("prod"), role_name("a"));
    assert_eq!(reader.role(&prod, &name, &[policy_name("p")].into()).await, Ok(None));
    assert_eq!(reader.role_attributes(&prod, &name).await, Ok(None));
    assert_eq!(reader.role_tags(&prod, &name).await, Ok(None));
    assert_eq!(reader.attached(&prod, &name).await, Ok(None));
    assert_eq!(reader.inline_names(&prod, &name).await, Ok(None));
    assert_eq!(reader.inline(&prod, &name, &policy_name("p")).await, Ok(None));
    assert_eq!(reader.policy(&prod, &policy_arn("p")).await, Ok(None));
    assert_eq!(reader.policy_tags(&prod, &policy_arn("p")).await, Ok(None));
}

#[tokio::test]
async fn role_without_readable_lists_is_an_error() {
    let stub = Stub::serve(|seen| match seen.action() {
        "GetRole" => one_role(seen, ARN),
        _ => Reply::gone(),
    })
    .await;
    let error = reader(&stub).role(&key("prod"), &role_name("a"), &BTreeSet::new()).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Other);
    // read twice, because the role may have been deleted meanwhile
    assert_eq!(stub.actions().iter().filter(|action| *action == "GetRole").count(), 2);
}

#[tokio::test]
async fn bulk_page_is_joined_with_the_role_list() {
    let stub = Stub::serve(|seen| {
        assert_eq!((seen.action(), seen.get("Filter.member.1")), ("GetAccountAuthorizationDetails", "Role"));
        let inline = format!(
            "<RolePolicyList><member><PolicyName>known</PolicyName><PolicyDocument>{}</PolicyDocument></member>\
             </RolePolicyList><AttachedManagedPolicies><member><PolicyArn>arn:aws:iam::aws:policy/A</PolicyArn></member>\
             </AttachedManagedPolicies><PermissionsBoundary><PermissionsBoundaryType>PermissionsBoundaryPolicy\
             </PermissionsBoundaryType><PermissionsBoundaryArn>arn:aws:iam::111122223333:policy/boundary\
             </PermissionsBoundaryArn></PermissionsBoundary>",
            encoded(ALLOW)
        );
        let (name, more) = match seen.get("Marker") {
            "" => ("stranger", "<IsTruncated>true</IsTruncated><Marker>2</Marker>"),
            _ => ("a", "<IsTruncated>false</IsTruncated>"),
        };
        let member = role_xml(name, ARN, &inline);
        let body = format!("{more}<RoleDetailList><member>{member}</member></RoleDetailList>");
        Reply::result("GetAccountAuthorizationDetails", &body)
    })
    .await;
    let summary = RoleSummary {
        name: role_name("a"),
        path: "/irsa/me/".to_owned(),
        trust: PolicyDocument::live(TRUST),
        description: "from the list".to_owned(),
        max_session_duration: 7200,
    };
    let (reader, prod) = (reader(&stub), key("prod"));
    let first = reader.bulk_page(&prod, None).await.unwrap();
    assert_eq!((first.roles[0].name.as_str(), first.next.as_deref()), ("stranger", Some("2")));
    let second = reader.bulk_page(&prod, Some("2")).await.unwrap();
    assert_eq!((second.roles.len(), second.next), (1, None));
    let roles: Vec<_> = second.roles.into_iter().map(|role| role.joined(&summary).unwrap()).collect();
    let role = &roles[0].role;
    assert_eq!((role.description.as_str(), role.max_session_duration), ("from the list", 7200));
    assert_eq!(role.permissions_boundary, Some(policy_arn("boundary")));
    assert_eq!(role.inline[&policy_name("known")], PolicyDocument::live(ALLOW));
    assert_eq!(role.attached.len(), 1);
}

#[tokio::test]
async fn policy_versions_are_read_oldest_first() {
    let stub = Stub::serve(|seen| {
        let version = |id: u32| format!("<member><VersionId>v{id}</VersionId></member>");
        match seen.action() {
            "GetPolicy" => Reply::result(
                "GetPolicy",
                "<Policy><PolicyName>p</PolicyName><Arn>arn:aws:iam::111122223333:policy/p</Arn><Path>/</Path>\
                 <DefaultVersionId>v11</DefaultVersionId><AttachmentCount>2</AttachmentCount>\
                 <PermissionsBoundaryUsageCount>1</PermissionsBoundaryUsageCount><Description>d</Description></Policy>",
            ),
            "GetPolicyVersion" => {
                assert_eq!(seen.get("VersionId"), "v11");
                let document = encoded(ALLOW);
                Reply::result(
                    "GetPolicyVersion",
                    &format!("<PolicyVersion><Document>{document}</Document></PolicyVersion>"),
                )
            }
            _ => {
                let versions: String = [11, 10, 9, 8].map(version).concat();
                let body = format!("<IsTruncated>false</IsTruncated><Versions>{versions}</Versions>");
                Reply::result("ListPolicyVersions", &body)
            }
        }
    })
    .await;
    let live = reader(&stub).policy(&key("prod"), &policy_arn("p")).await.unwrap().unwrap();
    assert_eq!(live.default_version, "v11");
    assert_eq!(live.other_versions, ["v8", "v9", "v10"]);
    assert_eq!(live.uses(), 3);
    assert_eq!(live.policy.document, PolicyDocument::live(ALLOW));
    assert_eq!(live.policy.description, "d");
}

#[tokio::test]
async fn provider_url_without_scheme_is_completed() {
    let stub = Stub::serve(|_| {
        Reply::result(
            "GetOpenIDConnectProvider",
            "<Url>oidc.example.com/x</Url><ClientIDList><member>sts.amazonaws.com</member></ClientIDList>\
             <ThumbprintList><member>ab</member></ThumbprintList>",
        )
    })
    .await;
    let arn = crate::ids::ProviderArn::parse("arn:aws:iam::111122223333:oidc-provider/oidc.example.com/x").unwrap();
    let live = reader(&stub).provider(&key("prod"), &arn).await.unwrap().unwrap();
    assert_eq!(live.provider.url.as_str(), "https://oidc.example.com/x");
    assert_eq!(live.provider.audiences, ["sts.amazonaws.com".to_owned()].into());
    assert_eq!(live.thumbprints, ["ab"]);
}

#[tokio::test]
async fn quotas_of_the_account_summary_replace_the_defaults() {
    let stub = Stub::serve(|_| {
        let entry = |key: &str, value: u32| format!("<entry><key>{key}</key><value>{value}</value></entry>");
        let entries = [entry("AssumeRolePolicySizeQuota", 4096), entry("AttachedPoliciesPerRoleQuota", 20)].concat();
        Reply::result("GetAccountSummary", &format!("<SummaryMap>{entries}</SummaryMap>"))
    })
    .await;
    let quotas = reader(&stub).summary(&key("prod")).await.unwrap().quotas;
    assert_eq!(quotas, Quotas { trust_size: 4096, attached_per_role: 20, ..Quotas::default() });
}
