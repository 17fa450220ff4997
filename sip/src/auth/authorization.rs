//! An answer to our challenge: a value of Authorization (RFC 7616 §3.4).
//!
//! What is missing, doubled or of another kind makes it no answer at all: it is challenged anew
//! (docs/threats.md: B9). Must not know who is who.

use super::Algorithm;
use crate::message::{Method, split_list, unquote};

/// One `Digest` answer with everything we ask for. Texts stand as between their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authorization {
    /// Escapes undone.
    pub user: String,
    pub realm: String,
    pub nonce: String,
    /// `digest-uri`.
    pub uri: String,
    pub response: String,
    pub algorithm: Algorithm,
    pub cnonce: String,
    /// As written: it is hashed so.
    pub count_text: String,
    pub count: u32,
    pub opaque: Option<String>,
}

impl Authorization {
    /// Reads one header value; `None` for other schemes, for `userhash`, and for answers without `qop=auth`.
    pub fn parse(value: &str) -> Option<Authorization> {
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut params: Vec<(&str, &str)> = Vec::new();
        for part in split_list(rest).filter(|part| !part.is_empty()) {
            let (name, text) = part.split_once('=')?;
            let name = name.trim();
            let is_new = params.iter().all(|(other, _)| !other.eq_ignore_ascii_case(name));
            if name.is_empty() || !is_new {
                return None;
            }
            params.push((name, text.trim()));
        }
        Authorization::from_params(&params)
    }

    fn from_params(params: &[(&str, &str)]) -> Option<Authorization> {
        let find = |wanted: &str| {
            let found = params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, text)| *text)
        };
        let bare = |wanted: &str| find(wanted).map(inside_quotes);
        let is_userhash = bare("userhash").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let is_auth = bare("qop").is_some_and(|qop| qop.eq_ignore_ascii_case("auth"));
        if is_userhash || !is_auth {
            return None;
        }
        let count_text = bare("nc")?;
        let is_count = count_text.len() == 8 && count_text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let count = u32::from_str_radix(count_text, 16).ok().filter(|_| is_count)?;
        let user = find("username")?;
        Some(Authorization {
            user: unquote(user).unwrap_or_else(|| user.to_owned()),
            realm: bare("realm")?.to_owned(),
            nonce: bare("nonce")?.to_owned(),
            uri: bare("uri")?.to_owned(),
            response: bare("response")?.to_ascii_lowercase(),
            algorithm: bare("algorithm").map_or(Some(Algorithm::Md5), Algorithm::parse)?,
            cnonce: bare("cnonce").filter(|cnonce| !cnonce.is_empty())?.to_owned(),
            count_text: count_text.to_owned(),
            count,
            opaque: bare("opaque").map(str::to_owned),
        })
    }

    /// What `response` must be for the user whose `H(user:realm:password)` is `secret` (RFC 7616 §3.4.1).
    pub fn expected(&self, secret: &str, method: &Method) -> String {
        let Authorization {
            nonce,
            uri,
            cnonce,
            count_text,
            ..
        } = self;
        let request = self.algorithm.hash(&format!("{}:{uri}", method.as_str()));
        self.algorithm
            .hash(&format!("{secret}:{nonce}:{count_text}:{cnonce}:auth:{request}"))
    }
}

fn inside_quotes(text: &str) -> &str {
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inside.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_7616: &str = "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
                            algorithm=MD5, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                            cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
                            response=\"8ca523f5e9506fed4657c9700eebdbec\", \
                            opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    #[test]
    fn rfc_7616_section_3_9_1() {
        let answer = Authorization::parse(RFC_7616).unwrap();
        assert_eq!((answer.user.as_str(), answer.count), ("Mufasa", 1));
        let secret = Algorithm::Md5.hash("Mufasa:http-auth@example.org:Circle of Life");
        let get = Method::parse("GET").unwrap();
        assert_eq!(answer.expected(&secret, &get), answer.response);
    }

    #[test]
    fn escapes_in_a_user_name_are_undone() {
        let text = RFC_7616.replace("\"Mufasa\"", "\"Mu\\\"fa, sa\"");
        assert_eq!(Authorization::parse(&text).unwrap().user, "Mu\"fa, sa");
    }

    #[test]
    fn what_is_missing_doubled_or_of_another_kind_is_no_answer() {
        for (from, to) in [
            ("Digest ", "Basic "),
            ("Digest ", "Digest"),
            ("nc=00000001, ", ""),
            ("nc=00000001", "nc=1"),
            ("nc=00000001", "nc=+0000001"),
            ("qop=auth", "qop=auth-int"),
            ("qop=auth, ", ""),
            (
                "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\"",
                "cnonce=\"\"",
            ),
            ("algorithm=MD5", "algorithm=SHA3-512"),
            ("algorithm=MD5", "userhash=true"),
            ("algorithm=MD5", "=nameless"),
            ("algorithm=MD5", "nameless"),
            ("algorithm=MD5", "Nonce=\"second\""),
            ("username=", "username*="),
            ("uri=\"/dir/index.html\", ", ""),
        ] {
            let text = RFC_7616.replace(from, to);
            assert_ne!(text, RFC_7616);
            assert_eq!(Authorization::parse(&text), None, "{from} → {to}");
        }
        for text in [
            "",
            "Digest",
            "Digest ",
            "Digest ,,,",
            "Digest =",
            "Digest a=\"",
            "Digest \"a=b",
        ] {
            assert_eq!(Authorization::parse(text), None, "{text}");
        }
    }
}
