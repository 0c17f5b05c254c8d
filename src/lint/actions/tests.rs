use super::super::escalation::PATHS;
use super::*;
use crate::policy::Statement;
use serde_json::{Value, json};

fn of(element: &str, patterns: &Value) -> Vec<&'static str> {
    let statement = json!({"Effect": "Allow", element: patterns, "Resource": "*"});
    let statement = Statement::parse(&statement, None).unwrap();
    Actions::of(statement.canonical()).iter().collect()
}

#[test]
fn table_has_each_action_once_in_lower_case() {
    let count = TABLE.split_ascii_whitespace().filter(|word| word.contains(':') && !word.contains('?')).count();
    assert_eq!(KNOWN.len(), count);
    assert!(KNOWN.keys().all(|name| name.to_ascii_lowercase() == *name && name.contains(':')));
}

#[test]
fn statement_covers_known_actions_by_name_or_pattern() {
    assert_eq!(of("Action", &json!("IAM:PassRole")), ["iam:passrole"]);
    assert_eq!(of("Action", &json!(["iam:Pass*", "sts:*Role"])), ["iam:passrole", "sts:assumerole"]);
    assert_eq!(of("Action", &json!("iam:Pass")), [""; 0]);
    assert_eq!(of("Action", &json!("ssm:?endCommand")), ["ssm:sendcommand"]);
    assert_eq!(of("Action", &json!("*")).len(), KNOWN.len());
    assert_eq!(of("NotAction", &json!(["iam:*", "sts:*"])).len(), {
        KNOWN.keys().filter(|name| !name.starts_with("iam:") && !name.starts_with("sts:")).count()
    });
    assert_eq!(of("NotAction", &json!("*")), [""; 0]);
}

#[test]
fn actions_of_escalation_paths_are_known() {
    assert_eq!(PATHS.len(), 83);
    assert_eq!(PATHS.iter().filter(|path| path.service.is_some()).count(), 35);
    for action in PATHS.iter().flat_map(|path| &path.actions) {
        resource_type(action);
    }
}
