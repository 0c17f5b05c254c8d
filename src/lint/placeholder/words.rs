//! How placeholders are written: in brackets, behind a dollar, or as words that name what belongs there.

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
        .or_else(|| ["%s", "%d", "%v"].into_iter().find(|sign| ends(text, sign)))
}

/// Whether a sign stands at the end of a name.
fn ends(text: &str, sign: &str) -> bool {
    let after = |(at, _): (usize, &str)| text[at + sign.len()..].chars().next();
    text.match_indices(sign).any(|at| after(at).is_none_or(|c| !c.is_ascii_alphanumeric()))
}

/// The first text between the signs, signs included, for whose inside `word` holds.
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

/// `{bucket}`; what stands in `${…}` is a variable, and other names in braces may be parts of a path.
fn braces(text: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(start) = text[from..].find('{').map(|at| at + from) {
        let length = text[start..].find('}')?;
        let inside = &text[start + 1..start + length];
        if !text[..start].ends_with('$')
            && (is_term(inside) || FILLERS.contains(&inside) || inside.len() > 2 && shouted(inside))
        {
            return Some(&text[start..=start + length]);
        }
        from = start + 1;
    }
    None
}

fn shouted(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// `$ACCOUNT_ID`. Lambda, API Gateway, IoT and EMR have names of their own with a dollar.
pub(super) fn dollar(text: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(start) = text[from..].find('$').map(|at| at + from) {
        let rest = &text[start + 1..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let word = &rest[..length];
        let named = is_term(word) || FILLERS.contains(&word);
        let plain = shouted(word) && word.len() > 2 && !matches!(word, "DEFAULT" | "LATEST" | "SYS") || named;
        if plain || rest.starts_with('(') {
            return Some(&text[start..=start + length]);
        }
        from = start + 1;
    }
    None
}

/// ConfigKeys of what differs from place to place, in marks that say so.
const FILLERS: [&str; 10] =
    ["app", "app_name", "env", "environment", "prefix", "project", "stage", "suffix", "team", "tenant"];

/// What belongs in policies, as people name it; `_` stands for `-` and for nothing, too.
const TERMS: [&str; 41] = [
    "account",
    "account_id",
    "account_number",
    "aws_account",
    "aws_account_id",
    "aws_account_number",
    "aws_region",
    "bucket",
    "bucket_arn",
    "bucket_name",
    "cluster",
    "cluster_id",
    "cluster_name",
    "eks_cluster",
    "eks_cluster_name",
    "function_name",
    "hosted_zone",
    "hosted_zone_id",
    "hostedzone_id",
    "key_arn",
    "key_id",
    "kms_key",
    "kms_key_arn",
    "kms_key_id",
    "my_account_id",
    "namespace",
    "oidc_id",
    "oidc_issuer",
    "oidc_provider",
    "org_id",
    "partition",
    "queue_name",
    "region",
    "role_name",
    "s3_bucket",
    "s3_bucket_name",
    "secret_name",
    "service_account",
    "table_name",
    "topic_name",
    "zone_id",
];

fn normal(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}

pub(super) fn is_term(word: &str) -> bool {
    let word = normal(word);
    TERMS.iter().any(|term| normal(term) == word)
}

/// Words that say of themselves that something else belongs there.
const CALLS: [&str; 12] = [
    "DOC-EXAMPLE-BUCKET",
    "EXAMPLE-BUCKET",
    "CHANGEME",
    "CHANGE_ME",
    "CHANGE-ME",
    "FIXME",
    "INSERT",
    "PLACEHOLDER",
    "REPLACE",
    "REPLACEME",
    "TBD",
    "TODO",
];

/// The same in other cases, in which `todo` and `replace` are names like any other.
const SOFT_CALLS: [&str; 7] =
    ["changeme", "change-me", "change_me", "replaceme", "replace-me", "replace_me", "account-id-without-hyphens"];

/// `YOUR_BUCKET`, `REPLACE_ME`, `ACCOUNT_ID`.
pub(super) fn named(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let called = CALLS.iter().copied().chain(["YOUR"]).find_map(|call| delimited(text, call));
    let soft = || SOFT_CALLS.iter().find_map(|call| delimited(&lower, call).map(|span| &text[span]));
    let yours = || is_yours(&lower).then_some(text);
    called.map(|span| &text[span]).or_else(soft).or_else(|| shouted_term(text)).or_else(yours).or_else(|| crosses(text))
}

/// `your-external-id`
fn is_yours(lower: &str) -> bool {
    let word = |word: &str| matches!(word, "id" | "name" | "here" | "arn") || is_term(word);
    let rest = lower.strip_prefix("your-").or_else(|| lower.strip_prefix("your_"));
    rest.is_some_and(|rest| rest.split(['-', '_']).any(word))
}

/// `xxxxxxxx` between other signs.
fn crosses(text: &str) -> Option<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.into_iter().find(|word| word.len() >= 4 && word.bytes().all(|b| matches!(b, b'x' | b'X')))
}

/// A part of an ARN that is a placeholder as a whole: `your-bucket`, `bucket-name`.
pub(super) fn part(arn: &str) -> Option<&str> {
    arn.split([':', '/', ',']).find(|part| is_blank(part))
}

/// Where a word stands by itself.
fn delimited(text: &str, word: &str) -> Option<std::ops::Range<usize>> {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    let alone =
        |(at, _): &(usize, &str)| edge(text[..*at].chars().next_back()) && edge(text[at + word.len()..].chars().next());
    text.match_indices(word).find(alone).map(|(at, _)| at..at + word.len())
}

/// Whether a whole part of a text is a placeholder.
fn is_blank(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    // `eks-cluster` may be a name, `cluster-name` is none
    let asks = ["id", "name", "arn", "number"].iter().any(|end| lower.ends_with(end));
    let compound = part.contains(['-', '_']) || part.contains(|c: char| c.is_ascii_uppercase());
    is_yours(&lower) || compound && asks && is_term(part) || shouted(part) && part.len() > 3 && is_term(part)
}

/// `logs-ACCOUNT_ID`
fn shouted_term(text: &str) -> Option<&str> {
    let upper = TERMS.iter().filter(|term| term.contains('_')).map(|term| term.to_ascii_uppercase());
    let spelled = upper.flat_map(|term| [term.replace('_', "-"), term]);
    let found = spelled.filter_map(|term| delimited(text, &term));
    found.max_by_key(std::ops::Range::len).map(|span| &text[span])
}

#[cfg(test)]
mod tests {
    use super::super::{is_variable, marked, misplaced, unknown_variable};

    #[test]
    fn variables_of_aws_are_known() {
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
    fn placeholders_are_seen() {
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
            assert_eq!(marked(text, true), Some(mark), "{text}");
        }
    }

    #[test]
    fn values_are_looked_at_too() {
        for (text, mark) in [
            ("o-xxxxxxxxxx", "xxxxxxxxxx"),
            ("vpc-XXXXXXXX", "XXXXXXXX"),
            ("your-external-id", "your-external-id"),
            ("your_org_id", "your_org_id"),
            ("CHANGEME", "CHANGEME"),
        ] {
            assert_eq!(marked(text, false), Some(mark), "{text}");
        }
    }

    #[test]
    fn names_are_no_placeholders() {
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
            assert_eq!(marked(text, text.starts_with("arn:")), None, "{text}");
            assert_eq!(misplaced(text), None, "{text}");
        }
    }

    #[test]
    fn regions_and_accounts_look_like_those() {
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
            assert!(misplaced(arn).is_some_and(|why| why.starts_with(word)), "{arn}");
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
            assert_eq!(misplaced(arn), None, "{arn}");
        }
    }
}
