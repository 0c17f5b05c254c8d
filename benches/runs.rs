//! Runs the measurements, one table after the other.

use crate::figures::{Applied, FAR, Figures, Growth, Local, Naive, Parts, Throttled, Walls};
use crate::fleet::Fleet;
use crate::peers::{self, Beside, Peers, Terraform};
use crate::world::{Cost, World};
use crate::{Arguments, Table, live, naive, note};
use irsa::config::{self, Diagnostics, Identities};
use irsa::{lint, plan};
use irsa_sandbox::aws::Match;
use irsa_sandbox::gate::{Bucket, Fault, Stage};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

const PLAN: &[&str] = &["plan", "--detailed-exitcode", "--no-progress"];

/// The pause after which other programs have replaced irsa's data in the processor's caches.
const PAUSE: Duration = Duration::from_secs(2);

/// Measures one table.
pub(crate) async fn measure(
    table: Table,
    (arguments, program): (&Arguments, &Path),
    peers: &Peers,
    figures: &mut Figures,
) -> io::Result<()> {
    match table {
        Table::Growth => figures.growth = grown(arguments, program).await?,
        Table::Peers => figures.peers = beside(arguments, program, peers).await?,
        Table::Bucket => figures.throttled = throttled(program).await?,
        Table::Apply => figures.applied.push(applied(program).await?),
        Table::Local => {
            figures.program = std::fs::metadata(program)?.len();
            figures.parts =
                [1000, 10_000].into_iter().map(|roles| parts(arguments, roles)).collect::<io::Result<_>>()?;
            figures.local = local(arguments, program).await?;
        }
    }
    Ok(())
}

async fn grown(arguments: &Arguments, program: &Path) -> io::Result<Vec<Growth>> {
    let mut all = Vec::new();
    for clusters in [1, 10, 100] {
        for roles in [10, 100, 1000, 5000].into_iter().filter(|roles| *roles <= arguments.roles) {
            all.push(growth(arguments, program, &Fleet { clusters, ..small(roles) }).await?);
        }
    }
    let accounts = Fleet { clusters: 10, accounts: 10, ..small(arguments.roles.min(1000)) };
    all.push(growth(arguments, program, &accounts).await?);
    Ok(all)
}

/// Roles with an inline policy, an AWS managed policy and a ServiceAccount each, in one account and cluster.
fn small(roles: usize) -> Fleet {
    Fleet { service_accounts: 1, clusters: 1, accounts: 1, customer_policies: false, ..Fleet::of(roles) }
}

/// The names of the roles.
fn names(fleet: &Fleet) -> Vec<String> {
    (0..fleet.roles).map(|number| format!("role-{number:05}")).collect()
}

async fn growth(arguments: &Arguments, program: &Path, fleet: &Fleet) -> io::Result<Growth> {
    let Fleet { roles, clusters, accounts, .. } = *fleet;
    note(&format!("{roles} roles, clusters: {clusters}, accounts: {accounts}"));
    let world = World::of(fleet).await?;
    world.fill(program).await?;
    let (mut near, mut far) = (Walls::default(), Walls::default());
    let mut last = None;
    for _ in 0..arguments.runs {
        for (walls, latency) in [(&mut near, Duration::ZERO), (&mut far, FAR)] {
            world.latency(latency);
            let cost = world.irsa(program, PLAN, 0).await?;
            walls.add(cost.wall);
            last = Some(cost);
        }
    }
    let Cost { aws, kubernetes, .. } = last.ok_or_else(|| io::Error::other("`--runs` is at least 1"))?;
    // it reads only roles, so the clusters do not matter
    let naive = if clusters == 1 { Some(one_by_one(&world, &names(fleet)).await?) } else { None };
    let (aws, kubernetes) = (aws.values().sum(), kubernetes.values().sum());
    Ok(Growth { roles, clusters, accounts, aws, kubernetes, near, far, naive })
}

/// Reads the roles one after the other. With latency only up to 100 roles, because more would take minutes.
async fn one_by_one(world: &World, names: &[String]) -> io::Result<Naive> {
    let client = naive::client(&world.sandbox.endpoint(), 3);
    world.latency(Duration::ZERO);
    world.forget();
    let (near, read) = naive::one_by_one(&client, names).await;
    if read != names.len() {
        return Err(io::Error::other(format!("only {read} of {} roles could be read one by one", names.len())));
    }
    let calls = world.calls().0.values().sum();
    let far = if names.len() <= 100 {
        world.latency(FAR);
        Some(naive::one_by_one(&client, names).await.0)
    } else {
        None
    };
    Ok(Naive { calls, near, far })
}

