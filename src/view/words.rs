//! Numbers, durations and names of policies as text.

/// `1 change`, `2 changes`
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `3 findings are ignored`
pub(crate) fn ignored_count(number: usize) -> String {
    count(number, "finding is ignored", "findings are ignored")
}

/// `aws:PATH/NAME` of an AWS managed policy, as a configuration names it. The name of a customer managed policy, which is
/// unique in its account, whatever its path. The text of anything else.
pub(crate) fn policy_name(arn: &str) -> String {
    let Some((account, path)) = arn.split_once(":iam::").and_then(|(_, rest)| rest.split_once(":policy/")) else {
        return arn.to_owned();
    };
    if account == "aws" {
        return format!("aws:{path}");
    }
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Seconds as a configuration writes them: `1h`, `1h30m`, `1m30s`.
pub(crate) fn duration(seconds: u64) -> String {
    let units = [(seconds / 3600, 'h'), (seconds % 3600 / 60, 'm'), (seconds % 60, 's')];
    let parts = units.into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts.map(|(number, unit)| format!("{number}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

#[cfg(test)]
mod tests;
