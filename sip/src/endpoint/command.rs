//! What the owner of an [`Endpoint`](super) asks of it.
//!
//! A command never fails: what cannot be done any more (a BYE for an ended session, an answer that
//! lost the race against CANCEL) is absorbed here, and the event that explains it is already on its
//! way. Knows nothing of calls, trunks, codecs or ports.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::policy::Policy;

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
    /// TLS over TCP, RFC 3261 §26.2.1. The endpoint sees its plain bytes.
    Tls,
}

impl Transport {
    /// True where messages travel on connections and are framed by Content-Length (RFC 3261 §18.3).
    pub fn is_stream(self) -> bool {
        match self {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls => true,
        }
    }

    /// True where nobody between the two ends can read along.
    pub fn is_secure(self) -> bool {
        match self {
            Transport::Udp | Transport::Tcp => false,
            Transport::Tls => true,
        }
    }

    /// The port where none is named (RFC 3261 §19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
        }
    }
}

/// Where messages of one peer come from and go to: one of our listeners and a remote address.
///
/// For TCP and TLS the endpoint asks for a connection to `remote` when none is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// UDP, TCP or TLS.
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

/// A registration of ours, numbered by the owner of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrationKey(pub u64);

/// A contact of ours to be kept registered (RFC 3261 §10.2).
#[derive(Clone, Debug)]
pub struct RegisterOrder {
    /// The number its owner gave it.
    pub registration: RegistrationKey,
    /// Where it may be registered, in order: one at a time has it.
    pub servers: Vec<RegisterServer>,
    /// User of Contact.
    pub contact_user: String,
    /// Host (and port) of Contact; the flow's listener when absent.
    pub contact_host: Option<String>,
    /// For how long each time; a 423 may raise it.
    pub expires: Duration,
    /// One contact for many numbers (RFC 6140): it has no user, and the server must understand that.
    pub is_bulk: bool,
    /// Answers to 401 and 407.
    pub credentials: Credentials,
}

/// One server of a registration.
#[derive(Clone, Debug)]
pub struct RegisterServer {
    /// Where it is.
    pub flow: Flow,
    /// Request-URI: its domain, for example `sip:carrier.example`.
    pub request_uri: String,
    /// To and From: our address there, a name-addr.
    pub address: String,
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
    /// The extensions to speak.
    pub policy: Policy,
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

/// Whom a REFER of ours names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferTarget {
    /// This URI.
    Uri(String),
    /// The peer of this session, in whose place the call is to come (RFC 3891).
    Session(SessionKey),
}

/// An order to the endpoint.
#[derive(Clone, Debug)]
pub enum Command {
    /// Sends a new INVITE.
    Invite(Box<OutgoingInvite>),
    /// Sends OPTIONS; the answer is reported as [`Output::Probed`](super::Output::Probed).
    Probe(Box<OutgoingProbe>),
    /// Sends a provisional response to an inbound INVITE; with `sdp` it is early media. Where they go out
    /// reliably each waits for the PRACK of the one before (RFC 3262 §3).
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
    /// Sends 200 to an inbound INVITE and repeats it until ACK (RFC 3261 §13.3.1.4). It waits for the PRACK
    /// of a reliable provisional response with SDP, and carries none itself after it.
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
    /// Accepts a change of the peer ([`Event::Reinvite`](super::Event::Reinvite)): answer, or full offer
    /// when a re-INVITE had none.
    AcceptReinvite {
        /// Which session.
        session: SessionKey,
        /// The body of our 200.
        sdp: Bytes,
    },
    /// Refuses a change of the peer; the session stays as it was (RFC 3261 §14.2).
    RejectReinvite {
        /// Which session.
        session: SessionKey,
        /// 488 and the like.
        status: u16,
        /// Further headers (Warning).
        headers: Vec<ExtraHeader>,
    },
    /// Sends INFO inside a confirmed session (RFC 6086 legacy usage: digits). [`Event::InfoAnswered`](super::Event::InfoAnswered)
    /// follows, unless the session closes first.
    Info {
        /// Which session.
        session: SessionKey,
        /// For example `application/dtmf-relay`.
        content_type: String,
        /// The body.
        body: Bytes,
    },
    /// Asks the peer of a session that is up to call somebody else (RFC 3515). Exactly one
    /// [`Event::ReferDone`](super::Event::ReferDone) follows, unless the session closes first.
    Refer {
        /// Which session.
        session: SessionKey,
        /// Whom.
        to: ReferTarget,
        /// Referred-By (RFC 3892), a name-addr.
        referred_by: Option<String>,
        /// How long the last NOTIFY may take, from the 2xx.
        wait: Duration,
    },
    /// Accepts the REFER of a peer ([`Event::Referred`](super::Event::Referred)): 202, and NOTIFY with 100.
    AcceptRefer {
        /// Which session.
        session: SessionKey,
    },
    /// Refuses it.
    RejectRefer {
        /// Which session.
        session: SessionKey,
        /// 603 and the like.
        status: u16,
    },
    /// Tells by NOTIFY how the call is that was asked for; a final status is the last word.
    NotifyRefer {
        /// Which session.
        session: SessionKey,
        /// The status of that call.
        status: u16,
    },
    /// Registers, and keeps it up; again after it was left.
    Register(Box<RegisterOrder>),
    /// Removes our contact; [`RegistrationEvent::Left`](super::RegistrationEvent::Left) follows within
    /// [`LEAVE_WAIT`](crate::registration::client::LEAVE_WAIT).
    Unregister {
        /// Which registration.
        registration: RegistrationKey,
    },
    /// What OPTIONS outside a dialog is told: 200, or 503 while draining.
    SetAccepting {
        /// False while draining.
        accepting: bool,
    },
}
