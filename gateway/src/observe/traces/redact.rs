//! What leaves a SIP message before it is written down: secrets always, numbers and names unless they are asked for.
//!
//! - `Authorization` and its like, `Identity`, and whatever carries a digest response: the value.
//! - Keys in SDP: `a=crypto`, `k=`, `a=key-mgmt`, `a=ice-pwd`. Passwords in URIs.
//! - Bodies that are no SDP: digits of an INFO, locations, texts.
//! - Numbers: the digits of user parts but the last two; names beside them; long numbers in headers we do not know.
//!
//! Inside a body every byte taken away leaves a `*`, so that Content-Length stays true. Reads bytes, not grammar: a
//! message that no parser takes is redacted all the same. Touches no file.

/// Digits of a user part from which on it is a number.
const NUMBER_DIGITS: usize = 5;
/// Digits in a row that make a number in a header we do not know.
const BARE_DIGITS: usize = 7;
/// Digits of a number that stay.
const KEPT_DIGITS: usize = 2;

/// Headers whose value is a secret or is signed personal data.
const SECRET: [&[u8]; 6] = [
    b"authorization",
    b"proxy-authorization",
    b"authentication-info",
    b"proxy-authentication-info",
    b"identity",
    b"y",
];

/// Headers whose values are addresses with names.
const ADDRESSES: [&[u8]; 16] = [
    b"from",
    b"f",
    b"to",
    b"t",
    b"contact",
    b"m",
    b"p-asserted-identity",
    b"p-preferred-identity",
    b"p-called-party-id",
    b"remote-party-id",
    b"diversion",
    b"history-info",
    b"referred-by",
    b"b",
    b"refer-to",
    b"r",
];

/// Headers whose digits are no telephone numbers.
const TECHNICAL: [&[u8]; 34] = [
    b"via",
    b"v",
    b"call-id",
    b"i",
    b"cseq",
    b"content-length",
    b"l",
    b"content-type",
    b"c",
    b"max-forwards",
    b"expires",
    b"min-expires",
    b"session-expires",
    b"x",
    b"min-se",
    b"rseq",
    b"rack",
    b"date",
    b"timestamp",
    b"retry-after",
    b"user-agent",
    b"server",
    b"route",
    b"record-route",
    b"www-authenticate",
    b"proxy-authenticate",
    b"allow",
    b"supported",
    b"k",
    b"require",
    b"reason",
    b"warning",
    b"replaces",
    b"x-hop",
];

/// The message as it may be written down.
pub fn redact(message: &[u8], shows_numbers: bool) -> Vec<u8> {
    let (head, body) = split(message);
    let mut kind = Vec::new();
    let mut text = Vec::with_capacity(message.len());
    for (number, line) in headers(head).into_iter().enumerate() {
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) if number > 0 => line.split_at(colon + 1),
            Some(_) | None => (&b""[..], line),
        };
        let key = name
            .strip_suffix(b":")
            .unwrap_or(name)
            .trim_ascii()
            .to_ascii_lowercase();
        if matches!(key.as_slice(), b"content-type" | b"c") {
            kind = value.trim_ascii().to_ascii_lowercase();
        }
        text.extend(name);
        text.extend(header(&key, value, number == 0, shows_numbers));
    }
    text.extend(redact_body(&kind, body));
    text
}

/// Up to and with the empty line, and what follows.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"];
    let end = ends
        .iter()
        .filter_map(|end| Some(find(message, end)? + end.len()))
        .min();
    message.split_at(end.unwrap_or(message.len()))
}

/// Lines with their ends; a line that begins with a blank belongs to the one before (RFC 3261 §7.3.1).
fn headers(head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, byte) in head.iter().enumerate() {
        let folds = matches!(head.get(at + 1), Some(b' ' | b'\t'));
        if *byte == b'\n' && !folds {
            lines.extend(head.get(start..=at));
            start = at + 1;
        }
    }
    lines.extend(head.get(start..).filter(|rest| !rest.is_empty()));
    lines
}

fn header(key: &[u8], value: &[u8], is_first: bool, shows_numbers: bool) -> Vec<u8> {
    let has_response = find(&value.to_ascii_lowercase(), b"response=").is_some();
    if SECRET.contains(&key) || has_response {
        let end = value.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        let end = value.split_at(end.map_or(0, |end| end + 1)).1;
        return [b" Digest redacted=\"yes\"", end].concat();
    }
    let mut value = value.to_vec();
    for (from, to) in uris(&value) {
        if let Some(uri) = value.get_mut(from..to) {
            redact_uri(uri, shows_numbers);
        }
    }
    if !shows_numbers {
        if ADDRESSES.contains(&key) {
            hide_names(&mut value);
        } else if !is_first && !TECHNICAL.contains(&key) {
            hide_runs(&mut value);
        }
    }
    value
}

