//! Exec plugins of a kubeconfig: how often they run, for how long, and that their output stays secret.

use super::kit::*;
use crate::model::live::Access;
use crate::world::kubernetes::{KubernetesReader, KubernetesSettings};
use crate::world::{CallErrorKind, ReadKubernetes};
use irsa_sandbox::kubernetes::Cluster;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A kubeconfig user whose plugin is this shell script. The first argument of the script is the folder.
async fn script(folder: &Path, mode: &str, text: &str) -> Value {
    let path = folder.join("plugin");
    tokio::fs::write(&path, text).await.unwrap();
    json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh", "args": [path, folder],
        "env": [{"name": "PLUGIN_SECRET", "value": "hunter2-env"}], "interactiveMode": mode,
    }})
}

async fn scene(folder: &Path, cluster: &Cluster, user: &Value, interactive: bool, speed: u32) -> KubernetesReader {
    let path = kubeconfig_in(folder, &[cluster], user).await;
    let clusters = BTreeMap::from([(key("prod"), declared(access(None, Some("prod"))))]);
    let settings = KubernetesSettings { interactive, ..SETTINGS };
    // only the user's own kubeconfig may have a plugin
    let environment = context(&[("KUBECONFIG", path.to_str().unwrap())], speed);
    KubernetesReader::new(
        &environment,
        &crate::world::Transports::default(),
        &key("me"),
        &clusters,
        tokens("unused"),
        settings,
    )
}

/// Verifies the cluster with a kubeconfig that the configuration names.
async fn verify_untrusted(folder: &Path, cluster: &Cluster, user: &Value) -> Access<()> {
    let path = kubeconfig_in(folder, &[cluster], user).await;
    let reader = reader_of(access(Some(path), Some("prod")), &context(&[], 1), tokens("unused"));
    reader.connect(&key("prod"), &facts(cluster)).await
}

