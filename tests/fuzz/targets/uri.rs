//! One URI: what is taken is taken again as it is written, and is the same (docs/threats.md: B7).

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::message::{NameAddr, Uri};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(uri) = Uri::parse(text) {
        let again = Uri::parse(&uri.to_string()).expect("its own text");
        assert_eq!(again, uri);
        assert!(uri.is_equivalent(&again));
        let _ = (uri.user_unescaped(), uri.password(), uri.port(), uri.param("transport"), uri.is_loose_router());
        if let Some(host) = uri.host() {
            assert!(!host.to_string().contains(['\0', ' ', '\r', '\n', '%']), "{host}");
        }
        let request_uri = uri.clone().into_request_uri();
        assert!(Uri::parse(&request_uri.to_string()).is_ok(), "{request_uri:?}");
        let with_user = uri.with_user("a b;c?d@e");
        assert!(Uri::parse(&with_user.to_string()).is_ok(), "{with_user:?}");
    }
    // The lines of a message hold no control characters.
    if text.contains(char::is_control) {
        return;
    }
    if let Ok(address) = NameAddr::parse(text) {
        let again = NameAddr::parse(&address.to_string()).expect("its own text");
        assert_eq!(again, address);
    }
});
