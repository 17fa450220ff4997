//! One stream: it comes apart the same however it is cut, and nothing follows an error (docs/threats.md: B1, B2, B13).
//!
//! The first byte draws the cuts; the rest is the stream.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::message::{GuardError, parse};
use sip::transport::framer::{Frame, Framer};

fuzz_target!(|data: &[u8]| {
    let Some((seed, stream)) = data.split_first() else { return };
    let whole = frames([stream]);
    let step = usize::from(*seed) + 1;
    assert_eq!(frames(stream.chunks(step)), whole);
    for frame in &whole.0 {
        if let Frame::Message(bytes) = frame {
            // What the framer gives out has the length its own field says, so the reader finds no other end.
            if let Ok(message) = parse(bytes) {
                let head = bytes.len() - message.body().len();
                assert!(bytes.get(..head).is_some_and(|head| head.ends_with(b"\r\n\r\n")));
            }
        }
    }
});

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<GuardError>) {
    let (mut framer, mut frames, mut error) = (Framer::default(), Vec::new(), None);
    for piece in pieces {
        framer.push(piece);
        while let Some(polled) = framer.poll() {
            assert!(error.is_none(), "something after an error");
            match polled {
                Ok(frame) => frames.push(frame),
                Err(broken) => error = Some(broken.error),
            }
        }
    }
    (frames, error)
}
