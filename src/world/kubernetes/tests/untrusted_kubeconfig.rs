//! Kubeconfigs that the configuration names, in a folder whose content a pull request controls.

use super::kit::*;
use crate::context::Context;
use crate::model::desired::{KubernetesAccess, NamedKubeconfig};
use crate::model::live::Access;
use crate::world::ReadKubernetes;
use crate::world::kubernetes::KubernetesReader;
use irsa_sandbox::kubernetes::{Cluster, User};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A token that is only in files that the kubeconfig must not use. The cluster accepts it as user `canary`.
const SECRET: &str = "secret-token";

/// Folder `home` has secrets; `repo/sub` is the folder of the configuration, and `repo/sub/k` that of kubeconfigs.
struct Scene {
    all: tempfile::TempDir,
    cluster: Cluster,
}

impl Scene {
    async fn new() -> Self {
        let scene = Self { all: tempfile::tempdir().unwrap(), cluster: cluster("prod").await };
        scene.cluster.set_token(SECRET, User::admin("canary"));
        let authority = scene.authority();
        for (file, text) in [
            ("home/.token", SECRET),
            ("home/token", SECRET),
            ("home/ca.pem", &authority),
            ("repo/token", SECRET),
            ("repo/sub/token", SECRET),
            ("repo/sub/.env", SECRET),
            ("repo/sub/k/.token", SECRET),
            ("repo/sub/k/.git/token", SECRET),
            ("repo/sub/k/own/token", "admin-token\n"),
            ("repo/sub/k/empty", " \n"),
            ("repo/sub/k/ca.pem", &authority),
        ] {
            let path = scene.path(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
            std::fs::write(path, text).unwrap();
        }
        for (target, link) in [
            ("../../../home/token", "repo/sub/k/out"),
            ("../../../home", "repo/sub/k/outer"),
            ("../token", "repo/sub/k/up"),
            ("own/token", "repo/sub/k/in"),
            (".git", "repo/sub/k/git"),
            ("gone", "repo/sub/k/broken"),
            ("k", "repo/sub/linked"),
            ("../../home", "repo/sub/home"),
        ] {
            symlink(target, scene.path(link)).unwrap();
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.all.path().join(name)
    }

    /// The certificate authority in PEM.
    fn authority(&self) -> String {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.decode(self.cluster.certificate_authority_data()).unwrap();
        String::from_utf8(data).unwrap()
    }

    /// Writes a kubeconfig with this user and a changed cluster.
    fn write(&self, file: &str, user: &Value, change: impl FnOnce(&mut Value)) {
        let mut entry = self.cluster.kubeconfig_entry("unused");
        entry.user = json!({"name": "prod", "user": user});
        change(&mut entry.cluster["cluster"]);
        #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
        std::fs::write(self.path(file), irsa_sandbox::kubernetes::kubeconfig(&[entry])).unwrap();
    }

    /// Verifies the cluster with a kubeconfig in the configuration's folder.
    async fn verdict_in(&self, name: &str, environment: &Context) -> Access<()> {
        let (path, folder) = (self.path("repo/sub").join(name), self.path("repo/sub").canonicalize().unwrap());
        let access = KubernetesAccess {
            kubeconfig: Some(NamedKubeconfig { path, folder }),
            context: Some("prod".to_owned()),
            unverified: false,
        };
        let reader: KubernetesReader = reader_of(access, environment, tokens("unused"));
        let verdict = reader.connect(&key("prod"), &facts(&self.cluster)).await;
        if verdict == Access::Granted(()) {
            reader.namespaces(&key("prod")).await.unwrap();
        }
        verdict
    }

    async fn verdict(&self, name: &str) -> Access<()> {
        self.verdict_in(name, &context(&[], 1)).await
    }

    #[track_caller]
    fn assert_no_theft(&self, what: &str) {
        let log = self.cluster.gate().log();
        assert!(log.iter().all(|record| record.call.user != "canary"), "{what}: {log:?}");
    }
}

/// The reason for which a kubeconfig was refused.
#[track_caller]
fn refused(what: &str, verdict: Access<()>) -> String {
    match verdict {
        Access::Unknown(text) => {
            assert!(!text.contains(SECRET), "{text}");
            text
        }
        other => panic!("{what}: {other:?}"),
    }
}

const OUTSIDE: &str = "outside its folder, which irsa does not allow in a kubeconfig that the configuration names";

#[tokio::test]
async fn files_outside_the_folder_of_the_kubeconfig_are_refused() {
    let scene = Scene::new().await;
    let home = scene.path("home/token").display().to_string();
    for (path, why) in [
        ("../../../home/.token", OUTSIDE),
        ("../../../home/token", OUTSIDE),
        ("../../../home/gone", OUTSIDE),
        (home.as_str(), OUTSIDE),
        ("/no/such/file", OUTSIDE),
        ("/proc/self/environ", OUTSIDE),
        ("../token", OUTSIDE),
        ("../../token", OUTSIDE),
        ("own/../../token", OUTSIDE),
        ("out", OUTSIDE),
        ("outer/token", OUTSIDE),
        ("up", OUTSIDE),
        (".token", "begin with a dot"),
        ("git/token", "begin with a dot"),
        (".git/token", "begin with a dot"),
        ("../.env", OUTSIDE),
        ("gone", "`gone`, is not there"),
        ("broken", "`broken`, is not there"),
        ("own", "`own`, cannot be read: it is not a file"),
    ] {
        for field in ["tokenFile", "client-key", "client-certificate"] {
            scene.write("repo/sub/k/kc.yaml", &json!({field: path}), |_| {});
            for name in ["k/kc.yaml", "linked/kc.yaml", "./k/../k/kc.yaml"] {
                let text = refused(path, scene.verdict(name).await);
                assert!(text.contains(why) && text.contains(&format!("`{field}`")), "{name} {field} {path}: {text}");
            }
        }
        scene.write("repo/sub/k/kc.yaml", &json!({"token": "admin-token"}), |cluster| {
            cluster["certificate-authority"] = json!(path);
        });
        let text = refused(path, scene.verdict("k/kc.yaml").await);
        assert!(text.contains(why) && text.contains("`certificate-authority`"), "{path}: {text}");
    }
    scene.assert_no_theft("files");
    assert!(scene.cluster.gate().log().is_empty(), "no request was sent");
}

#[tokio::test]
async fn files_in_the_folder_of_the_kubeconfig_are_used() {
    let scene = Scene::new().await;
    let absolute = scene.path("repo/sub/k/own/token").canonicalize().unwrap();
    for path in ["own/token", "in", "./own/../own/token", absolute.to_str().unwrap()] {
        scene.write("repo/sub/k/kc.yaml", &json!({"tokenFile": path}), |cluster| {
            *cluster = json!({"server": scene.cluster.endpoint(), "certificate-authority": "ca.pem"});
        });
        assert_eq!(scene.verdict("k/kc.yaml").await, Access::Granted(()), "{path}");
        assert_eq!(scene.verdict("linked/kc.yaml").await, Access::Granted(()), "{path}");
    }
    // an empty tokenFile counts as not set, so the plugin would be used
    let user =
        json!({"tokenFile": "", "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/true"}});
    scene.write("repo/sub/k/kc.yaml", &user, |_| {});
    assert!(refused("plugin", scene.verdict("k/kc.yaml").await).contains("wants to run an exec plugin"));
    scene.write("repo/sub/k/kc.yaml", &json!({"tokenFile": "empty"}), |_| {});
    assert_eq!(refused("empty", scene.verdict("k/kc.yaml").await), "the token file contains no token");
}

#[tokio::test]
async fn kubeconfig_outside_the_folder_of_the_configuration_is_refused() {
    let scene = Scene::new().await;
    let stolen = json!({"token": SECRET});
    for file in ["home/kc.yaml", "repo/kc.yaml", "repo/sub/.kube.yaml", "repo/sub/k/.git/kc.yaml", "repo/sub/k/kc.yaml"]
    {
        scene.write(file, &stolen, |_| {});
    }
    symlink("../../home/kc.yaml", scene.path("repo/sub/out.yaml")).unwrap();
    symlink(".kube.yaml", scene.path("repo/sub/seen.yaml")).unwrap();
    for (name, why) in [
        ("out.yaml", "it leads out of the configuration's folder"),
        ("home/kc.yaml", "it leads out of the configuration's folder"),
        ("../kc.yaml", "it leads out of the configuration's folder"),
        (".kube.yaml", "begin with a dot"),
        ("seen.yaml", "begin with a dot"),
        ("k/git/kc.yaml", "begin with a dot"),
        ("gone.yaml", "is not there"),
        ("gone/kc.yaml", "is not there"),
        ("k", "it is not a file"),
    ] {
        let text = refused(name, scene.verdict(name).await);
        assert!(text.contains(why) && text.contains(name), "{name}: {text}");
    }
    scene.assert_no_theft("kubeconfigs");
    // a file in `KUBECONFIG` is untrusted too if the configuration names it
    scene.write("repo/sub/k/kc.yaml", &json!({"tokenFile": "../token"}), |_| {});
    let own = scene.path("repo/sub/k/kc.yaml").canonicalize().unwrap();
    let environment = context(&[("KUBECONFIG", own.to_str().unwrap())], 1);
    assert!(refused("both", scene.verdict_in("k/kc.yaml", &environment).await).contains(OUTSIDE));
    scene.assert_no_theft("the user's own");
    let reader = reader_of(access(None, Some("prod")), &environment, tokens("unused"));
    assert_eq!(reader.connect(&key("prod"), &facts(&scene.cluster)).await, Access::Granted(()), "the user's own may");
}

/// Attacks on YAML parsers.
#[tokio::test]
async fn huge_and_deeply_nested_kubeconfigs_are_refused() {
    let scene = Scene::new().await;
    let line = |level: usize| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    let laughs = (1..40).map(line).collect::<Vec<_>>().concat();
    let many = |piece: &str| piece.repeat(200_000);
    for text in [
        format!("a0: &a0 [x, x]\n{laughs}"),
        many("["),
        many("{a: "),
        many("- "),
        many("--- a\n"),
        format!("contexts: {}", many("&a *a ")),
        many("a: *a\n"),
        " ".repeat(2 << 20),
        "contexts: [{name: prod, context: {cluster: x, user: 4711\n".to_owned(),
    ] {
        write(&scene.path("repo/sub/k/kc.yaml"), &text);
        let told = refused("yaml", scene.verdict("linked/kc.yaml").await);
        assert!(told.contains("linked/kc.yaml"), "{told}");
        assert!(told.len() < 500 && !told.contains("4711"), "{told}");
    }
}

fn write(path: &Path, text: &str) {
    #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
    std::fs::write(path, text).unwrap();
}
