//! What a session wants done.
//!
//! Values only; the endpoint carries them out.

use bytes::Bytes;

use super::Draft;
use super::glare::retry_after_s;
use crate::endpoint::{Event, ExtraHeader};
use crate::message::{Request, Response, StatusCode};
use crate::rng::Rng;
use crate::transaction::TransactionKey;

/// Why a request inside a dialog was sent: who hears its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A re-INVITE.
    Reinvite,
    /// An UPDATE that refreshes the session.
    Refresh,
    /// The PRACK of a reliable provisional response.
    Prack,
    /// An INFO.
    Info,
    /// A REFER.
    Refer,
    /// A NOTIFY about a REFER of the peer.
    Notify,
    /// The BYE that ends the session when it is answered.
    Bye,
    /// A BYE whose answer nobody waits for: the session has closed already, or never was one of ours.
    Farewell,
}

/// Why a request of ours inside a dialog failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status; 408 stands for no answer, 503 for a failed transport.
    pub status: StatusCode,
    /// Seconds after which the peer wants to hear it again.
    pub retry_after_s: Option<u32>,
    /// The shortest session interval the peer takes, seconds (422).
    pub min_se_s: Option<u32>,
}

impl Failure {
    /// A failure that no response tells more of.
    pub fn plain(status: StatusCode) -> Self {
        Failure {
            status,
            retry_after_s: None,
            min_se_s: None,
        }
    }

    /// What a response tells.
    pub fn of_response(response: &Response) -> Self {
        Failure {
            status: response.status,
            retry_after_s: response.headers.retry_after(),
            min_se_s: response.headers.min_se(),
        }
    }
}

/// What a session wants done, in order.
#[derive(Debug)]
pub enum Action {
    /// A request in a client transaction of its own.
    Request {
        /// Who hears of its answer.
        purpose: Purpose,
        /// The request.
        draft: Box<Draft>,
    },
    /// The ACK of a 2xx; its INVITE's transaction sends it again for each repeat of that 2xx.
    Ack {
        /// The transaction of the INVITE.
        transaction: TransactionKey,
        /// To tag of the 2xx.
        remote_tag: String,
        /// The ACK.
        draft: Box<Draft>,
    },
    /// CANCEL of our INVITE.
    Cancel {
        /// The transaction of the INVITE.
        transaction: TransactionKey,
        /// Further headers.
        headers: Vec<ExtraHeader>,
    },
    /// Forget our INVITE: nobody answered its CANCEL (RFC 3261 §9.1).
    Abandon {
        /// The transaction of the INVITE.
        transaction: TransactionKey,
    },
    /// A response in a server transaction.
    Respond {
        /// Which one.
        transaction: TransactionKey,
        /// The response.
        response: Box<Response>,
    },
    /// Our 2xx to an INVITE once more.
    RepeatSuccess {
        /// Its transaction.
        transaction: TransactionKey,
    },
    /// Tell the owner.
    Event(Event),
}

/// The media type of SDP.
pub const SDP: &str = "application/sdp";

/// A response with what the owner wants in it. Headers the guard refuses are left out.
pub(super) fn response(
    request: &Request,
    status: StatusCode,
    local_tag: &str,
    headers: &[ExtraHeader],
    sdp: Option<Bytes>,
) -> Box<Response> {
    let mut response = Response::to(request, status, Some(local_tag));
    for header in headers {
        let _ = response.headers.push(&header.name, &header.value);
    }
    if let Some(sdp) = sdp {
        let _ = response.set_body(SDP, sdp);
    }
    Box::new(response)
}

/// A refusal that may be different soon: 491, or 500 with a Retry-After of 0 to 10 s (RFC 3261 §14.2,
/// RFC 3311 §5.2).
pub(super) fn refusal_for_now(
    request: &Request,
    status: StatusCode,
    local_tag: &str,
    rng: &mut Rng,
) -> Box<Response> {
    let mut refusal = response(request, status, local_tag, &[], None);
    if status == StatusCode::SERVER_INTERNAL_ERROR {
        let _ = refusal
            .headers
            .push("Retry-After", &retry_after_s(rng).to_string());
    }
    refusal
}

/// The SDP of a request, when its body is that.
pub fn sdp_of_request(request: &Request) -> Option<Bytes> {
    request
        .content_type()
        .filter(|kind| kind.is(SDP))
        .map(|_| request.body.clone())
}

/// The SDP of a response, when its body is that.
pub fn sdp_of_response(response: &Response) -> Option<Bytes> {
    response
        .content_type()
        .filter(|kind| kind.is(SDP))
        .map(|_| response.body.clone())
}
