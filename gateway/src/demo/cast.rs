//! Who takes part and how each sounds.
//!
//! The tones lie between the keys of the piano, where no note of the music is, and 20 % apart at least.

use crate::phone::Voice;

/// The number that the customer dials.
pub const SERVICE_NUMBER: &str = "+4930901820";
/// The customer's own number.
pub const CUSTOMER_NUMBER: &str = "+4930227310";
/// What the greeting is made of, hertz.
pub const GREETING_HZ: f32 = 1709.9;

/// Somebody with a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Calls in over the carrier.
    Customer,
    /// Takes the call, later hands it over.
    Agent1,
    /// Is consulted, later takes the call over.
    Agent2,
}

/// Somebody or something that can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// A phone's tone.
    Party(Party),
    /// Music on hold.
    Music,
    /// The greeting.
    Greeting,
}

impl Party {
    /// All of them.
    pub const ALL: [Party; 3] = [Party::Customer, Party::Agent1, Party::Agent2];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Party::Customer => "customer",
            Party::Agent1 => "agent 1",
            Party::Agent2 => "agent 2",
        }
    }

    /// User part of the phone's address.
    pub fn user(self) -> &'static str {
        match self {
            Party::Customer => CUSTOMER_NUMBER,
            Party::Agent1 => "agent1",
            Party::Agent2 => "agent2",
        }
    }

    /// What it says, hertz.
    pub fn tone_hz(self) -> f32 {
        match self {
            Party::Customer => 807.0,
            Party::Agent1 => 1281.0,
            Party::Agent2 => 2154.3,
        }
    }
}

impl Speaker {
    /// The columns of every table.
    pub const ALL: [Speaker; 5] = [
        Speaker::Party(Party::Customer),
        Speaker::Party(Party::Agent1),
        Speaker::Party(Party::Agent2),
        Speaker::Music,
        Speaker::Greeting,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Speaker::Party(party) => party.name(),
            Speaker::Music => "music",
            Speaker::Greeting => "greeting",
        }
    }

    /// How it is found in what was heard.
    pub fn voice(self) -> Voice {
        match self {
            Speaker::Party(party) => Voice::tone(party.name(), party.tone_hz()),
            Speaker::Music => Voice::white_keys(self.name()),
            Speaker::Greeting => Voice::tone(self.name(), GREETING_HZ),
        }
    }
}
