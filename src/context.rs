//! Clock, randomness and environment: all that a run knows of the machine comes in through one `Context`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a run may know of the machine.
#[derive(Clone)]
pub struct Context {
    environment: BTreeMap<String, String>,
    /// The time at which the run began, in seconds since 1970.
    now: i64,
    /// All durations are divided by this: 1 in life, more in tests over sockets.
    speed: u32,
}

/// The environment has secrets: only its names are shown.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { environment, now, speed } = self;
        f.debug_struct("Context")
            .field("environment", &environment.keys())
            .field("now", now)
            .field("speed", speed)
            .finish()
    }
}

impl Context {
    /// The real machine. `IRSA_TEST_SPEED` divides every wait, for tests over sockets.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the environment and the clock come in")]
    pub fn of_process() -> Self {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let speed = environment.get("IRSA_TEST_SPEED").and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
        Self { environment, now: i64::try_from(now).unwrap_or(0), speed }
    }

    /// A machine for tests.
    pub fn fixed(environment: BTreeMap<String, String>, now: i64, speed: u32) -> Self {
        Self { environment, now, speed: speed.max(1) }
    }

    /// An environment variable; an empty one counts as missing.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// When the run began, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// A duration as long as it is to last in this run.
    pub fn scaled(&self, duration: Duration) -> Duration {
        duration / self.speed
    }
}
