//! After the story: whoever calls is greeted and hears music, until the demonstration is interrupted.

use std::time::Duration;

use serde_json::json;

use super::DemoError;
use super::router::{Router, text};
use super::timeline::Timeline;
use crate::shell::clock;

/// How often the wait for events looks up; nothing depends on it.
const TURN: Duration = Duration::from_secs(3_600);

/// Serves softphones until Ctrl-C.
pub async fn welcome(uri: &str, router: &mut Router, timeline: &mut Timeline<'_>) -> Result<(), DemoError> {
    timeline.heading("Your turn");
    timeline.plain(&format!(
        "    Call {uri} with a softphone on this machine (UDP or TCP, G.711, no registration)."
    ));
    timeline.plain("    Ctrl-C ends the demonstration.");
    loop {
        let event = tokio::select! {
            event = router.next(clock::mono() + TURN, timeline) => event?,
            pressed = tokio::signal::ctrl_c() => {
                return pressed.map_err(|source| DemoError::io("Ctrl-C", source));
            }
        };
        let Some(event) = event else { continue };
        let (Some(kind), Some(leg)) = (text(&event, "type"), text(&event, "leg")) else {
            continue;
        };
        let (method, params, words) = match kind {
            "leg.incoming" => {
                router.name_leg(leg, "the softphone");
                ("leg.answer", json!({ "leg": leg }), "take the call")
            }
            "leg.answered" => {
                let play = json!({ "target": leg, "sources": ["greeting"] });
                ("play.start", play, "greet the softphone")
            }
            "play.ended" => ("leg.hold", json!({ "leg": leg }), "music"),
            _ => continue,
        };
        // The caller may have hung up in between: that is no failure of ours.
        if let Err(DemoError::Command { method, source }) =
            router.command(method, params, words, timeline).await
        {
            timeline.tell("gateway", "refused", &format!("{method}: {source}"));
        }
    }
}
