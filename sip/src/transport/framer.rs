//! Cuts the bytes of one TCP connection into messages and keep-alives (RFC 3261 §18.3, RFC 5626 §4.4.1).
//!
//! ```text
//!            CRLF ─► Pong, CRLF ─► Ping
//! Between ──────────────────────────────┐
//!    │ any other byte                   │ whole body
//!    ▼                                  │
//!  Head ── empty line, Content-Length ─► Body
//!    └── cap, no or two or bad Content-Length, bad line ─► Broken: nothing after it is ever read
//! ```
//! Looks at every byte of a head once, however it is split. Knows no socket and no clock: its owner bounds
//! the time a message may take while [`Framer::is_partial`].

use bytes::{Buf, Bytes, BytesMut};

use crate::message::{GuardError, MESSAGE_BYTES_MAX, Part, framing};

/// The unread bytes of one connection.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    state: State,
}

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, for [`parse`](crate::message::parse).
    Message(Bytes),
    /// The second CRLF in a row: a keep-alive, answered with one CRLF.
    Ping,
    /// A first CRLF: the answer to our keep-alive, or the first half of the peer's. Each CRLF counts as
    /// it comes, so that a lone answer is not held back until the peer says more.
    Pong,
}

/// Where framing was lost. The connection is closed; `head` may serve for one
/// [`refusal`](crate::message::refusal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Why.
    pub error: GuardError,
    /// What was read of the message.
    pub head: Bytes,
}

#[derive(Debug)]
enum State {
    /// Before a start line; `after_line_end`: the last thing read was a first CRLF.
    Between { after_line_end: bool },
    /// Inside the head; so many of its bytes were searched.
    Head { searched: usize },
    /// The head is complete; the message has so many bytes.
    Body { total: usize },
    /// Framing was lost.
    Broken,
}

impl Default for State {
    fn default() -> State {
        State::Between {
            after_line_end: false,
        }
    }
}

impl Framer {
    /// Takes received bytes. Poll until `None` after each call: then less than one message is held.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.state {
            State::Broken => {}
            State::Between { .. } | State::Head { .. } | State::Body { .. } => {
                self.buffer.extend_from_slice(bytes)
            }
        }
    }

    /// The next piece; `None` until more bytes come, and for ever after an error.
    pub fn poll(&mut self) -> Option<Result<Frame, Broken>> {
        loop {
            match self.state {
                State::Broken => return None,
                State::Between { after_line_end } => match self.buffer.get(..2) {
                    Some(b"\r\n") => {
                        self.buffer.advance(2);
                        self.state = State::Between {
                            after_line_end: !after_line_end,
                        };
                        return Some(Ok(if after_line_end { Frame::Ping } else { Frame::Pong }));
                    }
                    Some(_) => self.state = State::Head { searched: 0 },
                    None => return None,
                },
                State::Head { searched } => match framing::head_end(&self.buffer, searched.saturating_sub(3))
                {
                    Some(end) => match self.measure(end) {
                        Ok(total) => self.state = State::Body { total },
                        Err(error) => return Some(Err(self.lose(error))),
                    },
                    None if self.buffer.len() > MESSAGE_BYTES_MAX => {
                        let error = too_long(self.buffer.len());
                        return Some(Err(self.lose(error)));
                    }
                    None => {
                        self.state = State::Head {
                            searched: self.buffer.len(),
                        };
                        return None;
                    }
                },
                State::Body { total } if self.buffer.len() >= total => {
                    self.state = State::default();
                    return Some(Ok(Frame::Message(self.buffer.split_to(total).freeze())));
                }
                State::Body { .. } => return None,
            }
        }
    }

    /// True while part of a message has come: the time it may take is running.
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Bytes of the message whose head ends at `end`.
    fn measure(&self, end: usize) -> Result<usize, GuardError> {
        if end > MESSAGE_BYTES_MAX {
            return Err(too_long(end));
        }
        let total = end + framing::content_length(self.buffer.get(..end).unwrap_or_default())?;
        if total > MESSAGE_BYTES_MAX {
            Err(too_long(total))
        } else {
            Ok(total)
        }
    }

    fn lose(&mut self, error: GuardError) -> Broken {
        self.state = State::Broken;
        let mut head = std::mem::take(&mut self.buffer);
        head.truncate(MESSAGE_BYTES_MAX);
        Broken {
            error,
            head: head.freeze(),
        }
    }
}

