use super::*;

#[test]
fn overlapping_networks_count_once() {
    for (list, expected) in [
        (&["0.0.0.0/0"][..], true),
        (&["0.0.0.0/1", "128.0.0.0/1"], true),
        (&["128.0.0.0/1"], true),
        (&["0.0.0.0/4", "16.0.0.0/4"], true),
        (&["0.0.0.0/4", "0.0.0.0/4"], false),
        (&["0.0.0.0/4", "8.0.0.0/5"], false),
        (&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], false),
        (&["203.0.113.7"], false),
        (&["::/0"], true),
        (&["2000::/3"], true),
        (&["2001:db8::/32"], false),
        (&["10.0.0.0/8", "::/1"], true),
        (&["nonsense", "1.2.3.4/99"], false),
        (&[], false),
    ] {
        let values: Vec<String> = list.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(cover_most_addresses(&values), expected, "{list:?}");
    }
}
