//! How people mark placeholders: brackets, a dollar sign, or words such as `YOUR_BUCKET`.

use crate::lint::has_word;

/// `<bucket>`, `{{ bucket }}`, `{bucket}`, `[bucket]`, `%BUCKET%`, `__BUCKET__`, `#{bucket}`, `@bucket@`, and
/// templates.
pub(super) fn bracketed(text: &str) -> Option<&str> {
    const SIGNS: [&str; 9] = ["{{", "}}", "{%", "<%", "#{", "!Sub", "!Ref", "Fn::", "%("];
    if let Some(sign) = SIGNS.into_iter().find(|sign| text.contains(sign)) {
        return Some(sign);
    }
    let word = |inside: &str| inside.chars().filter(char::is_ascii_alphabetic).count() >= 2 && inside.len() <= 80;
    let upper = |inside: &str| word(inside) && !inside.contains(|c: char| c.is_ascii_lowercase());
    between(text, "<", ">", &word)
        .or_else(|| between(text, "[", "]", &word))
        .or_else(|| between(text, "__", "__", &upper))
        .or_else(|| between(text, "%", "%", &upper))
        .or_else(|| between(text, "@", "@", &upper))
        .or_else(|| braces(text))
        .or_else(|| ["%s", "%d", "%v"].into_iter().find(|sign| ends_name(text, sign)))
}

/// Whether a sign is not followed by a letter or digit.
fn ends_name(text: &str, sign: &str) -> bool {
    let after = |(at, _): (usize, &str)| text[at + sign.len()..].chars().next();
    text.match_indices(sign).any(|at| after(at).is_none_or(|c| !c.is_ascii_alphanumeric()))
}

/// The first text between two signs, with the signs, whose inside satisfies `word`.
fn between<'a>(text: &'a str, open: &str, close: &str, word: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    text.match_indices(open).find_map(|(start, _)| {
        let inside = start + open.len();
        let end = inside + text[inside..].find(close)?;
        word(&text[inside..end]).then(|| &text[start..end + close.len()])
    })
}

/// `{bucket}`, if the name is a known one, because any other name may be a part of a path. Not `${…}`.
fn braces(text: &str) -> Option<&str> {
    text.match_indices('{').find_map(|(start, _)| {
        let end = start + text[start..].find('}')?;
        let inside = &text[start + 1..end];
        let is_known = is_variable_name(inside) || inside.len() > 2 && is_upper_case(inside);
        (is_known && !text[..start].ends_with('$')).then(|| &text[start..=end])
    })
}

fn is_upper_case(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// `$ACCOUNT_ID`. Not the names with a dollar sign of Lambda, API Gateway, IoT and EMR.
pub(super) fn shell_variable(text: &str) -> Option<&str> {
    text.match_indices('$').find_map(|(start, _)| {
        let rest = &text[start + 1..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let word = &rest[..length];
        let is_constant = is_upper_case(word) && word.len() > 2 && !matches!(word, "DEFAULT" | "LATEST" | "SYS");
        (is_constant || is_variable_name(word) || rest.starts_with('(')).then(|| &text[start..=start + length])
    })
}

/// Names that are a placeholder when they are marked as a variable.
const VARIABLE_NAMES: &str = "app app_name env environment prefix project stage suffix team tenant";

/// Names for parts of a policy. `_` also stands for `-` and for nothing.
const TERMS: &str = "
    account account_id account_number aws_account aws_account_id aws_account_number aws_region bucket bucket_arn
    bucket_name cluster cluster_id cluster_name eks_cluster eks_cluster_name function_name hosted_zone hosted_zone_id
    hostedzone_id key_arn key_id kms_key kms_key_arn kms_key_id my_account_id namespace oidc_id oidc_issuer
    oidc_provider org_id partition queue_name region role_name s3_bucket s3_bucket_name secret_name service_account
    table_name topic_name zone_id
";

fn normal(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}

pub(super) fn is_term(word: &str) -> bool {
    let word = normal(word);
    TERMS.split_ascii_whitespace().any(|term| normal(term) == word)
}

/// Whether a word is a placeholder when it is marked as a variable.
fn is_variable_name(word: &str) -> bool {
    is_term(word) || has_word(VARIABLE_NAMES, word)
}

/// Words that ask for something else.
const PLACEHOLDERS: &str = "
    DOC-EXAMPLE-BUCKET EXAMPLE-BUCKET CHANGEME CHANGE_ME CHANGE-ME FIXME INSERT PLACEHOLDER REPLACE REPLACEME TBD TODO
";

/// Those that are unambiguous in lower case too, unlike `todo` and `replace`.
const LOWER_CASE_PLACEHOLDERS: &str =
    "changeme change-me change_me replaceme replace-me replace_me account-id-without-hyphens";

/// `YOUR_BUCKET`, `REPLACE_ME`, `ACCOUNT_ID`.
pub(super) fn spelled_out(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let find = |words: &str, text: &str| words.split_ascii_whitespace().find_map(|word| find_word(text, word));
    let span = find(PLACEHOLDERS, text).or_else(|| find_word(text, "YOUR"));
    span.or_else(|| find(LOWER_CASE_PLACEHOLDERS, &lower))
        .map(|span| &text[span])
        .or_else(|| upper_case_term(text))
        .or_else(|| is_yours(&lower).then_some(text))
        .or_else(|| filler(text))
}

/// `your-external-id`
fn is_yours(lower: &str) -> bool {
    let word = |word: &str| matches!(word, "id" | "name" | "here" | "arn") || is_term(word);
    let rest = lower.strip_prefix("your-").or_else(|| lower.strip_prefix("your_"));
    rest.is_some_and(|rest| rest.split(['-', '_']).any(word))
}

/// `xxxxxxxx`, not inside a word.
fn filler(text: &str) -> Option<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.into_iter().find(|word| word.len() >= 4 && word.bytes().all(|b| matches!(b, b'x' | b'X')))
}

/// A part of an ARN that is a placeholder: `your-bucket`, `bucket-name`.
pub(super) fn whole_part(arn: &str) -> Option<&str> {
    arn.split([':', '/', ',']).find(|part| is_placeholder(part))
}

/// Where a word stands without letters or digits next to it.
fn find_word(text: &str, word: &str) -> Option<std::ops::Range<usize>> {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    let alone =
        |(at, _): &(usize, &str)| edge(text[..*at].chars().next_back()) && edge(text[at + word.len()..].chars().next());
    text.match_indices(word).find(alone).map(|(at, _)| at..at + word.len())
}

fn is_placeholder(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    // `eks-cluster` may be a real name, but `cluster-name` is not
    let asks = ["id", "name", "arn", "number"].iter().any(|end| lower.ends_with(end));
    let compound = part.contains(['-', '_']) || part.contains(|c: char| c.is_ascii_uppercase());
    is_yours(&lower) || compound && asks && is_term(part) || is_upper_case(part) && part.len() > 3 && is_term(part)
}

/// `logs-ACCOUNT_ID`
fn upper_case_term(text: &str) -> Option<&str> {
    let upper = TERMS.split_ascii_whitespace().filter(|term| term.contains('_')).map(str::to_ascii_uppercase);
    let spelled = upper.flat_map(|term| [term.replace('_', "-"), term]);
    let found = spelled.filter_map(|term| find_word(text, &term));
    found.max_by_key(std::ops::Range::len).map(|span| &text[span])
}

#[cfg(test)]
mod tests;
