//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

/// Everything wrong with one file, in the order of its lines. Exit code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: String,
    /// At least one.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line in the file, from 1; none where the file as a whole is meant.
    pub line: Option<usize>,
    /// The key, for example `trunk[0].calls`; empty where the file as a whole is meant.
    pub key: String,
    /// What, with the remedy.
    pub problem: Problem,
}

/// What may be wrong. The text of each is a whole sentence with its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {why}")]
    Unreadable {
        /// The system's words.
        why: String,
    },
    /// It is not TOML.
    #[error("not TOML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// No such key.
    #[error("unknown key; {}", nearest.as_ref().map_or_else(
        || "remove it (`media-gateway schema --config` lists all)".to_owned(),
        |name| format!("did you mean `{name}`?")))]
    UnknownKey {
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A key of a later version.
    #[error("not available in this version; remove the key")]
    LaterKey,
    /// A value of a later version.
    #[error("`{value}` is not available in this version; {instead}")]
    LaterValue {
        /// The value.
        value: String,
        /// What may be written.
        instead: String,
    },
    /// A key that must be there.
    #[error("missing; add `{key}`")]
    Missing {
        /// Its name.
        key: String,
    },
    /// A value of the wrong type.
    #[error("must be {expected}, is {found}")]
    WrongType {
        /// What it should be.
        expected: String,
        /// What it is.
        found: &'static str,
    },
    /// A number outside its bounds.
    #[error("must be {min} to {max}, is {actual}")]
    OutOfRange {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
        /// What was given.
        actual: String,
    },
    /// A list or text too short or too long.
    #[error("must have {min} to {max} {unit}, has {actual}")]
    Length {
        /// Fewest allowed.
        min: u64,
        /// Most allowed.
        max: u64,
        /// Entries or characters.
        unit: &'static str,
        /// What was given.
        actual: u64,
    },
    /// Not one of a closed list.
    #[error("must be one of {}, is `{actual}`", allowed.join(", "))]
    NotOneOf {
        /// The list.
        allowed: Vec<String>,
        /// What was given.
        actual: String,
    },
    /// Text that cannot be read as what it should be.
    #[error("`{actual}` is not {expected}")]
    Malformed {
        /// What was given.
        actual: String,
        /// What it should be, with an example.
        expected: &'static str,
    },
    /// A name taken twice.
    #[error("`{value}` is already at {other}; {remedy}")]
    Duplicate {
        /// The value.
        value: String,
        /// Where it was first.
        other: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Two trunks claim one source.
    #[error(
        "{network} is also in `allow` of trunk `{other}`; a source can belong to one trunk only, so remove it from `{this}` or from `{other}`, or give both a `tls.name` of their own"
    )]
    SharedAllow {
        /// The network.
        network: String,
        /// This trunk.
        this: String,
        /// The other.
        other: String,
    },
    /// Two trunks are told apart by names of certificates of different chains.
    #[error(
        "trunk `{other}` has the same source, so both need the same `tls.ca` and `tls.min`: the chain of a certificate is checked before its name"
    )]
    SharedAllowChain {
        /// The other trunk.
        other: String,
    },
    /// A peer in clear of a trunk that is known by its certificate.
    #[error(
        "this trunk is known by its certificate, which UDP and TCP do not show; write `transport=tls`, or remove `tls` from the trunk"
    )]
    ClearPeer,
    /// No listener a peer could be reached by.
    #[error(
        "{transport} to {address} needs a listener of the same transport and address family; add `{transport}://…` to `sip.listen`"
    )]
    NoListener {
        /// The transport.
        transport: &'static str,
        /// The peer.
        address: String,
    },
    /// Not one of what another key lists.
    #[error("`{actual}` is not in `{list}`; {}", match allowed.is_empty() {
        true => "it lists no other: remove this".to_owned(),
        false => format!("write one of {}", allowed.join(", ")),
    })]
    NotListed {
        /// What was given.
        actual: String,
        /// The other key.
        list: &'static str,
        /// What it lists.
        allowed: Vec<String>,
    },
    /// A wildcard address that peers could not be told.
    #[error("{address} means every address, which a peer cannot be told; set `{key}`")]
    NeedsAdvertise {
        /// The wildcard.
        address: String,
        /// The key that helps.
        key: &'static str,
    },
    /// Another key must be there too.
    #[error("`{value}` needs `{key}`; set it")]
    Needs {
        /// What was given.
        value: String,
        /// The key.
        key: &'static str,
    },
    /// Keys of media over signalling that anyone on the way can read.
    #[error(
        "the keys of `{policy}` would go in clear over {transport} at {at}; let the trunk `listen` on a `tls://` address with `transport=tls` in `hosts`, or set `srtp_without_tls = true` where the network is trusted, or `srtp = \"off\"`"
    )]
    KeysInClear {
        /// The value of `srtp`.
        policy: &'static str,
        /// The transport.
        transport: &'static str,
        /// The listener or peer.
        at: String,
    },
    /// A preset that would be another without a value this version has not.
    #[error(
        "`{preset}` needs `{key} = {value}`, which is not available in this version; choose another preset or write `{key}`"
    )]
    PresetNeeds {
        /// The preset.
        preset: &'static str,
        /// The key.
        key: &'static str,
        /// Its value.
        value: &'static str,
    },
    /// A peer that a preset does not know.
    #[error("`{preset}` is reached over {transport} only; write `;transport={transport}`")]
    PresetTransport {
        /// The preset.
        preset: &'static str,
        /// The transport.
        transport: &'static str,
    },
    /// A preset that wants a name where an address stands.
    #[error("`{preset}` wants a host name in Contact, not `{actual}`; set `contact_host`")]
    PresetContact {
        /// The preset.
        preset: &'static str,
        /// The address.
        actual: String,
    },
    /// Too few ports.
    #[error("{pairs} port pairs are fewer than the {shards} media shards; widen the range")]
    FewPorts {
        /// Pairs of an even and an odd port.
        pairs: usize,
        /// Media shards.
        shards: usize,
    },
    /// The kernel takes no longer socket path.
    #[error("{bytes} bytes are too long for a Unix socket (at most {max}); choose a shorter path")]
    SocketPathTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A file that another key names cannot be used.
    #[error("{path}: {why}")]
    BadFile {
        /// Its path.
        path: String,
        /// What is wrong, with the remedy.
        why: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some(line) = fault.line {
                write!(f, ":{line}")?;
            }
            if !fault.key.is_empty() {
                write!(f, ": {}", fault.key)?;
            }
            write!(f, ": {}", fault.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
