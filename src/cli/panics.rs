//! A mistake in the program ends it with 1 and one line, as any other failure does.

use crate::world::clean;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

/// One mistake may make many threads panic: the first one tells.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Has a panic told in one line on stderr, in place of Rust's own words and a backtrace.
pub(crate) fn tell_in_one_line() {
    panic::set_hook(Box::new(|info| {
        if !TOLD.swap(true, Ordering::Relaxed) {
            // where stderr is closed there is nobody to tell
            let _ = writeln!(std::io::stderr(), "error: {}", line(info));
        }
    }));
}

/// Runs `work`; nothing if it panicked, which was told.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).ok()
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|place| format!(" ({}:{})", place_of(place.file()), place.line()));
    let what = clean(info.payload_as_str().unwrap_or("no reason is known"));
    format!("irsa has a mistake{}: {what}; please report it with this line", place.unwrap_or_default())
}

/// A source file without where it lay when the program was built: crate and path.
fn place_of(file: &str) -> &str {
    let (_, inside) = file.split_once("/registry/src/").unwrap_or(("", file));
    if inside.len() == file.len() { file } else { inside.split_once('/').map_or(inside, |(_, rest)| rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_its_place_is_short() {
        assert_eq!(caught(|| 1), Some(1));
        assert_eq!(caught(|| -> i32 { std::panic::resume_unwind(Box::new("x")) }), None);
        assert_eq!(place_of("src/cli.rs"), "src/cli.rs");
        let file = "/home/me/.cargo/registry/src/index.crates.io-1/aws-types-1.0.0/src/endpoint.rs";
        assert_eq!(place_of(file), "aws-types-1.0.0/src/endpoint.rs");
    }
}
