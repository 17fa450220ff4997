//! A URI: `sip:` and `sips:` in full, `tel:` with its parameters, others opaque.
//!
//! Valid by construction: every part was checked, so printing cannot break a message. Never resolves
//! a name and never judges whether a target may be dialled.

use std::fmt;

use super::Host;
use super::grammar::{find_outside, is_escaped_text, is_token, is_unreserved, unescape};
use super::guard_error::UriError;
use super::params::{Kind, Params};

/// A URI as it stands in a Request-URI, From, To, Contact or Route.
///
/// `==` compares the text of the parts (host names without case); [`Uri::is_equivalent`] is the
/// comparison of RFC 3261 §19.1.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    scheme: Scheme,
    form: Form,
}

/// The scheme of a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 3261 §19.1.
    Sip,
    /// RFC 3261 §26.2.2.
    Sips,
    /// RFC 3966.
    Tel,
    /// RFC 8141, for example `urn:service:sos`.
    Urn,
    /// Any other, in lower case; answered 416 by who must route to it.
    Extension(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Address(Address),
    Number { number: Box<str>, params: Params },
    Opaque(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    user: Option<Box<str>>,
    password: Option<Box<str>>,
    host: Host,
    port: Option<u16>,
    params: Params,
    headers: Option<Box<str>>,
}

impl Uri {
    /// Reads a whole URI, without white space or angle brackets around it.
    pub fn parse(text: &str) -> Result<Uri, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let scheme = Scheme::parse(scheme)?;
        let form = match scheme {
            Scheme::Sip | Scheme::Sips => Form::Address(Address::parse(rest)?),
            Scheme::Tel => parse_number(rest)?,
            Scheme::Urn | Scheme::Extension(_) => {
                let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte);
                if rest.is_empty() || !rest.bytes().all(is_plain) {
                    return Err(UriError::Opaque);
                }
                Form::Opaque(rest.into())
            }
        };
        Ok(Uri { scheme, form })
    }

    /// A `sip:` URI of a host, without user.
    pub fn sip(host: Host, port: Option<u16>) -> Uri {
        let params = Params::default();
        let address = Address {
            user: None,
            password: None,
            host,
            port,
            params,
            headers: None,
        };
        Uri {
            scheme: Scheme::Sip,
            form: Form::Address(address),
        }
    }

    /// The same with this user, escaped as needed. `sip:` and `sips:` only; others stay as they are.
    pub fn with_user(mut self, user: &str) -> Uri {
        if let Form::Address(address) = &mut self.form {
            address.user = (!user.is_empty()).then(|| escape_user(user).into());
        }
        self
    }

    /// The same with a URI parameter; refused when it does not fit the grammar.
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Result<Uri, UriError> {
        let text = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
        Params::parse(&text, Kind::Uri).map_err(|_| UriError::Parameter)?;
        match &mut self.form {
            Form::Address(address) => address.params.put(name, value),
            Form::Number { params, .. } => params.put(name, value),
            Form::Opaque(_) => return Err(UriError::Parameter),
        }
        Ok(self)
    }

    /// The same without its `?` part and without `method` parameter, as a Request-URI must be
    /// (RFC 3261 §19.1.1 table 1).
    pub fn into_request_uri(mut self) -> Uri {
        if let Form::Address(address) = &mut self.form {
            address.headers = None;
            address.params.remove("method");
        }
        self
    }

    /// Its scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// User as written, escapes and all; the number of a `tel:` URI.
    pub fn user(&self) -> Option<&str> {
        match &self.form {
            Form::Address(address) => address.user.as_deref(),
            Form::Number { number, .. } => Some(number),
            Form::Opaque(_) => None,
        }
    }

    /// User with `%` escapes resolved.
    pub fn user_unescaped(&self) -> Option<String> {
        self.user().map(unescape)
    }

    /// Password as written.
    pub fn password(&self) -> Option<&str> {
        self.address()?.password.as_deref()
    }

    /// Host of a `sip:` or `sips:` URI.
    pub fn host(&self) -> Option<&Host> {
        Some(&self.address()?.host)
    }

    /// Port as written.
    pub fn port(&self) -> Option<u16> {
        self.address()?.port
    }

    /// URI parameters; of a `tel:` URI its own.
    pub fn params(&self) -> Option<&Params> {
        match &self.form {
            Form::Address(address) => Some(&address.params),
            Form::Number { params, .. } => Some(params),
            Form::Opaque(_) => None,
        }
    }

    /// One URI parameter; empty for one without value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()?.get(name)
    }

    /// Whether it is `urn:service:sos` or a service below it, in any case (RFC 5031 §4.2).
    pub fn is_emergency_service(&self) -> bool {
        let Form::Opaque(rest) = &self.form else {
            return false;
        };
        let rest = rest.to_ascii_lowercase();
        let below = rest.strip_prefix("service:sos");
        self.scheme == Scheme::Urn && below.is_some_and(|below| below.is_empty() || below.starts_with('.'))
    }

    /// What follows `?`, as written.
    pub fn header_part(&self) -> Option<&str> {
        self.address()?.headers.as_deref()
    }

    /// True for a loose router (`;lr`, RFC 3261 §16.12).
    pub fn is_loose_router(&self) -> bool {
        self.param("lr").is_some()
    }

    /// Equality of RFC 3261 §19.1.4.
    pub fn is_equivalent(&self, other: &Uri) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match (&self.form, &other.form) {
            (Form::Address(left), Form::Address(right)) => left.is_equivalent(right),
            (
                Form::Number {
                    number: left,
                    params: a,
                },
                Form::Number {
                    number: right,
                    params: b,
                },
            ) => {
                let bare = |number: &str| number.replace(['-', '.', '(', ')'], "").to_ascii_lowercase();
                bare(left) == bare(right) && params_match(a, b, &[]) && params_match(b, a, &[])
            }
            (Form::Opaque(left), Form::Opaque(right)) => left == right,
            (Form::Address(_) | Form::Number { .. } | Form::Opaque(_), _) => false,
        }
    }

    fn address(&self) -> Option<&Address> {
        match &self.form {
            Form::Address(address) => Some(address),
            Form::Number { .. } | Form::Opaque(_) => None,
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.as_str())?;
        match &self.form {
            Form::Address(address) => address.fmt(f),
            Form::Number { number, params } => write!(f, "{number}{params}"),
            Form::Opaque(text) => f.write_str(text),
        }
    }
}

