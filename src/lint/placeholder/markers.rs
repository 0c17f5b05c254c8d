//! How people mark placeholders: brackets, a dollar sign, or words such as `YOUR_BUCKET`.

use crate::lint::has_word;

/// `<bucket>`, `{{ bucket }}`, `{bucket}`, `[bucket]`, `%BUCKET%`, `__BUCKET__`, `#{bucket}`, `@bucket@`, and templates.
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
    let mut from = 0;
    while let Some(start) = text[from..].find(open).map(|at| at + from) {
        let inside = start + open.len();
        let length = text[inside..].find(close)?;
        if word(&text[inside..inside + length]) {
            return Some(&text[start..inside + length + close.len()]);
        }
        from = inside;
    }
    None
}

/// `{bucket}`, if the name is a known one: others may be parts of a path. Not `${…}`.
fn braces(text: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(start) = text[from..].find('{').map(|at| at + from) {
        let length = text[start..].find('}')?;
        let inside = &text[start + 1..start + length];
        if !text[..start].ends_with('$') && (is_variable_name(inside) || inside.len() > 2 && is_upper_case(inside)) {
            return Some(&text[start..=start + length]);
        }
        from = start + 1;
    }
    None
}

fn is_upper_case(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// `$ACCOUNT_ID`. Not the names with a dollar sign of Lambda, API Gateway, IoT and EMR.
pub(super) fn shell_variable(text: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(start) = text[from..].find('$').map(|at| at + from) {
        let rest = &text[start + 1..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let word = &rest[..length];
        let plain = is_upper_case(word) && word.len() > 2 && !matches!(word, "DEFAULT" | "LATEST" | "SYS")
            || is_variable_name(word);
        if plain || rest.starts_with('(') {
            return Some(&text[start..=start + length]);
        }
        from = start + 1;
    }
    None
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
    // `eks-cluster` may be a real name, `cluster-name` not
    let asks = ["id", "name", "arn", "number"].iter().any(|end| lower.ends_with(end));
    let compound = part.contains(['-', '_']) || part.contains(|c: char| c.is_ascii_uppercase());
    is_yours(&lower) || compound && asks && is_term(part) || is_upper_case(part) && part.len() > 3 && is_term(part)
}

/// `logs-ACCOUNT_ID`
fn upper_case_term(text: &str) -> Option<&str> {
    let upper = TERMS.split_ascii_whitespace().filter(|term| term.contains('_')).map(|term| term.to_ascii_uppercase());
    let spelled = upper.flat_map(|term| [term.replace('_', "-"), term]);
    let found = spelled.filter_map(|term| find_word(text, &term));
    found.max_by_key(std::ops::Range::len).map(|span| &text[span])
}

#[cfg(test)]
mod tests {
    use super::super::{is_variable, misplaced_part, placeholder, unknown_variable};

    #[test]
    fn condition_keys_are_policy_variables() {
        for name in [
            "*",
            "aws:username",
            "aws:PrincipalTag/team",
            "aws:principaltag/eks:eks-cluster-name",
            "aws:PrincipalAccount",
            "aws:username, 'nobody'",
            "s3:prefix",
            "ec2:SourceInstanceARN",
            "saml:sub",
            "cognito-identity.amazonaws.com:sub",
            "oidc.eks.eu-west-1.amazonaws.com/id/ABC:sub",
            "www.amazon.com:user_id",
            "iot:Connection.Thing.ThingName",
        ] {
            assert!(is_variable(name), "{name}");
        }
        for name in [
            "",
            "bucket",
            "BUCKET",
            "AWS::Partition",
            "AWS::AccountId",
            "aws:account",
            "aws:PrincipalTag/",
            "var.bucket",
            "data.aws_caller_identity.current.account_id",
            "self:custom.bucket",
            "env:BUCKET",
            "ssm:/path",
            " aws:username",
            "aws:username, nobody",
        ] {
            assert!(!is_variable(name), "{name}");
        }
        assert_eq!(unknown_variable("arn:aws:s3:::${aws:username}/${BUCKET}/x"), Some("${BUCKET}"));
        assert_eq!(unknown_variable("arn:aws:s3:::${aws:username"), Some("${aws:username"));
    }

    #[test]
    fn placeholders_in_arns_are_found() {
        for (text, mark) in [
            ("arn:aws:s3:::<bucket>/*", "<bucket>"),
            ("arn:aws:s3:::<YOUR BUCKET>", "<YOUR BUCKET>"),
            ("oidc.<region>.eks.amazonaws.com", "<region>"),
            ("arn:aws:s3:::{{ bucket }}", "{{"),
            ("arn:aws:s3:::{bucket}", "{bucket}"),
            ("arn:aws:s3:::{BUCKET_X}", "{BUCKET_X}"),
            ("arn:aws:s3:::reports-{env}", "{env}"),
            ("arn:aws:s3:::reports-$env", "$env"),
            ("arn:aws:s3:::DOC-EXAMPLE-BUCKET", "DOC-EXAMPLE-BUCKET"),
            ("arn:aws:s3:::[bucket-name]", "[bucket-name]"),
            ("arn:aws:s3:::__BUCKET__", "__BUCKET__"),
            ("arn:aws:s3:::%BUCKET%", "%BUCKET%"),
            ("arn:aws:s3:::logs-%s", "%s"),
            ("arn:aws:s3:::$BUCKET/x", "$BUCKET"),
            ("arn:aws:sqs:eu-west-1:$ACCOUNT_ID:a", "$ACCOUNT_ID"),
            ("arn:aws:sqs:eu-west-1:$account_id:a", "$account_id"),
            ("arn:aws:s3:::$(bucket)", "$"),
            ("arn:aws:s3:::YOUR_BUCKET", "YOUR"),
            ("arn:aws:s3:::your-bucket-name", "your-bucket-name"),
            ("arn:aws:s3:::REPLACE_ME", "REPLACE"),
            ("arn:aws:s3:::change-me", "change-me"),
            ("arn:aws:s3:::TODO", "TODO"),
            ("arn:aws:s3:::logs-ACCOUNT_ID", "ACCOUNT_ID"),
            ("arn:aws:s3:::bucket-name/*", "bucket-name"),
            ("arn:aws:route53:::hostedzone/HOSTED_ZONE_ID", "HOSTED_ZONE_ID"),
            ("arn:aws:kms:eu-west-1:111122223333:key/xxxxxxxx", "xxxxxxxx"),
        ] {
            assert_eq!(placeholder(text, true), Some(mark), "{text}");
        }
    }

    #[test]
    fn placeholders_in_values_are_found() {
        for (text, mark) in [
            ("o-xxxxxxxxxx", "xxxxxxxxxx"),
            ("vpc-XXXXXXXX", "XXXXXXXX"),
            ("your-external-id", "your-external-id"),
            ("your_org_id", "your_org_id"),
            ("CHANGEME", "CHANGEME"),
        ] {
            assert_eq!(placeholder(text, false), Some(mark), "{text}");
        }
    }

    #[test]
    fn real_names_are_not_placeholders() {
        for text in [
            "*",
            "arn:aws:s3:::reports/${aws:username}/*",
            "arn:aws:s3:::todo-app/replace/*",
            "arn:aws:s3:::my-bucket",
            "arn:aws:s3:::regional-accounts/account/region",
            "arn:aws:s3:::yours",
            "arn:aws:iam::111122223333:role/eks-cluster",
            "arn:aws:kms:eu-west-1:111122223333:alias/kms-key",
            "arn:aws:iam::111122223333:role/service-account/app",
            "arn:aws:s3:::emr/*_$folder$",
            "arn:aws:lambda:eu-west-1:111122223333:function:a:$LATEST",
            "arn:aws:execute-api:eu-west-1:111122223333:a1/$default/*",
            "arn:aws:ssm:eu-west-1:111122223333:automation-definition/a:$DEFAULT",
            "arn:aws:iot:eu-west-1:111122223333:topic/$aws/things/*",
            "arn:aws:dynamodb:eu-west-1:111122223333:table/USER_EVENTS",
            "arn:aws:ssm:eu-west-1:111122223333:parameter/app/DB_PASSWORD",
            "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/eks/main/cluster:*",
            "arn:aws:eks:eu-west-1:111122223333:cluster/main",
            "arn:aws:rds:eu-west-1:111122223333:cluster:main",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/*",
            "arn:aws:execute-api:eu-west-1:111122223333:a1/prod/GET/{id}",
            "system:serviceaccount:namespace:app",
            "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
            "100%",
            "eks:eks-cluster-name",
            "a@example.com",
        ] {
            assert_eq!(placeholder(text, text.starts_with("arn:")), None, "{text}");
            assert_eq!(misplaced_part(text), None, "{text}");
        }
    }

    #[test]
    fn region_or_account_that_is_missing_or_malformed() {
        for (arn, word) in [
            ("arn:aws:sqs:REGION:111122223333:a", "`REGION`"),
            ("arn:aws:sqs:eu_west_1:111122223333:a", "`eu_west_1`"),
            ("arn:aws:sqs:region:111122223333:a", "`region`"),
            ("arn:aws:sqs:eu-west-1:11112222333:a", "`11112222333`"),
            ("arn:aws:sqs:eu-west-1:1111-2222-3333:a", "`1111-2222-3333`"),
            ("arn:aws:sqs:eu-west-1:account:a", "`account`"),
            ("arn:aws:sqs:eu-west-1::a", "`arn:aws:sqs:eu-west-1::a` has no account"),
            ("arn:aws:sqs::111122223333:a", "`arn:aws:sqs::111122223333:a` has no region"),
            ("arn:aws:iam:::role/a", "`arn:aws:iam:::role/a` has no account"),
            ("arn:aws:sqs:eu-west-1:111122223333:", "`arn:aws:sqs"),
        ] {
            assert!(misplaced_part(arn).is_some_and(|why| why.starts_with(word)), "{arn}");
        }
        for arn in [
            "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy",
            "arn:aws:dynamodb::111122223333:global-table/a",
            "arn:aws:ec2:eu-west-1::image/ami-0a1b2c3d",
            "arn:aws:iam::aws:policy/a",
            "arn:aws:s3:::a",
            "arn:aws:sqs:*:*:a",
            "arn:aws:sqs:eu-*:1111*:a",
            "arn:aws:iam::cloudfront:user/a",
        ] {
            assert_eq!(misplaced_part(arn), None, "{arn}");
        }
    }
}
