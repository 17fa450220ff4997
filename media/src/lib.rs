//! The RTP media plane.
