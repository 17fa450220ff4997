//! What the owner of an [`Endpoint`](super) asks of it.
//!
//! A command never fails: what cannot be done any more (a BYE for an ended session, an answer that
//! lost the race against CANCEL) is absorbed here, and the event that explains it is already on its
//! way. Knows nothing of calls, trunks, codecs or ports.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

/// One INVITE usage, from its first INVITE to its end (RFC 3261 §13, §14, RFC 5057).
///
/// Whoever starts the usage numbers it: the endpoint for inbound ones, its owner for outbound ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionKey {
    /// Begun by the peer; numbered by the endpoint.
    In(u64),
    /// Begun by us; numbered by the owner of the endpoint.
    Out(u64),
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// UDP, RFC 3261 §18.
    Udp,
    /// TCP, RFC 3261 §18.
    Tcp,
}

/// Where messages of one peer come from and go to: one of our listeners and a remote address.
///
/// For TCP the endpoint asks for a connection to `remote` when none is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// UDP or TCP.
    pub transport: Transport,
    /// The address of our listener (also for connections that the listener accepted).
    pub local: SocketAddr,
    /// The far end.
    pub remote: SocketAddr,
}

/// A header by name and value, checked by the writer before it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHeader {
    /// Field name, for example `Reason`.
    pub name: String,
    /// Field value without line ends.
    pub value: String,
}

/// What answers a digest challenge of one realm (RFC 3261 §22, RFC 7616, RFC 8760).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name of the carrier account.
    pub username: String,
    /// Its password; never printed.
    pub password: String,
    /// Only challenges of this realm are answered; `None` takes the first realm the peer names.
    pub realm: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A new INVITE of ours.
#[derive(Clone, Debug)]
pub struct OutgoingInvite {
    /// The number its owner gave it: always [`SessionKey::Out`].
    pub session: SessionKey,
    /// Where it is sent.
    pub flow: Flow,
    /// Request-URI, for example `sip:+4930123456@203.0.113.5:5060`.
    pub request_uri: String,
    /// From without tag: a name-addr such as `"Anna" <sip:+49301@gw.example>`.
    pub from: String,
    /// To without tag: a name-addr.
    pub to: String,
    /// Host (and port) of Contact; the flow's listener when absent.
    pub contact_host: Option<String>,
    /// Call-ID to use; a fresh one when absent. Attempts at several targets of one leg share it.
    pub call_id: Option<String>,
    /// From tag to use; a fresh one when absent.
    pub from_tag: Option<String>,
    /// Hops left, at most 70 (RFC 3261 §20.22).
    pub max_forwards: u8,
    /// Further headers.
    pub headers: Vec<ExtraHeader>,
    /// The offer.
    pub sdp: Bytes,
    /// Answers to 401 and 407; none: a challenge is a failure.
    pub credentials: Option<Credentials>,
    /// Timer B: how long to wait for any response. RFC 3261 §17.1.1.2: 64·T1 = 32 s.
    pub timer_b: Duration,
}

/// An OPTIONS of ours outside a dialog.
#[derive(Clone, Debug)]
pub struct OutgoingProbe {
    /// The number its owner gave it.
    pub number: u64,
    /// Where it is sent.
    pub flow: Flow,
    /// Request-URI, for example `sip:203.0.113.5:5060`.
    pub request_uri: String,
    /// From without tag: a name-addr.
    pub from: String,
}

/// An order to the endpoint.
#[derive(Clone, Debug)]
pub enum Command {
    /// Sends a new INVITE.
    Invite(Box<OutgoingInvite>),
    /// Sends OPTIONS; the answer is reported as [`Output::Probed`](super::Output::Probed).
    Probe(Box<OutgoingProbe>),
    /// Sends a provisional response to an inbound INVITE; with `sdp` it is early media.
    Progress {
        /// Which session.
        session: SessionKey,
        /// 180 to 183.
        status: u16,
        /// Answer (or offer, when the INVITE had none).
        sdp: Option<Bytes>,
        /// Further headers.
        headers: Vec<ExtraHeader>,
    },
    /// Sends 200 to an inbound INVITE and repeats it until ACK (RFC 3261 §13.3.1.4).
    Answer {
        /// Which session.
        session: SessionKey,
        /// Answer, or full offer when the INVITE had none.
        sdp: Bytes,
        /// Further headers.
        headers: Vec<ExtraHeader>,
    },
    /// Refuses an inbound INVITE.
    Reject {
        /// Which session.
        session: SessionKey,
        /// 300 to 699.
        status: u16,
        /// Reason phrase; the RFC's own when absent.
        reason: Option<String>,
        /// Further headers (Reason, Retry-After, Warning, …).
        headers: Vec<ExtraHeader>,
    },
    /// Gives up an outbound INVITE: CANCEL once a provisional response came; a 2xx that crosses it
    /// gets ACK and BYE and is reported as [`Event::Cancelled`](super::Event::Cancelled).
    Cancel {
        /// Which session.
        session: SessionKey,
        /// Further headers (Reason).
        headers: Vec<ExtraHeader>,
    },
    /// Ends a confirmed session with BYE. An inbound one still waiting for ACK ends as RFC 3261 §15
    /// wants it: the BYE goes out after the ACK or at the end of its wait.
    Bye {
        /// Which session.
        session: SessionKey,
        /// Further headers (Reason).
        headers: Vec<ExtraHeader>,
    },
    /// Sends a re-INVITE with a new offer. 491 is waited out and retried here (RFC 3261 §14.1).
    Reinvite {
        /// Which session.
        session: SessionKey,
        /// The offer.
        sdp: Bytes,
    },
    /// Answers a re-INVITE of the peer: answer, or full offer when it had none.
    AcceptReinvite {
        /// Which session.
        session: SessionKey,
        /// The body of our 200.
        sdp: Bytes,
    },
    /// Refuses a re-INVITE of the peer; the session stays as it was (RFC 3261 §14.2).
    RejectReinvite {
        /// Which session.
        session: SessionKey,
        /// 488 and the like.
        status: u16,
        /// Further headers (Warning).
        headers: Vec<ExtraHeader>,
    },
    /// Sends INFO inside a confirmed session (RFC 6086 legacy usage: digits).
    Info {
        /// Which session.
        session: SessionKey,
        /// For example `application/dtmf-relay`.
        content_type: String,
        /// The body.
        body: Bytes,
    },
    /// What OPTIONS outside a dialog is told: 200, or 503 while draining.
    SetAccepting {
        /// False while draining.
        accepting: bool,
    },
}
