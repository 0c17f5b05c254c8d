//! The demo: declares roles, creates them, changes them by hand, finds and repairs that drift, and deletes a role.

use crate::run_irsa::{Runner, heading, say};
use irsa_sandbox::aws::Refusal;
use irsa_sandbox::kubernetes::Resource;
use irsa_sandbox::{Sandbox, SandboxOptions};
use std::io;

const CONFIGURATION: &str = include_str!("irsa.toml");
const POLICY: &str = include_str!("policies/read-catalogue.json");

/// The account of the access key `test`, which `irsa.toml` calls `main`.
const MAIN: &str = "111122223333";

/// The line in `irsa.toml` after which the demo removes everything at the end.
const LEAVING: &str = "# The archive:";

/// The objects that somebody changes by hand.
const BROKEN: [&str; 4] =
    ["role/cart", "role/reports", "service-account/shop-eu/shop/cart", "oidc-provider/main/shop-eu"];

/// Runs the demo.
pub(crate) async fn play() -> io::Result<()> {
    let sandbox = Sandbox::start(SandboxOptions::demo()).await?;
    // Somebody else created this ServiceAccount: irsa only adds its annotation.
    let of_helm = [("meta.helm.sh/release-name", "reporting")];
    let seeded =
        sandbox.cluster("data-eu").with(|store| store.seed_service_account("reporting", "worker", &of_helm, "helm"));
    seeded.map_err(|refusal| io::Error::other(refusal.message))?;
    // The servers continue in the background while the demo waits for each run.
    tokio::task::spawn_blocking(move || live(&sandbox)).await?
}

fn live(sandbox: &Sandbox) -> io::Result<()> {
    let runner = Runner::new(sandbox.environment())?;
    say("A sandbox runs: two AWS accounts and three Kubernetes clusters, all on this machine.\n")?;
    declare(&runner)?;
    drift(sandbox, &runner)?;
    leave(sandbox, &runner)?;
    heading("What to try next")?;
    say("The same sandbox, to play with:\n\n\
         \u{20} cargo run -p sandbox -- serve\n\n\
         Give a shell the lines that it prints; then irsa, aws, kubectl and boto3 all talk to it. `irsa init` writes\n\
         a configuration to start from, `irsa plan --format json` is for programs, and `irsa drift` is for cron.\n")
}

fn declare(runner: &Runner) -> io::Result<()> {
    heading("The file: irsa.toml")?;
    runner.write("irsa.toml", CONFIGURATION)?;
    runner.write("policies/read-catalogue.json", POLICY)?;
    say(CONFIGURATION)?;
    heading("Is it in order? Nothing is read but files")?;
    runner.irsa(&["validate", "-c", "irsa.toml"], 0)?;
    heading("What would be done")?;
    runner.irsa(&["plan", "-c", "irsa.toml"], 0)?;
    heading("Do it")?;
    runner.irsa(&["apply", "-c", "irsa.toml", "--auto-approve"], 0)?;
    heading("Once more: there is nothing left to do")?;
    let plan = runner.irsa(&["plan", "-c", "irsa.toml"], 0)?;
    must(plan.contains("No changes."), "the second plan is not empty")
}

fn drift(sandbox: &Sandbox, runner: &Runner) -> io::Result<()> {
    heading("Someone breaks four things, past irsa")?;
    break_four(sandbox)?;
    heading("Found")?;
    let found = runner.irsa(&["drift", "-c", "irsa.toml", "--confirm-after", "0s"], 2)?;
    for address in BROKEN {
        must(found.contains(address), &format!("drift does not name `{address}`"))?;
    }
    heading("Repaired")?;
    runner.irsa(&["apply", "-c", "irsa.toml", "--auto-approve"], 0)?;
    heading("Clean, and quiet about it")?;
    runner.irsa(&["drift", "-c", "irsa.toml", "--confirm-after", "0s"], 0)?;
    Ok(())
}

fn leave(sandbox: &Sandbox, runner: &Runner) -> io::Result<()> {
    heading("A role leaves the file")?;
    let begin = CONFIGURATION.find(LEAVING).ok_or_else(|| io::Error::other("the demo's file lacks its archive"))?;
    let (rest, leaving) = CONFIGURATION.split_at(begin);
    for line in leaving.lines() {
        say(&format!("- {line}\n"))?;
    }
    runner.write("irsa.toml", rest)?;
    say("\n")?;
    runner.irsa(&["apply", "-c", "irsa.toml", "--auto-approve"], 0)?;
    must(sandbox.iam(MAIN, |iam| iam.role_trust("archive")).is_none(), "the role `archive` is still there")
}

fn break_four(sandbox: &Sandbox) -> io::Result<()> {
    let call = |action: &str, fields: &[(&str, &str)]| {
        let failed = |Refusal { code, message, .. }| io::Error::other(format!("{action}: {code}: {message}"));
        sandbox.iam_call(MAIN, action, fields).map(drop).map_err(failed)
    };
    say("1. the trust policy of `cart` lets the whole account in\n")?;
    let open = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{MAIN}"}},"Action":"sts:AssumeRole"}}]}}"#
    );
    call("UpdateAssumeRolePolicy", &[("RoleName", "cart"), ("PolicyDocument", &open)])?;

    say("2. AdministratorAccess is attached to `reports`\n")?;
    let administrator = ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess");
    call("AttachRolePolicy", &[("RoleName", "reports"), administrator])?;

    say("3. the annotation of shop/cart in shop-eu is wiped, as `kubectl replace` would\n")?;
    let cluster = sandbox.cluster("shop-eu");
    let wiped = cluster.with(|store| {
        store.edit(Resource::ServiceAccounts, "shop", "cart", "kubectl-replace", |account| {
            if let Some(annotations) = account["metadata"]["annotations"].as_object_mut() {
                annotations.remove("eks.amazonaws.com/role-arn");
            }
        })
    });
    wiped.map_err(|refusal| io::Error::other(refusal.message))?;

    say("4. shop-eu's OpenID Connect provider no longer accepts sts.amazonaws.com\n")?;
    let issuer = cluster.issuer().trim_start_matches("https://").to_owned();
    let provider = format!("arn:aws:iam::{MAIN}:oidc-provider/{issuer}");
    let audience = ("ClientID", "sts.amazonaws.com");
    call("RemoveClientIDFromOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &provider), audience])
}

fn must(right: bool, otherwise: &str) -> io::Result<()> {
    if right { Ok(()) } else { Err(io::Error::other(otherwise)) }
}
