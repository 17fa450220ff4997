//! Messages as a pcap file: the classic format, microseconds, raw IP packets (LINKTYPE_RAW, 101).
//!
//! Every message stands as one UDP datagram between its two addresses, whatever carried it, so that readers show
//! TCP and TLS like UDP; the Via of a message tells its transport. Headers are made up but whole: lengths and
//! checksums are right (RFC 791, 8200, 768). Format: draft-ietf-opsawg-pcap. Touches no file.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Raw IPv4 or IPv6, told apart by the version of each packet.
pub const LINKTYPE_RAW: u32 = 101;

/// Longest UDP payload that fits an IPv4 packet; what is beyond is cut off.
pub const PAYLOAD_BYTES_MAX: usize = 65_507;

const MAGIC: u32 = 0xA1B2_C3D4;
const SNAPLEN: u32 = 262_144;
const UDP: u8 = 17;
const HOPS: u8 = 64;

/// The head of the file, in little-endian order.
pub fn file_head() -> Vec<u8> {
    let mut head = Vec::with_capacity(24);
    head.extend(MAGIC.to_le_bytes());
    head.extend(2_u16.to_le_bytes());
    head.extend(4_u16.to_le_bytes());
    head.extend([0; 8]);
    head.extend(SNAPLEN.to_le_bytes());
    head.extend(LINKTYPE_RAW.to_le_bytes());
    head
}

/// One message as a record of the file.
pub fn record(wall_us: i64, from: SocketAddr, to: SocketAddr, message: &[u8]) -> Vec<u8> {
    let payload = message.get(..PAYLOAD_BYTES_MAX).unwrap_or(message);
    let packet = packet(from, to, payload);
    let mut record = Vec::with_capacity(16 + packet.len());
    let seconds = u32::try_from(wall_us.div_euclid(1_000_000)).unwrap_or(0);
    record.extend(seconds.to_le_bytes());
    record.extend((wall_us.rem_euclid(1_000_000) as u32).to_le_bytes());
    record.extend((packet.len() as u32).to_le_bytes());
    record.extend(((packet.len() + message.len() - payload.len()) as u32).to_le_bytes());
    record.extend(packet);
    record
}

fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let (source, target) = (from.ip().to_canonical(), to.ip().to_canonical());
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let (source, target) = (source.octets(), target.octets());
            let udp = datagram(from.port(), to.port(), payload, &source, &target);
            let mut head = vec![0x45, 0];
            head.extend(((20 + udp.len()) as u16).to_be_bytes());
            // No identification is needed where nothing is fragmented (RFC 6864).
            head.extend([0, 0, 0x40, 0, HOPS, UDP, 0, 0]);
            head.extend(source);
            head.extend(target);
            let sum = checksum(&[&head]).to_be_bytes();
            if let Some(place) = head.get_mut(10..12) {
                place.copy_from_slice(&sum);
            }
            head.extend(udp);
            head
        }
        (source, target) => {
            let (source, target) = (v6(source).octets(), v6(target).octets());
            let udp = datagram(from.port(), to.port(), payload, &source, &target);
            let mut head = vec![0x60, 0, 0, 0];
            head.extend((udp.len() as u16).to_be_bytes());
            head.extend([UDP, HOPS]);
            head.extend(source);
            head.extend(target);
            head.extend(udp);
            head
        }
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn datagram(from: u16, to: u16, payload: &[u8], source: &[u8], target: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut head = Vec::with_capacity(8 + payload.len());
    head.extend(from.to_be_bytes());
    head.extend(to.to_be_bytes());
    head.extend(length.to_be_bytes());
    let length = length.to_be_bytes();
    let pseudo: &[u8] = &[0, UDP, length[0], length[1]];
    // A sum of zero is sent as all ones (RFC 768).
    let sum = match checksum(&[source, target, pseudo, &head, &[0, 0], payload]) {
        0 => 0xFFFF,
        sum => sum,
    };
    head.extend(sum.to_be_bytes());
    head.extend(payload);
    head
}

/// The Internet checksum (RFC 1071) over parts of which all but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for part in parts {
        let (pairs, rest) = part.as_chunks::<2>();
        for pair in pairs {
            sum += u32::from(u16::from_be_bytes(*pair));
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        if let [last] = rest {
            sum += u32::from(*last) << 8;
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
    }
    !((sum & 0xFFFF) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_as_the_format_says() {
        let head = file_head();
        assert_eq!(head[..8], [0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0]);
        assert_eq!(head[8..16], [0; 8]);
        assert_eq!(head[16..], [0, 0, 4, 0, 101, 0, 0, 0]);
    }

    #[test]
    fn a_datagram_of_ipv4_is_whole() {
        let from = "10.0.0.1:5060".parse().unwrap();
        let to = "10.0.1.1:5070".parse().unwrap();
        let record = record(1_767_225_600_250_000, from, to, b"abc");
        assert_eq!(record[..4], 1_767_225_600_u32.to_le_bytes());
        assert_eq!(record[4..8], 250_000_u32.to_le_bytes());
        assert_eq!(record[8..16], [31, 0, 0, 0, 31, 0, 0, 0]);
        let packet = &record[16..];
        // Worked out by hand after RFC 1071: the sum over a right header is all ones.
        assert_eq!(packet[..10], [0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, 17]);
        assert_eq!(packet[10..12], [0x25, 0xCD]);
        assert_eq!(packet[20..26], [0x13, 0xC4, 0x13, 0xCE, 0, 11]);
        assert_eq!(packet[28..], *b"abc");
        assert_eq!(checksum(&[&packet[..20]]), 0);
        assert_eq!(checksum(&[&packet[12..20], &[0, 17, 0, 11], &packet[20..]]), 0);
    }

    #[test]
    fn ipv6_and_mixed_addresses_make_packets_of_ipv6() {
        let from: SocketAddr = "[2001:db8::1]:5060".parse().unwrap();
        for (to, length) in [("[2001:db8::2]:5060", 40 + 8 + 2), ("10.0.0.1:5060", 40 + 8 + 2)] {
            let packet = packet(from, to.parse().unwrap(), b"hi");
            assert_eq!((packet[0], packet.len()), (0x60, length), "{to}");
            assert_eq!(packet[6..8], [17, 64]);
            assert_eq!(checksum(&[&packet[8..40], &[0, 17, 0, 10], &packet[40..]]), 0);
        }
        // Addresses of IPv4 in the dress of IPv6 are of IPv4.
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:5060".parse().unwrap();
        assert_eq!(packet(mapped, mapped, b"").first(), Some(&0x45));
    }

    #[test]
    fn what_no_datagram_holds_is_cut_off_and_says_so() {
        let at = "10.0.0.1:5060".parse().unwrap();
        let record = record(0, at, at, &vec![b'x'; 70_000]);
        assert_eq!(record.len(), 16 + 65_535);
        assert_eq!(record[8..12], 65_535_u32.to_le_bytes());
        assert_eq!(record[12..16], 70_028_u32.to_le_bytes());
    }
}
