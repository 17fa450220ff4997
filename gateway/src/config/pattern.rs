//! Which numbers an entry means: one E.164 number, a prefix, or all.

/// A number, a prefix or everything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NumberPattern {
    /// `*`: every number, and what is none.
    Any,
    /// `+81*`: every number that begins so. With `+`.
    Prefix(String),
    /// `+81312345678`: this number. With `+`.
    Exact(String),
}

/// Digits of the longest E.164 number (ITU-T E.164 §6.2.1).
const E164_DIGITS_MAX: usize = 15;

impl NumberPattern {
    /// Reads `*`, `+DIGITS*` or `+DIGITS`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(NumberPattern::Any);
        }
        let (body, is_prefix) = text.strip_suffix('*').map_or((text, false), |body| (body, true));
        let digits = body.strip_prefix('+')?;
        let fits = (1..=E164_DIGITS_MAX).contains(&digits.len()) && !digits.starts_with('0');
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(if is_prefix {
            NumberPattern::Prefix(body.to_owned())
        } else {
            NumberPattern::Exact(body.to_owned())
        })
    }

    /// Whether it means that number; `None` is a called user that is no number.
    pub fn matches(&self, e164: Option<&str>) -> bool {
        match self {
            NumberPattern::Any => true,
            NumberPattern::Prefix(prefix) => e164.is_some_and(|number| number.starts_with(prefix.as_str())),
            NumberPattern::Exact(exact) => e164 == Some(exact.as_str()),
        }
    }

    /// The number of an exact pattern.
    pub fn exact(&self) -> Option<&str> {
        match self {
            NumberPattern::Exact(number) => Some(number),
            NumberPattern::Any | NumberPattern::Prefix(_) => None,
        }
    }

    /// Of two patterns that match, the one with the greater weight says more.
    pub fn weight(&self) -> usize {
        match self {
            NumberPattern::Any => 0,
            NumberPattern::Prefix(prefix) => prefix.len(),
            NumberPattern::Exact(_) => usize::MAX,
        }
    }
}

impl std::fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NumberPattern::Any => f.write_str("*"),
            NumberPattern::Prefix(prefix) => write!(f, "{prefix}*"),
            NumberPattern::Exact(number) => f.write_str(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_three_shapes_and_nothing_else() {
        assert_eq!(NumberPattern::parse("*"), Some(NumberPattern::Any));
        assert_eq!(
            NumberPattern::parse("+81*"),
            Some(NumberPattern::Prefix("+81".into()))
        );
        assert_eq!(
            NumberPattern::parse("+81312345678"),
            Some(NumberPattern::Exact("+81312345678".into()))
        );
        for bad in [
            "",
            "+",
            "+*",
            "81*",
            "+81**",
            "+8a",
            "+0123",
            "**",
            "+1234567890123456",
        ] {
            assert_eq!(NumberPattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_star_takes_what_is_no_number() {
        assert!(NumberPattern::Any.matches(None));
        assert!(!NumberPattern::Prefix("+8".into()).matches(None));
        assert!(NumberPattern::Prefix("+8".into()).matches(Some("+81")));
        assert!(!NumberPattern::Exact("+8".into()).matches(Some("+81")));
    }
}
