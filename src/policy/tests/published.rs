//! The cases of hashicorp/awspolicyequivalence, which terraform uses, with our own documents and answers.
//!
//! Each case says whether AWS treats two documents alike, and what that library answers. Where the library is wrong,
//! the case says why. IAM refuses some documents: declared, irsa refuses them too, and live they equal only their own
//! text.

use super::super::PolicyDocument;
use super::super::document::PolicyKind;
use std::collections::BTreeSet;

struct Case {
    name: &'static str,
    one: String,
    other: String,
    /// Whether they mean the same.
    equal: bool,
    /// Whether IAM accepts both.
    accepted: bool,
    /// Whether the library says that they are equal.
    there: bool,
    /// Why the library is wrong, if it is.
    why: &'static str,
}

fn case(name: &'static str, one: impl Into<String>, other: impl Into<String>, equal: bool) -> Case {
    Case { name, one: one.into(), other: other.into(), equal, accepted: true, there: equal, why: "" }
}

impl Case {
    /// IAM refuses one of them or both.
    fn refused(self) -> Self {
        Self { accepted: false, ..self }
    }

    /// The library gives the other answer.
    fn wrong_there(self, why: &'static str) -> Self {
        Self { there: !self.equal, why, ..self }
    }
}

/// A document of the current version.
fn current(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

/// A trust policy for the principal.
fn trusts(principal: &str) -> String {
    current(&format!(r#"{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal}}}"#))
}

/// A trust policy that has these elements instead of `Effect` and `Action`.
fn trust(elements: &str) -> String {
    current(&format!(r#"{{"Principal":{{"Service":"pods.eks.amazonaws.com"}},{elements}}}"#))
}

/// A permission policy under a condition.
fn under(condition: &str) -> String {
    let head = r#""Effect":"Allow","Action":"sqs:ReceiveMessage","Resource":"arn:aws:sqs:eu-west-1:111122223333:jobs""#;
    current(&format!("{{{head},\"Condition\":{condition}}}"))
}

/// A permission policy with these elements besides `Effect`.
fn permits(elements: &str) -> String {
    current(&format!(r#"{{"Effect":"Allow",{elements}}}"#))
}

const POD: &str = r#"{"Service":"pods.eks.amazonaws.com"}"#;
const ROOT: &str = "arn:aws:iam::111122223333:root";
const LIST: &str = r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::reports","Condition":{"StringLike":{"s3:prefix":["","in/","in/${aws:PrincipalTag/team}/"]}}}"#;
const READ: &str = r#"{"Effect":"Allow","Action":["s3:GetObject","s3:GetObjectTagging"],"Resource":["arn:aws:s3:::reports/in/*","arn:aws:s3:::reports/out/*"]}"#;
const KEY: &str =
    r#"{"Effect":"Deny","Action":"kms:Decrypt","NotResource":"arn:aws:kms:eu-west-1:111122223333:key/*"}"#;

/// Different spellings; the library is right.
fn spelling() -> Vec<Case> {
    let action = |value: &str| trust(&format!(r#""Effect":"Allow","Action":{value}"#));
    let service = |value: &str| trusts(&format!(r#"{{"Service":{value}}}"#));
    vec![
        case("the same text", trusts(POD), trusts(POD), true),
        case("an action and a list of it", action(r#""sts:TagSession""#), action(r#"["sts:TagSession"]"#), true),
        case(
            "a service and a list of it",
            service(r#""ecs.amazonaws.com""#),
            service(r#"["ecs.amazonaws.com"]"#),
            true,
        ),
        case(
            "both in lists, and the elements in another order",
            r#"{"Version":"2012-10-17","Statement":[{"Principal":{"Service":["ecs.amazonaws.com"]},"Effect":"Allow","Action":["sts:AssumeRole"]}]}"#,
            r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ecs.amazonaws.com"}}],"Version":"2012-10-17"}"#,
            true,
        ),
        case("everyone as a text", trusts(r#""*""#), trusts(r#" "*" "#), true),
        case("all but everyone as a text", not_principal(r#""*""#), not_principal(r#" "*""#), true),
        case(
            "one statement without its list",
            current(LIST),
            format!(r#"{{"Version":"2012-10-17","Statement":{LIST}}}"#),
            true,
        ),
        case(
            "statements in another order",
            current(&format!("{LIST},{READ},{KEY}")),
            current(&format!("{KEY}, {LIST}, {READ}")),
            true,
        ),
        case(
            "actions in another order",
            permits(r#""Resource":"*","Action":["ec2:DescribeVpcs","ec2:DescribeTags","ec2:DescribeHosts"]"#),
            permits(r#""Resource":"*","Action":["ec2:DescribeHosts","ec2:DescribeVpcs","ec2:DescribeTags"]"#),
            true,
        ),
        case(
            "principals in another order",
            trusts(r#"{"AWS":["arn:aws:iam::111122223333:role/blue","arn:aws:iam::111122223333:role/red"]}"#),
            trusts(r#"{"AWS":["arn:aws:iam::111122223333:role/red","arn:aws:iam::111122223333:role/blue"]}"#),
            true,
        ),
        case(
            "an account and its root",
            trusts(r#"{"AWS":"111122223333"}"#),
            trusts(&format!(r#"{{"AWS":"{ROOT}"}}"#)),
            true,
        ),
        case(
            "an account and its root, each in a list",
            trusts(r#"{"AWS":["111122223333"]}"#),
            trusts(&format!(r#"{{"AWS":["{ROOT}"]}}"#)),
            true,
        ),
        case(
            "two accounts and their roots",
            trusts(r#"{"AWS":["111122223333","arn:aws:iam::444455556666:root"]}"#),
            trusts(&format!(r#"{{"AWS":["{ROOT}","444455556666"]}}"#)),
            true,
        ),
    ]
}

fn not_principal(value: &str) -> String {
    current(&format!(r#"{{"Effect":"Deny","Action":"sts:AssumeRole","NotPrincipal":{value}}}"#))
}

/// Conditions; the library is right.
fn conditions() -> Vec<Case> {
    let vpc = |operator: &str, value: &str| under(&format!(r#"{{"{operator}":{{"aws:SourceVpc":{value}}}}}"#));
    let several = r#"{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.168.0.0/16"]},"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"},"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#;
    let age = |value: &str| under(&format!(r#"{{"NumericLessThanEquals":{{"aws:MultiFactorAuthAge":{value}}}}}"#));
    let secure = |value: &str| under(&format!(r#"{{"Bool":{{"aws:SecureTransport":{value}}}}}"#));
    vec![
        case("the same condition", vpc("StringEquals", r#"["vpc-1"]"#), vpc("StringEquals", r#"[ "vpc-1" ]"#), true),
        case("a value and a list of it", vpc("StringEquals", r#""vpc-1""#), vpc("StringEquals", r#"["vpc-1"]"#), true),
        case("another operator", vpc("StringEquals", r#""vpc-1""#), vpc("StringNotEquals", r#""vpc-1""#), false),
        case("other conditions", vpc("StringEquals", r#""vpc-1""#), under(several), false),
        case("several conditions", under(several), under(several), true),
        case("a boolean and its text", secure("true"), secure(r#""true""#), true),
        case("a number and its text", age("3600"), age(r#""3600""#), true),
        case("numbers and their texts", age("[0.5, 12.25]"), age(r#"["12.25", "0.5"]"#), true),
    ]
}

/// Different meanings; the library is right.
fn differences() -> Vec<Case> {
    let action = |value: &str| trust(&format!(r#""Effect":"Allow","Action":{value}"#));
    let actions = |value: &str| permits(&format!(r#""Resource":"*","Action":{value}"#));
    let roles = |last: &str| {
        let list = ["blue", "red", last].map(|name| format!(r#""arn:aws:iam::111122223333:role/{name}""#));
        trusts(&format!(r#"{{"AWS":[{}]}}"#, list.join(",")))
    };
    vec![
        case("another action", action(r#""sts:AssumeRole""#), action(r#"["sts:TagSession"]"#), false),
        case("another service", trusts(POD), trusts(r#"{"Service":["ecs.amazonaws.com"]}"#), false),
        case("another service, both as texts", trusts(POD), trusts(r#"{"Service":"ecs.amazonaws.com"}"#), false),
        case(
            "another who is not meant",
            not_principal(r#"{"AWS":"111122223333"}"#),
            not_principal(r#"{"AWS":["444455556666"]}"#),
            false,
        ),
        case(
            "another effect",
            trust(r#""Effect":"Allow","Action":"sts:AssumeRole""#),
            trust(r#""Effect":"Deny","Action":"sts:AssumeRole""#),
            false,
        ),
        case("one role of several is another", roles("green"), roles("grey"), false),
        case(
            "a statement is missing",
            current(&format!("{LIST},{READ},{KEY}")),
            current(&format!("{LIST},{READ}")),
            false,
        ),
        case(
            "one action of several is another",
            actions(r#"["ec2:DescribeVpcs","ec2:DescribeTags"]"#),
            actions(r#"["ec2:DescribeVpcs","ec2:DescribeTagsX"]"#),
            false,
        ),
        case(
            "one action fewer",
            actions(r#"["ec2:DescribeVpcs","ec2:DescribeTags"]"#),
            actions(r#"["ec2:DescribeTags"]"#),
            false,
        ),
        case(
            "as many actions, but one of them twice",
            actions(r#"["ec2:DescribeVpcs","ec2:DescribeTags","ec2:DescribeHosts"]"#),
            actions(r#"["ec2:DescribeVpcs","ec2:DescribeTags","ec2:DescribeTags"]"#),
            false,
        ),
        case(
            "what is not excluded on one side",
            action(r#""sts:AssumeRole""#),
            trust(r#""Effect":"Allow","Action":"sts:AssumeRole","NotAction":"sts:TagSession""#),
            false,
        )
        .refused(),
        case("a version that there is not", trusts(POD), trusts(POD).replace("2012-10-17", "2012-10-18"), false)
            .refused(),
        case("no JSON", r#"{"Statement":[{"Effect":"Allow",]}"#, r#"{"Statement":[{"Effect":"Allow", ]}"#, false)
            .refused(),
        case(
            "statements that are a text",
            r#"{"Version":"2012-10-17","Statement":"none"}"#,
            r#"{"Version":"2012-10-17","Statement": "none"}"#,
            false,
        )
        .refused(),
    ]
}

/// Documents that IAM refuses and the library compares.
fn refused() -> Vec<Case> {
    const NO_MEANING: &str = "it compares what IAM refuses: such a document means nothing that another could mean too";
    let both = |name, text: &str| case(name, text, text, true).refused();
    let apart = |name, one: String, other: String| case(name, one, other, false).refused().wrong_there(NO_MEANING);
    let nobody = current(r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#);
    vec![
        both("no statement", r#"{"Version":"2012-10-17"}"#),
        both("statements that are a number", r#"{"Version":"2012-10-17","Statement":7}"#),
        both("a resource that is an object", &permits(r#""Action":"s3:PutObject","Resource":{}"#)),
        both("a resource that is a list of lists", &permits(r#""Action":"s3:PutObject","Resource":[[7]]"#)),
        apart(
            "an action and its counterpart, as texts and as lists",
            trust(r#""Effect":"Allow","Action":"sts:AssumeRole","NotAction":["sts:TagSession"]"#),
            trust(r#""Effect":"Allow","Action":["sts:AssumeRole"],"NotAction":"sts:TagSession""#),
        ),
        apart(
            "the effect in another case",
            trust(r#""Effect":"Deny","Action":"sts:AssumeRole""#),
            trust(r#""Effect":"deny","Action":"sts:AssumeRole""#),
        ),
        apart("principals of no kind and of a kind without names", trusts("{}"), trusts(r#"{"Service":[]}"#)),
        apart("two kinds without names", trusts(r#"{"Service":[]}"#), trusts(r#"{"AWS":[]}"#)),
        apart("principals of no kind and none", trusts("{}"), nobody.clone()),
        apart("several kinds without names and none", trusts(r#"{"AWS":[],"Federated":[]}"#), nobody),
        apart("an account and its root, without a kind", trusts(r#""111122223333""#), trusts(&format!("\"{ROOT}\""))),
        apart(
            "a condition without values, the elements in another order",
            under(r#"{"ArnLike":{"aws:SourceArn":[]}}"#),
            under(r#"{ "ArnLike":{"aws:SourceArn":[]}}"#),
        ),
        apart("a list of nothing and a list of an empty object", "[]".into(), "[{\n}]".into()),
        apart(
            "resources that are numbers",
            permits(r#""Action":["s3:PutObject"],"Resource":[1,2]"#),
            permits(r#""Action":"s3:PutObject","Resource":[2,1]"#),
        ),
        apart("no text and an empty object", String::new(), "{}".into()),
        apart(
            "statements that are null, and none",
            r#"{"Version":"2012-10-17","Statement":null}"#.into(),
            r#"{"Version":"2012-10-17"}"#.into(),
        ),
    ]
}

/// Cases that the library does not test, where its code is wrong.
fn beyond() -> Vec<Case> {
    let nobody = current(r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#);
    let deny = current(r#"{"Effect":"Deny","Action":"sts:AssumeRole"}"#);
    let old = trusts(POD).replace("2012-10-17", "2008-10-17");
    let unnamed = |version: &str| format!(r#"{{{version}"Statement":[{READ}]}}"#);
    vec![
        case("everyone and nobody", trusts(r#""*""#), nobody, false)
            .refused()
            .wrong_there("false equal: it takes two principals that are no objects as equal without looking at them"),
        case("all but everyone and nobody", not_principal(r#""*""#), deny, false)
            .refused()
            .wrong_there("false equal: as with principals"),
        case("two texts as principals", trusts(r#""*""#), trusts(r#""111122223333""#), false)
            .refused()
            .wrong_there("false equal: as with everyone and nobody"),
        case("everyone in two spellings", trusts(r#""*""#), trusts(r#"{"AWS":"*"}"#), true)
            .wrong_there("false different: it does not know that they are one"),
        case(
            "an action in another case",
            permits(r#""Resource":"*","Action":"s3:getObject""#),
            permits(r#""Resource":"*","Action":"S3:GetObject""#),
            true,
        )
        .wrong_there("false different: the case of actions does not count"),
        case(
            "a condition key in another case",
            under(r#"{"StringEquals":{"aws:SourceVpc":"vpc-1"}}"#),
            under(r#"{"StringEquals":{"aws:sourceVPC":"vpc-1"}}"#),
            true,
        )
        .wrong_there("false different: the case of condition keys does not count"),
        case(
            "an operator in another case",
            under(r#"{"StringEquals":{"aws:SourceVpc":"vpc-1"}}"#),
            under(r#"{"stringEquals":{"aws:SourceVpc":"vpc-1"}}"#),
            true,
        )
        .wrong_there("false different: the case of operators does not count"),
        case(
            "a value twice",
            permits(r#""Resource":"*","Action":["s3:GetObject","s3:GetObject"]"#),
            permits(r#""Resource":"*","Action":"s3:GetObject""#),
            true,
        )
        .wrong_there("false different: it counts the values first"),
        case("a statement twice", current(&format!("{READ},{READ}")), current(READ), true)
            .wrong_there("false different: it counts the statements first"),
        case(
            "another label",
            permits(r#""Sid":"a","Resource":"*","Action":"s3:GetObject""#),
            permits(r#""Sid":"b","Resource":"*","Action":"s3:GetObject""#),
            true,
        )
        .wrong_there("false different: the Sid takes no part in any decision"),
        case("no version and the old one", unnamed(""), unnamed(r#""Version":"2008-10-17","#), true)
            .wrong_there("false different: without a version the old one holds"),
        case(
            "no condition and an empty one",
            permits(r#""Resource":"*","Action":"s3:GetObject""#),
            permits(r#""Resource":"*","Action":"s3:GetObject","Condition":{}"#),
            true,
        )
        .wrong_there("false different: neither asks anything"),
        case("the old version", trusts(POD), old, false),
        case(
            "a key that is there twice",
            permits(r#""Resource":"*","Action":"s3:*","Action":"s3:GetObject""#),
            permits(r#""Resource":"*","Action":"s3:GetObject""#),
            false,
        )
        .refused()
        .wrong_there("false equal: the last one wins there, and a reader may see the first"),
        case(
            "an element that there is not",
            permits(r#""Resource":"*","Action":"s3:GetObject","Conditions":{}"#),
            permits(r#""Resource":"*","Action":"s3:GetObject""#),
            false,
        )
        .refused()
        .wrong_there("false equal: what it does not know it leaves out"),
        case("a list around the document", format!("[{}]", trusts(POD)), trusts(POD), false)
            .refused()
            .wrong_there("false equal: IAM takes no list"),
    ]
}

fn all() -> Vec<Case> {
    [spelling(), conditions(), differences(), refused(), beyond()].into_iter().flatten().collect()
}

/// Whether a document parses as one of either kind.
fn is_accepted(text: &str) -> bool {
    [PolicyKind::Trust, PolicyKind::Permissions].iter().any(|kind| PolicyDocument::parse(text, *kind).is_ok())
}

#[test]
fn published_cases_compare_as_aws_does() {
    for case in all() {
        let Case { name, one, other, equal, accepted, .. } = &case;
        let (live, other_live) = (PolicyDocument::live(one), PolicyDocument::live(other));
        assert_eq!(live == other_live, *equal, "{name}: {one} {other}");
        assert_eq!(other_live == live, *equal, "{name}: {one} {other}");
        assert_eq!(is_accepted(one) && is_accepted(other), *accepted, "{name}: {one} {other}");
    }
}

#[test]
fn published_cases_are_distinct_and_explain_wrong_answers() {
    let cases = all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
    for Case { name, equal, there, why, .. } in &cases {
        assert_eq!(equal != there, !why.is_empty(), "{name}");
    }
    let wrong = cases.iter().filter(|case| !case.why.is_empty()).count();
    println!("{} cases, in {wrong} of them the other comparison is wrong", cases.len());
}
