//! Reads and writes over HTTP, against a stub server.

mod reads;
mod writes;

use crate::ids::{IamPath, PolicyArn, PolicyName, RoleName};
use crate::model::resource::{InlinePolicies, Role, StringMap};
use crate::policy::PolicyDocument;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeSet;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/x"},"Action":"sts:AssumeRoleWithWebIdentity"}]}"#;
const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::a+b/*"}]}"#;

fn encoded(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}

fn role_name(text: &str) -> RoleName {
    RoleName::parse(text).unwrap()
}

fn policy_name(text: &str) -> PolicyName {
    PolicyName::parse(text).unwrap()
}

fn policy_arn(name: &str) -> PolicyArn {
    PolicyArn::parse(format!("arn:aws:iam::111122223333:policy/{name}")).unwrap()
}

fn tags(tags: &[(&str, &str)]) -> StringMap {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn tags_xml(tags: &StringMap) -> String {
    let members = tags.iter().map(|(k, v)| format!("<member><Key>{k}</Key><Value>{v}</Value></member>"));
    format!("<Tags>{}</Tags>", members.collect::<String>())
}

/// The XML of a role. `more` is inserted at its end.
fn role_xml(name: &str, arn: &str, more: &str) -> String {
    format!(
        "<Path>/irsa/me/</Path><RoleName>{name}</RoleName><RoleId>AROAEXAMPLE</RoleId><Arn>{arn}</Arn>\
         <CreateDate>2024-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument>{more}",
        encoded(TRUST)
    )
}

fn role(name: &str) -> Role {
    Role {
        name: role_name(name),
        path: IamPath::parse("/irsa/me/").unwrap(),
        description: String::new(),
        max_session_duration: 3600,
        permissions_boundary: Some(policy_arn("boundary")),
        tags: tags(&[("irsa/owner", "me"), ("irsa/address", "role/a")]),
        trust: PolicyDocument::live(TRUST),
        attached: BTreeSet::new(),
        inline: InlinePolicies::new(),
    }
}
