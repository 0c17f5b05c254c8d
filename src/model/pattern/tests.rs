use super::*;

#[test]
fn stars_and_question_marks_match_as_in_a_shell() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("cost:*", "cost:team", true),
        ("cost:*", "cos", false),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-b-b", false),
        ("?", "x", true),
        ("?", "", false),
        ("arn:aws:iam::*:policy/audit-*", "arn:aws:iam::111122223333:policy/audit-x", true),
    ] {
        assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
    }
}
