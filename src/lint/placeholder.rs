//! Placeholders that nobody filled in: a policy that has one grants nothing, or something of somebody else's.

use super::document::{self, Name};
use super::services::{is_service, slip};
use super::{Found, shortened};
use crate::ids::PolicyArn;
use crate::model::note::Severity;
use crate::policy::PolicyDocument;
use crate::policy::canonical::{CanonicalStatement, Choice, arn_parts};
use crate::policy::condition::conditions;

mod words;

/// IRSA039
pub(super) fn not_filled_in(context: &document::DocumentContext<'_>) -> Vec<Found> {
    let current = context.document.is_none_or(PolicyDocument::is_current);
    each(context, |body| {
        let mut told = Vec::new();
        for (text, arn) in texts(body) {
            if let Some(variable) = unknown_variable(text).filter(|_| current) {
                told.push(format!("`{variable}` in `{text}` is no policy variable"));
            } else if let Some(mark) = marked(text, arn) {
                told.push(format!("`{mark}` in `{text}`"));
            } else if arn && let Some(why) = misplaced(text) {
                told.push(why);
            }
        }
        let keys = conditions(body).map(|condition| condition.key).filter(|key| key.contains(['$', '<', '{', '[']));
        told.extend(keys.map(|key| format!("condition key `{key}`")));
        let list = shortened(told, ", ");
        (!list.is_empty()).then(|| (format!("not filled in: {list}"), None))
    })
}

/// IRSA039, of an attached policy.
pub(super) fn attached(arn: &PolicyArn) -> Vec<Found> {
    let mark = marked(arn.as_str(), true).or_else(|| unknown_variable(arn.as_str()));
    let text = |mark| format!("attached policy `{arn}` is not filled in: `{mark}`");
    mark.map(|mark| Found::new(text(mark))).into_iter().collect()
}

