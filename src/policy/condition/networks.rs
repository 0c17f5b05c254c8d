//! CIDR blocks: whether one contains another, and how much of the address space a list of them covers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the blocks cover at least an eighth of all IPv4 or IPv6 addresses, so that they do not limit anything. Only
/// an eighth of IPv6 is in use (<https://www.iana.org/assignments/ipv6-address-space>).
pub(super) fn cover_most_addresses(blocks: &[String]) -> bool {
    let covered = |bits: u32| {
        let of_family = blocks.iter().filter_map(|block| range(block)).filter(|range| range.bits == bits);
        let mut ranges: Vec<Range> = of_family.collect();
        ranges.sort_unstable_by_key(|range| range.first);
        count(&ranges)
    };
    covered(Ipv4Addr::BITS) >= 1 << (32 - 3) || covered(Ipv6Addr::BITS) >= 1 << (128 - 3)
}

/// Whether the first block has every address of the second. False if one is no block.
pub(super) fn contains(wide: &str, narrow: &str) -> bool {
    let (Some(wide), Some(narrow)) = (range(wide), range(narrow)) else { return false };
    wide.bits == narrow.bits && wide.first <= narrow.first && narrow.last <= wide.last
}

/// From the first address to the last.
struct Range {
    /// 32 for IPv4, 128 for IPv6.
    bits: u32,
    first: u128,
    last: u128,
}

/// The number of addresses in sorted ranges.
fn count(ranges: &[Range]) -> u128 {
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

fn range(block: &str) -> Option<Range> {
    let (address, length) = match block.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (block, None),
    };
    let (bits, number) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => (Ipv4Addr::BITS, u128::from(u32::from(address))),
        IpAddr::V6(address) => (Ipv6Addr::BITS, u128::from(address)),
    };
    let free = bits.checked_sub(length.unwrap_or(bits))?;
    let mask = if free == 128 { u128::MAX } else { (1 << free) - 1 };
    Some(Range { bits, first: number & !mask, last: number | mask })
}

#[cfg(test)]
mod tests;
