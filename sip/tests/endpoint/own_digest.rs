//! A second opinion on digest: MD5, SHA-256 and the answer to a challenge, written from RFC 1321, FIPS 180-4
//! and RFC 7616 alone, so that a fault of the stack's own arithmetic cannot hide behind itself.

/// How a challenge is answered.
pub struct Answer<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub method: &'a str,
    pub uri: &'a str,
    pub count: u32,
    pub cnonce: &'a str,
}

impl Answer<'_> {
    /// The value of Authorization for one challenge as it came.
    pub fn to(&self, challenge: &str) -> String {
        let of = |name: &str| {
            let (_, rest) = challenge.split_once(&format!("{name}=")).unwrap();
            rest.trim_start_matches('"')
                .split(['"', ','])
                .next()
                .unwrap()
                .to_owned()
        };
        let (realm, nonce, algorithm) = (of("realm"), of("nonce"), of("algorithm"));
        let hash = |text: String| match algorithm.as_str() {
            "MD5" => hex(&md5(text.as_bytes())),
            "SHA-256" => hex(&sha256(text.as_bytes())),
            other => panic!("{other}"),
        };
        let Answer {
            user,
            password,
            method,
            uri,
            count,
            cnonce,
        } = self;
        let secret = hash(format!("{user}:{realm}:{password}"));
        let request = hash(format!("{method}:{uri}"));
        let response = hash(format!("{secret}:{nonce}:{count:08x}:{cnonce}:auth:{request}"));
        format!(
            "Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",response=\"{response}\",\
             algorithm={algorithm},cnonce=\"{cnonce}\",qop=auth,nc={count:08x},opaque=\"{}\"",
            of("opaque")
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn padded(message: &[u8], length: [u8; 8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    while bytes.len() % 64 != 56 {
        bytes.push(0);
    }
    bytes.extend(length);
    bytes
}

fn sha256(message: &[u8]) -> [u8; 32] {
    // The fractional parts of the roots of the first primes (FIPS 180-4 §4.2.2, §5.3.3).
    let primes: Vec<u64> = (2..312).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
    let cube: Vec<u32> = primes.iter().map(|prime| root(*prime, 3)).collect();
    let mut state: Vec<u32> = primes[..8].iter().map(|prime| root(*prime, 2)).collect();
    for block in padded(message, (message.len() as u64 * 8).to_be_bytes()).chunks(64) {
        let words = block
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().unwrap()));
        let mut w: Vec<u32> = words.collect();
        for t in 16..64 {
            let small = |x: u32, a: u32, b: u32, c: u32| x.rotate_right(a) ^ x.rotate_right(b) ^ (x >> c);
            let next = small(w[t - 2], 17, 19, 10)
                .wrapping_add(w[t - 7])
                .wrapping_add(small(w[t - 15], 7, 18, 3))
                .wrapping_add(w[t - 16]);
            w.push(next);
        }
        let mut s = state.clone();
        for t in 0..64 {
            let big =
                |x: u32, a: u32, b: u32, c: u32| x.rotate_right(a) ^ x.rotate_right(b) ^ x.rotate_right(c);
            let choice = (s[4] & s[5]) ^ (!s[4] & s[6]);
            let majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
            let one = s[7]
                .wrapping_add(big(s[4], 6, 11, 25))
                .wrapping_add(choice)
                .wrapping_add(cube[t])
                .wrapping_add(w[t]);
            let two = big(s[0], 2, 13, 22).wrapping_add(majority);
            s.rotate_right(1);
            s[4] = s[4].wrapping_add(one);
            s[0] = one.wrapping_add(two);
        }
        for (sum, part) in state.iter_mut().zip(s) {
            *sum = sum.wrapping_add(part);
        }
    }
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.try_into().unwrap()
}

/// The first 32 bits of the fractional part of a root, by halving.
fn root(of: u64, power: u32) -> u32 {
    let wanted = u128::from(of) << (32 * power);
    let (mut low, mut high) = (0u128, u128::from(of) << 32);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle.pow(power) <= wanted {
            low = middle
        } else {
            high = middle
        }
    }
    low as u32
}

fn md5(message: &[u8]) -> [u8; 16] {
    let shifts = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(message, (message.len() as u64 * 8).to_le_bytes()).chunks(64) {
        let words = block
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let words: Vec<u32> = words.collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((b & d) | (c & !d), 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let sine = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a
                .wrapping_add(mixed)
                .wrapping_add(sine)
                .wrapping_add(words[word % 16]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(shifts[step / 16][step % 4]));
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.try_into().unwrap()
}

#[test]
fn the_second_opinion_knows_the_standards_own_examples() {
    assert_eq!(hex(&md5(b"abc")), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(
        hex(&sha256(b"abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        hex(&sha256(
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
        )),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    );
}
