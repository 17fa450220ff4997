use super::*;

struct Desk {
    registration: Registration,
    rng: Rng,
    now: Instant,
}

fn desk(servers: usize) -> Desk {
    Desk {
        registration: Registration::new(servers, Duration::from_secs(3600)),
        rng: Rng::new([4; 32]),
        now: Instant::now(),
    }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn send(server: usize, seconds: u64) -> Step {
    Step::Send {
        server,
        expires: s(seconds),
    }
}

fn status(code: u16) -> Answer {
    Answer {
        status: StatusCode::new(code).unwrap(),
        granted: None,
        min_expires: None,
        retry_after: None,
    }
}

fn granted(seconds: u64) -> Answer {
    Answer {
        granted: Some(s(seconds)),
        ..status(200)
    }
}

fn registered(server: usize, seconds: u64) -> Step {
    Step::Tell(Told::Registered {
        server,
        expires: s(seconds),
    })
}

fn failed(server: usize, code: u16, retry_in: Option<Duration>) -> Step {
    let why = Failure::Status(StatusCode::new(code).unwrap());
    Step::Tell(Told::Failed {
        server,
        why,
        retry_in,
    })
}

impl Desk {
    fn start(&mut self) -> Vec<Step> {
        let mut out = vec![];
        self.registration.start(&mut out);
        out
    }

    fn answer(&mut self, answer: Answer) -> Vec<Step> {
        let mut out = vec![];
        self.registration
            .handle_answer(answer, &mut self.rng, self.now, &mut out);
        out
    }

    fn silence(&mut self) -> Vec<Step> {
        let mut out = vec![];
        self.registration
            .handle_unanswered(Unanswered::Timeout, &mut self.rng, self.now, &mut out);
        out
    }

    fn leave(&mut self) -> Vec<Step> {
        let mut out = vec![];
        self.registration.leave(self.now, &mut out);
        out
    }

    /// Goes on to the next deadline: how long that took, and what happened.
    fn wait(&mut self) -> (Duration, Vec<Step>) {
        let at = self.registration.next_deadline().unwrap();
        let took = at - self.now;
        self.now = at;
        let mut out = vec![];
        self.registration.handle_timeout(self.now, &mut out);
        (took, out)
    }
}

#[test]
fn a_refresh_goes_out_between_80_and_90_percent_of_what_was_granted() {
    let mut desk = desk(1);
    assert_eq!(desk.start(), [send(0, 3600)]);
    let mut seen = vec![];
    for _ in 0..50 {
        assert_eq!(desk.answer(granted(600)), [registered(0, 600)]);
        assert!(desk.registration.is_registered());
        let (took, steps) = desk.wait();
        assert_eq!(steps, [send(0, 3600)]);
        assert!((s(480)..=s(540)).contains(&took), "{took:?}");
        seen.push(took);
    }
    assert!(
        seen.iter()
            .max()
            .unwrap()
            .saturating_sub(*seen.iter().min().unwrap())
            > s(40)
    );
}

#[test]
fn a_server_that_grants_next_to_nothing_is_not_stormed() {
    let mut desk = desk(1);
    desk.start();
    desk.answer(granted(0));
    let (_, steps) = desk.wait();
    assert_eq!(steps, [Step::Tell(Told::Expired)]);
    let (took, steps) = desk.wait();
    assert_eq!((took, steps), (REFRESH_MIN, vec![send(0, 3600)]));
}

#[test]
fn a_423_is_answered_with_its_min_expires_once() {
    let mut desk = desk(2);
    desk.start();
    let brief = Answer {
        min_expires: Some(s(7200)),
        ..status(423)
    };
    assert_eq!(desk.answer(brief), [send(0, 7200)]);
    let again = Answer {
        min_expires: Some(s(9000)),
        ..status(423)
    };
    assert_eq!(
        desk.answer(again),
        [failed(0, 423, Some(Duration::ZERO)), send(1, 7200)]
    );
    assert_eq!(desk.answer(granted(7200)), [registered(1, 7200)]);
}

#[test]
fn a_423_that_asks_for_more_than_a_day_or_for_less_than_we_did_is_a_failure() {
    for min_expires in [None, Some(s(60)), Some(s(86_401))] {
        let mut desk = desk(2);
        desk.start();
        let brief = Answer {
            min_expires,
            ..status(423)
        };
        assert_eq!(desk.answer(brief)[1], send(1, 3600), "{min_expires:?}");
    }
}

#[test]
fn redirects_refusals_and_silence_lead_to_the_next_server_and_then_to_longer_and_longer_waits() {
    let mut desk = desk(3);
    desk.start();
    let mut waits = vec![];
    for round in 0..6 {
        assert_eq!(desk.answer(status(302))[1], send(1, 3600));
        assert_eq!(desk.answer(status(503))[1], send(2, 3600));
        let steps = desk.silence();
        let [
            Step::Tell(Told::Failed {
                server: 2, retry_in, ..
            }),
        ] = steps[..]
        else {
            panic!("{steps:?}")
        };
        let (took, steps) = desk.wait();
        assert_eq!((Some(took), steps), (retry_in, vec![send(0, 3600)]), "{round}");
        waits.push(took);
    }
    for (wait, longest) in waits.into_iter().zip([30, 60, 120, 240, 300, 300]) {
        assert!(
            (s(longest) / 2..=s(longest)).contains(&wait),
            "{wait:?} of {longest}"
        );
    }
}

#[test]
fn retry_after_of_the_last_server_is_kept_to_within_bounds() {
    for (asked, kept) in [(120, 120), (1, 15), (100_000, 3600)] {
        let mut desk = desk(1);
        desk.start();
        let busy = Answer {
            retry_after: Some(s(asked)),
            ..status(503)
        };
        desk.answer(busy);
        let (took, _) = desk.wait();
        assert!(took >= s(kept) && took <= s(kept.max(30)), "{asked}: {took:?}");
    }
}

#[test]
fn forbidden_ends_it_for_good() {
    let mut desk = desk(2);
    desk.start();
    desk.answer(granted(600));
    desk.wait();
    assert_eq!(
        desk.answer(status(403)),
        [failed(0, 403, None), Step::Tell(Told::Expired)]
    );
    assert_eq!(desk.registration.next_deadline(), None);
    assert_eq!(desk.start(), []);
    assert_eq!(desk.leave(), [Step::Tell(Told::Left)]);
}

#[test]
fn a_wrong_password_is_tried_at_one_server_and_seldom() {
    let mut desk = desk(3);
    desk.start();
    assert_eq!(desk.answer(status(401)), [failed(0, 401, Some(WAIT_MAX))]);
    assert_eq!(desk.wait(), (WAIT_MAX, vec![send(0, 3600)]));
}

#[test]
fn a_failed_refresh_keeps_what_is_held_until_it_expires() {
    let mut desk = desk(1);
    desk.start();
    desk.answer(granted(300));
    let (took, _) = desk.wait();
    desk.silence();
    assert!(desk.registration.is_registered());
    let mut passed = took;
    let mut told = vec![];
    while told.is_empty() {
        let (took, steps) = desk.wait();
        passed += took;
        told = steps
            .into_iter()
            .filter(|step| *step == Step::Tell(Told::Expired))
            .collect();
        if told.is_empty() {
            desk.silence();
        }
    }
    assert_eq!(passed, s(300));
    assert!(!desk.registration.is_registered());
}

#[test]
fn a_refresh_begins_at_the_server_that_holds_it() {
    let mut desk = desk(2);
    desk.start();
    desk.silence();
    desk.answer(granted(600));
    assert_eq!(desk.wait().1, [send(1, 3600)]);
    assert_eq!(desk.silence()[1], send(0, 3600));
    assert_eq!(desk.answer(granted(600)), [registered(0, 600)]);
}

#[test]
fn a_closed_connection_of_the_server_that_holds_it_is_a_reason_to_come_back() {
    let mut desk = desk(2);
    let lose = |desk: &mut Desk, server| {
        let mut out = vec![];
        desk.registration.handle_connection_lost(server, &mut out);
        out
    };
    desk.start();
    assert_eq!(lose(&mut desk, 0), []);
    desk.answer(granted(600));
    assert_eq!(lose(&mut desk, 1), []);
    assert_eq!(lose(&mut desk, 0), [send(0, 3600)]);
    assert_eq!(lose(&mut desk, 0), []);
}

#[test]
fn leaving_removes_the_contact_and_may_begin_again() {
    let mut desk = desk(1);
    desk.start();
    desk.answer(granted(600));
    assert_eq!(desk.leave(), [send(0, 0)]);
    assert!(!desk.registration.is_registered());
    assert_eq!(desk.leave(), []);
    assert_eq!(desk.answer(status(200)), [Step::Tell(Told::Left)]);
    assert_eq!(desk.registration.next_deadline(), None);
    assert_eq!(desk.start(), [send(0, 3600)]);
}

#[test]
fn leaving_waits_for_a_request_under_way_and_for_nothing_longer_than_its_wait() {
    let mut first = desk(1);
    first.start();
    assert_eq!(first.leave(), []);
    assert_eq!(first.answer(granted(600)), [send(0, 0)]);
    assert_eq!(first.wait(), (LEAVE_WAIT, vec![Step::Tell(Told::Left)]));

    let mut refused = desk(1);
    refused.start();
    refused.leave();
    assert_eq!(refused.answer(status(500)), [Step::Tell(Told::Left)]);

    let mut silent = desk(1);
    silent.start();
    silent.leave();
    assert_eq!(silent.wait(), (LEAVE_WAIT, vec![Step::Tell(Told::Left)]));
    assert_eq!(silent.leave(), [Step::Tell(Told::Left)]);
}
