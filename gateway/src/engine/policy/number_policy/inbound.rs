//! Numbers as a trunk brings them: canonical where they can be read, and always as they came.
//!
//! Nothing is refused here. Knows nothing of the lists.

use super::e164::{self, E164};
use super::rules::TrunkNumbers;
use super::target::{Target, classify_target};

/// Fewest digits of an international number: shorter ones are extensions, whatever code they begin with.
const E164_DIGITS_MIN: usize = 7;

/// How a trunk writes numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberForm {
    /// International, with `+` or without.
    #[default]
    E164,
    /// As dialled in the home country; with `+` international.
    National,
}

/// A number of an inbound call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundNumber {
    /// Canonical, where it can be read.
    pub number: Option<E164>,
    /// As it came.
    pub raw: String,
}

/// Reads a user part, or a whole `tel:` or `sip:` URI, of an inbound request.
pub fn parse_inbound(raw: &str, trunk: &TrunkNumbers) -> InboundNumber {
    InboundNumber {
        number: read(raw, trunk),
        raw: raw.to_owned(),
    }
}

/// An international number that is nothing but its digits, as it is written: no numbering plan is asked whether there
/// can be such a number.
pub fn glance(user: &str, trunk: &TrunkNumbers) -> Option<E164> {
    let number = match (user.strip_prefix('+'), trunk.number_in) {
        (Some(digits), NumberForm::E164 | NumberForm::National) => E164::from_digits(digits),
        (None, NumberForm::E164) => E164::from_digits(user),
        (None, NumberForm::National) => None,
    };
    number.filter(|number| number.digits().len() >= E164_DIGITS_MIN)
}

fn read(raw: &str, trunk: &TrunkNumbers) -> Option<E164> {
    let Ok(Target::Number(dialled)) = classify_target(raw, trunk) else {
        return None;
    };
    let number = match (dialled.national_digits(), trunk.number_in) {
        (Some(digits), NumberForm::E164) => {
            let with_plus = super::target::Dialled::parse(&format!("+{digits}"), None)?;
            e164::read(&with_plus, None)
        }
        (Some(_), NumberForm::National) | (None, NumberForm::E164 | NumberForm::National) => {
            e164::read(&dialled, trunk.home_country.as_deref())
        }
    };
    number
        .ok()
        .filter(|number| number.digits().len() >= E164_DIGITS_MIN)
}