fn too_long(actual: usize) -> GuardError {
    GuardError::TooLong {
        part: Part::Message,
        limit: MESSAGE_BYTES_MAX,
        actual,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::FieldError;

    fn message(body: &str) -> String {
        format!(
            "OPTIONS sip:a@b SIP/2.0\r\nX: y\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Feeds `bytes` in the given pieces and collects what comes out.
    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<GuardError>) {
        let mut framer = Framer::default();
        let (mut frames, mut error) = (Vec::new(), None);
        for piece in pieces {
            framer.push(piece);
            while let Some(polled) = framer.poll() {
                match polled {
                    Ok(frame) => {
                        assert_eq!(error, None, "a frame after an error");
                        frames.push(frame);
                    }
                    Err(broken) => error = Some(broken.error),
                }
            }
        }
        (frames, error)
    }

    fn whole(text: &str) -> Frame {
        Frame::Message(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn many_messages_in_one_segment_come_apart() {
        let (first, second) = (message("one"), message(""));
        let stream = format!("{first}{second}{first}");
        let (frames, error) = frames([stream.as_bytes()]);
        assert_eq!(frames, [whole(&first), whole(&second), whole(&first)]);
        assert_eq!(error, None);
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same() {
        let stream = format!("\r\n\r\n{}\r\n{}", message("one\r\n\r\ntwo"), message(""));
        let together = frames([stream.as_bytes()]);
        assert_eq!(frames(stream.as_bytes().chunks(1)), together);
        assert_eq!(together.0.len(), 5);
        assert_eq!(together.0[..2], [Frame::Pong, Frame::Ping]);
        assert_eq!(together.0[3], Frame::Pong);
    }

    #[test]
    fn framing_errors_end_the_stream() {
        let head = "OPTIONS sip:a@b SIP/2.0\r\n";
        let number = GuardError::Field {
            name: "Content-Length",
            error: FieldError::Number,
        };
        for (fields, expected) in [
            ("X: y\r\n", GuardError::Missing("Content-Length")),
            (
                "Content-Length: 0\r\nl: 0\r\n",
                GuardError::Repeated("Content-Length"),
            ),
            (
                "Content-Length: 5\r\nContent-Length : 0\r\n",
                GuardError::Repeated("Content-Length"),
            ),
            ("Content-Length: -10\r\n", number),
            ("Content-Length: +5\r\n", number),
            ("Content-Length: 5 5\r\n", number),
            ("Content-Length: 0, 0\r\n", number),
            ("Content-Length: 2147483647\r\n", number),
            ("Content-Length: 4294967296\r\n", number),
            ("Content-Length: 18446744073709551616\r\n", number),
            ("Content-Length: 65537\r\n", number),
            ("Content-Length:\r\n", number),
            ("X: a\nContent-Length: 0\r\n", GuardError::Control),
        ] {
            let stream = format!("{head}{fields}\r\n{}", message("after"));
            let (frames, error) = frames([stream.as_bytes(), message("later").as_bytes()]);
            assert_eq!((frames, error), (vec![], Some(expected)), "{fields}");
        }
    }

    #[test]
    fn space_before_the_colon_hides_no_length() {
        let text = "BYE sip:a@b SIP/2.0\r\nContent-Length : 4\r\n\r\nBYE ";
        assert_eq!(frames([text.as_bytes()]), (vec![whole(text)], None));
    }

    #[test]
    fn message_cap_holds_at_its_edge() {
        let sized = |total: usize| {
            let head = message("").replace("Content-Length: 0", "Content-Length: 00000");
            let body = total - head.len();
            head.replace("00000", &format!("{body:05}")) + &"b".repeat(body)
        };
        assert_eq!(frames([sized(MESSAGE_BYTES_MAX).as_bytes()]).0.len(), 1);
        assert_eq!(
            frames([sized(MESSAGE_BYTES_MAX + 1).as_bytes()]).1,
            Some(too_long(MESSAGE_BYTES_MAX + 1))
        );
        let endless = [b'x'; MESSAGE_BYTES_MAX + 1];
        assert_eq!(frames([&endless[..]]).1, Some(too_long(MESSAGE_BYTES_MAX + 1)));
        assert_eq!(frames([&endless[1..]]), (vec![], None));
    }

    proptest! {
        #[test]
        fn splits_change_nothing(
            bodies in prop::collection::vec("[a-z\r\n]{0,40}", 1..5),
            breaks in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            noise in prop::option::of(prop::collection::vec(any::<u8>(), 1..60)),
        ) {
            let mut stream: Vec<u8> = bodies.iter().flat_map(|body| message(body).into_bytes()).collect();
            stream.extend(noise.unwrap_or_default());
            let mut cuts: Vec<usize> = breaks.iter().map(|at| at.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
            prop_assert_eq!(frames(pieces), frames([&stream[..]]));
        }
    }
}
