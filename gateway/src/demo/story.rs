//! The call, from the first ring to the record, with an ear at every phone in every phase.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::DemoError;
use super::cast::{CUSTOMER_NUMBER, Party, SERVICE_NUMBER, Speaker};
use super::router::{PATIENCE, Router, text};
use super::stage::Stage;
use super::table::{Cell, Phase, Row};
use super::timeline::Timeline;
use crate::phone::{PhoneError, Span};
use crate::shell::clock;

use Party::{Agent1, Agent2, Customer};
use Speaker::{Greeting, Music};

/// From a command until it must be heard everywhere: the playout of two legs and some air.
const SETTLE: Duration = Duration::from_millis(300);
/// How long each phase is listened to: five slices of 200 ms, and one packet more at each end.
const LISTEN: Duration = Duration::from_millis(1_060);
/// From the order to hold until the first music must be there.
const MUSIC_STARTS: Duration = Duration::from_millis(120);

/// Everything that was seen and heard.
pub struct Told {
    /// What was heard, phase by phase.
    pub phases: Vec<Phase>,
    /// The longest silence in the customer's music, for each hold.
    pub silences: Vec<Silence>,
    /// When the recording began.
    pub recording_began: Instant,
    /// `record.stored`.
    pub stored: Value,
    /// The data of `call.record`.
    pub record: Value,
    /// Who each leg was, by id.
    pub legs: Vec<(String, Party)>,
}

/// The longest time without music during a hold.
pub struct Silence {
    /// Until when the hold was.
    pub until: &'static str,
    /// How long.
    pub longest: Duration,
}

/// Plays the whole call.
pub async fn tell(
    stage: &Stage,
    router: &mut Router,
    timeline: &mut Timeline<'_>,
) -> Result<Told, DemoError> {
    let mut story = Story {
        stage,
        router,
        timeline,
        call: String::new(),
        customer: String::new(),
        phases: Vec::new(),
        silences: Vec::new(),
        music_since: None,
        legs: Vec::new(),
    };
    let recording_began = story.greet().await?;
    story.queue().await?;
    story.talk().await?;
    story.consult().await?;
    story.transfer().await?;
    let (stored, record) = story.close().await?;
    Ok(Told {
        phases: story.phases,
        silences: story.silences,
        recording_began,
        stored,
        record,
        legs: story.legs,
    })
}

struct Story<'a, 'b> {
    stage: &'a Stage,
    router: &'a mut Router,
    timeline: &'a mut Timeline<'b>,
    call: String,
    /// The customer's leg.
    customer: String,
    phases: Vec<Phase>,
    silences: Vec<Silence>,
    music_since: Option<Instant>,
    legs: Vec<(String, Party)>,
}

impl Story<'_, '_> {
    /// The customer comes in, is recorded and greeted.
    async fn greet(&mut self) -> Result<Instant, DemoError> {
        self.timeline.tell(
            "customer",
            "calls",
            &format!("{CUSTOMER_NUMBER} dials {SERVICE_NUMBER}"),
        );
        let call = self
            .stage
            .phone(Customer)
            .call(SERVICE_NUMBER, self.stage.sip)
            .await;
        call.map_err(|source| phone_error(Customer, source))?;
        let incoming = self.router.wait("leg.incoming", None, self.timeline).await?;
        self.call = text(&incoming, "call")
            .ok_or(DemoError::Missing("the call's id"))?
            .to_owned();
        let leg = text(&incoming, "leg").ok_or(DemoError::Missing("the leg's id"))?;
        self.customer = leg.to_owned();
        self.cast(leg, Customer, "customer");
        self.command("leg.answer", json!({ "leg": self.customer }), "take the call")
            .await?;
        self.event("leg.answered", Some(&self.customer.clone())).await?;
        let target = json!({ "target": self.call, "channels": "per_party", "format": "wav" });
        self.command("record.start", target, "record it, a channel per party")
            .await?;
        let began = clock::mono();
        let play = json!({ "target": self.customer, "sources": ["greeting"] });
        self.command("play.start", play, "greet the customer").await?;
        self.listen("greeting", &[(Customer, &[Greeting])]).await?;
        self.event("play.ended", None).await?;
        Ok(began)
    }

