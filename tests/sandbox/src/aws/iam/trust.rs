//! Trust policies: what IAM rejects in them, and how IAM returns them.
//!
//! IAM stores who is meant, not what was written. An account id is returned as the account's root ARN. A role or user
//! that was deleted is returned as its unique id, even if a new one has its name
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>). IAM also rewrites
//! the text: no white space, a single value instead of a list of one, and AWS principals in IAM's own order.

use super::document::{Condition, Document, Principal, Statement, encode, malformed};
use super::json::Json;
use crate::aws::query::AwsError;

/// What a trust policy needs to look up in the accounts.
pub(crate) trait PrincipalLookup {
    /// The partition of the role's account.
    fn partition(&self) -> &str;
    /// Looks up a role or user.
    fn entity(&self, account: &str, arn: &str) -> PrincipalState;
    /// Looks up a role or user that a new trust policy names. One that was just created may not be visible yet.
    fn named(&self, account: &str, arn: &str) -> PrincipalState;
    /// The ARN of the role or user that has this unique id.
    fn arn_of(&self, id: &str) -> Option<String>;
}

/// The result of looking up a role or user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PrincipalState {
    /// It exists and has this unique id.
    Exists(String),
    /// It does not exist.
    Missing,
    /// Its account is not in the sandbox, so nobody knows.
    Unknown,
}

/// A principal in a stored trust policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum TrustedPrincipal {
    /// A principal that IAM returns as stored.
    Fixed(String),
    /// A role or user, identified by its unique id.
    Entity { id: String, arn: String, account: String },
}

impl TrustedPrincipal {
    fn text(&self, known: &dyn PrincipalLookup) -> String {
        match self {
            Self::Fixed(text) => text.clone(),
            Self::Entity { id, arn, account } => match known.entity(account, arn) {
                PrincipalState::Exists(now) if now == *id => arn.clone(),
                _ => id.clone(),
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    statement: Statement,
    principals: Option<Vec<(String, Vec<TrustedPrincipal>)>>,
}

/// A trust policy that IAM accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    version: Option<String>,
    id: Option<String>,
    rules: Vec<Rule>,
    /// The returned text, URL-encoded, if no principal in the policy can disappear. Saves building it for each read.
    fixed_text: Option<String>,
}

impl Trust {
    /// Parses a trust policy, or returns IAM's error. The caller checks the size.
    pub(crate) fn read(text: &str, known: &dyn PrincipalLookup) -> Result<Self, AwsError> {
        let document = Document::read(text)?;
        let rules = document.statements.into_iter().map(|statement| rule(statement, known));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let mut trust = Self { version: document.version, id: document.id, rules, fixed_text: None };
        let mut trusted =
            trust.rules.iter().flat_map(|rule| &rule.principals).flatten().flat_map(|(_, trusted)| trusted);
        if trusted.all(|who| matches!(who, TrustedPrincipal::Fixed(_))) {
            trust.fixed_text = Some(encode(&trust.text(known)));
        }
        Ok(trust)
    }

    /// The text that IAM returns now, URL-encoded.
    pub(crate) fn encoded(&self, known: &dyn PrincipalLookup) -> String {
        self.fixed_text.clone().unwrap_or_else(|| encode(&self.text(known)))
    }

    /// The text that IAM returns now.
    pub(crate) fn text(&self, known: &dyn PrincipalLookup) -> String {
        let mut fields = Vec::new();
        let mut put = |key: &str, value: Option<Json>| fields.extend(value.map(|value| (key.to_owned(), value)));
        put("Version", self.version.clone().or_else(|| Some("2008-10-17".to_owned())).map(Json::Text));
        put("Id", self.id.clone().map(Json::Text));
        put("Statement", Some(Json::List(self.rules.iter().map(|rule| rule.json(known)).collect())));
        let mut out = String::new();
        Json::Object(fields).write(&mut out);
        out
    }
}

impl Rule {
    fn json(&self, known: &dyn PrincipalLookup) -> Json {
        let Statement { sid, effect, action, condition, .. } = &self.statement;
        let principal = match &self.principals {
            None => Json::Text("*".to_owned()),
            Some(kinds) => Json::Object(
                kinds
                    .iter()
                    .map(|(kind, trusted)| {
                        (kind.clone(), one_or_many(trusted.iter().map(|who| who.text(known)).collect()))
                    })
                    .collect(),
            ),
        };
        let mut fields = Vec::new();
        let mut put = |key: &str, value: Option<Json>| fields.extend(value.map(|value| (key.to_owned(), value)));
        put("Sid", sid.clone().map(Json::Text));
        put("Effect", Some(Json::Text(effect.clone())));
        put("Principal", Some(principal));
        put("Action", action.clone().map(one_or_many));
        put("Condition", (!condition.is_empty()).then(|| condition_json(condition)));
        Json::Object(fields)
    }
}

fn one_or_many(mut values: Vec<String>) -> Json {
    if values.len() == 1 {
        return values.pop().map_or(Json::Null, Json::Text);
    }
    Json::List(values.into_iter().map(Json::Text).collect())
}

fn condition_json(condition: &[Condition]) -> Json {
    let keys = |keys: &[(String, Vec<String>)]| {
        Json::Object(keys.iter().map(|(key, values)| (key.clone(), one_or_many(values.clone()))).collect())
    };
    Json::Object(condition.iter().map(|(operator, inner)| (operator.clone(), keys(inner))).collect())
}

fn rule(mut statement: Statement, known: &dyn PrincipalLookup) -> Result<Rule, AwsError> {
    for (field, there) in [
        ("Resource", statement.resource.is_some()),
        ("NotResource", statement.not_resource.is_some()),
        ("NotAction", statement.not_action.is_some()),
        ("NotPrincipal", statement.not_principal.is_some()),
    ] {
        if there {
            return Err(malformed(format!("Has prohibited field {field}")));
        }
    }
    let principal = statement.principal.take().ok_or_else(|| malformed("Missing required field Principal"))?;
    let actions = statement.action.as_deref().filter(|actions| !actions.is_empty());
    if !actions.ok_or_else(|| malformed("Missing required field Action"))?.iter().all(|action| is_assume_action(action))
    {
        return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
    }
    let principals = match principal {
        Principal::Anyone => None,
        Principal::Some(kinds) => Some(resolve(kinds, known)?),
    };
    Ok(Rule { statement, principals })
}

/// Whether this action, or pattern of actions, is one that a trust policy can allow.
fn is_assume_action(action: &str) -> bool {
    const ACTIONS: &[&str] = &[
        "assumerole",
        "assumerolewithsaml",
        "assumerolewithwebidentity",
        "setcontext",
        "setsourceidentity",
        "tagsession",
    ];
    let folded = action.to_ascii_lowercase();
    folded.strip_prefix("sts:").is_some_and(|pattern| {
        ACTIONS.iter().any(|action| glob(pattern.as_bytes(), action.as_bytes())) && !pattern.is_empty()
    })
}

/// Matches a pattern: `*` is any text, `?` is any single character.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => glob(rest, text) || text.split_first().is_some_and(|(_, text)| glob(pattern, text)),
        (Some((b'?', rest)), Some((_, text))) => glob(rest, text),
        (Some((letter, rest)), Some((first, text))) => letter == first && glob(rest, text),
        _ => false,
    }
}

