use super::parse;

#[test]
fn durations_are_parsed_strictly() {
    for (text, seconds) in [("1h", 3600), ("90m", 5400), ("1h30m", 5400), ("24h", 86_400), ("5s", 5), ("1d", 86_400)] {
        assert_eq!(parse(text).unwrap().as_secs(), seconds, "{text}");
    }
    for text in ["", "1", "h", "1x", "1m1h", "1h1h", "-1h", "+1h", "99999999999999999999d", "1 h"] {
        assert!(parse(text).is_err(), "{text}");
    }
}
