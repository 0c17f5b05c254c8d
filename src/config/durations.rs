//! Durations as people write them: `90s`, `15m`, `1h30m`, `1d`.

use std::time::Duration;

/// Reads a duration.
///
/// # Errors
/// A fragment that fits behind "`text`: ".
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a duration such as `90s`, `15m`, `1h30m` or `1d`".to_owned();
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    let mut units = Vec::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit: u64 = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        // larger units first, each once
        if units.last().is_some_and(|last| *last <= unit) {
            return Err(wrong());
        }
        units.push(unit);
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        digits.clear();
        seconds = number.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
    }
    if units.is_empty() || !digits.is_empty() { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_read_as_written() {
        for (text, seconds) in
            [("1h", 3600), ("90m", 5400), ("1h30m", 5400), ("24h", 86_400), ("5s", 5), ("1d", 86_400)]
        {
            assert_eq!(parse(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in ["", "1", "h", "1x", "1m1h", "1h1h", "-1h", "99999999999999999999d", "1 h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
