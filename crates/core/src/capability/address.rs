//! Which addresses a request may go to, whatever name led there.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::{manifest::TextError, reader::shown};

/// Where an address leads.
///
/// Attack: a name that a plugin may ask for resolves to an address within the host's own network, or to the service that
/// hands out the machine's credentials. A name is whatever its owner says it is today, so addresses are judged as well,
/// and the connection goes to the very address that was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// The Internet.
    Public,
    /// Networks of an organisation or a provider: RFC 1918, RFC 6598, RFC 4193. Only where a rule says so.
    Private,
    /// This machine. Only where a rule says so.
    Loopback,
    /// Nothing that a plugin is ever let near: link-local addresses and the metadata services among them, groups,
    /// addresses that mean another one in disguise, and what is reserved.
    Never,
}

/// Addresses in otherwise private ranges at which clouds hand out a machine's credentials.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
];

impl Reach {
    /// Where `address` leads.
    pub fn of(address: IpAddr) -> Self {
        match address {
            address if METADATA.contains(&address) => Self::Never,
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }

    /// Its name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::Never => "never",
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127, ..) => Reach::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Reach::Private,
        // "This network", link-local, protocol assignments and documentation, 6to4 relays, benchmarks, groups, reserved.
        (0 | 224..=255, ..) | (169, 254, _) | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) => Reach::Never,
        (198, 51, 100) | (203, 0, 113) => Reach::Never,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Reach::of(IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0) if (g, h) == (0, 1) => Reach::Loopback,
        // Written as an IPv4 address in disguise, it is judged as that one: mapped (RFC 4291) and NAT64 (RFC 6052).
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        // 6to4 (RFC 3056) tunnels to the IPv4 address within.
        (0x2002, ..) => v4(b, c),
        // The unspecified address and the old "compatible" form; NAT64 of an organisation's own (RFC 8215); Teredo and
        // the other protocol assignments, documentation.
        (0, 0, 0, 0, ..) | (0x64, 0xff9b, 1, ..) | (0x2001, 0..=0x01ff | 0x0db8, ..) | (0x3fff, 0..=0x0fff, ..) => {
            Reach::Never
        }
        (0xfc00..=0xfdff, ..) => Reach::Private,
        // What is neither assigned for use over the Internet (2000::/3) nor named above: link-local, groups, reserved.
        (0x2000..=0x3fff, ..) => Reach::Public,
        _ => Reach::Never,
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a rule may let through: `private` and `loopback`. `public` needs no rule, and nothing else is ever let through.
impl FromStr for Reach {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        match text {
            "private" => Ok(Self::Private),
            "loopback" => Ok(Self::Loopback),
            _ => Err(TextError(format!("`{}` is not `private` or `loopback`", shown(text)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_inner_address_is_that_address() {
        let cases = [
            ("93.184.216.34", Reach::Public),
            ("2606:4700::1", Reach::Public),
            ("127.0.0.1", Reach::Loopback),
            ("127.255.255.254", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("64:ff9b::7f00:1", Reach::Loopback),
            ("2002:7f00:1::", Reach::Loopback),
            ("10.1.2.3", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("192.168.0.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("fd12:3456::1", Reach::Private),
            ("::ffff:10.0.0.1", Reach::Private),
            ("169.254.169.254", Reach::Never),
            ("::ffff:169.254.169.254", Reach::Never),
            ("64:ff9b::a9fe:a9fe", Reach::Never),
            ("2002:a9fe:a9fe::1", Reach::Never),
            ("fd00:ec2::254", Reach::Never),
            ("100.100.100.200", Reach::Never),
            ("::ffff:100.100.100.200", Reach::Never),
            ("0.0.0.0", Reach::Never),
            ("::", Reach::Never),
            ("::7f00:1", Reach::Never),
            ("64:ff9b:1::7f00:1", Reach::Never),
            ("2001:0:1::1", Reach::Never),
            ("fe80::1", Reach::Never),
            ("fec0::1", Reach::Never),
            ("ff02::1", Reach::Never),
            ("224.0.0.1", Reach::Never),
            ("255.255.255.255", Reach::Never),
            ("192.0.2.1", Reach::Never),
            ("2001:db8::1", Reach::Never),
        ];
        for (text, reach) in cases {
            let address: IpAddr = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(Reach::of(address), reach, "{text}");
        }
    }
}
