//! Emergency numbers, recognised by their exact digits before anything else is asked.
//!
//! Knows nothing of trunks; what to do with such a call is the policy's.

use super::target::Dialled;

/// Country, calling code, digits. Sources: the emergency section of the numbering plan each country
/// files with ITU-T (E.129 presentations).
const TABLE: [(&str, &str, &[&str]); 12] = [
    ("AU", "61", &["000", "106", "112"]),
    ("CA", "1", &["911", "112"]),
    ("CN", "86", &["110", "112", "119", "120", "122"]),
    ("DE", "49", &["110", "112"]),
    ("HK", "852", &["112", "992", "999"]),
    ("IL", "972", &["100", "101", "102", "112"]),
    ("JP", "81", &["110", "118", "119"]),
    ("MX", "52", &["911", "112"]),
    ("SG", "65", &["112", "995", "999"]),
    ("SE", "46", &["112"]),
    ("US", "1", &["911", "112"]),
    ("GB", "44", &["112", "999"]),
];

/// What GSM phones everywhere and most plans mean; for home countries outside the table.
const ANYWHERE: [&str; 2] = ["112", "911"];

/// The country whose emergency number this is; `any` where the home country is not in the table.
///
/// Without a home country every table counts: the digits could not be dialled as a number anyway.
pub(super) fn country(dialled: &Dialled, home: Option<&str>) -> Option<&'static str> {
    let digits = dialled.digits();
    if dialled.is_global() {
        return None;
    }
    if dialled.is_service() {
        let listed = TABLE.iter().find(|(country, ..)| Some(*country) == home);
        return Some(listed.map_or("any", |(country, ..)| country));
    }
    if let Some(context) = dialled.context() {
        let entry = TABLE
            .iter()
            .find(|(_, code, numbers)| *code == context && numbers.contains(&digits));
        return entry.map(|(country, ..)| *country);
    }
    let Some(home) = home else {
        return TABLE
            .iter()
            .find(|(_, _, numbers)| numbers.contains(&digits))
            .map(|_| "any");
    };
    match TABLE.iter().find(|(country, ..)| *country == home) {
        Some((country, _, numbers)) => numbers.contains(&digits).then_some(*country),
        None => ANYWHERE.contains(&digits).then_some("any"),
    }
}

/// Which of `flagged`, the countries where emergency calls have a trunk, takes this call; the first that knows
/// the number where the caller's own country is not known.
pub(super) fn taken_by<'f>(
    dialled: &Dialled,
    country: &str,
    home: Option<&str>,
    flagged: &'f [String],
) -> Option<&'f str> {
    let knows = |flagged: &&String| {
        let numbers = TABLE.iter().find(|(name, ..)| *name == flagged.as_str());
        let numbers = numbers.map_or(&ANYWHERE[..], |(_, _, numbers)| numbers);
        dialled.is_service() || numbers.contains(&dialled.digits())
    };
    let wanted = match (country, home) {
        ("any", None) => flagged.iter().find(knows),
        ("any", Some(home)) => flagged.iter().find(|one| one.as_str() == home),
        (country, _) => flagged.iter().find(|one| one.as_str() == country),
    };
    wanted.map(String::as_str)
}
