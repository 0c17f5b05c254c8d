//! How long reading takes if AWS accepts only so many requests a second. The clock stands still.

use crate::support::inside::{self, Ended, Inside};
use crate::support::many;
use crate::support::program::tell;
use crate::support::world::FIRST;
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::{Bucket, Stage};
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use std::fmt::Write;
use std::time::Duration;

const PLAN: [&str; 2] = ["plan", "--detailed-exitcode"];
/// The latency of each request to AWS.
const WAY: Duration = Duration::from_millis(20);

/// This many accounts, clusters in each account and roles in each cluster.
struct Size {
    accounts: usize,
    clusters: usize,
    roles: usize,
}

impl Size {
    fn account(number: usize) -> String {
        if number == 0 { FIRST.to_owned() } else { format!("{:012}", 200_000_000_000 + number) }
    }

    fn clusters(&self) -> impl Iterator<Item = (usize, String)> {
        let clusters = self.clusters;
        (0..self.accounts).flat_map(move |account| (0..clusters).map(move |n| (account, format!("c{account}-{n}"))))
    }

    async fn applied(&self) -> Inside {
        let clusters = self.clusters().map(|(account, name)| {
            ClusterSpec::new(&name, &Self::account(account), "eu-west-1").with_namespaces(&["apps"])
        });
        let options = SandboxOptions {
            accounts: (0..self.accounts).map(Self::account).collect(),
            clusters: clusters.collect(),
            access_roles: true,
            ..SandboxOptions::empty()
        };
        let inside = Inside::start(options).await;
        let mut text = "owner = \"paced\"\n".to_owned();
        for number in 0..self.accounts {
            let id = Self::account(number);
            write!(text, "[accounts.a{number}]\nid = \"{id}\"\n").expect("a string");
            if number > 0 {
                let role = format!("arn:aws:iam::{id}:role/OrganizationAccountAccessRole");
                writeln!(text, "assume-role = \"{role}\"").expect("a string");
            }
        }
        for (account, name) in self.clusters() {
            write!(text, "[clusters.{name}]\naccount = \"a{account}\"\nregion = \"eu-west-1\"\n").expect("a string");
            text += &many::roles(0..self.roles, &format!("a{account}"), &name);
        }
        inside.write("irsa.toml", &text);
        let ended = inside.irsa(1, "irsa.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        inside.sandbox.gate().latency(WAY);
        for (_, name) in self.clusters() {
            inside.sandbox.cluster(&name).gate().latency(WAY);
        }
        inside
    }
}

/// Plans. Nothing is left to change, so irsa has read everything.
async fn read(inside: &Inside) -> Ended {
    inside.sandbox.gate().forget();
    let ended = inside.irsa(1, "irsa.toml", &PLAN).await;
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.stdout.contains("No changes."), "{ended}");
    ended
}

/// Reads a hundred roles one by one, with a token bucket of this rate for each action. Returns how much longer that
/// takes than the bucket requires, and the share of requests that were throttled.
async fn paced(rate: f64, burst: f64) -> (f64, f64) {
    let inside = Size { accounts: 1, clusters: 1, roles: 100 }.applied().await;
    let bulk = Match::on("iam", "GetAccountAuthorizationDetails");
    inside.sandbox.gate().fault(Stage::Before, bulk, Fault::Deny, None);
    inside.sandbox.gate().bucket(Some(Bucket { rate, burst }));
    let ended = read(&inside).await;
    let (sent, refused) = (inside.sandbox.log().len() as u64, inside.sandbox.gate().throttled());
    let bound = (100.0 - burst) / rate;
    let number = |count: u64| f64::from(u32::try_from(count).expect("not that many"));
    let (slower, share) = (ended.took.as_secs_f64() / bound, number(refused) / number(sent));
    tell(&format!(
        "100 roles at {rate}/s: {:.2} s, {slower:.2} times the bucket's {bound:.2} s; {refused} of {sent} refused",
        ended.took.as_secs_f64()
    ));
    (slower, share)
}

#[test]
fn at_the_usual_iam_rate_few_requests_are_throttled() {
    inside::runtime().block_on(async {
        let (slower, refused) = paced(15.0, 15.0).await;
        assert!(slower <= 1.10, "{slower}");
        assert!(refused <= 0.02, "{refused}");
    });
}

#[test]
fn lower_rate_limit_is_found_and_kept() {
    inside::runtime().block_on(async {
        for (rate, burst) in [(5.0, 5.0), (8.0, 8.0), (3.0, 10.0)] {
            let (slower, refused) = paced(rate, burst).await;
            assert!(slower <= 1.3, "{rate}: {slower}");
            assert!(refused <= 0.10, "{rate}: {refused}");
        }
    });
}

/// Reads at IAM's usual rate. Returns how long that took.
async fn sized(size: &Size) -> f64 {
    let inside = size.applied().await;
    inside.sandbox.gate().bucket(Some(Bucket { rate: 15.0, burst: 15.0 }));
    let took = read(&inside).await.took.as_secs_f64();
    let Size { accounts, clusters, roles } = size;
    tell(&format!("{accounts} accounts of {clusters} clusters of {roles} roles: {took:.3} s"));
    took
}

#[test]
fn ten_accounts_take_the_time_of_one() {
    inside::runtime().block_on(async {
        let one = sized(&Size { accounts: 1, clusters: 1, roles: 28 }).await;
        let ten = sized(&Size { accounts: 10, clusters: 1, roles: 28 }).await;
        assert!(ten <= one * 1.1, "{ten} against {one}");
    });
}

#[test]
fn ten_clusters_take_the_time_of_one() {
    inside::runtime().block_on(async {
        let one = sized(&Size { accounts: 1, clusters: 1, roles: 20 }).await;
        let ten = sized(&Size { accounts: 1, clusters: 10, roles: 2 }).await;
        assert!(ten <= one * 1.1, "{ten} against {one}");
    });
}
