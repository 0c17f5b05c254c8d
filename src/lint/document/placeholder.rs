//! Rules on placeholders that nobody filled in, and on services that AWS does not have.

use super::{DocumentContext, Finding, PolicyDocument, Severity, has_word, named, shortened};
use crate::ids::PolicyArn;
use crate::lint::services::{is_service, similar_service};
use crate::policy::canonical::{CanonicalStatement, Choice, Principal};
use crate::policy::condition::conditions;
use crate::policy::pattern::arn_parts;

mod markers;

pub(super) fn not_filled_in(context: &DocumentContext<'_>) -> Vec<Finding> {
    let has_variables = context.document.is_none_or(PolicyDocument::is_current);
    in_each_statement(context, |statement| {
        let mut list = Vec::new();
        for (text, is_arn) in texts(statement) {
            if let Some(variable) = unknown_variable(text).filter(|_| has_variables) {
                list.push(format!("`{variable}` in `{text}` is not a policy variable"));
            } else if let Some(placeholder) = placeholder(text, is_arn) {
                list.push(format!("`{placeholder}` in `{text}`"));
            } else if is_arn && let Some(problem) = misplaced_part(text) {
                list.push(problem);
            }
        }
        let keys = conditions(statement).map(|condition| condition.key);
        let keys = keys.filter(|key| key.contains(['$', '<', '{', '[']));
        list.extend(keys.map(|key| format!("condition key `{key}`")));
        (!list.is_empty()).then(|| Finding::new(format!("not filled in: {}", shortened(list, ", "))))
    })
}

pub(in crate::lint) fn in_attached_arn(arn: &PolicyArn) -> Vec<Finding> {
    let placeholder = placeholder(arn.as_str(), true).or_else(|| unknown_variable(arn.as_str()));
    let text = |placeholder| format!("attached policy `{arn}` is not filled in: `{placeholder}`");
    placeholder.map(|placeholder| Finding::new(text(placeholder))).into_iter().collect()
}

pub(super) fn unknown_service(context: &DocumentContext<'_>) -> Vec<Finding> {
    in_each_statement(context, |statement| {
        let mut unknown: Vec<&str> = services(statement).filter(|name| !is_service(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let similar: Vec<Option<&str>> = unknown.iter().map(|name| similar_service(name)).collect();
        let list = unknown.iter().zip(&similar).map(|(name, similar)| match similar {
            Some(known) => format!("`{name}` (`{known}`?)"),
            None => format!("`{name}`"),
        });
        let text = format!("unknown AWS service: {}", shortened(list.collect(), ", "));
        let severity = if similar.iter().any(Option::is_some) { Severity::High } else { Severity::Medium };
        (!unknown.is_empty()).then(|| Finding::new(text).with_severity(severity))
    })
}

/// The findings of a check on single statements, with the names of the statements.
fn in_each_statement(
    context: &DocumentContext<'_>,
    check: impl Fn(&CanonicalStatement) -> Option<Finding>,
) -> Vec<Finding> {
    let statements = named(context.statements);
    let found = statements.filter_map(|(name, statement)| Some((name, check(statement.canonical())?)));
    found.map(|(name, finding)| Finding { text: format!("{name}: {}", finding.text), ..finding }).collect()
}

/// Resources, principals and condition values, each with whether it should be an ARN.
fn texts(statement: &CanonicalStatement) -> impl Iterator<Item = (&str, bool)> {
    let resources = statement.resources.iter().flat_map(Choice::items).map(String::as_str);
    let principals = statement.principals.iter().flat_map(Choice::items).map(Principal::text);
    let values = conditions(statement).flat_map(|condition| condition.values).map(String::as_str);
    let values = values.map(|text| (text, text.starts_with("arn:")));
    resources.chain(principals).map(|text| (text, true)).chain(values)
}

/// The services in actions and resource ARNs.
fn services(statement: &CanonicalStatement) -> impl Iterator<Item = &str> {
    let of_actions = statement.actions.items().iter().filter_map(|action| Some(action.split_once(':')?.0));
    let resources = statement.resources.iter().flat_map(Choice::items);
    let of_resources = resources.filter_map(|arn| arn_parts(arn).get(2).copied());
    of_actions.chain(of_resources).filter(|name| !name.is_empty() && !name.contains(['*', '?', '$']))
}

/// The first `${…}` that is not a policy variable
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
fn unknown_variable(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { return Some(&rest[start..]) };
        let whole = &rest[start..=start + length];
        if !is_variable(&whole[2..whole.len() - 1]) {
            return Some(whole);
        }
        rest = &rest[start + length + 1..];
    }
    None
}

/// Global condition keys, without `aws:`. Those with one value can be variables
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>).
const GLOBAL_KEYS: &str = "
    assumedroot calledvia calledviaawsmcp calledviafirst calledvialast chatbotsourcearn currenttime
    ec2instancesourceprivateipv4 ec2instancesourcevpc epochtime federatedprovider ismcpserviceaction
    multifactorauthage multifactorauthpresent principalaccount principalarn principalisawsservice principalorgid
    principalorgmasteraccountid principalorgpaths principalservicename principalservicenameslist principaltype referer
    requestedregion resourceaccount resourceorgid resourceorgpaths securetransport sourceaccount sourcearn
    sourceidentity sourceip sourceorgid sourceorgpaths sourcevpc sourcevpcarn sourcevpce tagkeys tokenissuetime
    useragent userid username viaawsmcpservice viaawsservice vpceaccount vpceorgid vpceorgpaths vpcsourceip