fn resolve(
    kinds: Vec<(String, Vec<String>)>,
    known: &dyn PrincipalLookup,
) -> Result<Vec<(String, Vec<TrustedPrincipal>)>, AwsError> {
    let mut wrong = Vec::new();
    let mut resolved = Vec::new();
    for (kind, values) in kinds {
        let mut trusted = Vec::new();
        for value in values {
            let who = match kind.as_str() {
                "AWS" => aws_principal(&value, known),
                "Service" => is_service(&value).then(|| TrustedPrincipal::Fixed(value.clone())),
                "Federated" => Some(TrustedPrincipal::Fixed(federated(value.clone(), known)?)),
                _ => None,
            };
            match who {
                Some(who) if trusted.contains(&who) => {}
                Some(who) => trusted.push(who),
                None => wrong.push(format!(
                    "\"{}\":\"{value}\"",
                    if kind == "AWS" { kind.clone() } else { kind.to_uppercase() }
                )),
            }
        }
        if kind == "AWS" {
            trusted.sort();
        }
        resolved.push((kind, trusted));
    }
    if wrong.is_empty() {
        Ok(resolved)
    } else {
        Err(malformed(format!("Invalid principal in policy: {}", wrong.join(","))))
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn aws_principal(value: &str, known: &dyn PrincipalLookup) -> Option<TrustedPrincipal> {
    let partition = known.partition();
    if value == "*" {
        return Some(TrustedPrincipal::Fixed(value.to_owned()));
    }
    if is_account(value) {
        return Some(TrustedPrincipal::Fixed(format!("arn:{partition}:iam::{value}:root")));
    }
    if let Some(arn) = known.arn_of(value) {
        let account = arn.split(':').nth(4)?.to_owned();
        return Some(TrustedPrincipal::Entity { id: value.to_owned(), arn, account });
    }
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    let ["arn", in_partition, service, "", account, resource] = parts[..] else { return None };
    if in_partition != partition || !is_account(account) || resource.contains(['*', '?']) {
        return None;
    }
    let fixed = || Some(TrustedPrincipal::Fixed(value.to_owned()));
    match (service, resource.split_once('/')) {
        ("iam", None) if resource == "root" => fixed(),
        ("iam", Some(("role" | "user", name))) if !name.is_empty() => match known.named(account, value) {
            PrincipalState::Exists(id) => {
                Some(TrustedPrincipal::Entity { id, arn: value.to_owned(), account: account.to_owned() })
            }
            PrincipalState::Unknown => fixed(),
            PrincipalState::Missing => None,
        },
        ("sts", Some(("assumed-role", session))) => session
            .split_once('/')
            .and_then(|(_, name)| if name.is_empty() || name.contains('/') { None } else { fixed() }),
        ("sts", Some(("federated-user", name))) if !name.is_empty() => fixed(),
        _ => None,
    }
}

fn is_domain(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

fn is_service(text: &str) -> bool {
    is_domain(text) && (text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn"))
}

/// Checks a federated principal. The provider need not exist: if it does not, STS refuses later, not IAM now.
fn federated(value: String, known: &dyn PrincipalLookup) -> Result<String, AwsError> {
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    let good = match parts[..] {
        ["arn", partition, "iam", "", account, resource] => {
            let kind = resource.split_once('/');
            partition == known.partition()
                && is_account(account)
                && matches!(kind, Some(("oidc-provider" | "saml-provider", name)) if !name.is_empty() && !name.contains("://"))
        }
        _ => is_domain(&value),
    };
    if good {
        Ok(value)
    } else {
        Err(malformed("Federated principals must be valid domain names or SAML metadata ARNs"))
    }
}
