//! Which addresses belong to the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses: those that share the first `length` bits of `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressRange {
    start: IpAddr,
    length: u8,
}

impl AddressRange {
    /// Creates a range. `None` if there are not that many bits.
    pub(crate) fn new(start: IpAddr, length: u8) -> Option<Self> {
        let bits = if start.is_ipv4() { 32 } else { 128 };
        (length <= bits).then_some(Self { start, length })
    }

    /// The range of one address.
    pub(crate) fn one(address: IpAddr) -> Self {
        Self { start: address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Returns whether the range contains an address. IPv4 and its forms in IPv6 are different.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.start, address) {
            (IpAddr::V4(start), IpAddr::V4(address)) => {
                let differing = start.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - u32::from(self.length)).unwrap_or(0) == 0
            }
            (IpAddr::V6(start), IpAddr::V6(address)) => {
                let differing = start.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - u32::from(self.length)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for AddressRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start, length } = self;
        if *self == Self::one(*start) {
            write!(f, "{start}")
        } else {
            write!(f, "{start}/{length}")
        }
    }
}

/// Ranges of IPv4 that are not public: the IANA IPv4 Special-Purpose Address Registry, multicast
/// (RFC 5771) and the reserved rest. The metadata services of clouds are link-local.
const SPECIAL_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The one range of IPv6 that has public addresses: global unicast (RFC 4291, section 2.4).
/// IPv4-mapped (`::ffff:0:0/96`), IPv4-compatible (`::/96`), NAT64 (`64:ff9b::/96`), unique local,
/// link-local and multicast addresses are outside of it.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Parts of it that are not public: protocol assignments with Teredo, documentation, 6to4.
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Returns whether an address is public. Forms of IPv6 that hold an IPv4 address never are: the
/// network decides where they lead.
pub(crate) fn is_public(address: IpAddr) -> bool {
    let is_in = |start: IpAddr, length| AddressRange { start, length }.contains(address);
    match address {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(|&(start, length)| is_in(start.into(), length)),
        IpAddr::V6(_) => {
            is_in(GLOBAL_V6.0.into(), GLOBAL_V6.1)
                && !SPECIAL_V6.iter().any(|&(start, length)| is_in(start.into(), length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_public() {
        for text in
            ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"]
        {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn special_addresses_are_not_public() {
        let special =
            "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.255 169.254.169.254
            172.16.0.1 172.31.255.255 192.0.0.192 192.168.1.1 198.18.0.1 224.0.0.1 239.1.1.1
            240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8
            64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1::
            fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 3fff::1 4000::1";
        for text in special.split_whitespace() {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_range_contains_the_addresses_of_its_prefix() {
        let range = |text: &str, length| AddressRange::new(text.parse().unwrap(), length);
        let contains = |range: AddressRange, text: &str| range.contains(text.parse().unwrap());
        let ten = range("10.0.0.0", 8).unwrap();
        assert!(contains(ten, "10.255.0.1") && !contains(ten, "11.0.0.1"));
        assert!(!contains(ten, "::ffff:10.0.0.1"));
        let all = range("0.0.0.0", 0).unwrap();
        assert!(contains(all, "255.0.0.1") && !contains(all, "::1"));
        let unique = range("fd00::", 8).unwrap();
        assert!(contains(unique, "fd12::1") && !contains(unique, "fe80::1"));
        assert_eq!(range("10.0.0.0", 33), None);
        assert_eq!(ten.to_string(), "10.0.0.0/8");
        assert_eq!(AddressRange::one("::1".parse().unwrap()).to_string(), "::1");
    }
}
