//! Removes secrets and control characters from the texts of services before they become errors.
//!
//! Error texts may repeat what was sent: `SignatureDoesNotMatch` quotes the whole canonical request with its session
//! token. Every text from a service must pass through here before it becomes a `CallError`. Secrets are found in three
//! ways: they are the credentials of this process, they follow a name such as `password=`, or they have a known form.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use std::cmp::Reverse;
use std::sync::{PoisonError, RwLock};

/// The maximum length of a text, in bytes. Longer texts are cut.
const MAX_LENGTH: usize = 1_000;
/// The maximum length of a text that people wrote for people, such as the message of an admission policy.
const MAX_LONG_LENGTH: usize = 16_000;
const HIDDEN: &str = "***";
/// Names that a secret follows, after `=` or `:`. Lower case.
const SECRET_NAMES: [&str; 11] = [
    "x-amz-security-token",
    "x-amz-signature",
    "signature",
    "secretaccesskey",
    "secret_access_key",
    "sessiontoken",
    "session_token",
    "securitytoken",
    "client_secret",
    "password",
    "authorization",
];

/// The shortest secret, in bytes, that is hidden wherever it appears. A shorter one may be an ordinary word.
const MIN_SECRET: usize = 8;
/// The number of known secrets to keep, far more than a run uses. The oldest are dropped first.
const MAX_KNOWN: usize = 512;
/// The secrets that this process has used, oldest first.
static KNOWN: RwLock<Vec<SecretString>> = RwLock::new(Vec::new());

/// From now on hides this secret in all texts, as it is and percent-encoded.
pub(crate) fn hide(secret: &str) {
    let secret = secret.trim();
    if secret.len() < MIN_SECRET {
        return;
    }
    let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for form in [secret, &encoded] {
        if known.iter().all(|old| old.expose_secret() != form) {
            known.push(form.into());
        }
    }
    let surplus = known.len().saturating_sub(MAX_KNOWN);
    known.drain(..surplus);
}

/// The text on one line of at most about 1,000 bytes, without secrets, control characters and runs of white space.
pub(crate) fn clean(text: &str) -> String {
    cleaned(text, MAX_LENGTH)
}

/// Like `clean`, but up to about 16,000 bytes.
pub(crate) fn clean_long(text: &str) -> String {
    cleaned(text, MAX_LONG_LENGTH)
}

fn cleaned(text: &str, limit: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let mut secrets: Vec<&str> = known.iter().map(ExposeSecret::expose_secret).filter(|it| line.contains(it)).collect();
    // a secret may contain a shorter one
    secrets.sort_by_key(|secret| Reverse(secret.len()));
    for secret in secrets {
        line = line.replace(secret, HIDDEN);
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line.as_str();
    let mut boundary = true;
    while let Some(next) = rest.chars().next() {
        if out.len() > limit {
            out.push('…');
            break;
        }
        let found = userinfo(rest).or_else(|| if boundary { secret(rest) } else { None });
        let (shown, hidden) = found.unwrap_or_default();
        if hidden > 0 {
            out.push_str(&rest[..shown]);
            out.push_str(HIDDEN);
            rest = &rest[shown + hidden..];
            boundary = false;
        } else {
            out.push(next);
            boundary = !next.is_ascii_alphanumeric();
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// If the text begins with a secret: how many bytes to show, and how many bytes after them to hide.
fn secret(text: &str) -> Option<(usize, usize)> {
    prefixed(text).or_else(|| named(text)).or_else(|| bearer(text))
}

/// The part before the `@` of a URL: usually a password or a token.
fn userinfo(text: &str) -> Option<(usize, usize)> {
    let rest = text.strip_prefix("://")?;
    let authority = run(rest, |c| !c.is_whitespace() && !matches!(c, '/' | '?' | '#' | '"' | '\'' | '`' | '<' | '>'));
    let length = rest[..authority].rfind('@')?;
    (length > 0).then_some((3, length))
}

/// Access key ids, EKS tokens and JSON web tokens, by their prefix.
fn prefixed(text: &str) -> Option<(usize, usize)> {
    let key = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    for prefix in ["AKIA", "ASIA"] {
        let length = text.strip_prefix(prefix).map_or(0, |rest| run(rest, key));
        if length >= 12 {
            return Some((prefix.len(), length));
        }
    }
    for (prefix, least) in [("k8s-aws-v1.", 1), ("eyJ", 16)] {
        let length = text.strip_prefix(prefix).map_or(0, |rest| run(rest, token));
        if length >= least {
            return Some((prefix.len(), length));
        }
    }
    None
}

/// `NAME=secret`, `"NAME": "secret"`.
fn named(text: &str) -> Option<(usize, usize)> {
    let name = SECRET_NAMES
        .iter()
        .find(|name| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))?;
    let mut at = name.len();
    at += run(&text[at..], |c| matches!(c, '"' | '\''));
    if !text[at..].starts_with(['=', ':']) {
        return None;
    }
    at += 1;
    at += run(&text[at..], |c| matches!(c, ' ' | '"' | '\''));
    let length = run(&text[at..], |c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '&' | ',' | '}' | ')'));
    // `Authorization: Bearer TOKEN` and `Authorization: AWS4-HMAC-SHA256 Credential=…` have a scheme before the secret
    let word = &text[at..at + length];
    if ["bearer", "basic"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
        let more = run(&text[at + length..], |c| c == ' ');
        at += length + more;
        let length = run(&text[at..], |c| !c.is_whitespace() && !matches!(c, '"' | '\''));
        return (length > 0).then_some((at, length));
    }
    if name.eq_ignore_ascii_case("authorization") && word.starts_with("AWS4-") {
        return None;
    }
    (length > 0).then_some((at, length))
}

fn bearer(text: &str) -> Option<(usize, usize)> {
    let scheme = "bearer ";
    let start = text.get(..scheme.len())?;
    let length = run(&text[scheme.len()..], |c| !c.is_whitespace() && !matches!(c, '"' | '\''));
    (start.eq_ignore_ascii_case(scheme) && length >= 16).then_some((scheme.len(), length))
}

/// The length in bytes of the longest prefix whose characters are all of this kind.
fn run(text: &str, kind: impl Fn(char) -> bool) -> usize {
    text.find(|c| !kind(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
