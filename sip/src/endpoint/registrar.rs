//! REGISTER of the peers' phones (RFC 3261 §10.3): its answer, and what its owner is told of it.
//!
//! The request is authenticated already. Must not know how, nor what a call is.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use super::access::Sender;
use super::command::{Flow, Transport};
use super::config::RETRY_AFTER_S;
use super::event::{Output, RegistrationEvent};
use super::timers::TimerKey;
use super::{Endpoint, TransactionKey};
use crate::message::{Host, NameAddr, Request, Response, Scheme, StatusCode};
use crate::registration::wish::EXPIRES_MIN;
use crate::registration::{Origin, Refused, RegisteredContact, Wish};
use crate::rng::TOKEN_LETTERS;

impl Endpoint {
    /// A REGISTER where registrations are taken.
    pub(super) fn handle_register(
        &mut self,
        flow: Flow,
        key: TransactionKey,
        request: &Request,
        sender: Sender,
        now: Instant,
    ) {
        let address = request.headers.to().uri();
        let named = address
            .user_unescaped()
            .filter(|_| *address.scheme() == Scheme::Sip);
        let own = match sender {
            Sender::User(user) => named.filter(|named| *named == user),
            Sender::Anyone => None,
        };
        let (Some(user), Some(domain)) = (own, self.domains.find(flow)) else {
            // Each his own address only (RFC 3261 §10.3, step 4).
            return self.respond_simply(key, request, StatusCode::FORBIDDEN, None, now);
        };
        let Some(way_back) = self.way_back(domain, flow, request) else {
            self.drop_message(flow.remote, "contact_outside");
            return self.respond_simply(key, request, StatusCode::FORBIDDEN, None, now);
        };
        let origin = Origin {
            call_id: request.headers.call_id().clone(),
            cseq: request.headers.cseq().number,
            flow: way_back,
        };
        let before = self.contacts_of(domain, &user);
        let applied = Wish::of(request).and_then(|wish| match self.domains.bindings(domain) {
            Some(bindings) => bindings.apply(&user, &wish, &origin, now),
            None => Err(Refused::Full),
        });
        match applied {
            Ok(()) => {
                self.list_bindings(flow, key, request, domain, &user, now);
                self.tell_contacts(domain, user, &before);
            }
            Err(refused) => self.refuse_register(key, request, refused, now),
        }
        self.arm_registrar(domain);
    }

    /// RFC 3261 §10.3, step 8.
    fn list_bindings(
        &mut self,
        flow: Flow,
        key: TransactionKey,
        request: &Request,
        domain: usize,
        user: &str,
        now: Instant,
    ) {
        let tag = self.rng.token(TOKEN_LETTERS);
        let mut response = Response::to(request, StatusCode::OK, Some(&tag));
        let bindings = self.domains.bindings(domain);
        for contact in bindings.map(|one| one.listing(user, now)).unwrap_or_default() {
            response.headers.push_contact(&contact);
        }
        // RFC 5626 §6: over UDP a phone would then keep its flow alive by STUN, which is not answered here.
        let is_kept = flow.transport != Transport::Udp && request.headers.offers_option("outbound");
        if is_kept
            && request
                .headers
                .contacts()
                .iter()
                .any(|one| one.params().has("reg-id"))
        {
            let _ = response.headers.push("Require", "outbound");
        }
        self.respond(key, response, now);
    }

    fn refuse_register(&mut self, key: TransactionKey, request: &Request, refused: Refused, now: Instant) {
        let header = match refused {
            Refused::TooBrief => Some(("Min-Expires", EXPIRES_MIN.as_secs().to_string())),
            Refused::Full => {
                let source = self.servers.get_mut(key).map(|server| server.flow.remote);
                source
                    .into_iter()
                    .for_each(|remote| self.drop_message(remote, "registrations_full"));
                Some(("Retry-After", RETRY_AFTER_S.to_string()))
            }
            Refused::Malformed | Refused::OutOfOrder => None,
        };
        self.respond_simply(key, request, refused.status(), header, now);
    }

