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
