//! Instants of the wall clock as text: RFC 3339 in UTC with microseconds, and calendar dates.
//!
//! Pure arithmetic on microseconds since the Unix epoch. Knows nothing of clocks or time zones.

/// A day of the proleptic Gregorian calendar and a time in it, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc {
    /// Year, for example 2026.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Microsecond, 0 to 999,999.
    pub micro: u32,
}

impl Utc {
    /// The instant `wall_us` microseconds after 1970-01-01T00:00:00Z.
    pub fn from_micros(wall_us: i64) -> Utc {
        let seconds = wall_us.div_euclid(1_000_000);
        let days = seconds.div_euclid(86_400);
        let second_of_day = seconds.rem_euclid(86_400);
        // Days to civil date: eras of 400 years that begin on 1 March, so that leap days come last.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Utc {
            year,
            month: month as u8,
            day: day as u8,
            hour: (second_of_day / 3_600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
            micro: wall_us.rem_euclid(1_000_000) as u32,
        }
    }
}

/// `2026-11-21T03:09:47.123456Z`.
pub fn rfc3339(wall_us: i64) -> String {
    let Utc {
        year,
        month,
        day,
        hour,
        minute,
        second,
        micro,
    } = Utc::from_micros(wall_us);
    let mut text = String::with_capacity(27);
    let parts = [
        (u64::try_from(year).unwrap_or(0), 4, '-'),
        (month.into(), 2, '-'),
        (day.into(), 2, 'T'),
        (hour.into(), 2, ':'),
        (minute.into(), 2, ':'),
        (second.into(), 2, '.'),
        (micro.into(), 6, 'Z'),
    ];
    for (number, width, end) in parts {
        push_digits(&mut text, number, width);
        text.push(end);
    }
    text
}

/// Every event has two or three instants in it: ten times faster than the machinery of `format!`.
fn push_digits(text: &mut String, number: u64, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        text.push(char::from(b'0' + digit as u8));
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// `Sat, 21 Nov 2026 03:09:47 GMT`, as the Date header has it (RFC 3261 §20.17).
pub fn http_date(wall_us: i64) -> String {
    let Utc {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = Utc::from_micros(wall_us);
    let days = wall_us.div_euclid(86_400_000_000).rem_euclid(7) as usize;
    let weekday = WEEKDAYS.get(days).unwrap_or(&"Thu");
    let month = MONTHS.get(usize::from(month).wrapping_sub(1)).unwrap_or(&"Jan");
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Seconds since the Unix epoch of a Date header; the day of the week is not looked at.
pub fn from_http_date(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (clock, zone) = (words.next()?, words.next()?);
    let number = |text: &str, max: i64| {
        let fits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| fits && *number <= max)
    };
    let month = i64::try_from(
        MONTHS
            .iter()
            .position(|known| known.eq_ignore_ascii_case(month))?,
    )
    .ok()?;
    let (day, year) = (number(day, 31)?, number(year, 9_999)?);
    let mut clock = clock.split(':');
    let (hour, minute) = (number(clock.next()?, 23)?, number(clock.next()?, 59)?);
    let second = number(clock.next()?, 60)?;
    if zone != "GMT" || words.next().is_some() || clock.next().is_some() {
        return None;
    }
    // Days of a year that begins on 1 March, so that leap days come last.
    let (year, month) = if month >= 2 {
        (year, month - 2)
    } else {
        (year - 1, month + 10)
    };
    let era_days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = era_days + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// `2026-11-21`.
pub fn date(wall_us: i64) -> String {
    let Utc { year, month, day, .. } = Utc::from_micros(wall_us);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The date at the head of an RFC 3339 text, when it has the shape of one.
pub fn date_of(rfc3339: &str) -> Option<&str> {
    let date = rfc3339.get(..10)?;
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_date.then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_have_their_text() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339(951_782_400_000_000), "2000-02-29T00:00:00.000000Z");
        assert_eq!(rfc3339(1_795_230_587_123_456), "2026-11-21T03:09:47.123456Z");
        assert_eq!(rfc3339(2_147_483_648_000_000), "2038-01-19T03:14:08.000000Z");
        assert_eq!(date(4_107_542_399_999_999), "2100-02-28");
        assert_eq!(date(4_107_542_400_000_000), "2100-03-01");
    }

    #[test]
    fn dates_of_headers_are_written_and_read() {
        for (wall_us, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400_000_000, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_230_587_123_456, "Sat, 21 Nov 2026 03:09:47 GMT"),
            (4_107_542_400_000_000, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(wall_us), text);
            assert_eq!(from_http_date(text), Some(wall_us / 1_000_000), "{text}");
        }
        for bad in [
            "",
            "Sat, 21 Nov 2026 03:09:47 CET",
            "Sat, 32 Nov 2026 03:09:47 GMT",
            "Sat, 21 Nov 2026 3:9 GMT",
            "x, -1 Nov 2026 03:09:47 GMT",
        ] {
            assert_eq!(from_http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_dates_are_taken_for_dates() {
        assert_eq!(date_of("2026-11-21T03:09:47.123456Z"), Some("2026-11-21"));
        assert_eq!(date_of("../../etc/pas"), None);
        assert_eq!(date_of("2026-11"), None);
    }
}
