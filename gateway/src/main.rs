//! The `media-gateway` binary.
fn main() {}
