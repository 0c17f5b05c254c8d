use super::*;

#[test]
fn names_beyond_documented_limits_are_rejected() {
    assert!(RoleName::parse("a".repeat(64)).is_ok());
    assert!(RoleName::parse("a".repeat(65)).is_err());
    assert!(RoleName::parse("a b").is_err());
    assert!(PolicyName::parse("a".repeat(128)).is_ok());
    assert!(PolicyName::parse("a".repeat(129)).is_err());
    assert!(AccountId::parse("11112222333").is_err());
    assert!(IamPath::parse("/a/b/").is_ok());
    assert!(IamPath::parse("/a").is_err());
    assert!(Key::parse("prod-eu").is_ok());
    assert!(Key::parse("-prod").is_err());
    assert!(Key::parse("a".repeat(64)).is_err());
    assert!(Namespace::parse("a.b").is_err());
    assert!(ServiceAccountName::parse("a").is_ok());
    assert!(ServiceAccountName::parse("a..b").is_err());
    assert!(ClusterName::parse("_x").is_err());
}

#[test]
fn issuer_with_port_query_or_trailing_slash_is_rejected() {
    assert!(IssuerUrl::parse("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC").is_ok());
    for bad in ["http://a/b", "https://", "https://a:443/b", "https://a/b?c", "https://a/", "https://a b/"] {
        assert!(IssuerUrl::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn arns_are_built_and_parsed() {
    let partition = Partition::parse("aws-cn").unwrap();
    let account = AccountId::parse("111122223333").unwrap();
    let role = RoleArn::of(&partition, &account, &IamPath::parse("/a/").unwrap(), &RoleName::parse("r").unwrap());
    assert_eq!(role.as_str(), "arn:aws-cn:iam::111122223333:role/a/r");
    assert_eq!(RoleArn::parse(role.as_str()).unwrap().name(), "r");
    assert_eq!(role.account(), "111122223333");
    let issuer = IssuerUrl::parse("https://oidc.example.com/metal").unwrap();
    let provider = ProviderArn::of(&partition, &account, &issuer);
    assert_eq!(provider.host_path(), "oidc.example.com/metal");
    assert!(PolicyArn::parse("arn:aws:iam::aws:policy/service-role/AWSLambdaRole").is_ok());
    assert!(PolicyArn::parse("arn:aws:s3:::bucket").is_err());
    assert!(RoleArn::parse("AROAEXAMPLEID").is_err());
}
