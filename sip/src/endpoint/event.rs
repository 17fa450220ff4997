//! What an [`Endpoint`](super) tells its owner.
//!
//! Per session the order is fixed: one opening (`Incoming`, or the owner's own Invite command), any
//! number of steps, and exactly one closing event ([`Event::closes`]). Knows nothing of calls or trunks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::command::{Flow, RegistrationKey, SessionKey};
use crate::dialog::refer::Referral;
use crate::message::info_digit::InfoDigit;
use crate::message::{Request, Response};
use crate::registration::RegisteredContact;
use crate::registration::client::Failure;

/// An INVITE that passed the guard, the overload gate and the transaction layer.
///
/// The endpoint has sent 100 already. The owner answers with Progress, Answer or Reject.
#[derive(Clone, Debug)]
pub struct IncomingInvite {
    /// The new session.
    pub session: SessionKey,
    /// Where it came from; `flow.remote` is the packet's true source.
    pub flow: Flow,
    /// The whole request, validated; bodies are opaque here.
    pub request: Arc<Request>,
    /// The SDP offer; none: the peer wants ours (late offer).
    pub offer: Option<Bytes>,
    /// Provisional responses go out reliably: the first one must carry our offer when the INVITE has none
    /// (RFC 3262 §5).
    pub is_reliable: bool,
    /// The user who authenticated, where its domain asks for that.
    pub user: Option<String>,
    /// The dialog it is to take the place of.
    pub replaced: Option<Replaced>,
}

/// What an INVITE with Replaces names (RFC 3891 §3). Whether its sender may is the owner's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The session.
    pub session: SessionKey,
    /// The status that refuses it, where its state does not allow it.
    pub refusal: Option<u16>,
}

/// How a REFER of ours came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferOutcome {
    /// The REFER itself was refused; 408 stands for no answer, 503 for a failed transport.
    Refused(u16),
    /// It was accepted, and the last NOTIFY told this final status.
    Notified(u16),
    /// It was accepted, and no final status came in time.
    Silent,
}

/// Why an outbound INVITE had no final response of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Timer B ran out: nobody answered at all. Counts as 408 (RFC 3261 §8.1.3.1).
    Timeout,
    /// The transport failed. Counts as 503.
    Transport,
}

