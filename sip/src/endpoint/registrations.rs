//! Our registrations at carriers: REGISTER built, sent and read (RFC 3261 §10.2, RFC 6140).
//!
//! What is sent when is decided by [`Registration`]. Must not know trunks or calls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::clients::User;
use super::command::{Flow, RegisterOrder, RegistrationKey, Transport};
use super::event::{RegistrationEvent, Unanswered};
use super::timers::TimerKey;
use super::{Endpoint, TransactionKey};
use crate::auth::Account;
use crate::message::{CallId, GuardError, MAX_FORWARDS_DEFAULT, Method, NameAddr, Request, Response, Uri};
use crate::registration::{Answer, Registration, Step, Told};
use crate::rng::{Rng, TOKEN_LETTERS};
use crate::transaction::timing::WAIT;

/// Every registration, by the number its owner gave it.
pub(super) type Registrations = BTreeMap<RegistrationKey, Registering>;

/// One registration with what its requests have in common.
#[derive(Debug)]
pub(super) struct Registering {
    order: RegisterOrder,
    pub account: Account,
    machine: Registration,
    call_id: CallId,
    from_tag: String,
    cseq: u32,
    /// The request whose answer counts.
    transaction: Option<TransactionKey>,
}

impl Registering {
    /// The number of the next request, also of one that goes out again with credentials.
    pub fn next_cseq(&mut self) -> u32 {
        self.cseq += 1;
        self.cseq
    }
}

impl Endpoint {
    /// Registers, or registers again after it was left.
    pub(super) fn register(&mut self, order: RegisterOrder, now: Instant) {
        let key = order.registration;
        if !self.registrations.contains_key(&key) {
            let token = self.rng.token(TOKEN_LETTERS);
            let Ok(call_id) = CallId::parse(&token) else {
                debug_assert!(false, "a token is a Call-ID");
                return;
            };
            let registering = Registering {
                account: Account::new(order.credentials.clone()),
                machine: Registration::new(order.servers.len(), order.expires),
                call_id,
                from_tag: self.rng.token(TOKEN_LETTERS),
                cseq: 0,
                transaction: None,
                order,
            };
            self.registrations.insert(key, registering);
        }
        self.with_registration(key, now, |machine, _, out| machine.start(out));
    }

    /// Removes our contact.
    pub(super) fn unregister(&mut self, key: RegistrationKey, now: Instant) {
        self.with_registration(key, now, |machine, _, out| machine.leave(now, out));
    }

    pub(super) fn time_out_registration(&mut self, key: RegistrationKey, now: Instant) {
        self.with_registration(key, now, |machine, _, out| machine.handle_timeout(now, out));
    }

    /// A final answer to a REGISTER that no credentials could change.
    pub(super) fn handle_registration_answer(
        &mut self,
        key: RegistrationKey,
        transaction: TransactionKey,
        request: &Request,
        response: &Response,
        now: Instant,
    ) {
        if !self.is_current(key, transaction) {
            return;
        }
        let seconds = |value: Option<u32>| value.map(|value| Duration::from_secs(value.into()));
        let headers = &response.headers;
        let answer = Answer {
            status: response.status,
            granted: seconds(granted(request, response)),
            min_expires: seconds(headers.min_expires()),
            retry_after: seconds(headers.retry_after()),
        };
        self.with_registration(key, now, |machine, rng, out| {
            machine.handle_answer(answer, rng, now, out);
        });
    }

    pub(super) fn handle_registration_unanswered(
        &mut self,
        key: RegistrationKey,
        transaction: TransactionKey,
        why: Unanswered,
        now: Instant,
    ) {
        if self.is_current(key, transaction) {
            self.with_registration(key, now, |machine, rng, out| {
                machine.handle_unanswered(why, rng, now, out);
            });
        }
    }

    /// The request went out again with credentials.
    pub(super) fn follow_registration(&mut self, key: RegistrationKey, transaction: TransactionKey) {
        if let Some(registering) = self.registrations.get_mut(&key) {
            registering.transaction = Some(transaction);
        }
    }

    /// A connection closed.
    pub(super) fn lose_registrations(&mut self, flow: Flow, now: Instant) {
        if flow.transport == Transport::Udp {
            return;
        }
        let server_of = |one: &Registering| one.order.servers.iter().position(|server| server.flow == flow);
        let all = self.registrations.iter();
        let there: Vec<_> = all
            .filter_map(|(key, one)| Some((*key, server_of(one)?)))
            .collect();
        for (key, server) in there {
            self.with_registration(key, now, |machine, _, out| {
                machine.handle_connection_lost(server, out);
            });
        }
    }

    fn is_current(&self, key: RegistrationKey, transaction: TransactionKey) -> bool {
        let registering = self.registrations.get(&key);
        registering.is_some_and(|one| one.transaction == Some(transaction))
    }

