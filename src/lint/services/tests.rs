use super::*;

#[test]
fn known_services_and_similar_names() {
    for name in ["s3", "iam", "elasticloadbalancing", "vpc-lattice", "execute-api", "s3express"] {
        assert!(is_service(name), "{name}");
    }
    for (name, known) in
        [("s33", "s3"), ("sqss", "sqs"), ("dynamdb", "dynamodb"), ("dyanmodb", "dynamodb"), ("lambdo", "lambda")]
    {
        assert!(!is_service(name));
        assert_eq!(similar_service(name), Some(known), "{name}");
    }
    assert_eq!(similar_service("quantumfoam"), None);
}