/// A happening on one session.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new inbound INVITE.
    Incoming(IncomingInvite),
    /// The peer cancelled its INVITE; 200 and 487 are sent. Closes the session.
    PeerCancelled {
        /// Which session.
        session: SessionKey,
        /// The CANCEL, for its Reason.
        request: Box<Request>,
    },
    /// Our 2xx was acknowledged; with the peer's answer when the offer was in our 2xx.
    Acknowledged {
        /// Which session.
        session: SessionKey,
        /// The answer of a late-offer call.
        sdp: Option<Bytes>,
    },
    /// Our 2xx was never acknowledged in 64·T1: BYE is sent (RFC 3261 §13.3.1.4). Closes the session.
    AckMissing {
        /// Which session.
        session: SessionKey,
    },
    /// The peer's answer to the offer in our reliable provisional response came with its PRACK; none:
    /// the PRACK had none, and the offer stands unanswered.
    EarlyAnswer {
        /// Which session.
        session: SessionKey,
        /// The answer of a late-offer call.
        sdp: Option<Bytes>,
    },
    /// Our reliable provisional response got no PRACK in 64·T1: 504 is sent (RFC 3262 §3). Closes the
    /// session.
    PrackMissing {
        /// Which session.
        session: SessionKey,
    },
    /// A provisional response above 100 to our INVITE.
    Progress {
        /// Which session.
        session: SessionKey,
        /// The early dialog's remote tag; forks have several.
        remote_tag: String,
        /// The response.
        response: Box<Response>,
        /// Its SDP answer; only a reliable response settles it.
        sdp: Option<Bytes>,
    },
    /// The first 2xx to our INVITE; ACK is sent. Later forks got ACK and BYE here.
    Answered {
        /// Which session.
        session: SessionKey,
        /// The confirmed dialog's remote tag.
        remote_tag: String,
        /// The response.
        response: Box<Response>,
        /// The answer: that of a reliable provisional response of this fork, else its own. `None`: there
        /// was none, or what was agreed early has been changed since and stands.
        sdp: Option<Bytes>,
    },
    /// A final failure of our INVITE. Closes the session.
    Refused {
        /// Which session.
        session: SessionKey,
        /// The response.
        response: Box<Response>,
    },
    /// No final response at all. Closes the session.
    Unanswered {
        /// Which session.
        session: SessionKey,
        /// Timer or transport.
        why: Unanswered,
    },
    /// Our Cancel took effect: 487, a crossing 2xx that got ACK and BYE, or the wait of 64·T1 after
    /// the CANCEL ran out (RFC 3261 §9.1). Closes the session.
    Cancelled {
        /// Which session.
        session: SessionKey,
    },
    /// The peer wants to change the session: by re-INVITE, or by an offer in UPDATE (also before the
    /// answer) or PRACK. The owner answers with AcceptReinvite or RejectReinvite.
    Reinvite {
        /// Which session.
        session: SessionKey,
        /// The request; its method tells which.
        request: Box<Request>,
        /// The offer; none: it wants ours.
        offer: Option<Bytes>,
    },
    /// Our re-INVITE was accepted.
    ReinviteAccepted {
        /// Which session.
        session: SessionKey,
        /// The answer.
        sdp: Option<Bytes>,
    },
    /// Our re-INVITE was refused; the session stays as it was. (408 and 481 end it: `Lost` follows.)
    ReinviteRefused {
        /// Which session.
        session: SessionKey,
        /// The status.
        status: u16,
    },
    /// The peer hung up; 200 is sent. Closes the session.
    Bye {
        /// Which session.
        session: SessionKey,
        /// The request, for its Reason.
        request: Box<Request>,
    },
    /// Our BYE was answered or given up; or our Reject of an inbound INVITE is on its way. Closes the session.
    ByeDone {
        /// Which session.
        session: SessionKey,
    },
    /// The dialog is gone (481 or 408 to a request inside it, RFC 5057). Closes the session.
    Lost {
        /// Which session.
        session: SessionKey,
    },
    /// The peer answered a re-INVITE that refreshed the session and offered nothing new.
    Refreshed {
        /// Which session.
        session: SessionKey,
        /// The answer; its media may have moved.
        sdp: Option<Bytes>,
    },
    /// The session was not refreshed in time, or a refresh of ours found it gone (RFC 4028 §10). The owner
    /// ends it with Bye.
    Expired {
        /// Which session.
        session: SessionKey,
    },
    /// The peer pressed a digit, told by INFO in the session or in an early dialog of it; 200 is sent already.
    Info {
        /// Which session.
        session: SessionKey,
        /// The digit.
        digit: InfoDigit,
    },
    /// Our INFO has its final answer. One that ends the dialog too is told as `Lost` alone.
    InfoAnswered {
        /// Which session.
        session: SessionKey,
        /// The status; 503 stands for a failed transport.
        status: u16,
    },
    /// The peer wants somebody called (REFER). The owner answers with AcceptRefer or RejectRefer, unless the
    /// session ends first.
    Referred {
        /// Which session.
        session: SessionKey,
        /// Whom.
        referral: Box<Referral>,
        /// The status that refused it already; none: the owner decides.
        refused: Option<u16>,
    },
    /// The peer tells how the call is that our REFER asked for. May follow the closing event.
    ReferProgress {
        /// Which session.
        session: SessionKey,
        /// The status of that call.
        status: u16,
    },
    /// Our REFER is over. May follow the closing event.
    ReferDone {
        /// Which session.
        session: SessionKey,
        /// How it came out.
        outcome: ReferOutcome,
    },
}

