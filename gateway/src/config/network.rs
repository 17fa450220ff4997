//! Address blocks as the file writes them: `10.0.0.0/8`, `2001:db8::/32`, or one bare address.

use std::net::IpAddr;

pub use media::Network;

/// Reads `ADDRESS/PREFIX` or a bare address, and clears the bits that do not count.
pub fn network_from_text(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(bits);
    if prefix > bits {
        return None;
    }
    Some(Network {
        address: masked(address, prefix),
        prefix,
    })
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_blocks_and_bare_addresses_and_clears_host_bits() {
        let net = |text: &str| network_from_text(text).map(|net| format!("{}/{}", net.address, net.prefix));
        assert_eq!(net("127.0.0.1/8").as_deref(), Some("127.0.0.0/8"));
        assert_eq!(net("10.1.2.3").as_deref(), Some("10.1.2.3/32"));
        assert_eq!(net("::1").as_deref(), Some("::1/128"));
        assert_eq!(net("2001:db8:1::/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(net("0.0.0.0/0").as_deref(), Some("0.0.0.0/0"));
    }

    #[test]
    fn refuses_what_is_no_block() {
        for bad in [
            "",
            "localhost",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "/8",
            "10.0.0/8",
        ] {
            assert!(network_from_text(bad).is_none(), "{bad}");
        }
    }
}
