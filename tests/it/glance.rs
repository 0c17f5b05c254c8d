//! The plan of the real binary is short, and shows what a person needs to decide.

use crate::support::program::Bench;
use crate::support::world::World;

const CONFIGURATION: &str = include_str!("../../examples/sandbox/irsa.toml");
const POLICY: &str = include_str!("../../examples/sandbox/policies/read-catalogue.json");

fn demo() -> (World, Bench) {
    let world = World::demo();
    // a ServiceAccount of somebody else: irsa adds its annotation
    let of_helm = [("meta.helm.sh/release-name", "reporting")];
    let seeded =
        world.cluster("data-eu").with(|store| store.seed_service_account("reporting", "worker", &of_helm, "helm"));
    seeded.expect("its namespace is there");
    let bench = Bench::with(world.environment(), CONFIGURATION);
    bench.write("policies/read-catalogue.json", POLICY);
    (world, bench)
}

/// The lines that the command prints on stdout.
fn printed(bench: &Bench, arguments: &[&str]) -> Vec<String> {
    bench.ends(0, arguments).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn first_plan_of_the_demo_fits_on_a_screen() {
    let (world, bench) = demo();
    let lines = printed(&bench, &["plan"]);
    let text = lines.join("\n");
    assert!(lines.len() <= 45, "{} lines:\n{text}", lines.len());
    for told in [
        "+ oidc-provider/main/shop-eu",
        "access     shop-eu shop/cart",
        "policies   read-catalogue",
        "policies   aws:AmazonS3ReadOnlyAccess",
        "+ role/payments (low IRSA041)  irsa.toml:41",
        "session    2h",
        "orders: Allow sqs:SendMessage on arn:aws:sqs:eu-west-1:111122223333:orders",
        "+ service-account/shop-us/shop/cart -> role/cart-us",
        "Plan: 14 to create, 1 to update, 0 to delete.",
    ] {
        assert!(text.contains(told), "`{told}` is not in:\n{text}");
    }
    let issuer = world.issuer("shop-eu");
    let id = issuer.rsplit('/').next().expect("an id");
    assert!(!text.contains(id) && !text.contains("irsa/owner"), "{text}");

    let full = printed(&bench, &["plan", "-v"]).join("\n");
    assert!(full.contains(id) && full.contains("irsa/owner"), "{full}");
}

#[test]
fn update_of_one_statement_takes_six_lines() {
    let (_world, bench) = demo();
    bench.ends(0, &["apply", "--auto-approve"]);
    bench.write(
        "irsa.toml",
        &CONFIGURATION.replace("\"sqs:SendMessage\"", "\"sqs:SendMessage\", \"sqs:ReceiveMessage\""),
    );
    let lines = printed(&bench, &["plan"]);
    assert!(lines.len() <= 6, "{}", lines.join("\n"));
    assert!(lines.iter().any(|line| line.trim() == "+ Action sqs:ReceiveMessage"), "{}", lines.join("\n"));
}

#[test]
fn deleted_role_shows_which_service_account_loses_it() {
    let (_world, bench) = demo();
    bench.ends(0, &["apply", "--auto-approve"]);
    let left = CONFIGURATION.split("# The archive:").next().expect("the part before");
    bench.write("irsa.toml", left);
    let text = printed(&bench, &["plan"]).join("\n");
    assert!(
        text.contains("- orphan/main/role/archive\n") && text.contains("access     data-eu reporting/archive"),
        "{text}"
    );
}
