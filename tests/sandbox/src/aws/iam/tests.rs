//! Tests of IAM: tables of rejected requests, and every case in which IAM returns something else than was written.

mod details;
mod documents;
mod names;
mod pages;
mod policies;
mod providers;
mod roles;
mod trusts;

use super::{Iam, Principals};
use crate::aws::query::{AwsError, Params, respond};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;
const ANYONE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}"#;

/// An account whose clock advances a second each time it is read.
struct Bench {
    iam: Iam,
    directory: Arc<Principals>,
}

impl Bench {
    fn new() -> Self {
        Self::of(ACCOUNT, &Arc::new(Principals::default()))
    }

    fn of(account: &str, directory: &Arc<Principals>) -> Self {
        let seconds = AtomicI64::new(1_700_000_000);
        let clock = move || Timestamp::from_second(seconds.fetch_add(1, Ordering::SeqCst)).unwrap();
        directory.add_account(account);
        Self { iam: Iam::new("aws", account, Arc::new(clock)), directory: Arc::clone(directory) }
    }

    fn call(&mut self, action: &str, fields: &[(&str, &str)]) -> Result<String, AwsError> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let result = self.iam.call(action, &Params::parse(form.as_bytes()), &self.directory)?;
        Ok(respond(action, "urn:iam", result, "request"))
    }

    #[track_caller]
    fn ok(&mut self, action: &str, fields: &[(&str, &str)]) -> String {
        self.call(action, fields).unwrap_or_else(|error| panic!("{action}: {} {}", error.code, error.message))
    }

    /// The status and code of a rejected request.
    #[track_caller]
    fn refused(&mut self, action: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let error = self.call(action, fields).expect_err(action);
        (error.status, error.code)
    }

    fn role(&mut self, name: &str) {
        self.ok("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", ANYONE)]);
    }

    fn policy(&mut self, name: &str) -> String {
        self.ok("CreatePolicy", &[("PolicyName", name), ("PolicyDocument", POLICY)]);
        format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
    }

    /// A role's trust policy, URL-decoded.
    fn trust(&mut self, name: &str) -> String {
        let answer = self.ok("GetRole", &[("RoleName", name)]);
        decoded(&text(&answer, "AssumeRolePolicyDocument"))
    }
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// The texts of all elements of this name.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(open.as_str()).skip(1).map(|rest| rest.split(close.as_str()).next().unwrap().to_owned()).collect()
}

/// The text of the first element of this name.
#[track_caller]
fn text(xml: &str, name: &str) -> String {
    texts(xml, name).into_iter().next().unwrap_or_else(|| panic!("no {name} in {xml}"))
}

fn has(xml: &str, name: &str) -> bool {
    xml.contains(&format!("<{name}>"))
}

/// Tags as form fields.
fn tags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    (1..)
        .zip(pairs)
        .flat_map(|(index, (key, value))| {
            let field = |part| format!("Tags.member.{index}.{part}");
            [(field("Key"), (*key).to_owned()), (field("Value"), (*value).to_owned())]
        })
        .collect()
}

fn with<'a>(fields: &[(&'a str, &'a str)], more: &'a [(String, String)]) -> Vec<(&'a str, &'a str)> {
    fields.iter().copied().chain(more.iter().map(|(name, value)| (name.as_str(), value.as_str()))).collect()
}

#[test]
fn an_unknown_operation_is_refused() {
    assert_eq!(Bench::new().refused("NoSuchAction", &[]), error(400, "InvalidAction"));
}

#[test]
fn the_object_of_a_call_is_found() {
    let object = |action: &str, form: &str| Iam::object_of(action, &Params::parse(form.as_bytes()));
    assert_eq!(object("AttachRolePolicy", "RoleName=r&PolicyArn=p"), "r");
    assert_eq!(object("GetPolicy", "PolicyArn=p"), "p");
    assert_eq!(object("CreatePolicy", "PolicyName=n"), "n");
    assert_eq!(object("CreateOpenIDConnectProvider", "Url=https%3A%2F%2Fx"), "https://x");
    assert_eq!(object("AddRoleToInstanceProfile", "RoleName=r&InstanceProfileName=i"), "i");
    assert_eq!(object("ListRoles", "PathPrefix=/"), "");
}

#[test]
fn the_same_calls_give_the_same_account() {
    let life = || {
        let mut bench = Bench::new();
        bench.role("a");
        let arn = bench.policy("p");
        bench.ok("AttachRolePolicy", &[("RoleName", "a"), ("PolicyArn", &arn)]);
        (bench.ok("GetRole", &[("RoleName", "a")]), bench.ok("GetAccountAuthorizationDetails", &[]))
    };
    assert_eq!(life(), life());
    let id = text(&life().0, "RoleId");
    assert!(
        id.len() == 21
            && id.starts_with("AROA")
            && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    );
}
