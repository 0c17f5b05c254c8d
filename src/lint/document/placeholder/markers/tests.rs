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
