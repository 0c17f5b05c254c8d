//! Recognises what users write in place of a policy document: another kind of policy, the output of an aws command, a
//! file of another tool. One message with a hint replaces an error for every key in it. Nothing in the text is quoted.

use crate::policy::document::PolicyKind;
use crate::policy::parse::{JsonMember, JsonNode, Shape, find};
use serde_json::{Map, Value};

/// Text that is not a document of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongDocument {
    /// "this is …".
    pub message: String,
    pub hint: &'static str,
    /// A part of the text that shows it; empty for its beginning.
    pub evidence: &'static str,
}

#[expect(clippy::unnecessary_wraps, reason = "every caller returns an Option")]
fn wrong(message: impl Into<String>, hint: &'static str, evidence: &'static str) -> Option<WrongDocument> {
    Some(WrongDocument { message: message.into(), hint, evidence })
}

fn output_of(command: &str, hint: &'static str, evidence: &'static str) -> Option<WrongDocument> {
    wrong(format!("this is the output of `aws {command}`, not the policy itself"), hint, evidence)
}

const ENCODED: &str = "write it decoded: `python3 -c 'import sys, urllib.parse; \
                       print(urllib.parse.unquote(sys.stdin.read()))'` decodes it, and the aws CLI prints it decoded";
const MANIFEST: &str = "name an IAM policy here; to declare a ServiceAccount, use `service-accounts` of its role, and \
                        irsa creates it";
const TEMPLATE: &str = "write only the policy document that is in it, as JSON, with its references filled in";
const TRUST: &str = "write what the role may do; irsa writes the trust policy from `service-accounts`, and further \
                     principals are declared under `[[roles.KEY.trust]]`";
const RESOURCE_POLICY: &str =
    "remove `Principal`: the principal is the role that has the policy; irsa does not manage resource-based policies";

/// The kind of a text that is not a permission policy, if irsa recognises it.
pub(crate) fn of_text(text: &str) -> Option<WrongDocument> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("%7b")) {
        return wrong("this is percent-encoded, as IAM's API returns policies", ENCODED, "%7");
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => {
            of_command_output(&object).or_else(|| of_tool(&object)).or_else(|| of_policy(&object))
        }
        Ok(Value::Array(list)) if list.iter().all(|item| item.get("Effect").is_some()) && !list.is_empty() => wrong(
            "this is a list of statements without the document around it",
            "write `{\"Version\": \"2012-10-17\", \"Statement\": […]}`",
            "[",
        ),
        Ok(Value::String(inner)) if inner.trim_start().starts_with(['{', '%']) => {
            wrong("this is a policy inside a JSON string", "write the document itself: `jq -r .` prints it", "\"")
        }
        Ok(_) => None,
        Err(_) => of_lines(text),
    }
}

/// Output of the aws CLI (<https://docs.aws.amazon.com/cli/latest/reference/iam/>).
fn of_command_output(object: &Map<String, Value>) -> Option<WrongDocument> {
    let has = |key: &str| object.contains_key(key);
    let policy = object.get("Policy");
    let policy_has = |key: &str| policy.and_then(|policy| policy.get(key)).is_some();
    if has("PolicyVersion") {
        let hint = "write only what is in `PolicyVersion.Document`: `--query PolicyVersion.Document` prints it";
        return output_of("iam get-policy-version", hint, "\"PolicyVersion\"");
    }
    if has("Document") && has("VersionId") {
        let hint = "write only what is in `Document`: `--query PolicyVersion.Document` prints it";
        return wrong("this is a version of a managed policy, not the policy itself", hint, "\"Document\"");
    }
    if has("PolicyDocument") {
        let hint = "write only what is in `PolicyDocument`: `--query PolicyDocument` prints it";
        return output_of("iam get-role-policy", hint, "\"PolicyDocument\"");
    }
    if has("AssumeRolePolicyDocument") || has("Role") {
        let hint = "it contains the role's trust policy alone; `aws iam get-role-policy --query PolicyDocument` and \
                    `aws iam get-policy-version --query PolicyVersion.Document` print the permissions";
        return output_of("iam get-role", hint, "{");
    }
    if has("RoleDetailList") || has("UserDetailList") {
        return output_of("iam get-account-authorization-details", TEMPLATE, "{");
    }
    if policy_has("PolicySummary") {
        let message = "this is the output of `aws organizations describe-policy`, such as an SCP";
        let hint = "irsa does not manage policies of AWS Organizations: name a permission policy here";
        return wrong(message, hint, "\"Policy\"");
    }
    if policy_has("Arn") || has("Versions") {
        let command = if policy.is_some() { "iam get-policy" } else { "iam list-policy-versions" };
        let hint = "it contains no document: `aws iam get-policy-version --policy-arn ARN --version-id ID --query \
                    PolicyVersion.Document` prints it";
        return output_of(command, hint, "{");
    }
    if policy.is_some_and(Value::is_string) || has("policyText") {
        return wrong("this is the output of a command for a resource-based policy", RESOURCE_POLICY, "{");
    }
    None
}

