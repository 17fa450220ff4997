//! Questions to the shards: `leg.stats` is replied to when the shard has answered, or when its time is over.

use std::time::{Duration, Instant};

use media::Change;

use super::commands;
use super::control::{self, RequestId};
use crate::control::protocol::{Cause, CauseBy, Failure, Id, LegStatsResult, ResultBody};
use crate::engine::Engine;
use crate::engine::audio::holding;
use crate::engine::io::{ConnKey, Now};
use crate::engine::keys::LegKey;
use crate::engine::leg::Stage;
use crate::engine::trunks::quality;

/// Questions to shards that are answered later, at most.
pub const QUESTIONS_MAX: usize = 1024;
/// How long one may take.
pub const QUESTION_TIME: Duration = Duration::from_secs(1);

/// Who waits for an answer.
#[derive(Debug)]
pub(in crate::engine) struct Question {
    conn: ConnKey,
    id: RequestId,
    leg: Id,
    pub(in crate::engine) until: Instant,
}

impl Engine {
    /// `leg.stats`: asks the shard; the reply comes with its answer.
    pub(in crate::engine) fn ask_stats(
        &mut self,
        conn: ConnKey,
        id: &RequestId,
        leg: &Id,
        now: Now,
    ) -> Result<(), Failure> {
        if self.questions.len() >= QUESTIONS_MAX {
            return Err(Failure::too_many_inflight(QUESTIONS_MAX));
        }
        let request = self.world.make.number();
        let (key, outbox) = self.transact(now, Cause::By(CauseBy::Policy), self.nobody.clone(), |tx| {
            let key = commands::leg(tx, leg)?;
            let row = holding::living(tx, key)?;
            if row.media.local.is_none() || row.stage == Stage::Trying {
                return Err(Failure::invalid_state("the leg has no media yet"));
            }
            tx.media_of(
                key,
                Change::Stats {
                    stream: key.stream(),
                    request,
                },
            );
            Ok(key)
        })?;
        debug_assert!(key.0 != 0, "keys begin at 1");
        self.commit(outbox, now, None);
        let question = Question {
            conn,
            id: id.clone(),
            leg: leg.clone(),
            until: now.mono + QUESTION_TIME,
        };
        self.questions.insert(request, question);
        Ok(())
    }

    pub(in crate::engine) fn answer_stats(
        &mut self,
        request: u64,
        leg: LegKey,
        stats: &media::stream::Stats,
    ) {
        let Some(question) = self.questions.remove(&request) else {
            return;
        };
        debug_assert!(
            self.world.legs.get(&leg).is_none_or(|row| row.id == question.leg),
            "answers match questions"
        );
        let stats = quality::of(stats);
        let body = ResultBody::of(&LegStatsResult {
            leg: question.leg,
            stats,
        });
        let seq = self.journal.last_seq();
        control::reply(self, question.conn, &question.id, seq, &body, false);
    }

    pub(in crate::engine) fn expire_questions(&mut self, now: Instant) {
        let late = self
            .questions
            .iter()
            .filter(|(_, question)| question.until <= now);
        let late: Vec<u64> = late.map(|(request, _)| *request).collect();
        for request in late {
            if let Some(question) = self.questions.remove(&request) {
                control::refuse(self, question.conn, &question.id, &Failure::deadline());
            }
        }
    }
}
