//! Reads and writes durations as users write them: `90s`, `15m`, `1h30m`, `1d`.

use std::time::Duration;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// Reads a duration. Units go from large to small, each at most once.
///
/// # Errors
/// A fragment that fits behind "`text`: ".
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    seconds(text)
        .map(Duration::from_secs)
        .ok_or_else(|| "must be a duration such as `90s`, `15m`, `1h30m` or `1d`".to_owned())
}

fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0u64);
    for (unit, length) in UNITS {
        if let Some((number, behind)) = rest.split_once(unit) {
            if !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            total = number.parse::<u64>().ok()?.checked_mul(length)?.checked_add(total)?;
            rest = behind;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

/// Writes a number of seconds in the largest unit, at most hours, that divides it.
pub(crate) fn text(seconds: impl Into<u64>) -> String {
    match seconds.into() {
        0 => "0s".to_owned(),
        hours if hours.is_multiple_of(3600) => format!("{}h", hours / 3600),
        minutes if minutes.is_multiple_of(60) => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests;