    /// Where calls to the contacts of a REGISTER go: back by the way it came. Only a phone that is seen under
    /// its own address may name another port or host, inside its domain's networks, or it is turned away: one
    /// behind a NAT cannot be reached by the address it knows (RFC 5626 §3.1, docs/threats.md: B25).
    fn way_back(&self, domain: usize, flow: Flow, request: &Request) -> Option<Flow> {
        let via = request.headers.via();
        let sent_by = via
            .host()
            .ip()
            .map(|ip| SocketAddr::new(ip.to_canonical(), via.port().unwrap_or(5060)));
        let is_direct = flow.transport == Transport::Udp && sent_by == Some(flow.remote);
        let named = |contact: &NameAddr| {
            let uri = contact.uri();
            let ip = uri.host().and_then(Host::ip)?.to_canonical();
            let is_udp = uri
                .param("transport")
                .is_none_or(|one| one.eq_ignore_ascii_case("udp"));
            is_udp.then_some(SocketAddr::new(ip, uri.port().unwrap_or(5060)))
        };
        let contacts = request.headers.contacts();
        let contacts = contacts.iter().filter(|_| is_direct);
        let all: Vec<SocketAddr> = contacts.filter_map(named).collect();
        let networks = self.domains.get(domain).map(|domain| domain.networks.as_slice());
        let is_inside = |at: &SocketAddr| {
            let is_host = !at.ip().is_unspecified() && !at.ip().is_multicast();
            is_host
                && networks
                    .unwrap_or_default()
                    .iter()
                    .any(|one| one.contains(at.ip()))
        };
        if !all.iter().all(is_inside) {
            return None;
        }
        let reachable = |at: &&SocketAddr| at.is_ipv4() == flow.local.is_ipv4();
        let remote = all.iter().find(reachable).copied();
        Some(Flow {
            remote: remote.unwrap_or(flow.remote),
            ..flow
        })
    }

    /// The time of a binding is over.
    pub(super) fn expire_bindings(&mut self, domain: usize, now: Instant) {
        let users = self.domains.bindings(domain).map(|one| one.expire(now));
        self.tell_lost(domain, users.unwrap_or_default());
        self.arm_registrar(domain);
    }

    /// A connection closed: nobody is reached by it any more.
    pub(super) fn lose_bindings(&mut self, flow: Flow) {
        if flow.transport == Transport::Udp {
            return;
        }
        for domain in 0..self.domains.len() {
            let users = self.domains.bindings(domain).map(|one| one.lose_flow(flow));
            let users = users.unwrap_or_default();
            if !users.is_empty() {
                self.tell_lost(domain, users);
                self.arm_registrar(domain);
            }
        }
    }

    fn tell_lost(&mut self, domain: usize, users: BTreeSet<String>) {
        for user in users {
            let contacts = self.contacts_of(domain, &user);
            self.tell_registration(RegistrationEvent::Contacts {
                domain,
                user,
                contacts,
            });
        }
    }

    fn tell_contacts(&mut self, domain: usize, user: String, before: &[RegisteredContact]) {
        let contacts = self.contacts_of(domain, &user);
        if contacts != before {
            self.tell_registration(RegistrationEvent::Contacts {
                domain,
                user,
                contacts,
            });
        }
    }

    fn contacts_of(&mut self, domain: usize, user: &str) -> Vec<RegisteredContact> {
        let bindings = self.domains.bindings(domain);
        bindings.map(|one| one.contacts(user)).unwrap_or_default()
    }

    pub(super) fn tell_registration(&mut self, event: RegistrationEvent) {
        self.outputs.push_back(Output::Registration(event));
    }

    fn arm_registrar(&mut self, domain: usize) {
        let at = self.domains.bindings(domain).and_then(|one| one.next_expiry());
        self.timers.arm(TimerKey::Registrar(domain), at);
    }
}
