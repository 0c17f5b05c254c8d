use super::*;

#[test]
fn sighup_in_the_ignored_signals_is_found() {
    for (status, ignored) in [
        ("Name:\tirsa\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n", true),
        ("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n", false),
        ("", false),
    ] {
        assert_eq!(ignores_hangup(status), ignored, "{status}");
    }
}