    /// Music while the first agent is looked for.
    async fn queue(&mut self) -> Result<(), DemoError> {
        self.hold("music while an agent is found").await?;
        self.listen("waiting with music", &[(Customer, &[Music])]).await?;
        let steps = json!([
            { "method": "bridge.create", "params": { "id": "room", "call": self.call, "legs": [self.customer] } },
            { "method": "leg.dial", "params": self.dial("agent-1", Agent1) },
        ]);
        self.batch(
            steps,
            "a room with the customer in it, and agent 1 is called into it",
        )
        .await?;
        self.event("leg.ringing", Some("agent-1")).await?;
        self.listen("agent 1 rings", &[(Customer, &[Music])]).await?;
        self.event("leg.answered", Some("agent-1")).await?;
        self.resume("agent 1 answers", "agent 1 is there: talk").await
    }

    async fn talk(&mut self) -> Result<(), DemoError> {
        let talking: &[_] = &[
            (Customer, &[Speaker::Party(Agent1)][..]),
            (Agent1, &[Speaker::Party(Customer)]),
        ];
        self.listen("talking", talking).await?;
        self.hold("agent 1 looks something up").await?;
        self.listen("held by agent 1", &[(Customer, &[Music]), (Agent1, &[])])
            .await?;
        self.resume("held by agent 1", "agent 1 is back").await?;
        self.listen("talking again", talking).await
    }

    /// A colleague is asked, then all three talk, then the colleague leaves.
    async fn consult(&mut self) -> Result<(), DemoError> {
        self.hold_and_dial("agent-2", "hold the customer and call agent 2, both or neither")
            .await?;
        let consulting: &[_] = &[
            (Customer, &[Music][..]),
            (Agent1, &[Speaker::Party(Agent2)]),
            (Agent2, &[Speaker::Party(Agent1)]),
        ];
        self.listen("agent 1 asks agent 2", consulting).await?;
        self.resume("agent 1 asks agent 2", "everybody together").await?;
        let together: &[_] = &[
            (Customer, &[Speaker::Party(Agent1), Speaker::Party(Agent2)][..]),
            (Agent1, &[Speaker::Party(Customer), Speaker::Party(Agent2)]),
            (Agent2, &[Speaker::Party(Customer), Speaker::Party(Agent1)]),
        ];
        self.listen("all three", together).await?;
        self.command("leg.hangup", json!({ "leg": "agent-2" }), "agent 2 has helped")
            .await?;
        self.event("leg.ended", Some("agent-2")).await?;
        self.listen(
            "agent 2 has left",
            &[
                (Customer, &[Speaker::Party(Agent1)]),
                (Agent1, &[Speaker::Party(Customer)]),
            ],
        )
        .await
    }

    /// The call goes to agent 2; the customer stays held until the router says otherwise.
    async fn transfer(&mut self) -> Result<(), DemoError> {
        self.hold_and_dial(
            "agent-2-again",
            "hold the customer and call agent 2 again, to hand over",
        )
        .await?;
        self.timeline
            .tell("agent 1", "hangs up", "the call is handed over");
        let hung_up = self.stage.phone(Agent1).hang_up().await;
        hung_up.map_err(|source| phone_error(Agent1, source))?;
        self.event("leg.ended", Some("agent-1")).await?;
        self.listen("agent 1 has hung up", &[(Customer, &[Music]), (Agent2, &[])])
            .await?;
        self.resume("the hand-over", "agent 2 takes over").await?;
        self.listen(
            "handed over",
            &[
                (Customer, &[Speaker::Party(Agent2)]),
                (Agent2, &[Speaker::Party(Customer)]),
            ],
        )
        .await
    }

    /// Everybody hangs up; what is left is on disk. Gives `record.stored` and the call record.
    async fn close(&mut self) -> Result<(Value, Value), DemoError> {
        self.timeline.tell("customer", "hangs up", "good-bye");
        let hung_up = self.stage.phone(Customer).hang_up().await;
        hung_up.map_err(|source| phone_error(Customer, source))?;
        self.event("leg.ended", Some(&self.customer.clone())).await?;
        self.command(
            "call.end",
            json!({ "call": self.call }),
            "nobody is left to talk to",
        )
        .await?;
        let ended = self.stage.phone(Agent2).wait_ended(PATIENCE).await;
        ended.map_err(|source| phone_error(Agent2, source))?;
        let record = self.event("call.record", None).await?;
        let stored = self.event("record.stored", None).await?;
        let data = record.get("data").ok_or(DemoError::Missing("the call record"))?;
        Ok((stored, data.clone()))
    }

