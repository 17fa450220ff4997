//! Properties over mutations of the whole corpus: no panic, no invalid reply, no dependence on how a stream is cut.

use bytes::Bytes;
use proptest::prelude::*;
use sip::message::{GuardError, Message, Response, StatusCode, parse, refusal};
use sip::transport::framer::{Frame, Framer};

use super::{RFC4475, RFC5118, Verdict, load};

/// One change to the bytes of a message.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    use prop::sample::Index;
    let special = prop::sample::select(b"\r\n\t \0:;,<>@\"\\%=[]?/".to_vec());
    let byte = prop_oneof![special, any::<u8>()];
    let one = prop_oneof![
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (any::<Index>(), prop::collection::vec(byte, 1..8))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), 1..40usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<Index>(), 1..200usize).prop_map(|(at, count)| Mutation::Repeat(at, count)),
    ];
    prop::collection::vec(one, 0..5)
}

fn mutate(bytes: &[u8], mutations: &[Mutation]) -> Bytes {
    let mut bytes = bytes.to_vec();
    for mutation in mutations {
        if bytes.is_empty() {
            break;
        }
        let span = |at: usize, count: usize| at..(at + count).min(bytes.len());
        match mutation {
            Mutation::Replace(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Mutation::Insert(at, inserted) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, inserted.iter().copied());
            }
            Mutation::Remove(at, count) => {
                let gone = span(at.index(bytes.len()), *count);
                bytes.drain(gone);
            }
            Mutation::Repeat(at, count) => {
                let at = at.index(bytes.len());
                let piece = bytes[span(at, *count)].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes.into()
}

fn any_message() -> impl Strategy<Value = Bytes> {
    let named = |folder, table: &[(&'static str, Verdict)]| -> Vec<Bytes> {
        table.iter().map(|(name, _)| load(folder, name)).collect()
    };
    let all = [named("rfc4475", &RFC4475), named("rfc5118", &RFC5118)].concat();
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever comes in, nothing panics, and what was made of it is valid (docs/threats.md B12).
    #[test]
    fn replies_to_mutated_messages_are_valid(message in any_message(), mutations in mutations(), code in 100u16..700) {
        let bytes = mutate(&message, &mutations);
        match parse(&bytes) {
            Ok(read) => {
                let written = read.to_bytes();
                prop_assert_eq!(parse(&written).map(|again| again.to_bytes()), Ok(written));
                if let Message::Request(mut request) = read {
                    request.headers.stamp_source("[2001:db8::7]:4321".parse().unwrap());
                    let reply = Response::to(&request, StatusCode::new(code).unwrap(), Some("ours"));
                    let Ok(Message::Response(again)) = parse(&reply.to_bytes()) else { panic!("{reply:?}") };
                    prop_assert_eq!(again.headers.vias(), request.headers.vias());
                    prop_assert_eq!(again.headers.from(), request.headers.from());
                    prop_assert_eq!(again.headers.cseq(), request.headers.cseq());
                    prop_assert!(again.headers.to().tag().is_some());
                    let cancel = request.cancel().to_bytes();
                    prop_assert!(parse(&cancel).is_ok(), "{:?}", cancel);
                }
            }
            Err(error) => {
                if let Some(reply) = refusal(&bytes, &error, "ours") {
                    prop_assert!(parse(&reply.to_bytes()).is_ok(), "{:?}", reply);
                }
            }
        }
    }

    /// A stream of mutated messages comes apart the same however it is cut, and nothing follows an error.
    #[test]
    fn splits_of_a_mutated_stream_change_nothing(
        messages in prop::collection::vec((any_message(), mutations()), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|(message, mutations)| mutate(message, mutations)).collect();
        prop_assume!(!stream.is_empty());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        prop_assert_eq!(frames(&pieces), frames(&[&stream]));
    }

    /// Bytes without any sense never panic.
    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let error = parse(&bytes).unwrap_err();
        prop_assert_eq!(refusal(&bytes, &error, "ours"), None);
    }
}

fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Option<GuardError>) {
    let (mut framer, mut frames, mut error) = (Framer::default(), Vec::new(), None);
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