/// Where URIs of calls stand, without their scheme: for `sip:` up to the `@`, for `tel:` up to the end.
fn uris(value: &[u8]) -> Vec<(usize, usize)> {
    let lower = value.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = lower.get(at..) {
        let schemes = [(&b"sip:"[..], true), (b"sips:", true), (b"tel:", false)];
        let next = schemes
            .iter()
            .filter_map(|(scheme, has_user)| Some((find(rest, scheme)? + scheme.len(), *has_user)))
            .min();
        let Some((begin, has_user)) = next else { break };
        let begin = at + begin;
        let tail = value.get(begin..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b'>' | b'<' | b'"' | b' ' | b'\t' | b'\r' | b'\n');
        let length = tail.iter().position(ends).unwrap_or(tail.len());
        let whole = tail.get(..length).unwrap_or_default();
        let user = match has_user {
            true => whole.iter().position(|byte| *byte == b'@'),
            false => Some(length),
        };
        found.extend(user.map(|user| (begin, begin + user)));
        at = begin;
    }
    found
}

/// A user part, or the rest of a `tel:` URI.
fn redact_uri(user: &mut [u8], shows_numbers: bool) {
    if let Some(colon) = user.iter().position(|byte| *byte == b':') {
        let password = user.iter_mut().skip(colon + 1);
        password.for_each(|byte| *byte = b'*');
    }
    let digits = digits(user);
    if shows_numbers || digits.len() < NUMBER_DIGITS {
        return;
    }
    let hidden = digits.len() - KEPT_DIGITS;
    for (at, is_escaped) in digits.into_iter().take(hidden) {
        match user.get_mut(at..at + 3) {
            Some(escape) if is_escaped => escape.copy_from_slice(b"%2A"),
            _ => user.iter_mut().skip(at).take(1).for_each(|byte| *byte = b'*'),
        }
    }
}

/// Where digits stand, and whether as an escape (`%31`); those of other escapes are none.
fn digits(user: &[u8]) -> Vec<(usize, bool)> {
    let mut digits = Vec::new();
    let mut at = 0;
    while let Some(byte) = user.get(at) {
        match (byte, user.get(at + 1), user.get(at + 2)) {
            (b'%', Some(b'3'), Some(b'0'..=b'9')) => digits.push((at, true)),
            (b'0'..=b'9', _, _) => digits.push((at, false)),
            _ => {}
        }
        at += if *byte == b'%' { 3 } else { 1 };
    }
    digits
}

/// Names before `<` in each address of a list; the parameters after `>` stay.
fn hide_names(value: &mut [u8]) {
    if !value.contains(&b'<') {
        return;
    }
    let mut is_name = true;
    for byte in value {
        match byte {
            b'<' => is_name = false,
            b',' => is_name = true,
            b'"' | b' ' | b'\t' | b'\r' | b'\n' => {}
            byte if is_name => *byte = b'*',
            _ => {}
        }
    }
}

/// Long rows of digits, the last two left.
fn hide_runs(value: &mut [u8]) {
    let is_digit = |byte: &u8, next: &u8| byte.is_ascii_digit() == next.is_ascii_digit();
    for run in value.chunk_by_mut(is_digit) {
        let is_number = run.first().is_some_and(u8::is_ascii_digit) && run.len() >= BARE_DIGITS;
        let hidden = run.len().saturating_sub(KEPT_DIGITS);
        if is_number {
            run.iter_mut().take(hidden).for_each(|byte| *byte = b'*');
        }
    }
}

fn redact_body(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let is_sdp = kind.starts_with(b"application/sdp") || (kind.is_empty() && body.starts_with(b"v=0"));
    let is_multipart = kind.starts_with(b"multipart/");
    let mut text = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let is_field = matches!(line, [name, b'=', ..] if name.is_ascii_lowercase());
        let is_frame =
            is_multipart && (line.starts_with(b"--") || line.to_ascii_lowercase().starts_with(b"content-"));
        let mut line = line.to_vec();
        match (is_sdp || is_multipart) && is_field {
            true => hide_key(&mut line),
            false if is_frame => {}
            false => hide_from(&mut line, 0),
        }
        text.extend(line);
    }
    text
}

/// The key in a line of SDP, if it has one.
fn hide_key(line: &mut [u8]) {
    let lower = line.to_ascii_lowercase();
    let secret = |prefix: &[u8]| lower.starts_with(prefix).then_some(prefix.len());
    let from = [&b"k="[..], b"a=key-mgmt:", b"a=ice-pwd:"]
        .into_iter()
        .find_map(secret);
    let inline = find(&lower, b"inline:").map(|at| at + b"inline:".len());
    let crypto = secret(b"a=crypto").map(|from| inline.unwrap_or(from));
    if let Some(from) = from.or(crypto).or(inline) {
        hide_from(line, from);
    }
}

