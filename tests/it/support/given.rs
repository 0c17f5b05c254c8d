//! Common starting points of tests: the head of a configuration, and IAM objects of other people.

use super::world::{FIRST, SECOND};
use irsa_sandbox::Sandbox;
use serde::Serialize;
use serde_json::{Value, json};

/// The first lines of a configuration of owner `owner`, with guards that let tests delete. Declares the accounts `one`
/// and `two` (through the role that the sandbox creates for that), and each cluster with its account key and region.
pub(crate) fn head(owner: &str, clusters: &[(&str, &str, &str)]) -> String {
    let one = format!(
        "owner = \"{owner}\"\n[guard]\nmax-delete = 100\nmax-change-percent = 100\n[accounts.one]\nid = \"{FIRST}\"\n"
    );
    let two = clusters.iter().any(|(_, account, _)| *account == "two").then(second_account);
    let clusters = clusters.iter().map(|(cluster, account, region)| {
        format!("[clusters.{cluster}]\naccount = \"{account}\"\nregion = \"{region}\"\n")
    });
    [one].into_iter().chain(two).chain(clusters).collect()
}

/// The table of account `two`.
pub(crate) fn second_account() -> String {
    let role = "role/OrganizationAccountAccessRole";
    format!("[accounts.two]\nid = \"{SECOND}\"\nassume-role = \"arn:aws:iam::{SECOND}:{role}\"\n")
}

/// A policy document whose statement is an object, for every resource. `action` is a string or a list, and is written as
/// it is: AWS accepts both.
pub(crate) fn document(effect: &str, action: impl Serialize) -> String {
    json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": action, "Resource": "*"}}).to_string()
}

/// The same document with its statement in a list.
pub(crate) fn document_with_list(effect: &str, action: impl Serialize) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": "*"}]}).to_string()
}

/// A trust policy that lets a principal assume the role.
pub(crate) fn trust(principal: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}})
        .to_string()
}

/// The trust policy of a role for EC2.
pub(crate) fn ec2_trust() -> String {
    trust(&json!({"Service": "ec2.amazonaws.com"}))
}

/// IAM calls of other people in one account. Each must succeed.
#[derive(Clone, Copy)]
pub(crate) struct OtherPeople<'a> {
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) account: &'a str,
}

impl OtherPeople<'_> {
    #[track_caller]
    pub(crate) fn call(self, action: &str, fields: &[(&str, &str)]) {
        let answer = self.sandbox.iam_call(self.account, action, fields);
        answer.unwrap_or_else(|refusal| panic!("{action} {fields:?}: {refusal:?}"));
    }

    #[track_caller]
    pub(crate) fn create_role(self, name: &str, trust: &str) {
        self.call("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", trust)]);
    }

    #[track_caller]
    pub(crate) fn create_policy(self, name: &str, document: &str) {
        self.call("CreatePolicy", &[("PolicyName", name), ("PolicyDocument", document)]);
    }

    #[track_caller]
    pub(crate) fn attach(self, role: &str, arn: &str) {
        self.call("AttachRolePolicy", &[("RoleName", role), ("PolicyArn", arn)]);
    }

    #[track_caller]
    pub(crate) fn put_inline(self, role: &str, name: &str, document: &str) {
        self.call("PutRolePolicy", &[("RoleName", role), ("PolicyName", name), ("PolicyDocument", document)]);
    }

    #[track_caller]
    pub(crate) fn set_boundary(self, role: &str, arn: &str) {
        self.call("PutRolePermissionsBoundary", &[("RoleName", role), ("PermissionsBoundary", arn)]);
    }

    #[track_caller]
    pub(crate) fn tag_role(self, role: &str, key: &str, value: &str) {
        self.call("TagRole", &[("RoleName", role), ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)]);
    }
}