    fn dial(&self, id: &str, party: Party) -> Value {
        json!({
            "id": id,
            "call": self.call,
            "to": self.stage.phone(party).uri(),
            "trunk": "agents",
            "bridge": "room",
            "ring_timeout_ms": 20_000,
            "caller_id": { "number": CUSTOMER_NUMBER },
        })
    }

    async fn hold_and_dial(&mut self, id: &str, words: &str) -> Result<(), DemoError> {
        self.cast(id, Agent2, "agent 2");
        let steps = json!([
            { "method": "leg.hold", "params": { "leg": self.customer } },
            { "method": "leg.dial", "params": self.dial(id, Agent2) },
        ]);
        self.batch(steps, words).await?;
        self.music_since = Some(clock::mono() + MUSIC_STARTS);
        self.event("leg.answered", Some(id)).await.map(drop)
    }

    async fn hold(&mut self, words: &str) -> Result<(), DemoError> {
        self.command("leg.hold", json!({ "leg": self.customer }), words)
            .await?;
        self.music_since = Some(clock::mono() + MUSIC_STARTS);
        Ok(())
    }

    /// Ends the hold and notes the longest silence in its music.
    async fn resume(&mut self, until: &'static str, words: &str) -> Result<(), DemoError> {
        if let Some(from) = self.music_since.take() {
            let span = Span {
                from,
                to: clock::mono(),
            };
            let longest = self.stage.phone(Customer).gap_max(span);
            self.silences.push(Silence { until, longest });
        }
        self.command("leg.resume", json!({ "leg": self.customer }), words)
            .await
    }

    /// Listens at every phone that is in the call, and holds it against what is intended.
    async fn listen(&mut self, title: &str, intended: &[(Party, &[Speaker])]) -> Result<(), DemoError> {
        self.router.narrate(SETTLE, self.timeline).await?;
        let from = clock::mono();
        self.router.narrate(LISTEN, self.timeline).await?;
        let span = Span {
            from,
            to: clock::mono(),
        };
        let voices = Speaker::ALL.map(Speaker::voice);
        let rows = intended.iter().map(|(listener, speakers)| {
            let heard = self.stage.phone(*listener).hears(span, &voices);
            let cells = Speaker::ALL.iter().zip(heard).map(|(speaker, heard)| Cell {
                speaker: *speaker,
                heard,
                is_intended: speakers.contains(speaker),
            });
            Row {
                listener: *listener,
                cells: cells.collect(),
            }
        });
        let phase = Phase {
            title: title.to_owned(),
            span,
            rows: rows.collect(),
        };
        self.timeline.tell(
            "ears",
            if phase.crosses() == 0 { "✓" } else { "✗" },
            &phase.sentence(),
        );
        self.phases.push(phase);
        Ok(())
    }

    async fn batch(&mut self, steps: Value, words: &str) -> Result<(), DemoError> {
        if !self.legs.iter().any(|(leg, _)| leg == "agent-1") {
            self.cast("agent-1", Agent1, "agent 1");
        }
        self.command("batch", json!({ "atomic": true, "steps": steps }), words)
            .await
    }

    async fn command(&mut self, method: &str, params: Value, words: &str) -> Result<(), DemoError> {
        self.router
            .command(method, params, words, self.timeline)
            .await
            .map(drop)
    }

    async fn event(&mut self, kind: &str, leg: Option<&str>) -> Result<Value, DemoError> {
        self.router.wait(kind, leg, self.timeline).await
    }

    fn cast(&mut self, leg: &str, party: Party, name: &str) {
        self.router.name_leg(leg, name);
        self.legs.push((leg.to_owned(), party));
    }
}

fn phone_error(party: Party, source: PhoneError) -> DemoError {
    DemoError::Phone {
        name: party.name(),
        source,
    }
}
