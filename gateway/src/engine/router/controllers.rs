//! When an app's last connection is gone: its legs go on, get music, or are hung up.

use std::time::Duration;

use crate::control::protocol::{
    Cause, CauseBy, ControllerLost, ControllerLostAction, ControllerReturned, EndReason, EndedBy, Event,
    Name, OnControllerLost,
};
use crate::engine::audio::holding;
use crate::engine::calls::ending::{End, end_leg};
use crate::engine::keys::LegKey;
use crate::engine::leg::Leg;
use crate::engine::tx::{About, Tx};

/// The app's last connection closed. An app that has no legs and that no number or rule names, such as
/// a person at a prompt, is missed by nobody.
pub fn lost(tx: &mut Tx, app: &Name) {
    if !is_awaited(tx, app) {
        return;
    }
    let rule = rule_of(tx, app);
    tx.world.lost_apps.insert(app.clone());
    let event = ControllerLost {
        app: app.clone(),
        after_ms: rule.after_ms.get().into(),
        action: rule.action,
    };
    tx.tell(About::default(), Event::ControllerLost(event));
    let legs: Vec<LegKey> = tx
        .world
        .legs
        .iter()
        .filter(|(_, leg)| leg.app == *app)
        .map(|(key, _)| key)
        .collect();
    for key in legs {
        arm(tx, key, rule);
    }
}

fn is_awaited(tx: &Tx, app: &Name) -> bool {
    let config = &tx.setup.config;
    let is_named =
        config.apps.contains_key(app.as_str()) || config.numbers.iter().any(|number| *app == *number.app);
    is_named || tx.world.legs.iter().any(|(_, leg)| leg.app == *app)
}

fn arm(tx: &mut Tx, key: LegKey, rule: OnControllerLost) {
    let now = tx.now.mono;
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    let rule = leg.on_controller_lost.unwrap_or(rule);
    if !leg.is_ended() && rule.action != ControllerLostAction::Keep {
        leg.controller_lost_at = Some(now + Duration::from_millis(rule.after_ms.get().into()));
    }
}

/// The app is connected again: nothing more happens to its legs.
pub fn returned(tx: &mut Tx, app: &Name) {
    tx.world.lost_apps.remove(app);
    tx.tell(
        About::default(),
        Event::ControllerReturned(ControllerReturned { app: app.clone() }),
    );
    let is_armed = |leg: &Leg| leg.app == *app && leg.controller_lost_at.is_some();
    let legs: Vec<LegKey> = tx
        .world
        .legs
        .iter()
        .filter(|(_, leg)| is_armed(leg))
        .map(|(key, _)| key)
        .collect();
    for key in legs {
        if let Some(leg) = tx.world.legs.get_mut(&key) {
            leg.controller_lost_at = None;
        }
    }
}

/// The time of one leg is over.
pub fn act(tx: &mut Tx, key: LegKey) {
    let Some(leg) = tx.world.legs.get_mut(&key) else {
        return;
    };
    leg.controller_lost_at = None;
    let (app, own) = (leg.app.clone(), leg.on_controller_lost);
    let rule = own.unwrap_or_else(|| rule_of(tx, &app));
    match rule.action {
        ControllerLostAction::Keep => {}
        ControllerLostAction::Music => {
            // A leg that cannot be held has ended meanwhile.
            let _ = tx.because(Cause::By(CauseBy::Policy), |tx| holding::hold_quietly(tx, key));
        }
        ControllerLostAction::Hangup => {
            let end = End::ours(EndedBy::Policy, EndReason::ControllerLost);
            tx.because(Cause::By(CauseBy::Policy), |tx| end_leg(tx, key, end));
        }
    }
}

fn rule_of(tx: &Tx, app: &Name) -> OnControllerLost {
    let rule = tx.setup.config.app(app.as_str()).on_controller_lost;
    crate::engine::setup::on_controller_lost(rule)
}