#[tokio::test]
async fn untrusted_kubeconfig_runs_no_program() {
    let (cluster, folder) = (cluster("prod").await, tempfile::tempdir().unwrap());
    let user = script(folder.path(), "Never", TOKEN).await;
    match verify_untrusted(folder.path(), &cluster, &user).await {
        Access::Unknown(text) => {
            assert!(text.contains("wants to run an exec plugin") && text.contains("`KUBECONFIG`"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!folder.path().join("runs").exists(), "it was not run");
    let provider = json!({"auth-provider": {"name": "oidc", "config": {"idp-issuer-url": "https://idp.example.com"}}});
    let verdict = verify_untrusted(folder.path(), &cluster, &provider).await;
    assert!(matches!(&verdict, Access::Unknown(text) if text.contains("auth provider")), "{verdict:?}");
}

#[tokio::test]
async fn untrusted_kubeconfig_reads_only_files_of_its_folder() {
    let (cluster, folder, outside) =
        (cluster("prod").await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = outside.path().join("token");
    tokio::fs::write(&secret, "admin-token").await.unwrap();
    tokio::fs::symlink(&secret, folder.path().join("link")).await.unwrap();
    for (field, path) in [
        ("tokenFile", secret.to_str().unwrap()),
        ("tokenFile", "link"),
        ("client-certificate", secret.to_str().unwrap()),
        ("client-key", "link"),
    ] {
        match verify_untrusted(folder.path(), &cluster, &json!({field: path})).await {
            Access::Unknown(text) => {
                let wanted = format!("has a `{field}` outside its folder");
                assert!(text.contains(&wanted) && text.contains("`KUBECONFIG`"), "{field} {path}: {text}");
            }
            other => panic!("{field} {path}: {other:?}"),
        }
    }
    tokio::fs::write(folder.path().join("token"), "admin-token\n").await.unwrap();
    let user = json!({"tokenFile": "token"});
    assert_eq!(verify_untrusted(folder.path(), &cluster, &user).await, Access::Granted(()));
    let mut entry = cluster.kubeconfig_entry("admin-token");
    entry.cluster["cluster"] = json!({"server": cluster.endpoint(), "certificate-authority": secret});
    let path = folder.path().join("other");
    tokio::fs::write(&path, irsa_sandbox::kubernetes::kubeconfig(&[entry])).await.unwrap();
    let reader = reader_of(access(Some(path), Some("prod")), &context(&[], 1), tokens("unused"));
    let verdict = reader.connect(&key("prod"), &facts(&cluster)).await;
    assert!(matches!(&verdict, Access::Unknown(text) if text.contains("`certificate-authority`")), "{verdict:?}");
}

const TOKEN: &str = r#"
echo run >> "$1/runs"
printf '%s' "$KUBERNETES_EXEC_INFO" > "$1/info"
test "$PLUGIN_SECRET" = hunter2-env || exit 1
echo '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "admin-token"}}'
"#;

async fn runs(folder: &Path) -> usize {
    tokio::fs::read_to_string(folder.join("runs")).await.unwrap().lines().count()
}

#[tokio::test]
async fn plugin_runs_once() {
    let (cluster, folder) = (cluster("prod").await, tempfile::tempdir().unwrap());
    let user = script(folder.path(), "IfAvailable", TOKEN).await;
    let reader = scene(folder.path(), &cluster, &user, false, 1).await;
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    reader.namespaces(&key("prod")).await.unwrap();
    reader.namespaces(&key("prod")).await.unwrap();
    assert_eq!(runs(folder.path()).await, 1);
    let info: Value = serde_json::from_slice(&tokio::fs::read(folder.path().join("info")).await.unwrap()).unwrap();
    assert_eq!(info["spec"], json!({"interactive": false}));
    assert_eq!(info["apiVersion"], json!("client.authentication.k8s.io/v1"));
}

#[tokio::test]
async fn plugin_runs_again_when_its_token_is_refused() {
    let (cluster, folder) = (cluster("prod").await, tempfile::tempdir().unwrap());
    let user = script(folder.path(), "Never", TOKEN).await;
    let reader = scene(folder.path(), &cluster, &user, false, 1).await;
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    cluster.revoke_token("admin-token");
    assert_eq!(reader.namespaces(&key("prod")).await.unwrap_err().kind, CallErrorKind::Credentials);
    assert_eq!(runs(folder.path()).await, 2);
}

#[tokio::test]
async fn plugin_gets_cluster_info_if_the_kubeconfig_says_so() {
    let (cluster, folder) = (cluster("prod").await, tempfile::tempdir().unwrap());
    let mut user = script(folder.path(), "Never", TOKEN).await;
    user["exec"]["provideClusterInfo"] = json!(true);
    let reader = scene(folder.path(), &cluster, &user, true, 1).await;
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    let info: Value = serde_json::from_slice(&tokio::fs::read(folder.path().join("info")).await.unwrap()).unwrap();
    assert_eq!(info["spec"]["cluster"]["server"], json!(cluster.endpoint()));
    assert_eq!(info["spec"]["interactive"], json!(false), "`Never` is never");
}

async fn refused(mode: &str, text: &str, speed: u32) -> String {
    let (cluster, folder) = (cluster("prod").await, tempfile::tempdir().unwrap());
    let user = script(folder.path(), mode, text).await;
    let reader = scene(folder.path(), &cluster, &user, false, speed).await;
    let verdict = reader.connect(&key("prod"), &facts(&cluster)).await;
    assert_eq!(reader.requests(), 0);
    match verdict {
        Access::Unknown(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn output_of_a_failed_plugin_is_not_repeated() {
    let text = refused("Never", "echo hunter2-out; echo hunter2-err >&2; exit 7", 1).await;
    assert_eq!(text, "exec plugin `sh` failed (exit status: 7); run it by hand to see what it says");
    for output in ["echo hunter2-out", "echo '{\"status\": {\"token\": [\"hunter2-out\"]}}'", "true"] {
        assert_eq!(refused("Never", output, 1).await, "exec plugin `sh` printed no credentials", "{output}");
    }
    // a token that no header takes
    let line = r#"printf '%s' '{"status": {"token": "hunter2\nout"}}'"#;
    assert_eq!(refused("Never", line, 1).await, "the token has characters that are not allowed in a header");
}

#[tokio::test]
async fn unusable_certificate_of_a_plugin_is_not_repeated() {
    let output =
        r#"printf '%s' '{"status": {"clientCertificateData": "hunter2-out", "clientKeyData": "hunter2-key"}}'"#;
    let text = refused("Never", output, 1).await;
    assert_eq!(text, "its authority, client certificate or key cannot be used");
}

#[tokio::test]
async fn plugin_that_needs_a_terminal_is_refused_without_one() {
    let text = refused("Always", TOKEN, 1).await;
    assert_eq!(text, "exec plugin `sh` needs to ask the user, and there is no terminal");
    let text = refused("IfAvailable", "read -r answer || exit 3", 1).await;
    assert!(text.contains("exit status: 3"), "standard input is empty: {text}");
}

#[tokio::test]
async fn plugin_that_hangs_is_killed() {
    let (cluster, folder) = (cluster("prod").await, tempfile::tempdir().unwrap());
    let user = script(folder.path(), "Never", "echo $$ > \"$1/pid\"; exec sleep 1000").await;
    let reader = scene(folder.path(), &cluster, &user, false, 50).await;
    let verdict = reader.connect(&key("prod"), &facts(&cluster)).await;
    assert_eq!(verdict, Access::Unknown("exec plugin `sh` did not end in time".into()));
    let pid = tokio::fs::read_to_string(folder.path().join("pid")).await.unwrap();
    let stat = Path::new("/proc").join(pid.trim()).join("stat");
    // the process may remain as a zombie
    let killed = async || match tokio::fs::read_to_string(&stat).await {
        Ok(text) => text.contains(") Z ") || text.contains(") X "),
        Err(_) => true,
    };
    while !killed().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn missing_plugin_is_named() {
    let (cluster, folder) = (cluster("prod").await, tempfile::tempdir().unwrap());
    let user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/not/there/aws"}});
    let reader = scene(folder.path(), &cluster, &user, false, 1).await;
    let verdict = reader.connect(&key("prod"), &facts(&cluster)).await;
    assert_eq!(verdict, Access::Unknown("exec plugin `aws` is not there".into()));
    let user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1"}});
    let reader = scene(folder.path(), &cluster, &user, false, 1).await;
    let verdict = reader.connect(&key("prod"), &facts(&cluster)).await;
    assert_eq!(verdict, Access::Unknown("the kubeconfig's exec plugin names no command".into()));
}

#[tokio::test]
async fn token_file_is_read_without_white_space_and_named_when_missing() {
    let (cluster, folder) = (cluster("prod").await, tempfile::tempdir().unwrap());
    tokio::fs::write(folder.path().join("token"), "admin-token\n").await.unwrap();
    let reader = scene(folder.path(), &cluster, &json!({"tokenFile": "token"}), false, 1).await;
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    reader.namespaces(&key("prod")).await.unwrap();
    let reader = scene(folder.path(), &cluster, &json!({"tokenFile": "gone"}), false, 1).await;
    let verdict = reader.connect(&key("prod"), &facts(&cluster)).await;
    let Access::Unknown(why) = verdict else { panic!("{verdict:?}") };
    assert!(why.starts_with("tokenFile `") && why.contains("/gone` cannot be read: "), "{why}");
}
