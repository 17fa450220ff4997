//! A SIP message as text, read the plainest way there is: lines, a colon, a blank line (RFC 3261 §7).
//!
//! Written apart from the gateway's parser, which it must never use.

use std::fmt::Write;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: String,
    /// Header lines in order, their names as written.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn new(start: impl Into<String>) -> Self {
        Message {
            start: start.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Reads one; panics on what the gateway must never send.
    pub fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a blank line");
        let mut lines = head.split("\r\n");
        let mut message = Message::new(lines.next().unwrap());
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no header: {line}"));
            message
                .headers
                .push((name.trim().to_owned(), value.trim().to_owned()));
        }
        message.body = body.to_owned();
        let length: usize = message.value("Content-Length").parse().expect("a length");
        assert_eq!(length, body.len(), "{text}");
        message
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The text of a header; empty where there is none.
    pub fn value(&self, name: &str) -> &str {
        let mut lines = self.headers.iter();
        let found = lines.find(|(its, _)| its.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self
            .headers
            .iter()
            .filter(move |(its, _)| its.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str())
    }

    /// Its method, if it is a request.
    pub fn method(&self) -> Option<&str> {
        let (first, _) = self.start.split_once(' ')?;
        (first != "SIP/2.0").then_some(first)
    }

    /// Its status, if it is a response.
    pub fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.value("CSeq").split_once(' ').expect("a CSeq");
        (number.parse().unwrap(), method)
    }

    /// `;tag=` of From or To; empty where there is none.
    pub fn tag(&self, name: &str) -> &str {
        let rest = self.value(name).split_once(";tag=");
        rest.and_then(|(_, rest)| rest.split(';').next()).unwrap_or("")
    }

    /// What stands between the brackets of a header.
    pub fn uri(&self, name: &str) -> &str {
        let value = self.value(name);
        let inside = value.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        inside.map_or(value, |(uri, _)| uri)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        write!(text, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body).unwrap();
        text.into_bytes()
    }
}
