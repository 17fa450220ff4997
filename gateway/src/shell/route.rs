//! `media-gateway route`: a dial foreseen, with what DNS says now.
//!
//! Runs the engine without sockets; sends nothing but questions to DNS.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::json;

use super::clock;
use super::resolver::Resolver;
use crate::config::Config;
use crate::control::protocol::{Failure, LegDial};
use crate::engine::Engine;
use crate::engine::Setup;
use crate::engine::io::{Input, Output};
use crate::engine::policy::number_policy::RulesError;
use crate::engine::policy::route_preview::Preview;

/// Rounds of questions: NAPTR, SRV, addresses, and some to spare.
const ROUNDS_MAX: usize = 8;

/// Why nothing can be foreseen.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The rules of the configuration.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The system gives no randomness.
    #[error("randomness: {0}")]
    Random(io::Error),
    /// The trunk or the number is not known.
    #[error("{0}")]
    Refused(String),
}

/// Foresees a dial on `trunk`, or on the first one.
pub async fn foresee(
    config: Config,
    to: &str,
    from: &str,
    trunk: Option<&str>,
) -> Result<Preview, RouteError> {
    let seed = clock::seed().map_err(RouteError::Random)?;
    let resolver = Resolver::new(&config.dns);
    let first = config
        .trunks
        .first()
        .map(|trunk| trunk.name.clone())
        .unwrap_or_default();
    let trunk = trunk.map_or(first, str::to_owned);
    let refused = |failure: &Failure| RouteError::Refused(failure.message.clone());
    let dial = json!({ "to": to, "trunk": trunk, "caller_id": { "number": from } });
    let dial: LegDial =
        serde_json::from_value(dial).map_err(|error| RouteError::Refused(error.to_string()))?;
    let setup = Arc::new(Setup::new(config, String::from("route"))?);
    let mut engine = Engine::new(setup, seed, clock::now());
    for _ in 0..ROUNDS_MAX {
        engine.handle_timeout(clock::now());
        let outputs = std::iter::from_fn(|| engine.poll_output());
        let questions = outputs.filter_map(|output| match output {
            Output::Lookup(question) => Some(question),
            _ => None,
        });
        let questions: Vec<_> = questions.collect();
        if questions.is_empty() {
            break;
        }
        for question in questions {
            let answer = resolver.answer(&question).await;
            engine.handle(Input::LookedUp { question, answer }, clock::now());
        }
    }
    engine
        .preview(&dial, clock::now())
        .map_err(|failure| refused(&failure))
}

/// For people; nothing but what [`Preview`] holds.
pub fn write(preview: &Preview, out: &mut impl Write) -> io::Result<()> {
    let decision = &preview.decision;
    let word = decision.decision.as_str();
    writeln!(
        out,
        "number policy: {word}, step {}, rule {}",
        decision.step, decision.rule
    )?;
    for trunk in &preview.trunks {
        match &trunk.refused {
            None => writeln!(out, "trunk {}", trunk.trunk)?,
            Some(why) => writeln!(out, "trunk {}: {why}", trunk.trunk)?,
        }
        for (position, peer) in trunk.order.iter().enumerate() {
            writeln!(out, "  {}. {peer}", position + 1)?;
        }
        for peer in &trunk.peers {
            writeln!(
                out,
                "  {} of {}: priority {}, weight {} = {:.0} % of the calls; SRV priority {}, weight {}",
                peer.peer,
                peer.host,
                peer.priority,
                peer.weight,
                peer.share * 100.0,
                peer.srv_priority,
                peer.srv_weight,
            )?;
        }
    }
    Ok(())
}
