//! Writes the measured figures as the tables and texts of docs/benchmarks.md.

use crate::figures::{FAR, Figures, Growth};
use crate::peers::{Beside, IRSA, TERRAFORM};
use crate::{ALL_ROLES, Arguments, Table};
use std::fmt::Write as _;
use std::time::Duration;

/// The requests of terraform's kubernetes provider for each ServiceAccount, which the benchmark does not run:
/// `resource_kubernetes_service_account_v1.go` checks that it exists, then reads it.
const GETS: usize = 2;

/// The round trips of a plan: first the identity, the lists of IAM, and the clusters; then the OIDC providers and the
/// ServiceAccounts. With a declared account id, the identity has a round trip of its own.
const ROUNDS: u32 = 2;

/// The beginning of docs/benchmarks.md.
pub(crate) fn head(arguments: &Arguments) -> String {
    let mut page = Page(String::new());
    page.head(arguments);
    page.0
}

/// The section of one table.
pub(crate) fn table(table: Table, figures: &Figures, arguments: &Arguments) -> String {
    let mut page = Page(String::new());
    match table {
        Table::Growth => page.growth(figures),
        Table::Peers => page.peers(&figures.peers),
        Table::Bucket => page.throttled(figures),
        Table::Apply => page.applied(figures),
        Table::Local => page.local(figures, arguments),
    }
    page.0
}

/// The text about the profile.
const WHY: &str = "
Profiles at 10,000 roles (`perf record --call-graph fp`, `valgrind --tool=callgrind`) show no single hot spot. Half of
loading is the TOML parser. A third of resolving is the bindings of all roles, which irsa checks one after the other, since
two roles may not have one ServiceAccount. In planning, building trust policies takes 28 % of the time for roles; comparing
strings takes 15 % of all time, and clearing pages in the kernel 12 %. Because of earlier profiles, irsa does not print
addresses to compare them, finds the role of an object by a map, does not copy ServiceAccounts that match, and uses the
allocator mimalloc. Everything else runs on all processors (two on this machine).";

/// The text about memory.
const MEMORY: &str = "
The goal was 400 MiB for that plan. The memory of `irsa validate` is that of the configuration; the rest is live state.";