/// 100 roles one by one, because the bulk read is denied, behind a token bucket for each action.
async fn throttled(program: &Path) -> io::Result<Vec<Throttled>> {
    let fleet = small(100);
    let mut all = Vec::new();
    for rate in [15.0, 5.0] {
        note(&format!("100 roles by role, {rate} calls a second of each action"));
        let world = World::of(&fleet).await?;
        world.fill(program).await?;
        let bulk = Match { action: Some("GetAccountAuthorizationDetails".to_owned()), ..Match::any() };
        world.sandbox.gate().fault(Stage::Before, bulk, Fault::Deny, None);
        let bound = (100.0 - rate) / rate;
        world.latency(FAR);
        let bucket = || {
            let before = world.sandbox.gate().throttled();
            world.sandbox.gate().bucket(Some(Bucket { rate, burst: rate }));
            before
        };
        let before = bucket();
        let cost = world.irsa(program, PLAN, 0).await?;
        let refused = world.sandbox.gate().throttled() - before;
        let calls = cost.aws.values().sum();
        let who = "irsa".to_owned();
        all.push(Throttled { who, rate, read: 100, of: 100, wall: cost.wall, bound, refused, calls });
        for (attempts, width) in [(3, 16), (20, 16)] {
            let before = bucket();
            world.forget();
            let client = naive::client(&world.sandbox.endpoint(), attempts);
            let (wall, read) = naive::at_once(&client, &names(&fleet), width).await;
            let refused = world.sandbox.gate().throttled() - before;
            let calls = world.calls().0.values().sum();
            let who = format!("the SDK's standard retry, {attempts} attempts, {width} roles at a time");
            all.push(Throttled { who, rate, read, of: 100, wall, bound, refused, calls });
        }
    }
    Ok(all)
}

/// 100 new roles, at irsa's own rate.
async fn applied(program: &Path) -> io::Result<Applied> {
    note("100 new roles");
    let world = World::of(&small(100)).await?;
    world.latency(FAR);
    let plan = world.irsa(program, PLAN, 2).await?;
    let cost = world.irsa(program, &["apply", "--auto-approve", "--no-progress"], 0).await?;
    Ok(Applied { roles: 100, plan: plan.calls(), calls: cost.calls(), wall: cost.wall })
}

/// Loading, resolving, linting and planning, in process and one after the other.
fn parts(arguments: &Arguments, roles: usize) -> io::Result<Parts> {
    note(&format!("{roles} roles in process"));
    let folder = tempfile::Builder::new().prefix("irsa-bench-").tempdir()?;
    let file = Fleet::of(roles).write(folder.path())?;
    let identities = Identities { online: true, ..Identities::default() };
    let flawed = |error: Diagnostics| io::Error::other(format!("{error:?}"));
    let mut parts = Parts {
        roles,
        load: Walls::default(),
        resolve: Walls::default(),
        lint: Walls::default(),
        plan: Walls::default(),
    };
    let mut live = None;
    for _ in 0..arguments.local_runs() {
        let configuration = timed(&mut parts.load, || config::load(&file)).map_err(flawed)?;
        let desired = timed(&mut parts.resolve, || configuration.resolve(&identities)).map_err(flawed)?;
        let notes = timed(&mut parts.lint, || lint::declared(&desired));
        let live = live.get_or_insert_with(|| {
            let empty = live::empty(&desired);
            let all = plan::plan(&desired, &empty, &live::options(), Vec::new());
            live::made(&desired, empty, &all)
        });
        let plan = timed(&mut parts.plan, || plan::plan(&desired, live, &live::options(), notes));
        if !plan.is_empty() {
            return Err(io::Error::other("what was made differs from what was declared"));
        }
    }
    Ok(parts)
}

fn timed<T>(walls: &mut Walls, part: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = part();
    walls.add(started.elapsed());
    done
}

