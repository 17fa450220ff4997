//! The call logic: pure, driven by values. Knows nothing of sockets, files or clocks.

pub mod metrics;
pub mod number_policy;
