//! Panics: a bug in irsa prints one line and exits 1, like any other failure.

use crate::world::clean;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

/// One bug may make many threads panic: only the first panic is printed.
static IS_PRINTED: AtomicBool = AtomicBool::new(false);

/// Prints a panic as one line on stderr, instead of Rust's message and a backtrace.
pub(super) fn report_in_one_line() {
    panic::set_hook(Box::new(|info| {
        if !IS_PRINTED.swap(true, Ordering::Relaxed) {
            // if stderr is closed, nobody reads it
            let _ = writeln!(std::io::stderr(), "error: {}", line(info));
        }
    }));
}

/// Runs `work`. Returns None if it panics.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).ok()
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let location = info.location().map(|location| format!(" ({}:{})", short_path(location.file()), location.line()));
    let what = clean(info.payload_as_str().unwrap_or("no reason is known"));
    format!("bug in irsa{}: {what}; please report it with this line", location.unwrap_or_default())
}

/// The path of a source file from its crate on, without the folders of the machine that compiled it.
fn short_path(file: &str) -> &str {
    let Some((_, in_registry)) = file.split_once("/registry/src/") else { return file };
    in_registry.split_once('/').map_or(in_registry, |(_, path)| path)
}

#[cfg(test)]
mod tests;