/// Files of other tools.
fn of_tool(object: &Map<String, Value>) -> Option<WrongDocument> {
    let has = |key: &str| object.contains_key(key);
    let aws = |kind: Option<&Value>| kind.and_then(Value::as_str).is_some_and(|kind| kind.starts_with("AWS::"));
    let resources = object.get("Resources").and_then(Value::as_object);
    if has("AWSTemplateFormatVersion") || resources.is_some_and(|list| list.values().any(|item| aws(item.get("Type"))))
    {
        return wrong("this is a CloudFormation template, not a policy", TEMPLATE, "{");
    }
    if aws(object.get("Type")) {
        return wrong("this is a resource of a CloudFormation template, not a policy", TEMPLATE, "\"Type\"");
    }
    if has("apiVersion") && has("kind") {
        return wrong("this is a Kubernetes manifest, not a policy", MANIFEST, "{");
    }
    let blocks = ["resource", "data", "provider", "terraform", "locals", "module", "output", "variable"];
    if has("terraform_version") || !has("Statement") && blocks.into_iter().any(has) {
        return wrong("this is a Terraform file, not a policy", TEMPLATE, "{");
    }
    None
}

fn one_or_more(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// Policies of other kinds.
fn of_policy(object: &Map<String, Value>) -> Option<WrongDocument> {
    if object.contains_key("Effect") && !object.contains_key("Statement") {
        let hint = "write `{\"Version\": \"2012-10-17\", \"Statement\": […]}` around it";
        return wrong("this is a single statement without the document around it", hint, "\"Effect\"");
    }
    let statements = one_or_more(object.get("Statement")?);
    let any = |keys: [&'static str; 2]| {
        statements.iter().find_map(move |item| keys.into_iter().find(|key| item.get(key).is_some()))
    };
    let principal = any(["Principal", "NotPrincipal"])?;
    let evidence = if principal == "Principal" { "\"Principal\"" } else { "\"NotPrincipal\"" };
    if let Some(resource) = any(["Resource", "NotResource"]) {
        let message =
            format!("this is a resource-based policy, such as a bucket's: it has `{principal}` and `{resource}`");
        return wrong(message, RESOURCE_POLICY, evidence);
    }
    let action = statements.iter().find_map(|item| assume_action(item.get("Action")?));
    let and = action.map_or_else(|| "no `Resource`".to_owned(), |action| format!("`{action}`"));
    wrong(format!("this is a trust policy: it has `{principal}` and {and}"), TRUST, evidence)
}

/// The action among these that assumes a role.
fn assume_action(actions: &Value) -> Option<&'static str> {
    let actions: Vec<&str> = one_or_more(actions).iter().filter_map(Value::as_str).collect();
    ["sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML", "sts:AssumeRole"]
        .into_iter()
        .find(|name| actions.iter().any(|action| action.eq_ignore_ascii_case(name)))
}

/// Files that are not JSON.
fn of_lines(text: &str) -> Option<WrongDocument> {
    let begins = |words: &[&str]| text.lines().any(|line| words.iter().any(|word| line.starts_with(word)));
    if begins(&["apiVersion:"]) {
        return wrong("this is a Kubernetes manifest, not a policy", MANIFEST, "apiVersion:");
    }
    if begins(&["AWSTemplateFormatVersion:"]) || begins(&["Resources:"]) && text.contains("Type: AWS::") {
        return wrong("this is a CloudFormation template, not a policy", TEMPLATE, "");
    }
    if begins(&["resource \"", "data \"", "provider \"", "terraform {", "locals {", "module \""]) {
        return wrong("this is a Terraform file, not a policy", TEMPLATE, "");
    }
    if begins(&["Statement:"]) {
        return wrong("this is a policy in YAML", "write it as JSON", "Statement:");
    }
    None
}

/// The hint for a file that is refused because of its extension, and so not read.
pub(crate) fn hint_by_name(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "yaml" | "yml" => Some(
            "a policy is a JSON document, not a Kubernetes manifest or a CloudFormation template; to declare a \
             ServiceAccount, use `service-accounts` of its role",
        ),
        "tf" | "hcl" | "tfvars" | "tfstate" => {
            Some("a policy is a JSON document: write the JSON that Terraform renders from `aws_iam_policy_document`")
        }
        _ => None,
    }
}

/// The kind of a TOML statement that a policy of kind `expected` must not have, if irsa recognises it.
pub(crate) fn of_statement(statement: &JsonNode<'_>, expected: PolicyKind) -> Option<WrongDocument> {
    let entries = statement.object()?;
    let has = |keys: [&str; 2]| keys.iter().any(|key| find(entries, key).is_some());
    match (expected, has(["Principal", "NotPrincipal"]), has(["Resource", "NotResource"])) {
        (PolicyKind::Permissions, true, false) => {
            wrong("this is a trust statement: it has `principals` and no `resources`", TRUST, "")
        }
        (PolicyKind::Permissions, true, true) => wrong(
            "a permission policy must not have `principals`: with `resources` it is a resource-based policy",
            "remove `principals`: the principal is the role that has the policy",
            "",
        ),
        // a trust statement that lacks its principals
        (PolicyKind::Trust, false, true) if has_only_sts_actions(entries) => None,
        (PolicyKind::Trust, false, true) => wrong(
            "this is a permission statement: it has `resources` and no `principals`",
            "move it to `statements` of `[roles.KEY.inline.NAME]` or `[policies.KEY]`; a statement here says who may \
             assume the role",
            "",
        ),
        (PolicyKind::Trust, true, true) => wrong(
            "a trust statement has no `resources`: it applies to the role itself",
            "remove `resources`; what the role may do goes into `[roles.KEY.inline.NAME]` or `[policies.KEY]`",
            "",
        ),
        _ => None,
    }
}

fn has_only_sts_actions(entries: &[JsonMember<'_>]) -> bool {
    let actions = match find(entries, "Action").map(|entry| &entry.value) {
        Some(JsonNode { shape: Shape::List(list), .. }) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    let of_sts = |node: &JsonNode<'_>| matches!(&node.shape, Shape::Text(text) if text.starts_with("sts:"));
    !actions.is_empty() && actions.iter().all(of_sts)
}