/// The text about many clusters in one account.
const PROVIDERS: &str = "
A hundred clusters in one account have a hundred OIDC providers there, and IAM returns one provider a call. At 15 calls a
second, reading them takes at least 5.7 s. irsa reads providers of several accounts in parallel.";

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn row(&mut self, cells: &[String]) {
        self.line(&format!("| {} |", cells.join(" | ")));
    }

    fn table(&mut self, head: &[&str]) {
        self.line("");
        self.row(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        self.row(&vec!["---".to_owned(); head.len()]);
    }

    fn head(&mut self, arguments: &Arguments) {
        let mut command = "cargo run --release -p bench -- --write".to_owned();
        if arguments.roles != ALL_ROLES {
            let _ = write!(command, " --roles {}", arguments.roles);
        }
        if arguments.terraform {
            command.push_str(" --terraform");
        }
        if arguments.boto3.is_some() {
            command.push_str(" --boto3");
        }
        // writing to a String cannot fail
        let _ = write!(
            self.0,
            "# Benchmarks\n\n\
             `{command}` wrote this page. It runs the release build as a whole process, start-up included, against the \
             embedded sandbox on the same two cores. Each time is the median of {} runs; the runs of one table take turns. \
             Compare times only within a table. The calls come from the sandbox's log and are the same on every machine; \
             `tests/it/budgets.rs` checks them. \"+{} ms\" is an added latency on every request to AWS and Kubernetes.\n\n\
             A role here has a trust policy, tags, one inline policy, one attached AWS managed policy, and one \
             ServiceAccount.\n",
            arguments.runs,
            FAR.as_millis()
        );
    }

    fn growth(&mut self, figures: &Figures) {
        self.line("\n## How a plan without changes grows\n");
        self.line("![calls and time against the number of roles](benchmarks.svg)");
        self.table(&[
            "roles",
            "clusters",
            "accounts",
            "AWS calls",
            "Kubernetes requests",
            "time",
            "time, +50 ms",
            "one by one: AWS calls",
            "one by one: time, and +50 ms",
            "times fewer AWS calls",
        ]);
        for growth in &figures.growth {
            let Growth { roles, clusters, accounts, aws, kubernetes, near, far, naive } = growth;
            let mut cells = [roles, clusters, accounts, aws, kubernetes].map(ToString::to_string).to_vec();
            cells.extend([seconds(near.median()), seconds(far.median())]);
            match naive {
                Some(naive) => {
                    let far = naive.far.map_or_else(|| "not run".to_owned(), seconds);
                    cells.push(naive.calls.to_string());
                    cells.push(format!("{}, {far}", seconds(naive.near)));
                    cells.push(times(naive.calls, *aws));
                }
                None => cells.extend(["", "", ""].map(str::to_owned)),
            }
            self.row(&cells);
        }
        self.line(
            "\n\"One by one\" is a loop with the same SDK in a running process: GetRole, ListRolePolicies, GetRolePolicy and \
             ListAttachedRolePolicies, one call after the other.",
        );
        self.line(PROVIDERS);
    }

    fn peers(&mut self, peers: &[Beside]) {
        self.line("\n## Beside others, 100 roles without changes\n");
        self.line(
            "The programs take turns, against sandboxes in one process. An untimed run of the same program precedes each timed \
             run, except in the rows \"after two idle seconds\". irsa reads IAM, EKS and the ServiceAccounts of the cluster. \
             terraform (the AWS provider; roles, inline policies, attachments and an OIDC provider) and the boto3 scripts read \
             only IAM.",
        );
        self.table(&["", "latency", "calls", "time", "time ÷ time of irsa plan"]);
        let find = |name: &str, latency: u64| peers.iter().find(|one| one.name == name && one.latency == latency);
        for beside in peers {
            let irsa = find(IRSA, beside.latency).filter(|irsa| irsa.name != beside.name);
            let ratio = irsa.map_or_else(String::new, |irsa| format!("{:.1}", beside.walls.ratio(&irsa.walls)));
            let latency = format!("+{} ms", beside.latency);
            let time = seconds(beside.walls.median());
            self.row(&[beside.name.clone(), latency, beside.calls.to_string(), time, ratio]);
        }
        if let (Some(terraform), Some(irsa)) = (find(TERRAFORM, 0), find(IRSA, 0)) {
            let all = terraform.calls + GETS * 100;
            let _ = write!(
                self.0,
                "\nterraform's kubernetes provider would read the 100 ServiceAccounts with {GETS} GETs each (by its source; not run \
                 here). Then terraform makes {all} calls: {} times as many as irsa. Its calls grow with the roles, irsa's with \
                 pages of 1,000. The goal was 1/50 of terraform's time without latency and 1/38 with it, set on a machine on \
                 which terraform took 13.3 s and 15.2 s.\n",
                times(all, irsa.calls)
            );
        }
        let _ = write!(
            self.0,
            "\nirsa needs {ROUNDS} round trips: first the identity, all lists and the cluster at once, then the objects in these \
             lists. With a declared account id, irsa checks the identity before anything else (as terraform does with \
             `allowed_account_ids`), and needs {} round trips.",
            ROUNDS + 1
        );
        let far = peers.iter().find(|beside| beside.name == TERRAFORM && beside.latency > 0);
        if let Some(far) = far {
            let most = |rounds: u32| far.walls.median().as_secs_f64() / (FAR * rounds).as_secs_f64();
            let _ = write!(
                self.0,
                " At +{} ms, the round trips alone take {} and {}. Terraform takes {} there, so irsa can be at most {:.0} and \
                 {:.0} times faster.",
                far.latency,
                seconds(FAR * ROUNDS),
                seconds(FAR * (ROUNDS + 1)),
                seconds(far.walls.median()),
                most(ROUNDS),
                most(ROUNDS + 1)
            );
        }
        self.line("");
    }

    fn throttled(&mut self, figures: &Figures) {
        self.line("\n## Behind a token bucket\n");
        self.line(
            "100 roles without permission for the bulk read, so that irsa must read each role by itself. Every action of the \
             account has a token bucket that holds the calls of one second. The bound is the time in which the bucket permits \
             all calls.",
        );
        self.table(&["reader", "calls a second", "roles read", "time", "time ÷ bound", "throttled calls"]);
        for one in &figures.throttled {
            let refused = format!("{} of {}", one.refused, one.calls);
            let bound = format!("{:.2}", one.wall.as_secs_f64() / one.bound);
            let read = format!("{} of {}", one.read, one.of);
            self.row(&[one.who.clone(), one.rate.to_string(), read, seconds(one.wall), bound, refused]);
        }
    }

    fn applied(&mut self, figures: &Figures) {
        self.line("\n## Creating roles\n");
        for one in &figures.applied {
            let beyond = one.calls - one.plan;
            #[expect(clippy::cast_precision_loss, reason = "a few hundred calls")]
            let each = beyond as f64 / one.roles as f64;
            let _ = writeln!(
                self.0,
                "An apply of {} new roles with their ServiceAccounts at +50 ms takes {beyond} calls beyond the {} of its plan, \
                 {each:.2} for each role: CreateRole, PutRolePolicy and AttachRolePolicy, one apply of the ServiceAccount, and \
                 the final reads. It took {}. At IAM's 15 calls a second for each action, creating {} roles takes at least \
                 {:.1} s.",
                one.roles,
                one.plan,
                seconds(one.wall),
                one.roles,
                f64::from(u32::try_from(one.roles - 15).unwrap_or_default()) / 15.0
            );
        }
    }

    fn local(&mut self, figures: &Figures, arguments: &Arguments) {
        self.line("\n## What needs no network\n");
        #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
        let size = figures.program as f64 / 1e6;
        self.line(&format!("The program is {size:.1} MB; the goal was 25. Most of it is the code of the AWS SDKs."));
        let _ = writeln!(
            self.0,
            "\nIn process, {} runs, with five ServiceAccounts for each role, several files, templates and customer managed \
             policies. The goal was a total of 50 ms at 1,000 roles and 300 ms at 10,000.",
            arguments.local_runs()
        );
        self.table(&["roles", "load", "resolve", "lint", "plan without changes", "total", "total of the fastest"]);
        for one in &figures.parts {
            let all = [&one.load, &one.resolve, &one.lint, &one.plan];
            let mut cells = vec![one.roles.to_string()];
            cells.extend(all.iter().map(|walls| seconds(walls.median())));
            cells.push(seconds(all.iter().map(|walls| walls.median()).sum()));
            cells.push(seconds(all.iter().map(|walls| walls.least()).sum()));
            self.row(&cells);
        }
        self.line(WHY);
        self.line("\nAs a whole process:");
        self.table(&["", "time", "fastest run", "peak memory"]);
        for one in &figures.local {
            let memory = one.memory.map_or_else(String::new, |bytes| format!("{} MiB", bytes >> 20));
            self.row(&[one.what.clone(), seconds(one.walls.median()), seconds(one.walls.least()), memory]);
        }
        if figures.local.iter().any(|one| one.what.contains("plan")) {
            self.line(MEMORY);
        }
    }
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn times(more: usize, fewer: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "some thousand calls")]
    let ratio = more as f64 / fewer.max(1) as f64;
    format!("{ratio:.0}")
}
