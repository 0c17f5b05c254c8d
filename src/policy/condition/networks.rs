//! How much of the internet a list of networks covers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether they cover so much of IPv4 or of IPv6 that they are no limit: an eighth of all addresses, which is all that is
/// in use of IPv6 (<https://www.iana.org/assignments/ipv6-address-space>).
pub(super) fn nearly_all(values: &[String]) -> bool {
    let ranges = |four: bool| {
        let of = values.iter().filter_map(|value| range(value)).filter(|range| range.four == four);
        let mut ranges: Vec<Range> = of.collect();
        ranges.sort_unstable_by_key(|range| range.first);
        ranges
    };
    covered(&ranges(true)) >= 1 << (32 - 3) || covered(&ranges(false)) >= 1 << (128 - 3)
}

/// From the first address to the last.
struct Range {
    four: bool,
    first: u128,
    last: u128,
}

/// How many addresses; the ranges are sorted.
fn covered(ranges: &[Range]) -> u128 {
    let (mut count, mut next) = (0_u128, 0);
    for range in ranges {
        let first = range.first.max(next);
        if range.last >= first {
            count = count.saturating_add(range.last - first).saturating_add(1);
            next = range.last.saturating_add(1);
        }
    }
    count
}

fn range(text: &str) -> Option<Range> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (four, bits, number) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (true, Ipv4Addr::BITS, u128::from(u32::from(address))),
        IpAddr::V6(address) => (false, Ipv6Addr::BITS, u128::from(address)),
    };
    let free = bits.checked_sub(length.unwrap_or(bits))?;
    let mask = if free == 128 { u128::MAX } else { (1 << free) - 1 };
    Some(Range { four, first: number & !mask, last: number | mask })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_add_up() {
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
            assert_eq!(nearly_all(&values), expected, "{list:?}");
        }
    }
}
