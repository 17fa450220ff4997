//! DNS for the core: each question becomes one task with a time limit, each answer one input.
//!
//! Keeps nothing and decides nothing: what an answer is good for, and for how long, is the core's business.

use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use sip::transport::name_cache::{Answer, NEGATIVE_TTL_MAX, RECORDS_MAX};
use sip::transport::target::{Question, QuestionKind, Record};
use tokio::sync::{Semaphore, mpsc};

use super::clock;
use crate::config::Dns;
use crate::engine::io::Input;

/// How long one server may take for one try.
const TRY_WAIT: Duration = Duration::from_secs(2);
/// Tries of each server.
const TRIES: usize = 2;
/// How long a question may take with all tries of all servers.
const QUESTION_WAIT: Duration = Duration::from_secs(8);
/// Questions under way at once; further ones wait.
const QUESTIONS_AT_ONCE: usize = 64;

/// Asks DNS.
#[derive(Clone)]
pub struct Resolver {
    /// `None`: the system names no server that can be read.
    dns: Option<TokioResolver>,
    room: Arc<Semaphore>,
}

impl Resolver {
    /// Uses the servers that are configured, else those of the system. Runs inside the runtime.
    pub fn new(dns: &Dns) -> Resolver {
        let built = if dns.servers.is_empty() {
            TokioResolver::builder_tokio()
        } else {
            let servers = dns.servers.iter().map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                config
            });
            let config = ResolverConfig::from_parts(None, vec![], servers.collect());
            Ok(TokioResolver::builder_with_config(
                config,
                TokioRuntimeProvider::default(),
            ))
        };
        let built = built.and_then(|mut builder| {
            limit(builder.options_mut());
            builder.build()
        });
        if let Err(error) = &built {
            tracing::warn!(%error, "no DNS server is known; peers named by domain cannot be found");
        }
        Resolver {
            dns: built.ok(),
            room: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
        }
    }

    /// Asks, and hands the answer in.
    pub fn ask(&self, question: Question, inputs: mpsc::Sender<Input>) {
        let resolver = self.clone();
        tokio::spawn(async move {
            let answer = resolver.answer(&question).await;
            // Nobody wants it once the engine is gone.
            let _ = inputs.send(Input::LookedUp { question, answer }).await;
        });
    }

    /// What DNS says.
    pub async fn answer(&self, question: &Question) -> Answer {
        let (Some(dns), Ok(_room)) = (&self.dns, self.room.acquire().await) else {
            return Answer::Failed;
        };
        let Ok(mut name) = Name::from_ascii(&question.name) else {
            return Answer::Failed;
        };
        name.set_fqdn(true);
        let kind = match question.kind {
            QuestionKind::Naptr => RecordType::NAPTR,
            QuestionKind::Srv => RecordType::SRV,
            QuestionKind::A => RecordType::A,
            QuestionKind::Aaaa => RecordType::AAAA,
        };
        let answered = tokio::select! {
            answered = dns.lookup(name, kind) => answered,
            () = clock::after(QUESTION_WAIT) => return Answer::Failed,
        };
        match answered {
            Ok(lookup) => {
                let records = lookup.answers().iter().take(RECORDS_MAX);
                let ttl = records.clone().map(|record| record.ttl).min().unwrap_or(0);
                Answer::Known {
                    records: records.filter_map(|record| read(&record.data)).collect(),
                    ttl: Duration::from_secs(ttl.into()),
                }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => Answer::Known {
                records: Vec::new(),
                ttl: nothing
                    .negative_ttl
                    .map_or(NEGATIVE_TTL_MAX, |ttl| Duration::from_secs(ttl.into())),
            },
            Err(error) => {
                tracing::debug!(%error, "DNS did not answer");
                Answer::Failed
            }
        }
    }
}

/// No cache but the core's, no search list, and an end to everything.
fn limit(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.timeout = TRY_WAIT;
    options.attempts = TRIES;
    options.ndots = 0;
}

/// A record as the core knows it; aliases on the way are none.
fn read(data: &RData) -> Option<Record> {
    match data {
        RData::A(address) => Some(Record::Address(std::net::Ipv4Addr::from(*address).into())),
        RData::AAAA(address) => Some(Record::Address(std::net::Ipv6Addr::from(*address).into())),
        RData::SRV(srv) => Some(Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            host: text(&srv.target),
        }),
        RData::NAPTR(naptr) => Some(Record::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: String::from_utf8_lossy(&naptr.flags).into_owned(),
            service: String::from_utf8_lossy(&naptr.services).into_owned(),
            replacement: text(&naptr.replacement),
        }),
        _ => None,
    }
}

