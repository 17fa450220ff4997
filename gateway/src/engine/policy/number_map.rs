//! The number map at work: what it says of a number, and a new one taken up between two inputs.
//!
//! Calls that are up, or wait for a router, keep the app they have. Knows nothing of files or signals.

use std::sync::Arc;

use crate::config::{self, Number, NumberMap};
use crate::control::protocol::{
    CauseBy, ConfigApplied, Event, Failure, Name, NumberEntry, NumberMapAsk, NumberMapResult,
};
use crate::engine::Engine;
use crate::engine::io::Now;
use crate::engine::policy::number_policy::{self, TrunkNumbers};
use crate::engine::setup::Setup;
use crate::engine::tx::{About, Tx};

/// Takes up a map that an operator wrote, and tells of it where it changed anything.
pub fn take_up(engine: &mut Engine, map: NumberMap, waiting: Vec<String>, now: Now) {
    let told = Arc::make_mut(&mut engine.setup).renumber(map);
    if told == config::NumbersChanged::default() && waiting.is_empty() {
        return;
    }
    let applied = ConfigApplied {
        numbers_added: told.added as u64,
        numbers_removed: told.removed as u64,
        numbers_changed: told.changed as u64,
        trunks_with_other_caller_ids: told.trunks as u64,
        waits_for_restart: waiting,
    };
    engine.by(CauseBy::Policy, now, |tx| {
        tx.tell(About::default(), Event::ConfigApplied(applied));
    });
}

/// `number.map`: where calls to a number go, or the whole map.
pub fn ask(tx: &Tx, params: &NumberMapAsk) -> Result<NumberMapResult, Failure> {
    let setup = tx.setup;
    let instance = setup.instance.clone();
    let Some(asked) = &params.number else {
        let entries = setup.config.numbers.iter();
        return Ok(NumberMapResult {
            instance,
            number: None,
            raw: None,
            entry: None,
            entries: Some(entries.map(|number| entry(setup, number)).collect()),
        });
    };
    let unread = TrunkNumbers::default();
    let reading = match &params.trunk {
        Some(trunk) => {
            let index = setup.trunk_by_name(trunk.as_str());
            index
                .and_then(|index| setup.numbers_of(index))
                .ok_or_else(|| Failure::not_found("trunk", trunk.as_str()))?
        }
        None => &unread,
    };
    let read = number_policy::parse_inbound(asked.as_str(), reading);
    let number = read.number.map(|number| number.as_str().to_owned());
    let found = setup.config.number_for(number.as_deref());
    Ok(NumberMapResult {
        instance,
        entry: found.map(|found| entry(setup, found)),
        number,
        raw: Some(read.raw),
        entries: None,
    })
}

fn entry(setup: &Setup, number: &Number) -> NumberEntry {
    let crate::config::UnclaimedAction::Reject { status } = number.unclaimed.action;
    let shows = |(trunk, numbers): (&config::Trunk, &TrunkNumbers)| {
        let exact = number.pattern.exact()?;
        numbers.may_show(exact).then(|| Name::from(trunk.name.as_str()))
    };
    let trunks = setup.config.trunks.iter().zip(&setup.numbers);
    NumberEntry {
        pattern: number.pattern.to_string(),
        app: Name::from(number.app.as_str()),
        unclaimed_after_ms: u64::try_from(number.unclaimed.after.as_millis()).unwrap_or(u64::MAX),
        unclaimed_status: status,
        caller_id_on: trunks.filter_map(shows).collect(),
    }
}
