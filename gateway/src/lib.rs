//! An embedded SIP/RTP media gateway.