impl Event {
    /// The session it is about.
    pub fn session(&self) -> SessionKey {
        match self {
            Event::Incoming(invite) => invite.session,
            Event::PeerCancelled { session, .. }
            | Event::Acknowledged { session, .. }
            | Event::AckMissing { session }
            | Event::EarlyAnswer { session, .. }
            | Event::PrackMissing { session }
            | Event::Refreshed { session, .. }
            | Event::Expired { session }
            | Event::Progress { session, .. }
            | Event::Answered { session, .. }
            | Event::Refused { session, .. }
            | Event::Unanswered { session, .. }
            | Event::Cancelled { session }
            | Event::Reinvite { session, .. }
            | Event::ReinviteAccepted { session, .. }
            | Event::ReinviteRefused { session, .. }
            | Event::Bye { session, .. }
            | Event::ByeDone { session }
            | Event::Lost { session }
            | Event::Info { session, .. }
            | Event::InfoAnswered { session, .. }
            | Event::Referred { session, .. }
            | Event::ReferProgress { session, .. }
            | Event::ReferDone { session, .. } => *session,
        }
    }

    /// True for the last event of a session.
    pub fn closes(&self) -> bool {
        match self {
            Event::PeerCancelled { .. }
            | Event::AckMissing { .. }
            | Event::PrackMissing { .. }
            | Event::Refused { .. }
            | Event::Unanswered { .. }
            | Event::Cancelled { .. }
            | Event::Bye { .. }
            | Event::ByeDone { .. }
            | Event::Lost { .. } => true,
            Event::Incoming(_)
            | Event::Acknowledged { .. }
            | Event::EarlyAnswer { .. }
            | Event::Refreshed { .. }
            | Event::Expired { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Reinvite { .. }
            | Event::ReinviteAccepted { .. }
            | Event::ReinviteRefused { .. }
            | Event::Info { .. }
            | Event::InfoAnswered { .. }
            | Event::Referred { .. }
            | Event::ReferProgress { .. }
            | Event::ReferDone { .. } => false,
        }
    }
}

/// A happening on a registration, ours or a peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationEvent {
    /// A user of a domain can be reached elsewhere, or no more: all its contacts, the first to be called first.
    Contacts {
        /// Which domain, by its place in the list given to [`Endpoint::set_domains`](super::Endpoint::set_domains).
        domain: usize,
        /// Which user.
        user: String,
        /// Where it can be reached now; empty: not at all.
        contacts: Vec<RegisteredContact>,
    },
    /// A server has our contact, anew or still.
    Registered {
        /// Which registration.
        registration: RegistrationKey,
        /// Which server.
        flow: Flow,
        /// For how long.
        expires: Duration,
    },
    /// A server did not take it.
    Failed {
        /// Which registration.
        registration: RegistrationKey,
        /// Which server.
        flow: Flow,
        /// What it said, if anything.
        why: Failure,
        /// When the next request goes out; none: never, it was forbidden.
        retry_in: Option<Duration>,
    },
    /// No server has our contact any more.
    Expired {
        /// Which registration.
        registration: RegistrationKey,
    },
    /// Our contact is removed, or its removal was given up.
    Left {
        /// Which registration.
        registration: RegistrationKey,
    },
}

/// What the shell must do for the endpoint.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send these bytes on this flow (TCP and TLS: on its open connection).
    Send {
        /// Where.
        flow: Flow,
        /// One whole message.
        bytes: Bytes,
    },
    /// Open a TCP or TLS connection from `local`'s address to `remote`; report `handle_connected` or
    /// `handle_disconnected`.
    Connect {
        /// Which flow.
        flow: Flow,
    },
    /// Close a TCP or TLS connection: framing was lost, or it was idle.
    Disconnect {
        /// Which flow.
        flow: Flow,
    },
    /// A whole message was heard, before anything is made of it; only while tapped.
    Heard {
        /// From where.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// What became of an OPTIONS of ours.
    Probed {
        /// The number its owner gave it.
        number: u64,
        /// The final status; none: no answer in timer F, or the transport failed.
        status: Option<u16>,
    },
    /// Tell the owner.
    Event(Event),
    /// Tell the owner of a registration.
    Registration(RegistrationEvent),
    /// Count and forget: a datagram or message was dropped.
    Dropped {
        /// From where.
        remote: SocketAddr,
        /// Stable word for the metric's label.
        why: &'static str,
    },
}
