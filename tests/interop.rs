//! The real program against real peers on loopback: SIPp, baresip and Kamailio, UDP and TCP, on the machine's clock.
//!
//! One call of the operating system's programs proves more than any number of our own; how to read a
//! failure and what has to be installed: `tests/interop/README.md`.

#[path = "interop/audio.rs"]
mod audio;
#[path = "interop/baresip.rs"]
mod baresip;
#[path = "interop/callers.rs"]
mod callers;
#[path = "interop/crash.rs"]
mod crash;
#[path = "interop/crossing.rs"]
mod crossing;
#[path = "interop/digits.rs"]
mod digits;
#[path = "interop/early.rs"]
mod early;
#[path = "interop/hostile_media.rs"]
mod hostile_media;
#[path = "interop/inbound.rs"]
mod inbound;
#[path = "interop/info.rs"]
mod info;
#[path = "interop/kamailio.rs"]
mod kamailio;
#[path = "interop/leaks.rs"]
mod leaks;
#[path = "interop/limits.rs"]
mod limits;
#[path = "interop/load.rs"]
mod load;
#[path = "interop/loadtest.rs"]
mod loadtest;
#[path = "interop/number_map.rs"]
mod number_map;
#[path = "../sip/tests/endpoint/own_digest.rs"]
mod own_digest;
#[path = "interop/quality.rs"]
mod quality;
#[path = "interop/refresh.rs"]
mod refresh;
#[path = "interop/registration.rs"]
mod registration;
#[path = "interop/reliable.rs"]
mod reliable;
#[path = "interop/replaces.rs"]
mod replaces;
#[path = "interop/resume.rs"]
mod resume;
#[path = "interop/routing.rs"]
mod routing;
#[path = "interop/script.rs"]
mod script;
#[path = "interop/secure.rs"]
mod secure;
#[path = "interop/servers.rs"]
mod servers;
#[path = "interop/strange.rs"]
mod strange;
#[path = "interop/talking.rs"]
mod talking;
#[path = "interop/timing.rs"]
mod timing;
#[path = "interop/tls.rs"]
mod tls;
#[path = "interop/tones.rs"]
mod tones;
#[path = "interop/transfers.rs"]
mod transfers;
#[path = "interop/vouched.rs"]
mod vouched;
