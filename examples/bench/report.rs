//! The page: what was measured, in tables.

use crate::figures::{FAR, Figures, Growth};
use crate::peers::{Beside, IRSA, TERRAFORM};
use crate::{ALL_ROLES, Arguments, Table};
use std::fmt::Write as _;
use std::time::Duration;

/// Of terraform's kubernetes provider, which is not run here: two GETs a ServiceAccount
/// (`resource_kubernetes_service_account_v1.go` reads whether it exists, then reads it).
const GETS: usize = 2;

/// Of a plan: the caller's identity, the lists of IAM, and the clusters; the OIDC providers, and the ServiceAccounts. Where
/// an id is declared the identity has a round of its own.
const ROUNDS: u32 = 2;

/// How docs/benchmarks.md begins.
pub(crate) fn head(arguments: &Arguments) -> String {
    let mut page = Page(String::new());
    page.head(arguments);
    page.0
}

/// What it tells in one table.
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

/// What the profile shows.
const WHY: &str = "
Profiles (`perf record --call-graph fp`, `valgrind --tool=callgrind`) of it at 10,000 roles led here: planning compared
addresses by printing them (63 % of its instructions), searched all roles for each object, then sorted the ServiceAccounts by
their addresses (17 % of its time) and hashed each of them thrice (16 %); a third of all was the allocator's, which is
mimalloc for that reason. Then comparing policies was a quarter of planning the roles, three times each and through nested
maps, and copying ServiceAccounts only to find them as they should be half of theirs. Files are parsed, and roles and
ServiceAccounts are resolved, linted and planned, on all processors, of which there are two here. Where 10,000 roles take
more than their 300 ms no peak is left: half of loading is TOML's parser, the bindings of all roles are a third of resolving
and are looked at one after the other, since two roles may not have one ServiceAccount, and of planning 28 % of the roles'
part builds their trust policies, 15 % of all is comparing strings and 12 % is the kernel's, which clears pages.";

/// Where the memory is.
const MEMORY: &str = "
The goal was 400 MiB for that plan. `validate` shows what the configuration takes, the rest is what was read.";

/// What holds a fleet in one account back.
const PROVIDERS: &str = "
A hundred clusters in one account have a hundred OIDC providers there, and IAM tells of one a call: at 15 calls a second of
GetOpenIDConnectProvider nobody reads them in less than 5.7 s. In accounts of their own they are read side by side.";

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
        let mut command = "cargo run --release --example bench -- --write".to_owned();
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
             Made by `{command}`: the released program as a whole process, start-up included, against the embedded sandbox \
             on the same two cores. Each time is the middle one of {} runs, those of one table taken in turn. Times are good \
             for comparing within a table and not beyond it; calls are counted in the sandbox's log, are the same on every \
             machine, and are held to their budgets by `tests/it/budgets.rs`. \"+{} ms\" is a latency of that much on every \
             request, to AWS and to Kubernetes.\n\n\
             A role here has a trust policy, tags, one inline policy, one of AWS's own policies attached, and one \
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
            "\n\"One by one\" is a loop over the same SDK in process, without a start of its own: GetRole, ListRolePolicies, \
             GetRolePolicy and ListAttachedRolePolicies, each after the other.",
        );
        self.line(PROVIDERS);
    }

    fn peers(&mut self, peers: &[Beside]) {
        self.line("\n## Beside others, 100 roles without changes\n");
        self.line(
            "Run in turn, against sandboxes of one process. Each timed run comes after one of the same that is not timed, so that \
             nobody pays for being first, but for the one row that says so. irsa reads IAM, EKS and the ServiceAccounts of the \
             cluster; terraform (the AWS provider; roles, inline policies, attachments and an OIDC provider) and the boto3 \
             scripts read IAM alone.",
        );
        self.table(&["", "latency", "calls", "time", "irsa plan is so many times faster"]);
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
                "\nWith the 100 ServiceAccounts, which terraform's kubernetes provider reads with {GETS} GETs each (read in its \
                 source, not run here), terraform makes {all} calls: {} times as many as irsa. Its calls grow with the roles, \
                 irsa's with pages of 1,000. The goals were 50 times less time than terraform's without \
                 latency and 38 times with it, from a machine on which terraform took 13.3 s and 15.2 s for this.\n",
                times(all, irsa.calls)
            );
        }
        let _ = write!(
            self.0,
            "\nirsa asks who the credentials are, for all lists and for the cluster at once, then for what they lead to: {ROUNDS} \
             rounds. Where the account's id is declared it asks nothing before that is checked, which terraform does as well with \
             `allowed_account_ids`: {} rounds.",
            ROUNDS + 1
        );
        let far = peers.iter().find(|beside| beside.name == TERRAFORM && beside.latency > 0);
        if let Some(far) = far {
            let most = |rounds: u32| far.walls.median().as_secs_f64() / (FAR * rounds).as_secs_f64();
            let _ = write!(
                self.0,
                " Whatever else it does, they take {} and {} at +{} ms: beside a terraform of {} it can be {:.0} and {:.0} times \
                 faster there, and no more.",
                seconds(FAR * ROUNDS),
                seconds(FAR * (ROUNDS + 1)),
                far.latency,
                seconds(far.walls.median()),
                most(ROUNDS),
                most(ROUNDS + 1)
            );
        }
        self.line("");
    }

    fn throttled(&mut self, figures: &Figures) {
        self.line("\n## Behind a bucket\n");
        self.line(
            "100 roles where the bulk read is forbidden, so that each must be asked for, and every action of the account has a \
             token bucket that holds one second's worth. The bound is what the bucket alone takes.",
        );
        self.table(&["who", "calls a second", "roles read", "time", "of the bound", "refused calls"]);
        for one in &figures.throttled {
            let refused = format!("{} of {}", one.refused, one.calls);
            let bound = format!("{:.2}", one.wall.as_secs_f64() / one.bound);
            let read = format!("{} of {}", one.read, one.of);
            self.row(&[one.who.clone(), one.rate.to_string(), read, seconds(one.wall), bound, refused]);
        }
    }

    fn applied(&mut self, figures: &Figures) {
        self.line("\n## Making roles\n");
        for one in &figures.applied {
            let beyond = one.calls - one.plan;
            #[expect(clippy::cast_precision_loss, reason = "a few hundred calls")]
            let each = beyond as f64 / one.roles as f64;
            let _ = writeln!(
                self.0,
                "An apply of {} new roles with their ServiceAccounts at +50 ms takes {beyond} calls beyond the {} of its plan, \
                 {each:.2} a role: CreateRole, PutRolePolicy and AttachRolePolicy, two applies of the ServiceAccount, and the look \
                 at the end at what was made. It took {}; at IAM's 15 calls a second of each action nobody makes {} roles in less \
                 than {:.1} s.",
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
            "\nIn process, {} runs, with five ServiceAccounts a role, several files, templates and policies of one's own. The goal \
             was 50 ms for all of it at 1,000 roles and 300 ms at 10,000.",
            arguments.local_runs()
        );
        self.table(&["roles", "load", "resolve", "lint", "plan without changes", "all of it", "the fastest of each"]);
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
        self.table(&["", "time", "the fastest run", "memory at most"]);
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
