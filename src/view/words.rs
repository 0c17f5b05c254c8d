//! Numbers and durations as text.

/// `1 change`, `2 changes`
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Seconds as a configuration writes them: `1h`, `1h30m`, `1m30s`.
pub(crate) fn duration(seconds: u64) -> String {
    let units = [(seconds / 3600, 'h'), (seconds % 3600 / 60, 'm'), (seconds % 60, 's')];
    let parts = units.into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts.map(|(number, unit)| format!("{number}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_a_configuration_writes_them() {
        assert_eq!(duration(3600), "1h");
        assert_eq!(duration(5400), "1h30m");
        assert_eq!(duration(90), "1m30s");
        assert_eq!(duration(0), "0s");
        assert_eq!(count(1, "object matches", "objects match"), "1 object matches");
        assert_eq!(count(0, "object matches", "objects match"), "0 objects match");
    }
}
