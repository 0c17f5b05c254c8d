//! What was taken for a policy document: another kind of policy, the answer of a command that holds one, the file of another
//! tool. Each is named with what to do, in place of a mistake for every key in it. Nothing of it is quoted.

use crate::policy::document::PolicyKind;
use crate::policy::parse::{JsonMember, JsonNode, Shape, find};
use serde_json::{Map, Value};

/// Something that is no document of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistaken {
    /// What it is: "this is …".
    pub message: String,
    pub hint: &'static str,
    /// Where that shows: a text in it.
    pub shows: &'static str,
}

#[expect(clippy::unnecessary_wraps, reason = "it is what every function here answers")]
fn mistaken(message: impl Into<String>, hint: &'static str, shows: &'static str) -> Option<Mistaken> {
    Some(Mistaken { message: message.into(), hint, shows })
}

const ENCODED: &str = "write it decoded: `python3 -c 'import sys, urllib.parse; \
                       print(urllib.parse.unquote(sys.stdin.read()))'` does that, and the aws CLI by itself";
const MANIFEST: &str = "name an IAM policy here; a ServiceAccount is declared with `service-accounts` of its role, and irsa \
                        makes it";
const TEMPLATE: &str = "write only the policy document that is in it, as JSON, with its references filled in";
const TRUST: &str = "here goes what the role may do; irsa writes the trust of its `service-accounts` itself, and who else may \
                     assume the role is declared under `[[roles.KEY.trust]]`";
const RESOURCE_POLICY: &str =
    "take `Principal` out: the role that the policy belongs to is who may; irsa manages no policies of resources";

/// What a text is that cannot be read as a permission policy, where that can be told.
pub(crate) fn of_text(text: &str) -> Option<Mistaken> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("%7b")) {
        return mistaken("this is percent-encoded, as IAM's API sends policies", ENCODED, "%7");
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => of_answer(&object).or_else(|| of_tool(&object)).or_else(|| of_policy(&object)),
        Ok(Value::Array(list)) if list.iter().all(|item| item.get("Effect").is_some()) && !list.is_empty() => mistaken(
            "this is a list of statements without the document around it",
            "write `{\"Version\": \"2012-10-17\", \"Statement\": […]}`",
            "[",
        ),
        Ok(Value::String(inner)) if inner.trim_start().starts_with(['{', '%']) => {
            mistaken("this is a policy inside a JSON string", "write the document itself: `jq -r .` takes it out", "\"")
        }
        Ok(_) => None,
        Err(_) => of_lines(text),
    }
}

/// What the aws CLI prints (<https://docs.aws.amazon.com/cli/latest/reference/iam/>).
fn of_answer(object: &Map<String, Value>) -> Option<Mistaken> {
    let has = |key: &str| object.contains_key(key);
    let inner = |key: &str| object.get("Policy").and_then(|policy| policy.get(key)).is_some();
    let answer = |command: &str| format!("this is the answer of `aws {command}`, not the policy itself");
    if has("PolicyVersion") {
        let hint = "write only what is in `PolicyVersion.Document`: `--query PolicyVersion.Document` prints it";
        return mistaken(answer("iam get-policy-version"), hint, "\"PolicyVersion\"");
    }
    if has("Document") && has("VersionId") {
        let hint = "write only what is in `Document`: `--query PolicyVersion.Document` prints it";
        return mistaken("this is a version of a managed policy, not the policy itself", hint, "\"Document\"");
    }
    if has("PolicyDocument") {
        let hint = "write only what is in `PolicyDocument`: `--query PolicyDocument` prints it";
        return mistaken(answer("iam get-role-policy"), hint, "\"PolicyDocument\"");
    }
    if has("AssumeRolePolicyDocument") || has("Role") {
        let hint = "it has the role's trust policy alone; its permissions are what `aws iam get-role-policy --query \
                    PolicyDocument` and `aws iam get-policy-version --query PolicyVersion.Document` print";
        return mistaken(answer("iam get-role"), hint, "{");
    }
    if has("RoleDetailList") || has("UserDetailList") {
        return mistaken(answer("iam get-account-authorization-details"), TEMPLATE, "{");
    }
    if has("Policy") && inner("PolicySummary") {
        let hint = "irsa manages no policies of AWS Organizations: name a permission policy here";
        return mistaken(
            "this is the answer of `aws organizations describe-policy`, such as an SCP",
            hint,
            "\"Policy\"",
        );
    }
    if has("Policy") && inner("Arn") || has("Versions") {
        let command = if has("Policy") { "iam get-policy" } else { "iam list-policy-versions" };
        let hint = "it has no document: `aws iam get-policy-version --policy-arn ARN --version-id ID --query \
                    PolicyVersion.Document` prints it";
        return mistaken(answer(command), hint, "{");
    }
    if object.get("Policy").is_some_and(Value::is_string) || has("policyText") {
        return mistaken("this is the answer of a command for the policy of a resource", RESOURCE_POLICY, "{");
    }
    None
}

