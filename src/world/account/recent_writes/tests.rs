use super::*;
use crate::ids::PolicyArn;

fn role(name: &str) -> RoleName {
    RoleName::parse(name).unwrap()
}

fn arn(name: &str) -> PolicyArn {
    PolicyArn::parse(format!("arn:aws:iam::111122223333:policy/{name}")).unwrap()
}

fn trust(principal: &str) -> PolicyDocument {
    PolicyDocument::live(&format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
    ))
}

fn update(principal: &str) -> IamCall {
    IamCall::UpdateTrust { name: role("a"), from: trust("\"*\""), to: trust(principal) }
}

#[test]
fn principal_that_this_run_created_is_recognised() {
    let writes = RecentWrites::default();
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/x";
    let federated = update(&format!(r#"{{"Federated":"{provider}"}}"#));
    let assumed = update(r#"{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::111122223333:role/p/Made"]}"#);
    assert!(!writes.facts_for_write(&federated).principal_created);
    assert!(!writes.facts_for_write(&assumed).principal_created);
    writes.lock().created.insert(provider.to_owned());
    writes.lock().created.insert("made".to_owned());
    assert!(writes.facts_for_write(&federated).principal_created);
    assert!(writes.facts_for_write(&assumed).principal_created);
    assert!(!writes.facts_for_write(&update(r#"{"AWS":"arn:aws:iam::111122223333:role/other"}"#)).principal_created);
}

#[test]
fn delete_conflict_is_expected_after_a_detach() {
    let writes = RecentWrites::default();
    let delete_role = IamCall::DeleteRole { name: role("A") };
    let delete_policy = IamCall::DeletePolicy { arn: arn("p") };
    assert!(!writes.facts_for_write(&delete_role).detached && !writes.facts_for_write(&delete_policy).detached);
    writes.remember(&IamCall::Detach { name: role("a"), arn: arn("p") });
    assert!(writes.facts_for_write(&delete_role).detached && writes.facts_for_write(&delete_policy).detached);
    assert!(!writes.facts_for_write(&IamCall::DeletePolicy { arn: arn("q") }).detached);
}

#[test]
fn inline_policy_is_expected_only_after_it_was_put() {
    let writes = RecentWrites::default();
    writes.lock().created.insert("a".to_owned());
    let policy = PolicyName::parse("p").unwrap();
    assert!(writes.facts_for_read(Target::Role(&role("A"))).created);
    assert!(!writes.facts_for_inline(&role("a"), &policy).created);
    let document = trust("\"*\"");
    writes.remember(&IamCall::PutInline { name: role("a"), policy: policy.clone(), from: None, to: document.clone() });
    assert!(writes.facts_for_inline(&role("A"), &policy).created);
    writes.remember(&IamCall::DeleteInline { name: role("a"), policy: policy.clone(), from: document });
    assert!(!writes.facts_for_inline(&role("a"), &policy).created);
}