/// IRSA046
pub(super) fn unknown_service(context: &document::DocumentContext<'_>) -> Vec<Found> {
    each(context, |body| {
        let mut unknown: Vec<&str> = services(body).into_iter().filter(|name| !is_service(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let slips: Vec<Option<&str>> = unknown.iter().map(|name| slip(name)).collect();
        let named = unknown.iter().zip(&slips).map(|(name, slip)| match slip {
            Some(known) => format!("`{name}` (`{known}`?)"),
            None => format!("`{name}`"),
        });
        let list = shortened(named.collect(), ", ");
        let severity = if slips.iter().any(Option::is_some) { Severity::High } else { Severity::Medium };
        (!list.is_empty()).then(|| (format!("no service of AWS that irsa knows: {list}"), Some(severity)))
    })
}

/// What is found in each statement.
fn each(
    context: &document::DocumentContext<'_>,
    find: impl Fn(&CanonicalStatement) -> Option<(String, Option<Severity>)>,
) -> Vec<Found> {
    let found = |(name, statement): (Name<'_>, &crate::policy::Statement)| {
        let (text, severity) = find(statement.canonical())?;
        let found = Found::new(format!("{name}: {text}"));
        Some(severity.into_iter().fold(found, Found::but))
    };
    document::named(context.statements).filter_map(found).collect()
}

/// Resources, principals and values, and whether each should be an ARN.
fn texts(body: &CanonicalStatement) -> Vec<(&str, bool)> {
    let mut texts = Vec::new();
    if let Some(Choice::Only(set) | Choice::AllBut(set)) = &body.resources {
        texts.extend(set.iter().map(|text| (text.as_str(), true)));
    }
    if let Some(Choice::Only(set) | Choice::AllBut(set)) = &body.principals {
        texts.extend(set.iter().map(|principal| (principal.text(), true)));
    }
    texts.extend(
        conditions(body).flat_map(|condition| condition.values).map(|text| (text.as_str(), text.starts_with("arn:"))),
    );
    texts
}

/// The services in actions and resources.
fn services(body: &CanonicalStatement) -> Vec<&str> {
    let (Choice::Only(actions) | Choice::AllBut(actions)) = &body.actions;
    let of_action = |action: &'_ String| action.split_once(':').map(|(service, _)| service.len());
    let mut services: Vec<&str> =
        actions.iter().filter_map(|action| of_action(action).map(|length| &action[..length])).collect();
    if let Some(Choice::Only(set) | Choice::AllBut(set)) = &body.resources {
        services.extend(set.iter().filter_map(|arn| arn_parts(arn).get(2).copied()));
    }
    services.retain(|name| !name.is_empty() && !name.contains(['*', '?', '$']));
    services
}

/// The first `${…}` that is no variable of AWS
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

/// The keys of every request, which may stand as variables if they have one value
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>).
const GLOBAL: [&str; 49] = [
    "assumedroot",
    "calledvia",
    "calledviaawsmcp",
    "calledviafirst",
    "calledvialast",
    "chatbotsourcearn",
    "currenttime",
    "ec2instancesourceprivateipv4",
    "ec2instancesourcevpc",
    "epochtime",
    "federatedprovider",
    "ismcpserviceaction",
    "multifactorauthage",
    "multifactorauthpresent",
    "principalaccount",
    "principalarn",
    "principalisawsservice",
    "principalorgid",
    "principalorgmasteraccountid",
    "principalorgpaths",
    "principalservicename",
    "principalservicenameslist",
    "principaltype",
    "referer",
    "requestedregion",
    "resourceaccount",
    "resourceorgid",
    "resourceorgpaths",
    "securetransport",
    "sourceaccount",
    "sourcearn",
    "sourceidentity",
    "sourceip",
    "sourceorgid",
    "sourceorgpaths",
    "sourcevpc",
    "sourcevpcarn",
    "sourcevpce",
    "tagkeys",
    "tokenissuetime",
    "useragent",
    "userid",
    "username",
    "viaawsmcpservice",
    "viaawsservice",
    "vpceaccount",
    "vpceorgid",
    "vpceorgpaths",
    "vpcsourceip",
];

/// Whether a name between `${` and `}` is a key of a request: `aws:…`, `SERVICE:…` or `ISSUER:CLAIM`.
fn is_variable(name: &str) -> bool {
    if matches!(name, "*" | "?" | "$") {
        return true;
    }
    let name = name.split_once(',').map_or(name, |(name, default)| if default.contains('\'') { name } else { "" });
    let Some((prefix, rest)) = name.split_once(':') else { return false };
    let lower = rest.to_ascii_lowercase();
    let formed = rest.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.starts_with(' ');
    match prefix.to_ascii_lowercase().as_str() {
        "aws" => {
            GLOBAL.contains(&lower.as_str())
                || ["principaltag/", "requesttag/", "resourcetag/"]
                    .iter()
                    .any(|tag| lower.strip_prefix(tag).is_some_and(|key| !key.is_empty()))
        }
        host if host.contains('.') => formed && !host.contains(char::is_whitespace) && !host.starts_with("var."),
        service => formed && is_service(service),
    }
}

/// What in a text looks like a placeholder; in an ARN a whole part may be one.
fn marked(text: &str, arn: bool) -> Option<&str> {
    let part = || arn.then(|| words::part(text)).flatten();
    words::bracketed(text).or_else(|| words::dollar(text)).or_else(|| words::named(text)).or_else(part)
}

/// Services whose resources are all in an account, and in a region but for those that are global by name.
const REGIONAL: [&str; 14] = [
    "cognito-idp",
    "dynamodb",
    "ecr",
    "ecs",
    "eks",
    "elasticache",
    "elasticfilesystem",
    "firehose",
    "kinesis",
    "kms",
    "lambda",
    "secretsmanager",
    "sns",
    "sqs",
];

/// What is no region or account in an ARN.
fn misplaced(arn: &str) -> Option<String> {
    let parts = arn_parts(arn);
    let [_, _, service, region, account, name] = parts[..] else { return None };
    let regional = REGIONAL.contains(&service);
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
        return Some(format!("`{region}` in `{arn}` is no region"));
    }
    let digits = account.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'?'));
    let wild = account.contains(['*', '?']);
    // of AWS's own, as `aws` and `cloudfront`
    let word = account.bytes().all(|b| b.is_ascii_lowercase()) && !words::is_term(account);
    let known = word || account.contains('$') || digits && (wild || account.len() == 12);
    (!known).then(|| format!("`{account}` in `{arn}` is no account id"))
}
