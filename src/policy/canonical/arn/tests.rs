use super::*;

#[test]
fn resource_that_iam_accepts_is_accepted() {
    for text in [
        "*",
        "arn:aws:s3:::reports/*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::reports/${aws:PrincipalTag/team}/*",
        "arn:aws:s3:eu-west-1:111122223333:accesspoint/reports",
        "arn:aws:s3:eu-west-1:111122223333:accesspoint/reports/object/*",
        "arn:aws:s3::111122223333:accesspoint/mrap.mrap",
        "arn:aws:s3:*:*:job/*",
        "arn:*:kms:*:*:key/*",
        "arn:aws-us-gov:sqs:us-gov-west-1:111122223333:jobs",
        "arn:aws-iso-b:sqs:us-isob-east-1:111122223333:jobs",
        "arn:aws:sqs:eu-west-1:${aws:PrincipalAccount}:jobs",
        "arn:aws:ec2:*::snapshot/*",
        "arn:aws:iam::111122223333:role/a",
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "arn:aws:iam::*:*",
        "arn:aws:iam::111122223333:ro*",
        "arn:aws:iam::111122223333:mfa/${aws:username}",
        "arn:aws:iam::111122223333:root",
        "arn:aws:organizations::111122223333:",
        "arn:aws:states:eu-west-1:111122223333:stateMachine:jobs",
        "arn:aws:execute-api:eu-west-1:111122223333:a1/prod/GET/",
        "arn:aws:lambda:eu-west-1:111122223333:function:jobs:$LATEST",
    ] {
        assert_eq!(refused_resource(text), None, "{text}");
    }
}

#[test]
fn resource_that_iam_refuses_is_refused() {
    for (text, word) in [
        ("reports", "not a resource"),
        ("?*", "not a resource"),
        ("arn", "not a resource"),
        ("arn:*", "2 of an ARN's six parts"),
        ("arn:aws:s3", "3 of"),
        ("arn:aws:s3:*", "4 of"),
        ("arn:aws:s3::reports", "5 of"),
        ("arn:aws:iam::role/x", "5 of"),
        ("arn:${AWS::Partition}:s3:::reports", "`${AWS::Partition}` is not filled in"),
        ("arn:$partition:s3:::reports", "`$partition` is not filled in"),
        ("arn::s3:::reports", "`` is not an AWS partition"),
        ("arn:amazon:s3:::reports", "`amazon` is not an AWS partition"),
        ("arn:aws*:s3:::reports", "`aws*` is not an AWS partition"),
        ("arn:aws:*:::reports", "written out"),
        ("arn:aws:s?:::reports", "written out"),
        ("arn:aws::::reports", "`` is not a service"),
        ("arn:aws:S3:::reports", "`S3` is not a service"),
        ("arn:aws:iam:eu-west-1:111122223333:role/a", "has no region"),
        ("arn:aws:iam::111122223333:roles/a", "no such kind"),
        ("arn:aws:iam::111122223333:role", "no such kind"),
        ("arn:aws:s3:eu-west-1:111122223333:reports", "write `arn:aws:s3:::reports`"),
    ] {
        let why = refused_resource(text);
        assert!(why.as_ref().is_some_and(|why| why.contains(word)), "{text}: {why:?}");
    }
}

#[test]
fn principal_that_iam_refuses_is_refused() {
    for (kind, text) in [
        ("AWS", "*"),
        ("AWS", "111122223333"),
        ("AWS", "arn:aws:iam::111122223333:root"),
        ("AWS", "arn:aws-cn:iam::111122223333:role/a/b"),
        ("AWS", "arn:aws:sts::111122223333:assumed-role/a/b"),
        ("AWS", "AROAEXAMPLE1234567890"),
        ("Federated", "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/a"),
        ("Federated", "cognito-identity.amazonaws.com"),
        ("Service", "ec2.amazonaws.com"),
    ] {
        assert_eq!(refused_principal(kind, text), None, "{kind} {text}");
    }
    for (kind, text) in [
        ("AWS", ""),
        ("AWS", "1111"),
        ("AWS", "arn:aws:iam::*:root"),
        ("AWS", "arn:aws:iam::111122223333:role/*"),
        ("AWS", "arn:${AWS::Partition}:iam::111122223333:root"),
        ("AWS", "arn:aws:iam::ACCOUNT_ID:root"),
        ("AWS", "arn:aws:iam:eu-west-1:111122223333:root"),
        ("AWS", "arn:aws:s3:::reports"),
        ("AWS", "arn:aws:iam::111122223333"),
        ("Federated", "arn:aws:iam::1111:oidc-provider/oidc.example.com/a"),
        ("Federated", "arn:aws:iam::111122223333:oidc-provider/*"),
        ("Service", "${service}.amazonaws.com"),
    ] {
        assert!(refused_principal(kind, text).is_some(), "{kind} {text}");
    }
}
