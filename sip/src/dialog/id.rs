//! The name of a dialog: Call-ID and both tags (RFC 3261 §12).
//!
//! Knows nothing of states.

use crate::message::{CallId, Request};

/// Call-ID, our tag, the peer's tag. Ordered, so that tables of it are immune to chosen collisions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DialogId {
    call_id: CallId,
    local_tag: String,
    remote_tag: String,
}

impl DialogId {
    /// An absent tag (RFC 2543 peers) is an empty one.
    pub fn new(call_id: &CallId, local_tag: Option<&str>, remote_tag: Option<&str>) -> Self {
        DialogId {
            call_id: call_id.clone(),
            local_tag: local_tag.unwrap_or_default().to_owned(),
            remote_tag: remote_tag.unwrap_or_default().to_owned(),
        }
    }

    /// The dialog that a request of the peer belongs to.
    pub fn of_request(request: &Request) -> Self {
        let headers = &request.headers;
        DialogId::new(headers.call_id(), headers.to().tag(), headers.from().tag())
    }

    /// Call-ID.
    pub fn call_id(&self) -> &CallId {
        &self.call_id
    }

    /// The peer's tag.
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }
}
