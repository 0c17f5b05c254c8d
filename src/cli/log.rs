//! The log of `--verbose` on stderr. Only irsa's own events: the SDKs log headers and bodies, so they are off at every
//! level, and no token or credential can reach the log.

use super::arguments::{Global, LogFormat};
use crate::model::sanitize::{inert, printable, scrub};
use std::io::{self, Write};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

pub(crate) fn start(global: &Global) {
    let level = match global.verbose {
        0 => return,
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).parse_lossy(format!("irsa={level}"));
    let format = global.log_format;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Sanitized { format, out: io::stderr() });
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // tests start it more than once: the first one stays
    drop(started);
}

/// Replaces control characters in each line. The subscriber writes one line at a time.
struct Sanitized<W> {
    format: LogFormat,
    out: W,
}

impl<W: Write> Write for Sanitized<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.trim_end_matches('\n');
        let line = match self.format {
            LogFormat::Text => inert(&scrub(line)).into_owned(),
            LogFormat::Json => printable(line),
        };
        self.out.write_all(format!("{line}\n").as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