fn hide_from(line: &mut [u8], from: usize) {
    let rest = line.iter_mut().skip(from);
    let hidden = rest.filter(|byte| !matches!(byte, b'\r' | b'\n'));
    hidden.for_each(|byte| *byte = b'*');
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(text: &str, shows_numbers: bool) -> String {
        String::from_utf8(redact(text.as_bytes(), shows_numbers)).unwrap()
    }

    #[test]
    fn credentials_leave_however_their_header_is_written() {
        for header in [
            "Authorization: Digest username=\"u\", realm=\"r\", nonce=\"n\", response=\"5ec2e7\"",
            "authorization:Digest response=\"5ec2e7\"",
            "Proxy-Authorization : Digest username=\"u\",\r\n response=\"5ec2e7\"",
            "PROXY-AUTHORIZATION\t: Basic 5ec2e7",
            "Authorization\r\n : Digest response=\"5ec2e7\"",
            "Authentication-Info: rspauth=\"5ec2e7\"",
            "X-Odd: response=5ec2e7",
            "Identity: 5ec2e7;info=<https://a/b>",
            "y: 5ec2e7",
        ] {
            let text = format!("REGISTER sip:a SIP/2.0\r\n{header}\r\nCSeq: 1 REGISTER\r\n\r\n");
            for shows_numbers in [false, true] {
                let kept = redacted(&text, shows_numbers);
                assert!(!kept.contains("5ec2e7"), "{kept}");
                assert!(
                    kept.ends_with("redacted=\"yes\"\r\nCSeq: 1 REGISTER\r\n\r\n"),
                    "{kept}"
                );
            }
        }
        let challenge =
            "SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1234567890\"\r\n\r\n";
        assert_eq!(redacted(challenge, false), challenge);
    }

    #[test]
    fn keys_leave_sdp_and_its_length_stays() {
        let body = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20\r\nk=base64:c2VjcmV0\r\n\
                    a=ice-pwd:c2VjcmV0\r\nA=crypto c2VjcmV0\r\na=key-mgmt:mikey c2VjcmV0\r\na=rtpmap:0 PCMU/8000\r\n";
        let head = format!(
            "INVITE sip:a@b SIP/2.0\r\nc: application/sdp\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let kept = redacted(&format!("{head}{body}"), true);
        assert!(!kept.contains("c2VjcmV0"), "{kept}");
        assert_eq!(kept.len(), head.len() + body.len());
        assert!(
            kept.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:*************\r\n"),
            "{kept}"
        );
        assert!(kept.ends_with("a=rtpmap:0 PCMU/8000\r\n"));
    }

    #[test]
    fn bodies_that_are_no_sdp_leave_but_for_their_length() {
        let info = "INFO sip:a@b SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\nDuration=160\r\n";
        assert!(redacted(info, true).ends_with("\r\n\r\n********\r\n************\r\n"));
        let parts = "INVITE sip:a@b SIP/2.0\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n--x\r\n\
                     Content-Type: application/sdp\r\n\r\nv=0\r\na=crypto:1 A inline:abc\r\n--x\r\n\
                     Content-Type: application/pidf+xml\r\n\r\n<gml:pos>48.1 11.5</gml:pos>\r\n--x--\r\n";
        let kept = redacted(parts, true);
        assert!(kept.contains("v=0\r\na=crypto:1 A inline:***\r\n"), "{kept}");
        assert!(!kept.contains("48.1") && kept.len() == parts.len(), "{kept}");
    }

    #[test]
    fn numbers_and_names_leave_unless_they_are_asked_for() {
        let text = "INVITE sip:+493012345678@10.0.0.1:50600;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:50600;branch=z9hG4bK1234567\r\n\
                    From: \"Anna 0301234567\" <sip:%2B49-30-12345678:pass@h>;tag=1234567890\r\nTo: <tel:+442079460958;ext=12345>\r\n\
                    m: sip:1001@10.0.0.1:50600\r\nX-Caller: 00493012345678\r\nCall-ID: 1234567890@h\r\n\r\n";
        let kept = redacted(text, false);
        let expected = "INVITE sip:+**********78@10.0.0.1:50600;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:50600;branch=z9hG4bK1234567\r\n\
                    From: \"**** **********\" <sip:%2B**-**-******78:****@h>;tag=1234567890\r\nTo: <tel:+************;ext=***45>\r\n\
                    m: sip:1001@10.0.0.1:50600\r\nX-Caller: ************78\r\nCall-ID: 1234567890@h\r\n\r\n";
        assert_eq!(kept, expected);
        assert_eq!(redacted(text, true), text.replace(":pass@", ":****@"));
    }

    proptest! {
        #[test]
        fn whatever_comes_a_body_keeps_its_length_and_no_secret_is_left(
            before in "[ -~\r\n]{0,80}",
            name in proptest::sample::select(vec!["Authorization", "proxy-authorization ", "Identity\t"]),
            after in "[ -~\r\n]{0,80}",
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let text = format!("REGISTER sip:a SIP/2.0\r\n{}: x\r\n{name}: Digest s3cr3t\r\n\r\n{after}", before.replace(['\r', '\n'], ""));
            let kept = redacted(&text, false);
            prop_assert!(!kept.contains("s3cr3t") || after.contains("s3cr3t"));
            let _ = redact(&bytes, false);
            let framed = [&b"X sip:a SIP/2.0\r\nc: text/plain\r\n\r\n"[..], &bytes].concat();
            prop_assert_eq!(redact(&framed, false).len(), framed.len());
        }
    }
}
