//! Clock, randomness and environment: all that a run knows of the machine comes in through one `Context`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a run may know of the machine.
#[derive(Clone)]
pub struct Context {
    environment: BTreeMap<String, String>,
    /// The variables whose values are no text.
    not_text: BTreeSet<String>,
    /// The time at which the run began, in seconds since 1970.
    now: i64,
    /// All durations are divided by this: 1 in life, more in tests over sockets.
    speed: u32,
    /// What all randomness of the run follows from.
    seed: u64,
    /// What the machine is called.
    host: String,
    /// The id of the process.
    process: u32,
}

/// The environment has secrets: only its names are shown.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { environment, not_text, now, speed, seed, host, process } = self;
        f.debug_struct("Context")
            .field("environment", &environment.keys())
            .field("not_text", not_text)
            .field("now", now)
            .field("speed", speed)
            .field("seed", seed)
            .field("host", host)
            .field("process", process)
            .finish()
    }
}

impl Context {
    /// The real machine. `IRSA_TEST_SPEED` divides every wait, for tests over sockets.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the environment and the clock come in")]
    pub fn of_process() -> Self {
        let (mut environment, mut not_text) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(environment.insert(name, value)),
                (Ok(name), Err(_)) => drop(not_text.insert(name)),
                (Err(_), _) => {}
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let speed = environment.get("IRSA_TEST_SPEED").and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
        // randomness is there to set processes apart
        let drawn = RandomState::new().build_hasher().finish();
        let host = environment.get("HOSTNAME").cloned().or_else(kernel_name).unwrap_or_default();
        Self {
            environment,
            not_text,
            now: i64::try_from(now).unwrap_or(0),
            speed,
            seed: drawn,
            host,
            process: std::process::id(),
        }
    }

    /// A machine for tests.
    pub fn fixed(environment: BTreeMap<String, String>, now: i64, speed: u32) -> Self {
        let not_text = BTreeSet::new();
        Self { environment, not_text, now, speed: speed.max(1), seed: 0, host: "host".to_owned(), process: 1 }
    }

    /// The same machine with another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// What all randomness of the run follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// An environment variable; an empty one counts as missing.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of variables that are set to what is not UTF-8.
    pub fn not_text(&self) -> impl Iterator<Item = &str> {
        self.not_text.iter().map(String::as_str)
    }

    /// When the run began, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// A name that nobody else has: machine, process and a part that is drawn anew each time, whatever the seed. It holds
    /// nothing secret, and no character but letters, digits, `.`, `-`, `_` and the `/` between.
    pub fn identity(&self) -> String {
        let good = |c: &char| c.is_ascii_alphanumeric() || ".-_".contains(*c);
        let host: String = self.host.chars().filter(good).take(253).collect();
        let host = if host.is_empty() { "unknown" } else { &host };
        format!("{host}/{}/{:016x}", self.process, RandomState::new().build_hasher().finish())
    }

    /// A duration as long as it is to last in this run.
    pub fn scaled(&self, duration: Duration) -> Duration {
        duration / self.speed
    }
}

/// What the kernel calls the machine, where that can be read: in a pod this is the pod's name.
#[expect(clippy::disallowed_methods, reason = "this is the one place where the machine comes in")]
fn kernel_name() -> Option<String> {
    let read = |path: &&str| std::fs::read_to_string(path).ok();
    let name = ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(read)?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// How long this thread has been on a processor, for tests of how work grows: what else the machine does takes no part in
/// it (<https://www.kernel.org/doc/html/latest/scheduler/sched-stats.html>). Where the kernel does not tell, the time that
/// has gone by.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the kernel tells of this thread")]
pub(crate) fn worked() -> Duration {
    static BEGUN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat");
    let nanoseconds = told.ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanoseconds.map_or_else(|| BEGUN.elapsed(), Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_a_name_of_its_own() {
        let mut context = Context::of_process();
        let identity = context.identity();
        assert!(identity.contains(&format!("/{}/", std::process::id())), "{identity}");
        assert_ne!(context.identity(), identity, "two runs in one process are two");
        context.host = "a b\u{1b}[2J\n".into();
        assert!(context.identity().starts_with("ab2J/"), "{}", context.identity());
        context.host.clear();
        assert!(context.identity().starts_with("unknown/"));
    }
}
