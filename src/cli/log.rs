//! What `--verbose` says on stderr. Only this program's own words: the SDKs log headers and bodies, so they stay silent
//! at every verbosity, and no token or credential can reach a log.

use super::arguments::{Global, LogFormat};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Starts logging to stderr.
pub(crate) fn start(global: &Global) {
    let level = match global.verbose {
        0 => return,
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).parse_lossy(format!("irsa={level}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match global.log_format {
        LogFormat::Text => builder.with_ansi(false).with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // a second start, as in tests, keeps the first
    drop(started);
}
