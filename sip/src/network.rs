//! Networks in CIDR notation: who may speak to us, and where requests may go.
//!
//! Knows nothing of trunks; its owner says which networks count.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address prefix such as `203.0.113.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// Host bits are zero; an IPv4-mapped IPv6 address is kept as IPv4.
    address: IpAddr,
    /// Leading bits that count.
    prefix_bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part before the slash is no IP address.
    #[error("not an IP address")]
    Address,
    /// The part after the slash is no prefix length of that address family.
    #[error("not a prefix length")]
    Prefix,
}

impl Network {
    /// The network of `address` with so many leading bits; more than the family has are an error.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Result<Self, NetworkError> {
        let (address, prefix_bits) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) => (
                IpAddr::V4(mapped),
                prefix_bits.checked_sub(96).ok_or(NetworkError::Prefix)?,
            ),
            (_, canonical) => (canonical, prefix_bits),
        };
        if prefix_bits > family_bits(address) {
            return Err(NetworkError::Prefix);
        }
        Ok(Network {
            address: masked(address, prefix_bits),
            prefix_bits,
        })
    }

    /// The one address.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Network {
            address,
            prefix_bits: family_bits(address),
        }
    }

    /// True for an address inside; an IPv4-mapped IPv6 address is judged as IPv4 (docs/threats.md: B25).
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix_bits) == self.address
    }

    /// Leading bits that count: of two networks that hold an address the longer one wins.
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse().map(Network::host).map_err(|_| NetworkError::Address);
        };
        let address = address.parse().map_err(|_| NetworkError::Address)?;
        if !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NetworkError::Prefix);
        }
        Network::new(address, prefix.parse().map_err(|_| NetworkError::Prefix)?)
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

/// Whom an address stands for where sources are counted: a host of IPv4, a network of 64 bits of IPv6, whose
/// hosts choose the rest of their addresses themselves.
pub(crate) fn neighbourhood(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        v6 @ IpAddr::V6(_) => masked(v6, 64),
    }
}

fn family_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(prefix_bits.min(32)))
                .unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(prefix_bits.min(128)))
                .unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_shares_its_prefix() {
        let net: Network = "203.0.113.64/26".parse().unwrap();
        assert!(net.contains("203.0.113.127".parse().unwrap()));
        assert!(!net.contains("203.0.113.128".parse().unwrap()));
        assert!(!net.contains("::1".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.255.255.255".parse().unwrap()));
        let six: Network = "2001:db8::/32".parse().unwrap();
        assert!(six.contains("2001:db8:1::1".parse().unwrap()));
        assert!(!six.contains("2001:db9::1".parse().unwrap()));
    }

    #[test]
    fn a_mapped_address_is_judged_as_ipv4() {
        let net: Network = "127.0.0.0/8".parse().unwrap();
        assert!(net.contains("::ffff:127.0.0.1".parse().unwrap()));
        let mapped: Network = "::ffff:127.0.0.0/104".parse().unwrap();
        assert_eq!(mapped, net);
    }

    #[test]
    fn an_address_alone_is_its_own_network() {
        let net: Network = "192.0.2.1".parse().unwrap();
        assert_eq!(net.to_string(), "192.0.2.1/32");
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, error) in [
            ("", NetworkError::Address),
            ("a/8", NetworkError::Address),
            ("10.0.0.0/33", NetworkError::Prefix),
            ("10.0.0.0/-1", NetworkError::Prefix),
            ("10.0.0.0/+8", NetworkError::Prefix),
            ("10.0.0.0/", NetworkError::Prefix),
            ("::/129", NetworkError::Prefix),
            ("::ffff:1.2.3.4/95", NetworkError::Prefix),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }
}