/// Files of other tools.
fn of_tool(object: &Map<String, Value>) -> Option<Mistaken> {
    let has = |key: &str| object.contains_key(key);
    let aws = |item: &Value| item.get("Type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("AWS::"));
    let resources = object.get("Resources").and_then(Value::as_object);
    if has("AWSTemplateFormatVersion") || resources.is_some_and(|list| list.values().any(aws)) {
        return mistaken("this is a CloudFormation template, not a policy", TEMPLATE, "{");
    }
    if object.get("Type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("AWS::")) {
        return mistaken("this is a resource of a CloudFormation template, not a policy", TEMPLATE, "\"Type\"");
    }
    if has("apiVersion") && has("kind") {
        return mistaken("this is a Kubernetes manifest, not a policy", MANIFEST, "{");
    }
    let blocks = ["resource", "data", "provider", "terraform", "locals", "module", "output", "variable"];
    if has("terraform_version") || !has("Statement") && blocks.iter().any(|block| has(block)) {
        return mistaken("this is a file of terraform, not a policy", TEMPLATE, "{");
    }
    None
}

/// Policies of other kinds.
fn of_policy(object: &Map<String, Value>) -> Option<Mistaken> {
    if object.contains_key("Effect") && !object.contains_key("Statement") {
        let hint = "write `{\"Version\": \"2012-10-17\", \"Statement\": […]}` around it";
        return mistaken("this is a single statement without the document around it", hint, "\"Effect\"");
    }
    let statements = match object.get("Statement")? {
        Value::Array(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    let any = |keys: [&'static str; 2]| {
        statements.iter().find_map(move |item| keys.into_iter().find(|key| item.get(key).is_some()))
    };
    let principal = any(["Principal", "NotPrincipal"])?;
    let shows = if principal == "Principal" { "\"Principal\"" } else { "\"NotPrincipal\"" };
    if let Some(resource) = any(["Resource", "NotResource"]) {
        let message =
            format!("this is the policy of a resource, such as a bucket: it has `{principal}` and `{resource}`");
        return mistaken(message, RESOURCE_POLICY, shows);
    }
    let assume = statements.iter().find_map(|item| assume(item.get("Action")?));
    let and = assume.map_or_else(|| "no `Resource`".to_owned(), |action| format!("`{action}`"));
    mistaken(format!("this is a trust policy: it has `{principal}` and {and}"), TRUST, shows)
}

/// The action by which a role is assumed, if that is among these.
fn assume(actions: &Value) -> Option<&'static str> {
    let actions = match actions {
        Value::Array(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    let known = ["sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML", "sts:AssumeRole"];
    let is = |name: &str| actions.iter().filter_map(Value::as_str).any(|action| action.eq_ignore_ascii_case(name));
    known.into_iter().find(|name| is(name))
}

/// Files that are no JSON.
fn of_lines(text: &str) -> Option<Mistaken> {
    let begins = |words: &[&str]| text.lines().any(|line| words.iter().any(|word| line.starts_with(word)));
    if begins(&["apiVersion:"]) {
        return mistaken("this is a Kubernetes manifest, not a policy", MANIFEST, "apiVersion:");
    }
    if begins(&["AWSTemplateFormatVersion:"]) || begins(&["Resources:"]) && text.contains("Type: AWS::") {
        return mistaken("this is a CloudFormation template, not a policy", TEMPLATE, "");
    }
    if begins(&["resource \"", "data \"", "provider \"", "terraform {", "locals {", "module \""]) {
        return mistaken("this is a file of terraform, not a policy", TEMPLATE, "");
    }
    if begins(&["Statement:"]) {
        return mistaken("this is a policy in YAML", "write it as JSON", "Statement:");
    }
    None
}

/// What a file probably is by its name alone: it is not read.
pub(crate) fn by_name(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "yaml" | "yml" => Some(
            "a policy is a JSON document: a Kubernetes manifest or a CloudFormation template is none; a ServiceAccount is \
             declared with `service-accounts` of its role",
        ),
        "tf" | "hcl" | "tfvars" | "tfstate" => {
            Some("a policy is a JSON document: write out what terraform makes of `aws_iam_policy_document`")
        }
        _ => None,
    }
}

/// What a statement in TOML is that cannot stand where it does, where that can be told.
pub(crate) fn of_statement(statement: &JsonNode<'_>, wanted: PolicyKind) -> Option<Mistaken> {
    let entries = statement.object()?;
    let has = |keys: [&str; 2]| keys.iter().any(|key| find(entries, key).is_some());
    match (wanted, has(["Principal", "NotPrincipal"]), has(["Resource", "NotResource"])) {
        (PolicyKind::Permissions, true, false) => {
            mistaken("this is a trust statement: it has `principals` and no `resources`", TRUST, "")
        }
        (PolicyKind::Permissions, true, true) => mistaken(
            "a permission policy must not have `principals`: with `resources` it is the policy of a resource, such as a bucket",
            "take `principals` out: the role that the policy belongs to is who may",
            "",
        ),
        // it may lack its principals
        (PolicyKind::Trust, false, true) if is_of_sts(entries) => None,
        (PolicyKind::Trust, false, true) => mistaken(
            "this is a permission statement: it has `resources` and no `principals`",
            "put it into `statements` of `[roles.KEY.inline.NAME]` or `[policies.KEY]`; a statement here says who may \
             assume the role",
            "",
        ),
        (PolicyKind::Trust, true, true) => mistaken(
            "a trust statement has no `resources`: the role itself is what is assumed",
            "take `resources` out; what the role may do goes into `[roles.KEY.inline.NAME]` or `[policies.KEY]`",
            "",
        ),
        _ => None,
    }
}

fn is_of_sts(entries: &[JsonMember<'_>]) -> bool {
    let actions = match find(entries, "Action").map(|entry| &entry.value) {
        Some(JsonNode { shape: Shape::List(list), .. }) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    let of_sts = |node: &JsonNode<'_>| matches!(&node.shape, Shape::Text(text) if text.starts_with("sts:"));
    !actions.is_empty() && actions.iter().all(of_sts)
}
