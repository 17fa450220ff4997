//! Every metric by name: what docs/metrics.md and the help text say.

use std::fmt::Write;

/// One name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    /// Without prefix, and without `_total` for a counter.
    pub(super) name: &'static str,
    /// Counter, gauge or histogram.
    pub(super) kind: &'static str,
    /// Its labels.
    pub(super) labels: &'static str,
    /// What it tells, without a full stop.
    pub(super) help: &'static str,
}

const CALL: &str = "instance trunk direction";
/// `way` is `rx` for what the peer sends, `tx` for what it hears.
const WAY: &str = "instance trunk direction way";

const fn m(name: &'static str, kind: &'static str, labels: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
    }
}

/// All of them, in the order of the page.
pub(super) const METRICS: &[Metric] = &[
    m(
        "calls_offered",
        "counter",
        CALL,
        "Calls and dials that came, each once: admitted + throttled + refused",
    ),
    m("calls_admitted", "counter", CALL, "Those let in"),
    m(
        "calls_throttled",
        "counter",
        "instance trunk direction reason",
        "Those turned away by a limit: limit_calls limit_cps limit_ports trunk_calls trunk_cps overload draining",
    ),
    m(
        "calls_refused",
        "counter",
        "instance trunk direction reason",
        "Those refused for what they asked: no_number not_acceptable policy unclaimed and the like",
    ),
    m(
        "dials_gated",
        "counter",
        "instance trunk direction limit",
        "Dials refused by a limit against toll fraud: calls_per_hour minutes_per_day redirects prefix_calls prefix_calls_per_hour prefix_minutes_per_day",
    ),
    m(
        "calls_failed",
        "counter",
        "instance trunk direction class",
        "Admitted ones that failed: error bad_number busy no_answer missed (missed: an agent did not answer)",
    ),
    m(
        "legs_timed_out",
        "counter",
        "instance trunk direction missing",
        "Legs that ended because this did not come in time: ack prack refresh dialog response answer media end",
    ),
    m("seizures", "counter", CALL, "Dialled legs whose INVITE went out"),
    m(
        "legs_answered",
        "counter",
        CALL,
        "Legs answered; of dialled ones, over seizures, the answer-seizure ratio",
    ),
    m(
        "legs_effective",
        "counter",
        CALL,
        "Legs answered, busy, unanswered, rejected or given up by the caller; over seizures, the network effectiveness ratio",
    ),
    m(
        "legs_answered_by_codec",
        "counter",
        "instance trunk direction codec",
        "Legs answered, by the codec agreed on",
    ),
    m(
        "setup_seconds",
        "histogram",
        CALL,
        "From the INVITE to the answer",
    ),
    m(
        "post_dial_delay_seconds",
        "histogram",
        CALL,
        "From our INVITE to the first ringing, or the final answer without one",
    ),
    m(
        "talk_seconds",
        "histogram",
        CALL,
        "From the answer of a leg to its end",
    ),
    m(
        "leg_mos",
        "histogram",
        WAY,
        "Mean opinion score of a leg over 5 s (ITU-T G.107), 1 to 4.5",
    ),
    m(
        "leg_loss_ratio",
        "histogram",
        WAY,
        "The part of a leg's packets that was lost or late over 5 s, 0 to 1",
    ),
    m(
        "leg_jitter_seconds",
        "histogram",
        WAY,
        "Interarrival jitter of a leg (RFC 3550), every 5 s",
    ),
    m(
        "leg_round_trip_seconds",
        "histogram",
        CALL,
        "Round trip of a leg as RTCP tells it, every 5 s",
    ),
    m(
        "legs_one_way",
        "counter",
        WAY,
        "Times audio passed one way only, by the way in which none did",
    ),
    m(
        "legs_media_lost",
        "counter",
        CALL,
        "Times nothing came from a peer for 2 s",
    ),
    m(
        "calls_active",
        "gauge",
        CALL,
        "Calls now, each counted once, where its first leg is",
    ),
    m(
        "calls_active_peak",
        "gauge",
        "instance",
        "Most calls at once over the last 60 s",
    ),
    m("calls_limit", "gauge", "instance", "Calls allowed at once"),
    m(
        "calls_per_second_limit",
        "gauge",
        "instance",
        "New INVITEs allowed a second",
    ),
    m("trunk_legs_active", "gauge", CALL, "Legs now, where they are"),
    m(
        "trunk_legs_limit",
        "gauge",
        "instance trunk",
        "Legs allowed at once on the trunk",
    ),
    m(
        "trunk_registered",
        "gauge",
        "instance trunk",
        "1 while a trunk that registers is registered at its carrier",
    ),
    m(
        "registrations",
        "gauge",
        "instance trunk",
        "Phones registered on the trunk",
    ),
    m(
        "trunk_up",
        "gauge",
        "instance trunk",
        "0 while OPTIONS show every peer of the trunk as down",
    ),
    m(
        "trunk_peers",
        "gauge",
        "instance trunk state",
        "Peers located, by state: up down resting (resting: 503 with Retry-After)",
    ),
    m(
        "draining",
        "gauge",
        "",
        "1 while new calls are refused for a shutdown",
    ),
    m(
        "sip_wait_microseconds",
        "gauge",
        "",
        "How long a SIP message that comes now waits to be handled; 0 while that is not worth a word",
    ),
    m("recordings_active", "gauge", "", "Recordings that grow"),
    m(
        "recordings_disk_free_bytes",
        "gauge",
        "",
        "Free space where recordings go",
    ),
    m(
        "sip_dropped",
        "counter",
        "why",
        "SIP messages dropped before any state was made",
    ),
    m(
        "sip_held",
        "gauge",
        "kind",
        "What SIP holds in memory: session dialog transaction timer connection; all but connections of idle trunks end with their calls",
    ),
    m(
        "shell_dropped",
        "counter",
        "why",
        "Datagrams, connections, orders and records lost because a queue was full or the kernel refused",
    ),
    m(
        "tls_connections",
        "gauge",
        "",
        "SIP connections under TLS whose handshake is done",
    ),
    m(
        "tls_handshakes_refused",
        "counter",
        "reason",
        "Handshakes that came to nothing, both ways: unknown_ca expired wrong_name no_certificate version timeout closed by_peer and the like",
    ),
    m(
        "tls_certificates",
        "counter",
        "outcome",
        "Changed certificate files: renewed failed (failed: the earlier ones stay in use)",
    ),
    m("control_commands", "counter", "", "Control commands answered"),
    m(
        "control_errors",
        "counter",
        "kind",
        "Those answered with an error, by its kind",
    ),
    m(
        "control_overruns",
        "counter",
        "",
        "Control connections closed because the client was too slow",
    ),
    m("control_connections", "gauge", "", "Control connections open"),
    m("events", "counter", "", "Events written to the journal"),
    m("journal_bytes", "gauge", "", "Bytes in the event journal"),
    m(
        "recordings",
        "counter",
        "outcome",
        "Recordings: started stored failed",
    ),
    m(
        "transfers_cut",
        "counter",
        "limit",
        "Parts of REFERs and redirects left out: contacts contact_bytes refer_to_bytes referred_by_bytes",
    ),
    m(
        "stir_fetches",
        "counter",
        "outcome",
        "Certificates of signed callers: fetched, or why not: unresolved address_refused connection tls_certificate tls_handshake http status too_long no_certificate timeout",
    ),
    m(
        "stir_limits",
        "counter",
        "limit",
        "Limits of fetching reached: fetches waiting (judged without the certificate) certificates (one was forgotten)",
    ),
    m("stir_waiting", "gauge", "", "INVITEs that wait for a certificate"),
    m(
        "stir_certificates",
        "gauge",
        "",
        "URLs of certificates remembered, failures among them",
    ),
    m(
        "call_panics",
        "counter",
        "",
        "Calls ended because their handling panicked; any is a defect",
    ),
    m("rtp_packets_in", "counter", "shard", "RTP packets read"),
    m("rtp_packets_out", "counter", "shard", "RTP packets sent"),
    m(
        "rtp_relayed",
        "counter",
        "shard",
        "Packets passed on with their header rewritten in place",
    ),
    m(
        "rtp_payload_copies",
        "counter",
        "shard",
        "Payloads copied on their way out; a relayed packet has none unless it is encrypted",
    ),
    m(
        "rtp_send_failed",
        "counter",
        "shard",
        "Packets the kernel refused to send",
    ),
    m(
        "rtp_dropped",
        "counter",
        "shard why",
        "Packets thrown away; those of secure legs: `srtp_tag` wrong tag, `srtp_replay` came before, `srtp_clear` not encrypted",
    ),
    m("rtcp_packets_in", "counter", "shard", "RTCP packets read"),
    m("rtcp_packets_out", "counter", "shard", "RTCP packets sent"),
    m(
        "rtcp_dropped",
        "counter",
        "shard",
        "RTCP packets of a wrong source, shape or SRTCP tag",
    ),
    m(
        "media_changes_ignored",
        "counter",
        "shard",
        "Commands that named a stream, play or track that is not there",
    ),
    m("mixed_frames", "counter", "shard", "Frames mixed"),
    m(
        "queue_dropped",
        "counter",
        "shard queue",
        "Entries lost because a queue was full",
    ),
    m("streams_active", "gauge", "shard", "Streams open"),
    m("ports_used", "gauge", "shard", "Port pairs in use"),
    m(
        "media_io",
        "gauge",
        "shard engine",
        "1 for the engine that keeps the sockets: `epoll` or `uring` (key `media.io`)",
    ),
    m(
        "rtp_sockets_connected",
        "gauge",
        "shard",
        "RTP sockets that hear their settled source only; the kernel drops what others send there, uncounted",
    ),
    m(
        "rtp_reading_paused",
        "counter",
        "shard",
        "Times no packet buffer was left, so that packets waited in their sockets",
    ),
    m("media_turns", "counter", "shard", "Turns of the media thread"),
    m(
        "media_stage_seconds",
        "counter",
        "shard stage",
        "Time spent: `receive` reading packets and passing them on, `tick` decoding, mixing and playing on the 20 ms grid",
    ),
    m("pool_used", "gauge", "shard", "Packet buffers taken"),
    m("pool_size", "gauge", "shard", "Packet buffers there are"),
    m(
        "pool_level",
        "histogram",
        "shard",
        "Packet buffers taken, sampled once a second",
    ),
    m("queue_used", "gauge", "shard queue", "Entries waiting"),
    m(
        "queue_level",
        "histogram",
        "shard queue",
        "Entries waiting, sampled once a second",
    ),
    m(
        "mixer_lateness_seconds",
        "histogram",
        "shard",
        "How late the 20 ms ticks came",
    ),
];

