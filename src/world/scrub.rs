//! Frees what a service says of secrets and of characters that a terminal would obey.
//!
//! Error texts may repeat what was sent: `SignatureDoesNotMatch` quotes the whole canonical request with its session
//! token. Nothing that came from afar becomes a `CallError` without passing through here. Secrets are told by the names
//! before them and by their form; those that this process signs in with are known, and are told wherever they stand.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use std::cmp::Reverse;
use std::sync::{PoisonError, RwLock};

/// Longer texts are cut: no error needs more to be understood.
const LIMIT: usize = 1_000;
const WHOLE: usize = 16_000;
/// What stands for something hidden.
const HIDDEN: &str = "***";
/// Names after which, behind `=` or `:`, a secret stands; lower case.
const NAMES: [&str; 11] = [
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

/// What is shorter is no secret that could be kept, and may be an ordinary word.
const SHORTEST: usize = 8;
/// How many secrets are known at once; far more than the credentials of a run.
const MOST: usize = 512;
/// The secrets that this process has had in its hands, each with its number in their order, the longest first.
static KNOWN: RwLock<Vec<(u64, SecretString)>> = RwLock::new(Vec::new());

/// Has a secret hidden from now on wherever it stands, as it is and as URLs have it.
pub(crate) fn hide(secret: &str) {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return;
    }
    let in_urls = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for form in [secret, &in_urls] {
        if known.iter().any(|(_, old)| old.expose_secret() == form) {
            continue;
        }
        let next = known.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
        known.push((next, form.into()));
        if known.len() > MOST {
            // a process that lives long forgets what has long expired
            known.retain(|(number, _)| number + MOST as u64 > next);
        }
    }
    known.sort_by_key(|(_, secret)| Reverse(secret.expose_secret().len()));
}

/// The text on one line, without secrets, control characters and runs of white space.
pub(crate) fn clean(text: &str) -> String {
    cleaned(text, LIMIT)
}

/// The same of a text that is written for people, who need all of it.
pub(crate) fn clean_whole(text: &str) -> String {
    cleaned(text, WHOLE)
}

fn cleaned(text: &str, limit: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in KNOWN.read().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, secret)| secret.expose_secret())
    {
        if line.contains(secret) {
            line = line.replace(secret, HIDDEN);
        }
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

/// If a secret begins here: how many bytes of it may be shown, and how many follow that may not.
fn secret(text: &str) -> Option<(usize, usize)> {
    prefixed(text).or_else(|| named(text)).or_else(|| bearer(text))
}

/// What stands before the `@` of an address: mostly a password, or a token in the place of one.
fn userinfo(text: &str) -> Option<(usize, usize)> {
    let rest = text.strip_prefix("://")?;
    let authority = run(rest, |c| !c.is_whitespace() && !matches!(c, '/' | '?' | '#' | '"' | '\'' | '`' | '<' | '>'));
    let length = rest[..authority].rfind('@')?;
    (length > 0).then_some((3, length))
}

/// Access key ids, EKS tokens and JSON web tokens know themselves by how they begin.
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
    let name =
        NAMES.iter().find(|name| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))?;
    let mut at = name.len();
    at += run(&text[at..], |c| matches!(c, '"' | '\''));
    if !text[at..].starts_with(['=', ':']) {
        return None;
    }
    at += 1;
    at += run(&text[at..], |c| matches!(c, ' ' | '"' | '\''));
    let length = run(&text[at..], |c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '&' | ',' | '}' | ')'));
    // `Authorization: Bearer TOKEN` and `Authorization: AWS4-HMAC-SHA256 Credential=…` have a word in between
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

/// How many bytes from the start on are of one kind.
fn run(text: &str, kind: impl Fn(char) -> bool) -> usize {
    text.find(|c| !kind(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        for (dirty, wanted) in [
            ("key AKIAIOSFODNN7EXAMPLE is unknown", "key AKIA*** is unknown"),
            ("x-amz-security-token:IQoJb3JpZ2luX2VjEXAMPLE//// host", "x-amz-security-token:*** host"),
            ("a&X-Amz-Signature=deadbeef&b=c", "a&X-Amz-Signature=***&b=c"),
            ("Credential=ASIAIOSFODNN7EXAMPLE/2024, Signature=abc", "Credential=ASIA***/2024, Signature=***"),
            ("{\"SecretAccessKey\": \"abc/def+g\"}", "{\"SecretAccessKey\": \"***\"}"),
            ("Authorization: Bearer abc", "Authorization: Bearer ***"),
            ("token k8s-aws-v1.aHR0cHM6Ly9z refused", "token k8s-aws-v1.*** refused"),
            ("jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln here", "jwt eyJ*** here"),
            ("connect http://me:p@ss@proxy:3128/x?y: no", "connect http://***@proxy:3128/x?y: no"),
        ] {
            assert_eq!(clean(dirty), wanted);
        }
    }

    #[test]
    fn what_is_signed_in_with_is_hidden_in_any_place_and_form() {
        hide("opaque+value/of=a-token");
        hide("opaque+value/of=a-token that is longer");
        hide("short");
        let dirty = "xopaque+value/of=a-tokeny, q=opaque%2Bvalue%2Fof%3Da%2Dtoken&, a short one";
        assert_eq!(clean(dirty), "x***y, q=***&, a short one");
        assert_eq!(clean("opaque+value/of=a-token that is longer"), "***");
    }

    #[test]
    fn ordinary_words_stay() {
        for text in [
            "Signature expired: 20240101T000000Z is now earlier than 20240101T000500Z",
            "User: arn:aws:iam::111122223333:user/a is not authorized to perform: iam:GetRole",
            "The role with name AKIA cannot be found.",
            "https://example.com/@scope and user@example.com",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn control_characters_and_length_are_tamed() {
        assert_eq!(clean("a\u{1b}[31m\r\n b\tc"), "a [31m b c");
        let long = clean(&"ä ".repeat(4_000));
        assert!(long.len() < LIMIT + 8, "{}", long.len());
    }
}
