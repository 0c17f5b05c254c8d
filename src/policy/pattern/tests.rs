use super::*;
use proptest::prelude::*;

#[test]
fn covers_with_wildcards() {
    for (pattern, other, expected) in [
        ("*", "*", true),
        ("**", "*", true),
        ("*", "**", true),
        ("?*", "*", false),
        ("*", "?*", true),
        ("*?", "?*", true),
        ("?*?", "*??", true),
        ("?*?", "?", false),
        ("?*", "a*", true),
        ("?*", "*a", true),
        ("a*", "a*b", true),
        ("a*b", "a*", false),
        ("a*b", "a?b", true),
        ("a?b", "a*b", false),
        ("*a*", "*a?a*", true),
        ("*aa*", "*a*a*", false),
        ("s3:*", "s3:Get*", true),
        ("s3:Get*", "s3:*", false),
        ("arn:aws:iam::1:ro*", "arn:aws:iam::1:role/?*", true),
        ("arn:aws:iam::1:role/?*", "arn:aws:iam::1:role/*", false),
        ("", "", true),
        ("*", "", true),
        ("", "*", false),
    ] {
        assert_eq!(covers(pattern, other), expected, "{pattern} covers {other}");
    }
}

#[test]
fn variable_is_covered_by_itself_and_by_a_star() {
    for (pattern, other, expected) in [
        ("*", "${aws:username}", true),
        ("a/*", "a/${aws:username}/b", true),
        ("${aws:username}", "${aws:username}", true),
        ("${aws:username}*", "${aws:username}/x", true),
        ("?", "${aws:username}", false),
        ("?*", "${aws:username}", false),
        ("?*", "${aws:username}a", true),
        ("*?", "a${aws:username}", true),
        ("${aws:userid}", "${aws:username}", false),
        ("${aws:username}", "bob", false),
        ("${aws:username}", "*", false),
        // escaped characters
        ("${*}", "*", false),
        ("*", "${*}", true),
        ("a${?}", "a?", false),
        ("a?", "a${?}", true),
        ("${$}{x}", "${$}{x}", true),
    ] {
        assert_eq!(covers(pattern, other), expected, "{pattern} covers {other}");
    }
}

#[test]
fn several_patterns_together_cover_what_none_covers_alone() {
    assert!(together_cover(&["", "?*"], "*"));
    assert!(!together_cover(&["?*"], "*"));
    assert!(together_cover(&["a", "??*", "?"], "?*"));
    assert!(together_cover(&["a*", "b*"], "a?*"));
    assert!(!together_cover(&["a*", "b*"], "?*"));
    assert!(!together_cover(&[] as &[&str], "a"));
}

#[test]
fn patterns_with_a_common_text_overlap() {
    for (one, other, expected) in [
        ("a*", "*b", true),
        ("a*", "b*", false),
        ("a", "a", true),
        ("?", "", false),
        ("*", "", true),
        ("a?c", "ab*", true),
        ("role/irsa/me/*", "role/*/app", true),
        ("role/${aws:username}", "role/app", true),
        ("role/x${aws:username}", "role/app", false),
        ("${*}", "a", false),
        ("${*}", "?", true),
    ] {
        assert_eq!(overlap(one, other), expected, "{one} {other}");
        assert_eq!(overlap(other, one), expected, "{other} {one}");
    }
}

#[test]
fn wildcards_inside_variables_are_not_wild() {
    assert!(is_wild("a*") && is_wild("a?") && is_wild("${aws:username}*"));
    assert!(!is_wild("a") && !is_wild("a${*}b${?}") && !is_wild("${aws:PrincipalTag/x, '*'}"));
    assert_eq!(variables("a${aws:username}b${*}${x, 'y'}"), ["aws:username", "x, 'y'"]);
    assert_eq!(variables("a${aws:username"), [""; 0]);
}

#[test]
fn costly_pattern_is_not_covered_and_ends_soon() {
    let pattern = format!("*a{}", "?".repeat(200));
    assert!(!covers(&pattern, &"*a".repeat(60)));
    assert!(covers("*", &"*a".repeat(60)));
}

/// Every text over `a`, `b` and `c` up to a length.
fn texts(length: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..length {
        last = last.iter().flat_map(|text| ["a", "b", "c"].map(|letter| format!("{text}{letter}"))).collect();
        all.extend(last.iter().cloned());
    }
    all
}

fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => fits(rest, text),
        (Some((b'*', rest)), Some((_, less))) => fits(rest, text) || fits(pattern, less),
        (Some((wanted, rest)), Some((c, less))) => (*wanted == b'?' || wanted == c) && fits(rest, less),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // no pattern names `c`: every real alphabet has such a character
    #[test]
    fn covers_agrees_with_all_short_texts(
        patterns in prop::collection::vec("[ab*?]{0,4}", 1..3),
        other in "[ab*?]{0,3}",
    ) {
        let texts = texts(6);
        let mut matched = texts.iter().filter(|text| fits(other.as_bytes(), text.as_bytes()));
        let all = matched
            .all(|text| patterns.iter().any(|pattern| fits(pattern.as_bytes(), text.as_bytes())));
        prop_assert_eq!(together_cover(&patterns, &other), all, "{:?} {}", patterns, other);
    }

    #[test]
    fn overlap_agrees_with_all_short_texts(one in "[ab*?]{0,4}", other in "[ab*?]{0,4}") {
        let common = texts(6)
            .iter()
            .any(|text| fits(one.as_bytes(), text.as_bytes()) && fits(other.as_bytes(), text.as_bytes()));
        prop_assert_eq!(overlap(&one, &other), common);
    }

    #[test]
    fn matches_agrees_with_covers(pattern in "[ab*?]{0,5}", text in "[ab]{0,6}") {
        prop_assert_eq!(matches(&pattern, &text), covers(&pattern, &text));
        prop_assert_eq!(matches(&pattern, &text), fits(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn covering_patterns_overlap(one in "[ab*?]{0,6}", other in "[ab*?]{0,6}") {
        prop_assert!(!covers(&one, &other) || overlap(&one, &other));
    }
}

fn resource(pattern: &str, other: &str) -> bool {
    arn_covers(pattern, Syntax::Variables, other, Syntax::Variables)
}

#[test]
fn action_pattern_covers_action_patterns() {
    let action = |pattern: &str, other: &str| covers_as(pattern, Syntax::Literal, other, Syntax::Literal);
    for (pattern, other) in [
        ("*", "s3:getobject"),
        ("s3:*", "s3:get*"),
        ("s3:get*", "s3:getobject"),
        ("s3:get?bject", "s3:getobject"),
        ("s3:get?bject", "s3:get?bject"),
        ("s3:*object", "s3:get*object"),
    ] {
        assert!(action(pattern, other), "{pattern} {other}");
    }
    for (pattern, other) in [
        ("s3:get*", "s3:*"),
        ("s3:?", "s3:*"),
        ("s3:getobject", "s3:getobjectacl"),
        ("s3:*object", "s3:getobject*"),
        ("s3:a?", "s3:a"),
    ] {
        assert!(!action(pattern, other), "{pattern} {other}");
    }
}

#[test]
fn star_of_an_arn_does_not_leave_its_part() {
    assert!(resource("arn:aws:s3:::*", "arn:aws:s3:::bucket/a:b"));
    assert!(resource("arn:aws:sqs:*:111122223333:q*", "arn:aws:sqs:eu-west-1:111122223333:queue"));
    assert!(!resource("arn:aws:*", "arn:aws:s3:::bucket"));
    assert!(!resource("arn:aws:sqs:*:q", "arn:aws:sqs:eu-west-1:111122223333:q"));
}

#[test]
fn variable_in_an_arn_is_covered_by_a_star_and_by_itself() {
    let variable = "arn:aws:s3:::home/${aws:username}/x";
    assert!(resource("arn:aws:s3:::home/*", variable));
    assert!(resource(variable, variable));
    assert!(!resource("arn:aws:s3:::home/????????????????/x", variable));
    assert!(!resource(variable, "arn:aws:s3:::home/bob/x"));
    assert!(!arn_covers(variable, Syntax::Literal, variable, Syntax::Variables));
    assert!(resource("arn:aws:s3:::a${*}b", "arn:aws:s3:::a${*}b"));
    assert!(!resource("arn:aws:s3:::a${*}b", "arn:aws:s3:::axxb"));
}

#[test]
fn actions_overlap_if_they_have_a_common_text() {
    for (one, other, expected) in [
        ("iam:*", "s3:*", false),
        ("s3:get*", "s3:put*", false),
        ("s3:getobject", "s3:putobject", false),
        ("s3:?", "s3:ab", false),
        ("iam:*", "iam:get*", true),
        ("*", "s3:get", true),
        ("s3:get*", "s3:*object", true),
    ] {
        let overlap = |one, other| overlap_as(one, Syntax::Literal, other, Syntax::Literal);
        assert_eq!((overlap(one, other), overlap(other, one)), (expected, expected), "{one} {other}");
    }
}

#[test]
fn variable_of_one_version_overlaps_a_text_that_it_may_be() {
    let variable = "arn:aws:s3:::${aws:username}";
    assert!(overlap_as(variable, Syntax::Variables, "arn:aws:s3:::bob", Syntax::Literal));
    assert!(!overlap_as(variable, Syntax::Literal, "arn:aws:s3:::bob", Syntax::Variables));
}

#[test]
fn arn_has_at_most_six_parts_and_a_variable_is_not_split() {
    assert_eq!(arn_parts("arn:aws:logs:eu-west-1:1:log-group:a:*")[5], "log-group:a:*");
    assert_eq!(arn_parts("arn:aws:s3:::${aws:PrincipalTag/a}/x")[5], "${aws:PrincipalTag/a}/x");
    assert_eq!(arn_parts("arn:aws:s3:::${aws:PrincipalTag/a{b:c}/x")[5], "${aws:PrincipalTag/a{b:c}/x");
    assert_eq!(arn_parts("arn:${a{:b}:s3:::b"), ["arn", "${a{:b}", "s3", "", "", "b"]);
    assert_eq!(arn_parts("arn:${AWS::Partition}:s3:::b"), ["arn", "${AWS::Partition}", "s3", "", "", "b"]);
    assert_eq!(arn_parts("arn:aws:s3:::a${b").len(), 6);
    assert_eq!(arn_parts_as("arn:${AWS::Partition}:s3:::b", Syntax::Literal)[1..3], ["${AWS", ""]);
}
