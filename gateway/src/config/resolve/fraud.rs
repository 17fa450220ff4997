//! A trunk's limits against toll fraud.

use super::super::file;
use super::super::fraud::{Fraud, FraudLimit};
use super::{Faults, KeyPath};

pub(super) fn fraud(entry: &file::fraud::Fraud, path: &KeyPath, faults: &mut Faults) -> Fraud {
    let whole = FraudLimit {
        prefix: String::new(),
        calls: None,
        calls_per_hour: entry.calls_per_hour,
        minutes_per_day: entry.minutes_per_day,
    };
    let mut limits = vec![whole];
    for (index, one) in entry.prefix.iter().enumerate() {
        let digits = one.prefix.strip_prefix('+').unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let path = path.key("prefix").index(index).key("prefix");
            faults.malformed(
                path,
                &one.prefix,
                "a number prefix; write + and digits, like `+44`",
            );
        }
        limits.push(FraudLimit {
            prefix: one.prefix.clone(),
            calls: one.calls,
            calls_per_hour: one.calls_per_hour,
            minutes_per_day: one.minutes_per_day,
        });
    }
    limits.retain(|one| one.calls.is_some() || one.calls_per_hour.is_some() || one.minutes_per_day.is_some());
    Fraud {
        limits,
        redirects: entry.redirects.into(),
    }
}
