use super::*;
use std::collections::BTreeMap;

fn no_environment() -> Context {
    Context::fixed(BTreeMap::new(), 0, 1)
}

async fn refused(text: &str, name: &str) -> String {
    let kubeconfig = Kubeconfig::from_yaml(text).unwrap();
    match of_context(&kubeconfig, name, &no_environment(), None).await {
        Ok(_) => panic!("{text}"),
        Err(failure) => failure.message,
    }
}

#[tokio::test]
async fn missing_or_malformed_entry_is_named() {
    let text = "{contexts: [{name: b, context: {cluster: c}}, {name: a, context: {cluster: c}}]}";
    assert_eq!(refused(text, "x").await, "the kubeconfig has no context `x`; it has `a`, `b`");
    assert_eq!(refused("{contexts: []}", "x").await, "the kubeconfig has no context `x`; it has none");
    assert_eq!(refused(text, "a").await, "context `a` names cluster `c`, which the kubeconfig lacks");
    let with = |cluster: &str, user: &str| {
        format!(
            "{{contexts: [{{name: a, context: {{cluster: c, user: u}}}}], clusters: [{{name: c, cluster: {cluster}}}], \
                 users: [{{name: u, user: {user}}}]}}"
        )
    };
    assert_eq!(refused(&with("{}", "{}"), "a").await, "the address of the API is not a URL");
    assert_eq!(refused(&with("{server: 'ftp://x'}", "{}"), "a").await, "the address of the API is not a URL");
    let authority = with("{server: 'https://x', certificate-authority-data: eA==}", "{}");
    assert_eq!(refused(&authority, "a").await, "the certificate authority of the kubeconfig is not PEM");
    let gone = with("{server: 'https://x', certificate-authority: /not/there}", "{}");
    assert!(refused(&gone, "a").await.starts_with("authority `/not/there` cannot be read"));
    let provider = with("{server: 'https://x'}", "{auth-provider: {name: gcp, config: {cmd-path: /bin/false}}}");
    assert!(refused(&provider, "a").await.starts_with("auth provider `gcp` is no longer supported"));
}

#[tokio::test]
async fn token_that_no_header_takes_is_refused() {
    let text = "{contexts: [{name: a, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: \
                    'https://x'}}], users: [{name: u, user: {token: \"a\\u0007b\"}}]}";
    assert_eq!(refused(text, "a").await, "the token has characters that are not allowed in a header");
}

#[tokio::test]
async fn token_takes_precedence_over_a_plugin() {
    let text = |token: &str| {
        format!(
            "{{contexts: [{{name: a, context: {{cluster: c, user: u}}}}], clusters: [{{name: c, cluster: {{server: \
                 'https://x'}}}}], users: [{{name: u, user: {{{token} exec: {{command: aws, provideClusterInfo: true}}}}}}]}}"
        )
    };
    let of = async |token: &str| {
        let kubeconfig = Kubeconfig::from_yaml(&text(token)).unwrap();
        of_context(&kubeconfig, "a", &no_environment(), None).await.ok().unwrap()
    };
    let fixed = of("token: t,").await;
    assert!(matches!(fixed.credentials, CredentialSource::Static) && fixed.config.auth_info.exec.is_none());
    let plugin = of("").await;
    assert!(plugin.config.auth_info.exec.is_none(), "kube must not run it");
    let CredentialSource::ExecPlugin(exec) = plugin.credentials else { panic!("a plugin") };
    assert_eq!(exec.cluster.and_then(|cluster| cluster.server).as_deref(), Some("https://x"));
    assert!(!plugin.config.default_retry);
}
