//! The parameters of every method.
//!
//! Every type refuses unknown members. What can be wrong in the text alone is refused here; what needs
//! the state is left to the engine.

mod bridge;
mod call;
mod leg;
mod session;
mod system;
mod trace;
mod transfer;
mod work;

pub use bridge::*;
pub use call::*;
pub use leg::*;
pub use session::*;
pub use system::*;
pub use trace::*;
pub use transfer::*;
pub use work::*;

use super::failure::Failure;
use super::id::Key;
use super::text::Tags;

/// What the parameters of every method have in common.
pub trait Params {
    /// The idempotency key.
    fn key(&self) -> Option<&Key>;
    /// The tags.
    fn tags(&self) -> &Tags;
    /// What no single member can tell: how members go together.
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Makes a parameter type: the members given, and those every method takes.
macro_rules! params {
    ($(#[doc = $doc:literal])* $name:ident { $($body:tt)* } $(check $check:item)?) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($body)*
            /// Makes the command safe to send again for 10 minutes.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub key: Option<$crate::control::protocol::id::Key>,
            /// Refused: leases are not available in this version.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub fence: Option<$crate::control::protocol::within::NoFence>,
            /// Tags of the application, put on what the command makes or names.
            #[serde(default, skip_serializing_if = "crate::control::protocol::Tags::is_empty")]
            pub tags: $crate::control::protocol::text::Tags,
        }

        impl $crate::control::protocol::params::Params for $name {
            fn key(&self) -> Option<&$crate::control::protocol::id::Key> {
                self.key.as_ref()
            }
            fn tags(&self) -> &$crate::control::protocol::text::Tags {
                &self.tags
            }
            $($check)?
        }
    };
}
use params;

/// `skip_serializing_if` for flags that default to false.
fn is_false(flag: &bool) -> bool {
    !flag
}