    fn with_registration(
        &mut self,
        key: RegistrationKey,
        now: Instant,
        input: impl FnOnce(&mut Registration, &mut Rng, &mut Vec<Step>),
    ) {
        let Some(registering) = self.registrations.get_mut(&key) else {
            return;
        };
        let mut steps = vec![];
        input(&mut registering.machine, &mut self.rng, &mut steps);
        for step in steps {
            match step {
                Step::Send { server, expires } => self.send_register(key, server, expires, now),
                Step::Tell(told) => self.tell_told(key, told),
            }
        }
        let machine = self.registrations.get(&key).map(|one| &one.machine);
        let deadline = machine.and_then(Registration::next_deadline);
        self.timers.arm(TimerKey::Registration(key), deadline);
    }

    fn tell_told(&mut self, registration: RegistrationKey, told: Told) {
        let flow_of = |endpoint: &Self, server: usize| {
            let registering = endpoint.registrations.get(&registration)?;
            registering.order.servers.get(server).map(|one| one.flow)
        };
        let event = match told {
            Told::Registered { server, expires } => {
                flow_of(self, server).map(|flow| RegistrationEvent::Registered {
                    registration,
                    flow,
                    expires,
                })
            }
            Told::Failed {
                server,
                why,
                retry_in,
            } => flow_of(self, server).map(|flow| RegistrationEvent::Failed {
                registration,
                flow,
                why,
                retry_in,
            }),
            Told::Expired => Some(RegistrationEvent::Expired { registration }),
            Told::Left => Some(RegistrationEvent::Left { registration }),
        };
        event.into_iter().for_each(|event| self.tell_registration(event));
    }

    fn send_register(&mut self, key: RegistrationKey, server: usize, expires: Duration, now: Instant) {
        let request = self.build_register(key, server, expires);
        let transaction = self.next_transaction();
        self.follow_registration(key, transaction);
        match request {
            Ok((flow, request)) => {
                let started = self.start_client(User::Registration(key), flow, request, vec![], WAIT, now);
                debug_assert_eq!(started, transaction);
            }
            Err(_) => {
                // Its owner gave it an address that is none: no server can take it.
                let why = Unanswered::Transport;
                self.number_transaction();
                self.handle_registration_unanswered(key, transaction, why, now);
            }
        }
    }

    fn build_register(
        &mut self,
        key: RegistrationKey,
        server: usize,
        expires: Duration,
    ) -> Result<(Flow, Request), GuardError> {
        let field = |name| move |error| GuardError::Field { name, error };
        let missing = || GuardError::Missing("Contact");
        let registering = self.registrations.get_mut(&key).ok_or_else(missing)?;
        let cseq = registering.next_cseq();
        let order = &registering.order;
        let target = order.servers.get(server).ok_or_else(missing)?;
        let flow = target.flow;
        let uri = Uri::parse(&target.request_uri).map_err(GuardError::RequestUri)?;
        let to = NameAddr::parse(&target.address)
            .map_err(field("To"))?
            .without_tag();
        let from = to.clone().with_tag(&registering.from_tag);
        let user = Some(order.contact_user.as_str()).filter(|_| !order.is_bulk);
        let user = user.map(str::to_owned);
        let (host, call_id, is_bulk) = (
            order.contact_host.clone(),
            registering.call_id.clone(),
            order.is_bulk,
        );
        let contact = self.contact(&flow, host.as_deref(), user.as_deref());
        let contact = match is_bulk {
            // RFC 6140 §5.2: stands for every number of ours.
            true => contact.with_param("bnc", None).map_err(GuardError::RequestUri)?,
            false => contact,
        };
        let via = self.new_via(&flow);
        let mut request = Request::new(Method::Register, uri, via, from, to, call_id, cseq);
        request.headers.set_max_forwards(MAX_FORWARDS_DEFAULT);
        request.headers.push_contact(&NameAddr::new(contact));
        request.headers.push("Expires", &expires.as_secs().to_string())?;
        if is_bulk {
            request.headers.push("Require", "gin")?;
            request.headers.push("Proxy-Require", "gin")?;
            request.headers.push("Supported", "path")?;
        }
        self.introduce(&mut request, &flow, None);
        self.authorize_ahead(User::Registration(key), &flow, &mut request);
        Ok((flow, request))
    }
}

/// What the registrar grants our contact: its own `expires`, the header's (RFC 3261 §10.2.4). One that shows
/// our contact in other words, as behind a NAT, has no other of ours.
fn granted(request: &Request, response: &Response) -> Option<u32> {
    let ours = request.headers.contact()?;
    let listed = response.headers.contacts();
    let found = listed
        .iter()
        .find(|one| one.uri().is_equivalent(ours.uri()))
        .or(listed.first().filter(|_| listed.len() == 1));
    let own = found.and_then(|one| one.params().get("expires")?.parse().ok());
    own.or_else(|| response.headers.expires())
}