/// What needs no network, and the memory of a plan.
async fn local(arguments: &Arguments, program: &Path) -> io::Result<Vec<Local>> {
    note("what needs no network");
    let mut all = Vec::new();
    let world = World::of(&small(1)).await?;
    let mut version = Local { what: "`irsa --version`".to_owned(), walls: Walls::default(), memory: None };
    for _ in 0..arguments.local_runs() {
        version.walls.add(world.irsa(program, &["--version"], 0).await?.wall);
    }
    all.push(version);
    for roles in [1000, 10_000] {
        let folder = tempfile::Builder::new().prefix("irsa-bench-").tempdir()?;
        Fleet::of(roles).write(folder.path())?;
        let what = format!("`irsa validate`, {roles} roles and {} ServiceAccounts", roles * 5);
        let mut local = Local { what, walls: Walls::default(), memory: None };
        for _ in 0..arguments.runs {
            let mut command = world.command(program, &["validate"]);
            command.current_dir(folder.path());
            let cost = world.measured(command, 0).await?;
            local.walls.add(cost.wall);
            local.memory = local.memory.max(cost.memory);
        }
        all.push(local);
    }
    if arguments.roles >= 5000 {
        note("a plan of 10000 roles and 50000 ServiceAccounts");
        let world = World::of(&Fleet { clusters: 10, ..Fleet::of(10_000) }).await?;
        world.fill(program).await?;
        let what = "`irsa plan`, no change, 10000 roles and 50000 ServiceAccounts, 10 accounts".to_owned();
        let mut plan = Local { what, walls: Walls::default(), memory: None };
        for _ in 0..arguments.runs {
            let cost = world.irsa(program, PLAN, 0).await?;
            plan.walls.add(cost.wall);
            plan.memory = plan.memory.max(cost.memory);
        }
        all.push(plan);
    }
    Ok(all)
}

/// Runs irsa, terraform and boto3 in turn on 100 roles. terraform has created its own roles in another sandbox.
async fn beside(arguments: &Arguments, program: &Path, peers: &Peers) -> io::Result<Vec<Beside>> {
    note("beside others");
    let declared = small(peers::ROLES);
    let names = names(&declared);
    let ambient = World::of(&Fleet { ambient: true, ..declared }).await?;
    let declared = World::of(&declared).await?;
    for world in [&ambient, &declared] {
        world.fill(program).await?;
    }
    let terraform = match &peers.terraform {
        Some(ready) => Some(Terraform::with(ready).await?),
        None => None,
    };
    let mut all: Vec<Beside> = Vec::new();
    for (latency, time) in [(0, Duration::ZERO), (50, FAR)] {
        for world in [&ambient, &declared].into_iter().chain(terraform.as_ref().map(|terraform| &terraform.world)) {
            world.latency(time);
        }
        for _ in 0..arguments.runs {
            tokio::time::sleep(PAUSE).await;
            add(&mut all, peers::COLD, latency, &ambient.irsa(program, PLAN, 0).await?);
            // an untimed run of the same program precedes each timed run, because a first run finds the processor's caches empty
            ambient.irsa(program, PLAN, 0).await?;
            add(&mut all, peers::IRSA, latency, &ambient.irsa(program, PLAN, 0).await?);
            declared.irsa(program, PLAN, 0).await?;
            add(&mut all, peers::CHECKED, latency, &declared.irsa(program, PLAN, 0).await?);
            if let Some(terraform) = &terraform {
                terraform.plan().await?;
                add(&mut all, peers::TERRAFORM, latency, &terraform.plan().await?);
            }
            if let Some(python) = &peers.python {
                for (way, name) in [("bulk", "boto3, bulk read"), ("one-by-one", "boto3, one by one")] {
                    peers::boto3(&ambient, python, way, &names).await?;
                    add(&mut all, name, latency, &peers::boto3(&ambient, python, way, &names).await?);
                }
            }
        }
    }
    Ok(all)
}

fn add(all: &mut Vec<Beside>, name: &str, latency: u64, cost: &Cost) {
    let known = all.iter_mut().find(|beside| beside.name == name && beside.latency == latency);
    if let Some(beside) = known {
        beside.walls.add(cost.wall);
        return;
    }
    let mut walls = Walls::default();
    walls.add(cost.wall);
    all.push(Beside { name: name.to_owned(), latency, calls: cost.calls(), walls });
}

/// Fails if a count of calls exceeds its budget. Counts are the same on every machine, so a higher count means a change
/// in irsa.
pub(crate) fn budgets(figures: &Figures) -> io::Result<()> {
    let mut over = Vec::new();
    for growth in figures.growth.iter().filter(|growth| growth.roles >= 100 && growth.clusters == 1) {
        let calls = growth.aws + growth.kubernetes;
        // two lists have a page for each 1,000 roles; one has a page for each 500 ServiceAccounts, `default` included
        let pages = 2 * ((growth.roles - 1) / 1000) + growth.roles / 500;
        if calls > 9 + pages {
            over.push(format!("{} roles: {calls} calls, the budget is {}", growth.roles, 9 + pages));
        }
    }
    for applied in &figures.applied {
        let beyond = applied.calls - applied.plan;
        // three writes of the role, one of its ServiceAccount, and a part of the final reads
        if beyond * 10 > applied.roles * 43 {
            over.push(format!("an apply of {} roles: {beyond} calls beyond the plan", applied.roles));
        }
    }
    if over.is_empty() { Ok(()) } else { Err(io::Error::other(over.join("; "))) }
}
