//! A sans-IO SIP stack.
