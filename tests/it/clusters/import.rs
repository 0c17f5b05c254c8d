//! `irsa import` from an API server as EKS would run it, with ServiceAccounts of Helm, of kubectl and of others.

use super::verify::Eks;
use super::{ROLE_ARN, managers};
use crate::support::clusters::on_every_backend;
use crate::support::program::{changes, only_marks};
use serde_json::json;

const ROLE: &str = "arn:aws:iam::111122223333:role/cart";

#[test]
fn live_service_accounts_are_declared_and_taken_over_with_irsas_marks_only() {
    on_every_backend("import", &["alpha"], |runtime, clusters| {
        let (eks, cluster) = (Eks::new(runtime, clusters), &clusters[0]);
        let (scene, issuer) = (&eks.scene, cluster.issuer());
        let host = issuer.trim_start_matches("https://");
        let subjects = ["system:serviceaccount:shop:cart", "system:serviceaccount:shop:till"];
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{host}")},
            "Condition": {"StringEquals": {format!("{host}:sub"): subjects, format!("{host}:aud"): "sts.amazonaws.com"}},
        }]});
        let someone = scene.world.someone();
        someone.create_provider(issuer, &["sts.amazonaws.com"]);
        someone.create_role("cart", &trust, &[]);
        cluster.create_namespace(runtime, "shop");
        let of_helm = json!({
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {ROLE_ARN: ROLE, "meta.helm.sh/release-name": "shop"},
        });
        cluster.apply(runtime, "helm", "shop", "cart", &of_helm);
        cluster.create(runtime, "shop", "till");
        cluster.annotate(runtime, "shop", "till", ROLE_ARN, ROLE);
        // it names a role that nobody has
        cluster.create(runtime, "shop", "odd");
        cluster.annotate(runtime, "shop", "odd", ROLE_ARN, "arn:aws:iam::111122223333:role/gone");

        let before = ["cart", "till", "odd"].map(|name| cluster.get(runtime, "shop", name));
        scene.bench.write("irsa.toml", &scene.head);
        let run = scene.bench.ends(0, &["import", "-c", "irsa.toml", "-o", "live"]);
        run.says(
            "ServiceAccount `shop/odd` in cluster `alpha`: there is no role `arn:aws:iam::111122223333:role/gone`",
        );
        assert_eq!(
            before,
            ["cart", "till", "odd"].map(|name| cluster.get(runtime, "shop", name)),
            "a read writes nothing"
        );

        let include = "include = [\"live/imported.toml\", \"live/roles/*.toml\"]\n";
        scene.bench.write("irsa.toml", &format!("{include}{}", scene.head));
        scene.bench.ends(0, &["validate"]);
        let plan = scene.bench.plan(&["--adopt"]);
        let expected =
            ["adopt role/cart", "update service-account/alpha/shop/cart", "update service-account/alpha/shop/till"];
        assert_eq!(changes(&plan), expected, "{plan:#}");
        only_marks(&plan);
        scene.bench.ends(0, &["apply", "--adopt", "--auto-approve"]);
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
        let object = cluster.get(runtime, "shop", "cart").expect("it is there");
        assert_eq!(object["metadata"]["annotations"][ROLE_ARN], ROLE);
        assert_eq!(object["metadata"]["annotations"]["meta.helm.sh/release-name"], "shop");
        assert!(managers(&object).contains(&"helm".to_owned()), "{object:#}");
    });
}
