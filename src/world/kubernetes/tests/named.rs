//! A kubeconfig that the configuration names, in a folder that a pull request has written, beside files of the machine.

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

/// What only the machine's own files hold, and the cluster takes for a user called `canary`.
const SECRET: &str = "secret-token";

/// `home` with secrets, `repo` with the configuration in `sub` and kubeconfigs in `sub/k`.
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

    /// The certificate authority as a file has it.
    fn authority(&self) -> String {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.decode(self.cluster.certificate_authority_data()).unwrap();
        String::from_utf8(data).unwrap()
    }

    /// Writes a kubeconfig with this user, its cluster changed.
    fn write(&self, file: &str, user: &Value, change: impl FnOnce(&mut Value)) {
        let mut entry = self.cluster.kubeconfig_entry("unused");
        entry.user = json!({"name": "prod", "user": user});
        change(&mut entry.cluster["cluster"]);
        #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
        std::fs::write(self.path(file), irsa_sandbox::kubernetes::kubeconfig(&[entry])).unwrap();
    }

    /// The verdict on the cluster with the kubeconfig of this name in the configuration's folder; what is the user's own
    /// is in `environment`.
    async fn verdict_in(&self, name: &str, environment: &Context) -> Access<()> {
        let (path, folder) = (self.path("repo/sub").join(name), self.path("repo/sub").canonicalize().unwrap());
        let access = KubernetesAccess {
            kubeconfig: Some(NamedKubeconfig { path, folder }),
            context: Some("prod".to_owned()),
            unverified: false,
        };
        let reader: KubernetesReader = reader_of(access, environment, tokens("unused"));
        let verdict = reader.verify(&key("prod"), &facts(&self.cluster)).await;
        if verdict == Access::Granted(()) {
            reader.namespaces(&key("prod")).await.unwrap();
        }
        verdict
    }

    async fn verdict(&self, name: &str) -> Access<()> {
        self.verdict_in(name, &context(&[], 1)).await
    }

    #[track_caller]
    fn nothing_was_stolen(&self, what: &str) {
        let log = self.cluster.gate().log();
        assert!(log.iter().all(|record| record.call.user != "canary"), "{what}: {log:?}");
    }
}

/// What is said of a kubeconfig that is refused.
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

const OUTSIDE: &str = "outside its folder, which is not done for a kubeconfig that the configuration names";

#[tokio::test]
async fn what_it_names_lies_in_its_own_folder() {
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
    scene.nothing_was_stolen("files");
    assert!(scene.cluster.gate().log().is_empty(), "nothing was asked of anybody");
}

#[tokio::test]
async fn what_lies_there_is_used() {
    let scene = Scene::new().await;
    let absolute = scene.path("repo/sub/k/own/token").canonicalize().unwrap();
    for path in ["own/token", "in", "./own/../own/token", absolute.to_str().unwrap()] {
        scene.write("repo/sub/k/kc.yaml", &json!({"tokenFile": path}), |cluster| {
            *cluster = json!({"server": scene.cluster.endpoint(), "certificate-authority": "ca.pem"});
        });
        assert_eq!(scene.verdict("k/kc.yaml").await, Access::Granted(()), "{path}");
        assert_eq!(scene.verdict("linked/kc.yaml").await, Access::Granted(()), "{path}");
    }
    // an empty name is none, as kubectl has it, and so there is no token in front of a plugin
    let user =
        json!({"tokenFile": "", "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/true"}});
    scene.write("repo/sub/k/kc.yaml", &user, |_| {});
    assert!(refused("plugin", scene.verdict("k/kc.yaml").await).contains("wants to run an exec plugin"));
    scene.write("repo/sub/k/kc.yaml", &json!({"tokenFile": "empty"}), |_| {});
    assert_eq!(refused("empty", scene.verdict("k/kc.yaml").await), "the token's file has no token in it");
}

#[tokio::test]
async fn it_lies_in_the_configurations_folder_itself() {
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
    scene.nothing_was_stolen("kubeconfigs");
    // that the user names a file does not make it the configuration's to name
    scene.write("repo/sub/k/kc.yaml", &json!({"tokenFile": "../token"}), |_| {});
    let own = scene.path("repo/sub/k/kc.yaml").canonicalize().unwrap();
    let environment = context(&[("KUBECONFIG", own.to_str().unwrap())], 1);
    assert!(refused("both", scene.verdict_in("k/kc.yaml", &environment).await).contains(OUTSIDE));
    scene.nothing_was_stolen("the user's own");
    let reader = reader_of(access(None, Some("prod")), &environment, tokens("unused"));
    assert_eq!(reader.verify(&key("prod"), &facts(&scene.cluster)).await, Access::Granted(()), "the user's own may");
}

/// Whatever YAML can do to whoever reads it.
#[tokio::test]
async fn one_of_any_size_and_depth_is_refused() {
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