";

/// Whether the text between `${` and `}` is a condition key: `aws:…`, `SERVICE:…` or `ISSUER:CLAIM`.
fn is_variable(name: &str) -> bool {
    if matches!(name, "*" | "?" | "$") {
        return true;
    }
    let name = name.split_once(',').map_or(name, |(name, default)| if default.contains('\'') { name } else { "" });
    let Some((prefix, rest)) = name.split_once(':') else { return false };
    let lower = rest.to_ascii_lowercase();
    let well_formed = rest.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.starts_with(' ');
    match prefix.to_ascii_lowercase().as_str() {
        "aws" => {
            has_word(GLOBAL_KEYS, &lower)
                || ["principaltag/", "requesttag/", "resourcetag/"]
                    .iter()
                    .any(|tag| lower.strip_prefix(tag).is_some_and(|key| !key.is_empty()))
        }
        host if host.contains('.') => well_formed && !host.contains(char::is_whitespace) && !host.starts_with("var."),
        service => well_formed && is_service(service),
    }
}

/// The first part of a text that looks like a placeholder. In an ARN, a whole part may be one.
fn placeholder(text: &str, is_arn: bool) -> Option<&str> {
    markers::bracketed(text)
        .or_else(|| markers::shell_variable(text))
        .or_else(|| markers::spelled_out(text))
        .or_else(|| if is_arn { markers::whole_part(text) } else { None })
}

/// Services whose ARNs always have an account and, unless the name begins with `global`, a region.
const REGIONAL_SERVICES: &str = "
    cognito-idp dynamodb ecr ecs eks elasticache elasticfilesystem firehose kinesis kms lambda secretsmanager sns sqs
";

/// What is wrong with the region, account or name in an ARN.
fn misplaced_part(arn: &str) -> Option<String> {
    let [_, _, service, region, account, name] = arn_parts(arn)[..] else { return None };
    let regional = has_word(REGIONAL_SERVICES, service);
    if account.is_empty() && (regional || service == "iam") {
        return Some(format!("`{arn}` has no account"));
    }
    if region.is_empty() && regional && account != "aws" && !name.starts_with("global") {
        return Some(format!("`{arn}` has no region"));
    }
    if name.is_empty() {
        return Some(format!("`{arn}` names no resource"));
    }
    if region.contains(|c: char| c.is_ascii_uppercase() || c == '_') && !region.contains('$')
        || matches!(region, "region" | "aws-region" | "your-region")
    {
        return Some(format!("`{region}` in `{arn}` is not a region"));
    }
    let digits = account.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'?'));
    let wild = account.contains(['*', '?']);
    // owners such as `aws` and `cloudfront`
    let word = account.bytes().all(|b| b.is_ascii_lowercase()) && !markers::is_term(account);
    let known = word || account.contains('$') || digits && (wild || account.len() == 12);
    (!known).then(|| format!("`{account}` in `{arn}` is not an account id"))
}
