//! Tests of policy documents: grammar, encoding, sizes and the AWS managed policies.

use super::super::document::{AcceptedPolicy, encode, size};
use super::super::managed::POLICIES;
use super::{Bench, POLICY, error};

fn statement(fields: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{{fields}}}]}}"#)
}

#[test]
fn policies_for_identities_are_checked() {
    let rest = r#""Effect":"Allow","Resource":"*""#;
    let table = [
        ("{nope".to_owned(), "This policy contains invalid Json"),
        ("[]".to_owned(), "Syntax errors"),
        (r#"{"Version":"2012-10-17"}"#.to_owned(), "Syntax errors"),
        (r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(), "Syntax errors"),
        (POLICY.replace("2012-10-17", "2013-10-17"), "valid version"),
        (POLICY.replace("Version", "version"), "Syntax errors"),
        (POLICY.replace("Allow", "Maybe"), "Syntax errors"),
        (POLICY.replace("\"Effect\":\"Allow\",", ""), "Syntax errors"),
        (POLICY.replace("\"Action\"", "\"Principal\":\"*\",\"Action\""), "should not specify a principal"),
        (POLICY.replace("\"Action\"", "\"Extra\":\"*\",\"Action\""), "Syntax errors"),
        (POLICY.replace("\"Action\"", "\"NotAction\":\"s3:*\",\"Action\""), "Syntax errors"),
        (POLICY.replace("\"Action\"", "\"Effect\":\"Deny\",\"Action\""), "invalid Json"),
        (POLICY.replace("s3:GetObject", "GetObject"), "prefaced by a vendor"),
        (POLICY.replace("s3:GetObject", "s*:GetObject"), "Vendor s* is not valid"),
        (POLICY.replace("s3:GetObject", "s3:"), "Invalid Action"),
        (POLICY.replace("\"s3:GetObject\"", "[]"), "must contain actions"),
        (POLICY.replace("\"s3:GetObject\"", "7"), "Syntax errors"),
        (statement(rest), "must contain actions"),
        (statement(r#""Effect":"Allow","Action":"*""#), "must contain resources"),
        (POLICY.replace("arn:aws:s3:::b/*", "b/*"), "must be in ARN format"),
        (POLICY.replace("arn:aws:s3", "arn:amazon:s3"), "Partition \"amazon\""),
        (POLICY.replace("arn:aws:s3:::b/*", "arn:aws:s3"), "legacy parsing"),
        (POLICY.replace("arn:aws:s3:::", "arn:aws:*:::"), "fully qualified"),
        (statement(&format!(r#"{rest},"Action":"*","Sid":"a b""#)), "alpha-numeric"),
        (
            statement(&format!(r#"{rest},"Action":"*","Condition":{{"StringEqualz":{{"a:b":"c"}}}}"#)),
            "Invalid Condition type",
        ),
        (
            statement(&format!(r#"{rest},"Action":"*","Condition":{{"NullIfExists":{{"a:b":"true"}}}}"#)),
            "Invalid Condition type",
        ),
        (statement(&format!(r#"{rest},"Action":"*","Condition":{{"Bool":{{"b":"c"}}}}"#)), "prefaced by a vendor"),
        (statement(&format!(r#"{rest},"Action":"*","Condition":{{"Bool":{{"a:b":null}}}}"#)), "Syntax errors"),
        (statement(&format!(r#"{rest},"Action":"*","Sid":"a"}},{{{rest},"Action":"*","Sid":"a""#)), "must be unique"),
    ];
    for (document, why) in table {
        let error = AcceptedPolicy::identity(&document).expect_err(&document);
        assert_eq!((error.status, error.code.as_str()), (400, "MalformedPolicyDocument"), "{document}");
        assert!(error.message.contains(why), "{document}: {}", error.message);
    }
}

#[test]
fn a_valid_policy_is_accepted() {
    let rest = r#""Effect":"Deny","NotResource":["arn:aws:s3:::a","arn:aws-cn:s3:::b/${aws:username}"]"#;
    for document in [
        POLICY.to_owned(),
        POLICY.replace("\"Version\":\"2012-10-17\",", ""),
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"},"Id":"x","Version":"2008-10-17"}"#.to_owned(),
        statement(&format!(r#"{rest},"NotAction":["s3:*","execute-api:Inv?ke"],"Sid":"""#)),
        statement(&format!(
            r#"{rest},"Action":"s3:*","Condition":{{"forallvalues:stringlikeifexists":{{"a:b":["c",1,true]}}}}"#
        )),
        statement(&format!(
            r#"{rest},"Action":"s3:*","Condition":{{"Null":{{"a:b":false}},"ForAnyValue:ArnLike":{{"a:c":"*"}}}}"#
        )),
        statement(&format!(r#"{rest},"Action":"s3:*","Sid":"a"}},{{{rest},"Action":"*","Sid":"b""#)),
    ] {
        assert_eq!(AcceptedPolicy::identity(&document).map(|stored| stored.text), Ok(document));
    }
}

#[test]
fn white_space_does_not_count_and_documents_are_percent_encoded() {
    assert_eq!(size(" { \"a\" :\n\t\"b c\"\r}"), 10);
    assert_eq!(encode("{\"A-Z_a.z~\": \"é*+/\"}"), "%7B%22A-Z_a.z~%22%3A%20%22%C3%A9%2A%2B%2F%22%7D");
}

/// A policy with at least this many characters that count.
fn sized(least: usize) -> String {
    POLICY.replace("b/*", &"b".repeat(least - size(POLICY) + 3))
}

#[test]
fn sizes_are_limited() {
    let mut bench = Bench::new();
    bench.role("r");
    let create = |bench: &mut Bench, document: &str| {
        bench.call("CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", document)])
    };
    assert_eq!(create(&mut bench, &sized(6145)).unwrap_err().code, "LimitExceeded");
    create(&mut bench, &sized(6144).replace(',', " ,\n\t")).unwrap();
    let put = |bench: &mut Bench, name: &str, count: usize| {
        let document = sized(count);
        bench.call("PutRolePolicy", &[("RoleName", "r"), ("PolicyName", name), ("PolicyDocument", &document)])
    };
    put(&mut bench, "a", 6000).unwrap();
    assert_eq!(put(&mut bench, "b", 4241).unwrap_err().code, "LimitExceeded");
    put(&mut bench, "b", 4240).unwrap();
    put(&mut bench, "a", 6000).unwrap();
    assert!(bench.iam.set_quota("RolePolicySizeQuota", 10_241));
    put(&mut bench, "b", 4241).unwrap();
    assert!(!bench.iam.set_quota("NoSuchQuota", 1));
    let far = "x".repeat(131_073);
    assert_eq!(
        bench.refused("CreatePolicy", &[("PolicyName", "q"), ("PolicyDocument", &far)]),
        error(400, "ValidationError")
    );
}

#[test]
fn every_aws_policy_is_valid() {
    for resource in [
        "/AmazonS3ReadOnlyAccess",
        "/AmazonSQSReadOnlyAccess",
        "/AdministratorAccess",
        "/ReadOnlyAccess",
        "/AmazonEKS_CNI_Policy",
        "/service-role/AmazonEBSCSIDriverPolicy",
        "/CloudWatchAgentServerPolicy",
        "/service-role/AWSLambdaRole",
        "/AmazonDynamoDBReadOnlyAccess",
    ] {
        assert!(POLICIES.contains_key(resource), "{resource}");
    }
    for (resource, policy) in POLICIES.iter() {
        let document = super::decoded(&policy.encoded("aws"));
        assert!(AcceptedPolicy::identity(&document).is_ok(), "{resource}: {:?}", AcceptedPolicy::identity(&document));
        assert!(policy.id.len() == 21 && policy.id.starts_with("ANPA"), "{resource}");
        assert!(policy.updated >= policy.created && policy.updated.ends_with('Z'), "{resource}");
        assert!(!policy.encoded("aws-cn").contains("arn%3Aaws%3A"), "{resource}");
    }
}