impl Scheme {
    fn parse(text: &str) -> Result<Scheme, UriError> {
        let is_scheme = text.starts_with(|char: char| char.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return Err(UriError::Scheme);
        }
        let lower = text.to_ascii_lowercase();
        Ok(match lower.as_str() {
            "sip" => Scheme::Sip,
            "sips" => Scheme::Sips,
            "tel" => Scheme::Tel,
            "urn" => Scheme::Urn,
            _ => Scheme::Extension(lower.into()),
        })
    }

    /// The scheme in lower case.
    pub fn as_str(&self) -> &str {
        match self {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Tel => "tel",
            Scheme::Urn => "urn",
            Scheme::Extension(text) => text,
        }
    }
}

impl Address {
    /// `[user[:password]@]host[:port][;params][?headers]`. The user part may hold `;`, `?` and `/`,
    /// and nothing after it may hold `@`: so it is cut off first.
    fn parse(text: &str) -> Result<Address, UriError> {
        let (user, password, rest) = match text.split_once('@') {
            Some((info, rest)) => {
                let (user, password) = match info.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (info, None),
                };
                if user.is_empty() || !is_escaped_text(user, is_user_byte) {
                    return Err(UriError::User);
                }
                if !password.is_none_or(|password| is_escaped_text(password, is_password_byte)) {
                    return Err(UriError::User);
                }
                (Some(user.into()), password.map(Into::into), rest)
            }
            None => (None, None, text),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) if are_headers(headers) => (rest, Some(headers.into())),
            Some(_) => return Err(UriError::Headers),
            None => (rest, None),
        };
        let (host, params) = match rest.split_once(';') {
            Some((host, params)) => (
                host,
                Params::parse(params, Kind::Uri).map_err(|_| UriError::Parameter)?,
            ),
            None => (rest, Params::default()),
        };
        let (host, port) = Host::parse_with_port(host, false)?;
        Ok(Address {
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    /// RFC 3261 §19.1.4: user and password by case, host without, ports literally; parameters in both
    /// must match, and `transport`, `user`, `ttl`, `method`, `maddr` must be in both or neither.
    fn is_equivalent(&self, other: &Address) -> bool {
        const DECIDING: [&str; 5] = ["transport", "user", "ttl", "method", "maddr"];
        let text = |part: &Option<Box<str>>| part.as_deref().map(unescape);
        text(&self.user) == text(&other.user)
            && text(&self.password) == text(&other.password)
            && self.host == other.host
            && self.port == other.port
            && params_match(&self.params, &other.params, &DECIDING)
            && params_match(&other.params, &self.params, &DECIDING)
            && sorted_headers(self.headers.as_deref()) == sorted_headers(other.headers.as_deref())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        match &self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// `telephone-subscriber` of RFC 3966 §3.
fn parse_number(text: &str) -> Result<Form, UriError> {
    let (number, params) = match find_outside(text, b';').and_then(|at| text.split_at_checked(at)) {
        Some((number, params)) => (number, params.get(1..).unwrap_or_default()),
        None => (text, ""),
    };
    let digits = number.strip_prefix('+').unwrap_or(number);
    let is_digit = |byte: u8| byte.is_ascii_hexdigit() || b"*#".contains(&byte);
    let fits = digits.bytes().any(is_digit)
        && digits
            .bytes()
            .all(|byte| is_digit(byte) || b"-.()".contains(&byte));
    if !fits {
        return Err(UriError::User);
    }
    let params = match text.len() == number.len() {
        true => Params::default(),
        false => Params::parse(params, Kind::Uri).map_err(|_| UriError::Parameter)?,
    };
    Ok(Form::Number {
        number: number.into(),
        params,
    })
}

fn is_user_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"&=+$,;?/".contains(&byte)
}

fn is_password_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"&=+$,".contains(&byte)
}

/// `hname=hvalue` joined by `&` (RFC 3261 §25.1 `headers`).
fn are_headers(text: &str) -> bool {
    let is_plain = |byte: u8| is_unreserved(byte) || b"[]/?:+$".contains(&byte);
    text.split('&').all(|header| {
        header.split_once('=').is_some_and(|(name, value)| {
            !name.is_empty() && is_escaped_text(name, is_plain) && is_escaped_text(value, is_plain)
        })
    })
}

fn sorted_headers(text: Option<&str>) -> Vec<(String, String)> {
    let mut headers: Vec<_> = text
        .into_iter()
        .flat_map(|text| text.split('&'))
        .map(|header| {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            (unescape(name).to_ascii_lowercase(), unescape(value))
        })
        .collect();
    headers.sort();
    headers
}

/// True when every parameter of `left` has its equal in `right`, or is not there and not `deciding`.
fn params_match(left: &Params, right: &Params, deciding: &[&str]) -> bool {
    left.iter().all(|(name, value)| match right.get(name) {
        Some(other) => unescape(value.unwrap_or_default()).eq_ignore_ascii_case(&unescape(other)),
        None => !deciding.iter().any(|known| known.eq_ignore_ascii_case(name)),
    })
}

fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if is_user_byte(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    debug_assert!(out.is_empty() || is_token(&out) || is_escaped_text(&out, is_user_byte));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }

    #[test]
    fn parts_are_found_and_printed_back() {
        let text = "sip:j%20doe;x=1?:pa$s@Example.com:5070;transport=tcp;lr?Subject=a&X=";
        let parsed = uri(text);
        assert_eq!(parsed.user(), Some("j%20doe;x=1?"));
        assert_eq!(parsed.user_unescaped().as_deref(), Some("j doe;x=1?"));
        assert_eq!(parsed.password(), Some("pa$s"));
        assert_eq!(parsed.host().unwrap().to_string(), "Example.com");
        assert_eq!(parsed.port(), Some(5070));
        assert_eq!(parsed.param("Transport"), Some("tcp"));
        assert_eq!(parsed.header_part(), Some("Subject=a&X="));
        assert!(parsed.is_loose_router());
        assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn dotted_user_is_no_host_and_ipv6_is_one() {
        assert_eq!(uri("sip:john.doe@x.com").user(), Some("john.doe"));
        assert_eq!(
            uri("sip:[2001:db8::1]:5060").host().unwrap().to_string(),
            "[2001:db8::1]"
        );
    }

    #[test]
    fn tel_and_urn_are_understood() {
        let tel = uri("tel:+49-30-123;phone-context=example.com");
        assert_eq!(
            (tel.user(), tel.param("phone-context")),
            (Some("+49-30-123"), Some("example.com"))
        );
        assert!(tel.is_equivalent(&uri("TEL:+4930123;phone-context=EXAMPLE.com")));
        assert_eq!(uri("urn:service:sos").scheme(), &Scheme::Urn);
        assert_eq!(
            uri("soap.beep://192.0.2.103:3002").to_string(),
            "soap.beep://192.0.2.103:3002"
        );
        assert_eq!(Uri::parse("tel:"), Err(UriError::User));
        assert_eq!(Uri::parse("tel:+"), Err(UriError::User));
        assert_eq!(Uri::parse("tel:12;"), Err(UriError::Parameter));
    }

    #[test]
    fn odd_uris_are_refused() {
        for (text, error) in [
            ("", UriError::Scheme),
            ("example.com", UriError::Scheme),
            ("<sip:a@b>", UriError::Scheme),
            ("sip:", UriError::Host),
            ("sip:@b", UriError::User),
            ("sip:a@", UriError::Host),
            ("sip:a@b@c", UriError::Host),
            ("sip:a b@c", UriError::User),
            ("sip:a%0@c", UriError::User),
            ("sip:a@.1", UriError::Host),
            ("sip:a@[.1]", UriError::Host),
            ("sip:a@%00", UriError::Host),
            ("sip:a@[fe80::1%25lo]", UriError::Host),
            ("sip:a@b:99999", UriError::Port),
            ("sip:a@b;;x", UriError::Parameter),
            ("sip:a@b?x", UriError::Headers),
            ("sip:a@b\r\nX: y", UriError::Host),
            ("sip:a@b c", UriError::Host),
        ] {
            assert_eq!(Uri::parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn equivalence_follows_19_1_4() {
        for (left, right) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;newparam=5",
            ),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(uri(left).is_equivalent(&uri(right)), "{left} {right}");
        }
        for (left, right) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
            ("sip:a@b.com", "sips:a@b.com"),
        ] {
            assert!(!uri(left).is_equivalent(&uri(right)), "{left} {right}");
        }
    }

    #[test]
    fn made_uris_are_escaped_and_checked() {
        let made = Uri::sip(Host::parse("gw.example").unwrap(), Some(5060)).with_user("a b@c\r\n#");
        assert_eq!(made.to_string(), "sip:a%20b%40c%0D%0A%23@gw.example:5060");
        assert_eq!(Uri::parse(&made.to_string()).unwrap(), made);
        assert!(made.clone().with_param("transport", Some("tcp\r\n")).is_err());
        assert_eq!(made.with_param("lr", None).unwrap().param("lr"), Some(""));
        assert_eq!(
            uri("sip:a@b;method=BYE?x=y").into_request_uri().to_string(),
            "sip:a@b"
        );
    }
}