/// The entry of a name; every name that is rendered has one, which a test holds.
pub(super) fn metric(name: &str) -> Metric {
    let found = METRICS.iter().find(|metric| metric.name == name).copied();
    debug_assert!(found.is_some(), "{name} is not in the catalogue");
    found.unwrap_or(m("", "", "", ""))
}

const INTRODUCTION: &str = "# Metrics

Generated from `gateway/src/observe/metrics/catalogue.rs`; `make test` fails when it is out of date. Served as OpenMetrics
text at `http://<http.listen>/metrics`; every name begins with `media_gateway_`.

- `calls_offered_total = calls_admitted_total + calls_throttled_total + calls_refused_total`, to the unit and at any moment. A
  retransmission counts once; a source that is no trunk's never counts.
- `calls_active` is the number of live guards, read at the scrape, never a counter that goes up and down.
- `direction` is `in` for what the peer began, `out` for what we dialled. No label ever holds a number, an address or a Call-ID.
- `way` is `rx` for what we hear of a peer, `tx` for what the peer hears of us by its RTCP reports.
- Histograms are kept as HDR histograms to 1 % and shown in the buckets below; sum and count are exact.
- `/healthz` answers 200 while the engine answers within 2 s, else 503. `/readyz` answers 200 while calls are taken, 503
  before the start is complete and while draining.

| Name | Kind | Labels | Meaning |
|---|---|---|---|
";

/// docs/metrics.md.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for Metric {
        name,
        kind,
        labels,
        help,
    } in METRICS
    {
        let suffix = if *kind == "counter" { "_total" } else { "" };
        let labels = labels
            .split_whitespace()
            .map(|label| format!("`{label}`"))
            .collect::<Vec<_>>()
            .join(" ");
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{name}{suffix}` | {kind} | {labels} | {help} |");
    }
    page
}