/// A name in lower case without its final dot; the root is empty.
fn text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::UdpSocket;

    use super::*;

    /// Type, time to live and data of a record.
    type Wire = (u16, u32, Vec<u8>);

    /// A name server with its own few lines of DNS (RFC 1035 §4): `answer` gives the records of a question, or
    /// `None` for silence.
    async fn server(answer: fn(&str, u16) -> Option<Vec<Wire>>) -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut packet = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let (name, end) = question_name(&packet[12..length]);
                let end = 12 + end;
                let kind = u16::from_be_bytes([packet[end], packet[end + 1]]);
                let Some(records) = answer(&name, kind) else {
                    continue;
                };
                let mut reply = packet[..2].to_vec();
                reply.extend([0x85, 0x80, 0, 1]);
                reply.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
                reply.extend([0, 0, 0, 0]);
                reply.extend(&packet[12..end + 4]);
                for (kind, ttl, data) in records {
                    reply.extend([0xc0, 12]);
                    reply.extend(kind.to_be_bytes());
                    reply.extend([0, 1]);
                    reply.extend(ttl.to_be_bytes());
                    reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
                    reply.extend(data);
                }
                socket.send_to(&reply, from).await.unwrap();
            }
        });
        Resolver::new(&Dns {
            servers: vec![address],
        })
    }

    fn question_name(bytes: &[u8]) -> (String, usize) {
        let (mut labels, mut at) = (Vec::new(), 0);
        while bytes[at] != 0 {
            let end = at + 1 + usize::from(bytes[at]);
            labels.push(String::from_utf8(bytes[at + 1..end].to_vec()).unwrap());
            at = end;
        }
        (labels.join(".").to_ascii_lowercase(), at + 1)
    }

    fn wire(name: &str) -> Vec<u8> {
        let labels = name
            .split('.')
            .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        labels.chain([0]).collect()
    }

    fn question(name: &str, kind: QuestionKind) -> Question {
        Question {
            name: name.to_owned(),
            kind,
        }
    }

    #[tokio::test]
    async fn every_kind_of_record_is_read_with_its_time_to_live() {
        let resolver = server(|name, kind| match (name, kind) {
            ("example.com", 35) => {
                let rule = b"\x01s\x07SIP+D2U\x00".as_slice();
                let data = [&[0, 10, 0, 20], rule, &wire("_sip._udp.example.com")].concat();
                Some(vec![(35, 300, data)])
            }
            ("_sip._udp.example.com", 33) => {
                let data = [&[0, 1, 0, 2, 0x13, 0xc4], wire("a.example.com").as_slice()].concat();
                Some(vec![(33, 1, data)])
            }
            ("a.example.com", 1) => Some(vec![(1, 60, vec![192, 0, 2, 1]), (1, 30, vec![192, 0, 2, 2])]),
            _ => Some(vec![]),
        })
        .await;
        let known = |records, seconds| Answer::Known {
            records,
            ttl: Duration::from_secs(seconds),
        };
        let naptr = Record::Naptr {
            order: 10,
            preference: 20,
            flags: "s".into(),
            service: "SIP+D2U".into(),
            replacement: "_sip._udp.example.com".into(),
        };
        let asked = question("example.com", QuestionKind::Naptr);
        assert_eq!(resolver.answer(&asked).await, known(vec![naptr], 300));
        let srv = Record::Srv {
            priority: 1,
            weight: 2,
            port: 5060,
            host: "a.example.com".into(),
        };
        let asked = question("_sip._udp.example.com", QuestionKind::Srv);
        assert_eq!(resolver.answer(&asked).await, known(vec![srv], 1));
        let addresses = ["192.0.2.1", "192.0.2.2"].map(|text| Record::Address(text.parse().unwrap()));
        let asked = question("a.example.com", QuestionKind::A);
        assert_eq!(resolver.answer(&asked).await, known(addresses.to_vec(), 30));
        let Answer::Known { records, .. } = resolver
            .answer(&question("a.example.com", QuestionKind::Aaaa))
            .await
        else {
            panic!("nothing is an answer too")
        };
        assert_eq!(records, []);
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_a_failure_in_time() {
        let resolver = server(|_, _| None).await;
        let asked = question("example.com", QuestionKind::A);
        let answer =
            tokio::time::timeout(QUESTION_WAIT + Duration::from_secs(4), resolver.answer(&asked)).await;
        assert_eq!(answer, Ok(Answer::Failed));
    }

    #[tokio::test]
    async fn a_circle_of_aliases_ends() {
        // Each name is an alias of another; none ever has an address.
        let resolver = server(|name, _| {
            let other = if name == "a.example.com" {
                "b.example.com"
            } else {
                "a.example.com"
            };
            Some(vec![(5, 60, wire(other))])
        })
        .await;
        let asked = question("a.example.com", QuestionKind::A);
        let answer =
            tokio::time::timeout(QUESTION_WAIT + Duration::from_secs(4), resolver.answer(&asked)).await;
        assert!(
            matches!(&answer, Ok(Answer::Failed))
                || matches!(&answer, Ok(Answer::Known { records, .. }) if records.is_empty()),
            "{answer:?}"
        );
    }

    #[tokio::test]
    async fn an_answer_comes_in_as_an_input() {
        let resolver = server(|_, _| Some(vec![(1, 60, vec![192, 0, 2, 1])])).await;
        let (inputs, mut came) = mpsc::channel(1);
        resolver.ask(question("example.com", QuestionKind::A), inputs);
        let Some(Input::LookedUp { question, answer }) = came.recv().await else {
            panic!()
        };
        assert_eq!(question.name, "example.com");
        assert!(matches!(answer, Answer::Known { .. }));
    }
}
