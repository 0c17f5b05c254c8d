use super::*;

#[test]
fn scope_of_service_account_patterns() {
    for (pattern, expected) in [
        ("system:serviceaccount:apps:web", SubjectScope::Fixed),
        ("system:serviceaccount:apps:*", SubjectScope::AnyName),
        ("system:serviceaccount:apps:web-*", SubjectScope::AnyName),
        ("system:serviceaccount:apps:web-?", SubjectScope::AnyName),
        ("system:serviceaccount:team-*:web", SubjectScope::AnyNamespace),
        ("system:serviceaccount:team-*", SubjectScope::AnyNamespace),
        ("system:serviceaccount:*:web", SubjectScope::AnyNamespace),
        ("system:serviceaccount:*-a:*", SubjectScope::AnyNamespace),
        ("system:serviceaccount:*:*", SubjectScope::Any),
        ("system:serviceaccount:?*:*", SubjectScope::Any),
        ("system:serviceaccount:*", SubjectScope::Any),
        ("system:serviceaccount*", SubjectScope::Any),
        ("system:*", SubjectScope::Any),
        ("*", SubjectScope::Any),
        ("*:*:*:*", SubjectScope::Any),
        ("*:apps:web", SubjectScope::AnyNamespace),
        ("repo:org/name:*", SubjectScope::Fixed),
    ] {
        assert_eq!(subject_scope("oidc.example.com", pattern), expected, "{pattern}");
    }
}

#[test]
fn scope_of_patterns_for_shared_issuers() {
    let github = "token.actions.githubusercontent.com";
    for (pattern, expected) in [
        ("repo:*", SubjectScope::Any),
        ("repo:*/*", SubjectScope::Any),
        ("repo:org*", SubjectScope::Any),
        ("repo:org*/app:*", SubjectScope::Any),
        ("repo:?rg/app:*", SubjectScope::Any),
        ("*:ref:refs/heads/main", SubjectScope::Any),
        ("*org/app*", SubjectScope::Any),
        ("repo:org/*", SubjectScope::Fixed),
        ("repo:org/app:*", SubjectScope::Fixed),
        ("repo:org@123/app@456:*", SubjectScope::Fixed),
        ("repo:org@123/*", SubjectScope::Fixed),
        ("repo:org@*/app@*:*", SubjectScope::Fixed),
        ("repo:*@123/*", SubjectScope::Any),
        ("repository_owner_id:123:*", SubjectScope::Fixed),
        ("repository_owner_id:12*", SubjectScope::Any),
        ("repo:org/app:ref:refs/heads/main", SubjectScope::Fixed),
    ] {
        assert_eq!(subject_scope(github, pattern), expected, "{pattern}");
    }
    assert_eq!(subject_scope("gitlab.com", "project_path:*:ref:main"), SubjectScope::Any);
    assert_eq!(subject_scope("gitlab.com", "project_path:group/*"), SubjectScope::Fixed);
    assert_eq!(subject_scope("app.terraform.io", "organization:*"), SubjectScope::Any);
    assert_eq!(subject_scope("app.terraform.io", "organization:acme:*"), SubjectScope::Fixed);
}
