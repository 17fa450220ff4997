//! The one place that asks the numbering library, and never believes more than one answer of it.
//!
//! A number counts as read only when its canonical text reads back as itself: `country().id()` answers
//! for numbers that do not exist, and national prefixes are taken off even after a `+`.
//! Knows nothing of the lists.

use phonenumber::metadata::DATABASE;
use phonenumber::{PhoneNumber, Type, country};

use super::target::Dialled;

/// Digits of the longest international number. ITU-T E.164 §6.2.1.
pub const E164_DIGITS_MAX: usize = 15;

/// An international number: `+`, then 1 to 15 digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct E164(String);

impl E164 {
    /// Takes `+` and digits.
    pub fn parse(text: &str) -> Option<E164> {
        E164::from_digits(text.strip_prefix('+')?)
    }

    /// Takes digits without `+`.
    pub(super) fn from_digits(digits: &str) -> Option<E164> {
        let fits = (1..=E164_DIGITS_MAX).contains(&digits.len()) && !digits.starts_with('0');
        (fits && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| E164(format!("+{digits}")))
    }

    fn from_parsed(number: &PhoneNumber) -> Option<E164> {
        E164::from_digits(&format!("{}{}", number.code().value(), number.national()))
    }

    /// With `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without `+`.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

impl std::fmt::Display for E164 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Kinds of number, as numbering plans tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NumberKind {
    /// Fixed line.
    Fixed,
    /// Mobile.
    Mobile,
    /// Plans such as +1 do not say which.
    FixedOrMobile,
    /// Free for the caller.
    TollFree,
    /// Premium rate.
    Premium,
    /// The caller pays a part of a dearer rate.
    SharedCost,
    /// Follows a person, at a price of its own.
    Personal,
    /// IP telephony.
    Voip,
    /// Pager.
    Pager,
    /// Company number, such as the Japanese 0570.
    Uan,
    /// Access to voice mail.
    Voicemail,
    /// Anything else a plan lists.
    Other,
}

impl NumberKind {
    /// All of them.
    pub const ALL: [NumberKind; 12] = [
        NumberKind::Fixed,
        NumberKind::Mobile,
        NumberKind::FixedOrMobile,
        NumberKind::TollFree,
        NumberKind::Premium,
        NumberKind::SharedCost,
        NumberKind::Personal,
        NumberKind::Voip,
        NumberKind::Pager,
        NumberKind::Uan,
        NumberKind::Voicemail,
        NumberKind::Other,
    ];

    /// Its name in rules and on the control protocol.
    pub fn name(self) -> &'static str {
        match self {
            NumberKind::Fixed => "fixed",
            NumberKind::Mobile => "mobile",
            NumberKind::FixedOrMobile => "fixed_or_mobile",
            NumberKind::TollFree => "toll_free",
            NumberKind::Premium => "premium",
            NumberKind::SharedCost => "shared_cost",
            NumberKind::Personal => "personal",
            NumberKind::Voip => "voip",
            NumberKind::Pager => "pager",
            NumberKind::Uan => "uan",
            NumberKind::Voicemail => "voicemail",
            NumberKind::Other => "other",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<NumberKind> {
        NumberKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn of(kind: Type) -> NumberKind {
        match kind {
            Type::FixedLine => NumberKind::Fixed,
            Type::Mobile => NumberKind::Mobile,
            Type::FixedLineOrMobile => NumberKind::FixedOrMobile,
            Type::TollFree => NumberKind::TollFree,
            Type::PremiumRate => NumberKind::Premium,
            Type::SharedCost => NumberKind::SharedCost,
            Type::PersonalNumber => NumberKind::Personal,
            Type::Voip => NumberKind::Voip,
            Type::Pager => NumberKind::Pager,
            Type::Uan => NumberKind::Uan,
            Type::Voicemail => NumberKind::Voicemail,
            Type::Emergency
            | Type::ShortCode
            | Type::StandardRate
            | Type::Carrier
            | Type::NoInternational
            | Type::Unknown => NumberKind::Other,
        }
    }
}

/// Why a dialled number has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is national, and the trunk has no home country.
    NoHomeCountry,
    /// No numbering plan fits.
    NotANumber,
}

/// What the plan says of a number that exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// ISO 3166; none for numbers of no country (+883, +870).
    pub region: Option<String>,
    pub kind: NumberKind,
}

/// The canonical form of a dialled number; it need not exist.
pub(super) fn read(dialled: &Dialled, home: Option<&str>) -> Result<E164, Unreadable> {
    let parsed = match (dialled.international_digits(), home) {
        (Some(digits), _) => parse(None, &format!("+{digits}")),
        (None, Some(home)) => {
            let Ok(home) = home.parse::<country::Id>() else {
                return Err(Unreadable::NoHomeCountry);
            };
            parse(Some(home), dialled.digits())
        }
        (None, None) => return Err(Unreadable::NoHomeCountry),
    };
    parsed
        .as_ref()
        .and_then(E164::from_parsed)
        .ok_or(Unreadable::NotANumber)
}

/// Region and kind, where the number exists and its text reads back as itself.
pub(super) fn judge(number: &E164) -> Option<Judged> {
    let parsed = parse(None, number.as_str())?;
    if E164::from_parsed(&parsed).as_ref() != Some(number) || !parsed.is_valid() {
        return None;
    }
    let region = parsed.country().id().map(|id| id.as_ref().to_owned());
    Some(Judged {
        region,
        kind: NumberKind::of(parsed.number_type(&DATABASE)),
    })
}

/// Whether `region` has a numbering plan.
pub(super) fn is_region(region: &str) -> bool {
    region.parse::<country::Id>().is_ok()
}

/// As it is dialled inside its home country; none where it is of another, or would not read back as itself.
pub fn national(number: &E164, home: &str) -> Option<String> {
    let parsed = parse(None, number.as_str())?;
    let home = home.parse::<country::Id>().ok()?;
    let digits: String = parsed
        .format()
        .mode(phonenumber::Mode::National)
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let again = parse(Some(home), &digits)?;
    (E164::from_parsed(&again).as_ref() == Some(number)).then_some(digits)
}

/// The country code of a region, digits.
pub fn country_code(home: &str) -> Option<String> {
    Some(DATABASE.by_id(home)?.country_code().to_string())
}

/// Reads the numbering plans of the world, which the library else does at the first number: some 100 ms that
/// the first call would wait.
pub fn load_plans() {
    std::hint::black_box(DATABASE.by_id("DE"));
}

/// Only digits, with at most one leading `+`, ever reach the library: its own reading of text (letters as
/// digits, extensions, phone-context) decides nothing here.
fn parse(home: Option<country::Id>, text: &str) -> Option<PhoneNumber> {
    debug_assert!(
        text.trim_start_matches('+')
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    );
    phonenumber::parse(home, text).ok()
}
