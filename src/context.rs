//! Clock, randomness, environment and host name of a run, all in one `Context`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The machine that a run uses. Nothing else reads the clock, the environment or random numbers.
#[derive(Clone)]
pub struct Context {
    environment: BTreeMap<String, String>,
    /// The names of variables whose values are not UTF-8.
    not_text: BTreeSet<String>,
    /// The start of the run, in seconds since 1970.
    now: i64,
    /// All durations are divided by this: 1 normally, more in tests over sockets.
    speed: u32,
    /// The seed of all random numbers of the run.
    seed: u64,
    host: String,
    process: u32,
}

/// Shows only the names of environment variables: their values may be secrets.
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
    #[expect(clippy::disallowed_methods, reason = "only this function reads the environment and the clock")]
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
        // random numbers only have to differ between processes
        let random = RandomState::new().build_hasher().finish();
        let host = environment.get("HOSTNAME").cloned().or_else(kernel_host_name).unwrap_or_default();
        Self {
            environment,
            not_text,
            now: i64::try_from(now).unwrap_or(0),
            speed,
            seed: random,
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

    /// The seed of all random numbers of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// An environment variable; an empty one counts as missing.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of variables whose values are not UTF-8.
    pub fn not_text(&self) -> impl Iterator<Item = &str> {
        self.not_text.iter().map(String::as_str)
    }

    /// The start of the run, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// A unique name: host, process and a random part, which differs on each call even with a fixed seed. It contains
    /// no secret, and only letters, digits, `.`, `-`, `_` and `/`.
    pub fn identity(&self) -> String {
        let valid = |c: &char| c.is_ascii_alphanumeric() || ".-_".contains(*c);
        let host: String = self.host.chars().filter(valid).take(253).collect();
        let host = if host.is_empty() { "unknown" } else { &host };
        format!("{host}/{}/{:016x}", self.process, RandomState::new().build_hasher().finish())
    }

    /// The duration divided by the speed of this run.
    pub fn scaled(&self, duration: Duration) -> Duration {
        duration / self.speed
    }
}

/// The host name from the kernel; in a pod it is the pod's name.
#[expect(clippy::disallowed_methods, reason = "only this module reads the host name")]
fn kernel_host_name() -> Option<String> {
    let read = |path: &&str| std::fs::read_to_string(path).ok();
    let name = ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(read)?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The processor time of this thread, for tests of how work grows
/// (<https://www.kernel.org/doc/html/latest/scheduler/sched-stats.html>); elapsed time if the kernel does not report
/// it.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the kernel reports processor time in this file")]
pub(crate) fn worked() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat");
    let nanoseconds = statistics.ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

#[cfg(test)]
mod tests;
