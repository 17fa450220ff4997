//! What makes two messages belong to one transaction (RFC 3261 §17.1.3, §17.2.3, §8.2.2.2).
//!
//! Keys are kept in ordered maps, so that no choice of ids by a peer makes a lookup slow. Knows nothing
//! of states or timers.

use crate::message::{Method, Request, Response, Via};

/// Our number of a transaction, client or server; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionKey(pub u64);

/// What a response shares with our request: branch and method (RFC 3261 §17.1.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientKey {
    branch: String,
    method: Method,
}

impl ClientKey {
    /// The key of a request of ours.
    pub fn of_request(request: &Request) -> Self {
        let branch = request.headers.via().branch().unwrap_or_default().to_owned();
        ClientKey {
            branch,
            method: request.method.clone(),
        }
    }

    /// The key of the request that a response answers.
    pub fn of_response(response: &Response) -> Self {
        let branch = response.headers.via().branch().unwrap_or_default().to_owned();
        ClientKey {
            branch,
            method: response.headers.cseq().method.clone(),
        }
    }
}

/// What a request shares with its repeats, its ACK and its CANCEL (RFC 3261 §17.2.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerKey {
    /// The branch is unique by itself.
    Branch {
        /// Of the top Via.
        branch: String,
        /// Host in lower case and port of the top Via: another element may choose the same branch.
        sent_by: String,
        /// The method; INVITE for an ACK.
        method: Method,
    },
    /// From an element of RFC 2543: everything that its repeats repeat.
    Legacy {
        /// The Request-URI.
        uri: String,
        /// Tag of From.
        from_tag: String,
        /// Call-ID.
        call_id: String,
        /// CSeq number.
        cseq: u32,
        /// The top Via as written.
        via: String,
        /// The method; INVITE for an ACK.
        method: Method,
    },
}

impl ServerKey {
    /// The key of a request; an ACK has that of its INVITE.
    pub fn of_request(request: &Request) -> Self {
        match request.method {
            Method::Ack => ServerKey::with_method(request, Method::Invite),
            _ => ServerKey::with_method(request, request.method.clone()),
        }
    }

    /// The key of the INVITE that a CANCEL wants ended (RFC 3261 §9.2).
    pub fn of_cancelled(cancel: &Request) -> Self {
        ServerKey::with_method(cancel, Method::Invite)
    }

    /// The key of a request with this top Via, if its branch is unique by itself.
    pub fn of_via(via: &Via, method: &Method) -> Option<Self> {
        let branch = via.branch().filter(|_| via.is_branch_unique())?;
        Some(ServerKey::Branch {
            branch: branch.to_owned(),
            sent_by: format!("{}:{}", via.host(), via.port().unwrap_or(5060)).to_ascii_lowercase(),
            method: method.clone(),
        })
    }

    fn with_method(request: &Request, method: Method) -> Self {
        let (headers, via) = (&request.headers, request.headers.via());
        match ServerKey::of_via(via, &method) {
            Some(key) => key,
            None => ServerKey::Legacy {
                uri: request.uri.to_string(),
                from_tag: headers.from().tag().unwrap_or_default().to_owned(),
                call_id: headers.call_id().to_string(),
                cseq: headers.cseq().number,
                via: via.to_string(),
                method,
            },
        }
    }
}

/// What two copies of one request share that reached us over two ways (RFC 3261 §8.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MergeKey {
    from_tag: String,
    call_id: String,
    cseq: u32,
    method: Method,
}

impl MergeKey {
    /// The key of a request outside a dialog; none when To has a tag or From has none.
    pub fn of_request(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        if headers.to().tag().is_some() {
            return None;
        }
        Some(MergeKey {
            from_tag: headers.from().tag()?.to_owned(),
            call_id: headers.call_id().to_string(),
            cseq: headers.cseq().number,
            method: request.method.clone(),
        })
    }
}
