//! The number map and the caller ids that follow from it: what of a configuration changes with no restart.
//!
//! Knows nothing of files, signals or calls.

use std::collections::BTreeMap;

use super::{Config, Number, NumberPattern, Trunk};

/// Which numbers go where, and which may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberMap {
    /// Entries in the file's order.
    pub numbers: Vec<Number>,
    /// What each trunk, by name, may show as caller.
    pub caller_ids: BTreeMap<String, Vec<NumberPattern>>,
}

/// What taking up a map changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumbersChanged {
    /// Patterns that were not there.
    pub added: usize,
    /// Patterns that are no more.
    pub removed: usize,
    /// Patterns that have another app or another `unclaimed`.
    pub changed: usize,
    /// Trunks that may show other numbers.
    pub trunks: usize,
}

impl Config {
    /// Its number map.
    pub fn number_map(&self) -> NumberMap {
        let caller_ids = self.trunks.iter();
        NumberMap {
            numbers: self.numbers.clone(),
            caller_ids: caller_ids
                .map(|trunk| (trunk.name.clone(), trunk.caller_ids.clone()))
                .collect(),
        }
    }

    /// Takes up another map. A trunk that the map does not name keeps what it may show.
    pub fn renumber(&mut self, map: NumberMap) -> NumbersChanged {
        let mut told = NumbersChanged::default();
        for number in &map.numbers {
            match self.numbers.iter().find(|old| old.pattern == number.pattern) {
                Some(old) => told.changed += usize::from(old != number),
                None => told.added += 1,
            }
        }
        let is_gone = |old: &&Number| map.numbers.iter().all(|number| number.pattern != old.pattern);
        told.removed = self.numbers.iter().filter(is_gone).count();
        self.numbers = map.numbers;
        for trunk in &mut self.trunks {
            let ids = map.caller_ids.get(&trunk.name);
            if let Some(ids) = ids.filter(|ids| **ids != trunk.caller_ids) {
                trunk.caller_ids.clone_from(ids);
                told.trunks += 1;
            }
        }
        told
    }

    /// The tables and keys in which `new` differs from this one beyond the number map.
    pub fn waiting_for_restart(&self, new: &Config) -> Vec<&'static str> {
        let Config {
            instance,
            state_dir,
            sip,
            dns,
            media,
            control,
            http,
            limits,
            trunks,
            numbers: _,
            dial,
            music,
            prompts,
            recordings,
            stir,
            apps,
        } = self;
        let differs = [
            ("instance", *instance != new.instance),
            ("state_dir", *state_dir != new.state_dir),
            ("sip", *sip != new.sip),
            ("dns", *dns != new.dns),
            ("media", *media != new.media),
            ("control", *control != new.control),
            ("http", *http != new.http),
            ("limits", *limits != new.limits),
            ("trunk", !are_alike(trunks, &new.trunks)),
            ("dial", *dial != new.dial),
            ("music", *music != new.music),
            ("prompts", *prompts != new.prompts),
            ("recordings", *recordings != new.recordings),
            ("stir", *stir != new.stir),
            ("app", *apps != new.apps),
        ];
        let differs = differs.into_iter().filter(|(_, differs)| *differs);
        differs.map(|(key, _)| key).collect()
    }
}

/// Whether trunks are the same but for what they may show.
fn are_alike(ours: &[Trunk], theirs: &[Trunk]) -> bool {
    let is_alike = |(ours, theirs): (&Trunk, &Trunk)| {
        let mut theirs = theirs.clone();
        theirs.caller_ids.clone_from(&ours.caller_ids);
        *ours == theirs
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUNK: &str = "[[trunk]]\nname = \"carrier\"\nallow = [\"192.0.2.0/24\"]\n";

    fn config(numbers: &str) -> Config {
        Config::parse(&format!("{numbers}{TRUNK}"), "/etc/gateway.toml".as_ref(), None).unwrap()
    }

    fn number(pattern: &str, app: &str) -> String {
        format!("[[number]]\nmatch = \"{pattern}\"\napp = \"{app}\"\n")
    }

    #[test]
    fn a_new_map_is_taken_up_with_the_caller_ids_that_follow_from_it() {
        let mut running = config(&[number("+81312345678", "sales"), number("+81*", "japan")].concat());
        assert_eq!(running.trunks[0].default_caller_id(), Some("+81312345678"));
        let new = config(&[number("+81*", "tokyo"), number("+493012345678", "sales")].concat());
        let told = running.renumber(new.number_map());
        let expected = NumbersChanged {
            added: 1,
            removed: 1,
            changed: 1,
            trunks: 1,
        };
        assert_eq!(told, expected);
        assert_eq!(running, new, "nothing else differs");
        assert_eq!(running.renumber(new.number_map()), NumbersChanged::default());
    }

    #[test]
    fn what_else_differs_is_named_and_the_numbers_are_not() {
        let running = config(&number("*", "default"));
        assert!(
            running
                .waiting_for_restart(&config(&number("+81312345678", "sales")))
                .is_empty()
        );
        let other = "[limits]\ncalls = 7\n[[trunk]]\nname = \"new\"\nallow = [\"198.51.100.1\"]\n";
        assert_eq!(running.waiting_for_restart(&config(other)), ["limits", "trunk"]);
    }

    #[test]
    fn a_trunk_that_the_map_does_not_name_keeps_its_caller_ids() {
        let mut running = config(&number("+81312345678", "sales"));
        let mut map = config(&number("+493012345678", "sales")).number_map();
        map.caller_ids.clear();
        assert_eq!(running.renumber(map).trunks, 0);
        assert_eq!(running.trunks[0].default_caller_id(), Some("+81312345678"));
    }
}
