use std::collections::BTreeMap;

use media::stream::{Figures, Quality};

use super::*;
use crate::control::protocol::{ErrorKind, Event, FailedClass, MediaDirection, RecordFailed, ThrottleReason};
use catalogue::METRICS;

const IN: Place<'_> = Place {
    instance: "main",
    trunk: "carrier",
    direction: Direction::In,
};

/// A period in which both ways were heard.
fn heard() -> Quality {
    let figures = Figures {
        loss: 0.02,
        jitter_ms: 4.0,
        mos: 4.2,
    };
    Quality {
        rx: Some(figures),
        tx: Some(figures),
        rtt_ms: Some(80.0),
    }
}

/// A snapshot in which every metric has a sample.
fn full() -> Snapshot {
    let mut engine = EngineMetrics::new();
    engine.offered(IN);
    engine.admitted(IN);
    engine.throttled(IN, ThrottleReason::LimitCalls);
    engine.gated(IN, "calls_per_hour");
    engine.refused(IN, "no_number");
    engine.failed(IN, FailedClass::Busy);
    engine.timed_out(IN, "prack");
    engine.seized(IN);
    engine.answered(IN, "PCMU");
    engine.setup(IN, Duration::from_millis(30));
    engine.setup(IN, Duration::from_secs(90));
    engine.post_dial_delay(IN, Duration::from_millis(200));
    engine.talked(IN, Duration::from_secs(20));
    engine.sip_dropped("malformed");
    engine.control_answered(Some(ErrorKind::NotFound));
    engine.event(&Event::RecordFailed(RecordFailed {
        why: "storage failed".into(),
    }));
    engine.transfer_cut("contacts", 2);
    engine.stir_fetch("fetched");
    engine.stir_limit("waiting");
    engine.listened(IN, &heard());
    engine.one_way(IN, MediaDirection::Tx);
    engine.media_lost(IN);
    let instance = InstanceGauges {
        instance: "main".into(),
        calls_peak: 5,
        calls_limit: 100,
        calls_per_second_limit: 20,
    };
    let trunk = TrunkGauges {
        instance: "main".into(),
        trunk: "carrier".into(),
        calls_in: 3,
        legs_in: 4,
        legs_limit: 50,
        registered: Some(true),
        registrations: 2,
        ..Default::default()
    };
    let mut shard = ShardMetrics::default();
    shard.know_engine(media::shard::io::Engine::Uring);
    shard.sample(Counts {
        packets_in: 7,
        dropped_source: 1,
        pool_level: 2,
        event_queue_level: 1,
        tick_ns: 1_500_000_000,
        ..Default::default()
    });
    shard.lateness.record(Duration::from_micros(300));
    let gauges = Gauges {
        instances: vec![instance],
        trunks: vec![trunk],
        disk_free_mb: Some(2),
        ..Default::default()
    };
    Snapshot {
        engine,
        gauges,
        shards: vec![shard],
        sip: BTreeMap::from([("dialog", 6)]),
        losses: BTreeMap::from([(crate::shell::losses::DATAGRAM_QUEUE_FULL, 4)]),
        tls: TlsMetrics {
            numbers: crate::shell::tls::Numbers {
                refused: BTreeMap::from([("unknown_ca", 3)]),
                renewed: 1,
                failed: 2,
            },
            connections: 7,
        },
    }
}

#[test]
fn every_metric_of_the_catalogue_is_shown_and_no_other() {
    let page = render(full());
    let mut shown = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE media_gateway_"))
        .collect::<Vec<_>>();
    let mut expected = METRICS
        .iter()
        .map(|metric| format!("{} {}", metric.name, metric.kind))
        .collect::<Vec<_>>();
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected);
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn a_trunk_without_calls_stands_at_zero() {
    let trunk = TrunkGauges {
        instance: "main".into(),
        trunk: "quiet".into(),
        ..Default::default()
    };
    let gauges = Gauges {
        trunks: vec![trunk],
        ..Default::default()
    };
    let page = render(Snapshot {
        gauges,
        ..Default::default()
    });
    for direction in ["in", "out"] {
        let place = format!("instance=\"main\",trunk=\"quiet\",direction=\"{direction}\"");
        assert!(
            page.contains(&format!("media_gateway_calls_offered_total{{{place}}} 0\n")),
            "{page}"
        );
        assert!(
            page.contains(&format!("media_gateway_calls_active{{{place}}} 0\n")),
            "{page}"
        );
    }
}

#[test]
fn samples_carry_their_labels() {
    let page = render(full());
    let place = "instance=\"main\",trunk=\"carrier\",direction=\"in\"";
    for line in [
        format!("media_gateway_calls_offered_total{{{place}}} 1"),
        format!("media_gateway_leg_mos_bucket{{le=\"4.34\",{place},way=\"tx\"}} 1"),
        format!("media_gateway_legs_one_way_total{{{place},way=\"tx\"}} 1"),
        format!("media_gateway_legs_one_way_total{{{place},way=\"rx\"}} 0"),
        format!("media_gateway_calls_throttled_total{{{place},reason=\"limit_calls\"}} 1"),
        format!("media_gateway_calls_failed_total{{{place},class=\"busy\"}} 1"),
        format!("media_gateway_calls_active{{{place}}} 3"),
        "media_gateway_calls_active_peak{instance=\"main\"} 5".to_owned(),
        "media_gateway_calls_limit{instance=\"main\"} 100".to_owned(),
        "media_gateway_trunk_legs_limit{instance=\"main\",trunk=\"carrier\"} 50".to_owned(),
        "media_gateway_sip_dropped_total{why=\"malformed\"} 1".to_owned(),
        "media_gateway_sip_held{kind=\"dialog\"} 6".to_owned(),
        "media_gateway_control_errors_total{kind=\"not_found\"} 1".to_owned(),
        "media_gateway_draining 0".to_owned(),
        "media_gateway_recordings_disk_free_bytes 2097152".to_owned(),
        "media_gateway_rtp_dropped_total{shard=\"0\",why=\"source\"} 1".to_owned(),
        "media_gateway_media_io{shard=\"0\",engine=\"uring\"} 1".to_owned(),
        "media_gateway_media_stage_seconds_total{shard=\"0\",stage=\"tick\"} 1.5".to_owned(),
    ] {
        assert!(page.lines().any(|shown| shown == line), "missing: {line}\n{page}");
    }
}

#[test]
fn levels_are_sampled_into_buckets() {
    let page = render(full());
    for line in [
        "media_gateway_pool_level_bucket{le=\"1.0\",shard=\"0\"} 0",
        "media_gateway_pool_level_bucket{le=\"4.0\",shard=\"0\"} 1",
        "media_gateway_pool_level_sum{shard=\"0\"} 2.0",
        "media_gateway_queue_level_bucket{le=\"1.0\",shard=\"0\",queue=\"events\"} 1",
    ] {
        assert!(page.lines().any(|shown| shown == line), "missing: {line}\n{page}");
    }
}

#[test]
fn buckets_rise_to_the_count() {
    let page = render(full());
    let place = "instance=\"main\",trunk=\"carrier\",direction=\"in\"";
    for line in [
        format!("media_gateway_setup_seconds_sum{{{place}}} 90.03"),
        format!("media_gateway_setup_seconds_count{{{place}}} 2"),
        format!("media_gateway_setup_seconds_bucket{{le=\"0.025\",{place}}} 0"),
        format!("media_gateway_setup_seconds_bucket{{le=\"0.05\",{place}}} 1"),
        format!("media_gateway_setup_seconds_bucket{{le=\"60.0\",{place}}} 1"),
        format!("media_gateway_setup_seconds_bucket{{le=\"+Inf\",{place}}} 2"),
    ] {
        assert!(page.lines().any(|shown| shown == line), "missing: {line}\n{page}");
    }
}

/// `UPDATE_DOCS=1 cargo test -p gateway metrics_page` rewrites the page.
#[test]
fn metrics_page_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/metrics.md is out of date; run UPDATE_DOCS=1 cargo test -p gateway metrics_page"
    );
}

/// Every metric that dashboards and alert rules name is one of ours, with labels it has; every runbook is a chapter.
#[test]
fn dashboards_and_rules_ask_for_what_there_is() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let rules = read("deploy/prometheus/rules.yml");
    let board = read("deploy/grafana/media-gateway.json");
    serde_json::from_str::<serde_json::Value>(&board).unwrap();
    for text in [
        &rules,
        &read("deploy/prometheus/rules.test.yml"),
        &board.replace("\\\"", "\""),
    ] {
        let wrong = strange_metrics(text);
        assert_eq!(wrong, Vec::<String>::new());
    }
    let page = read("docs/operations.md");
    let chapters: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(['?', ','], "").replace(' ', "-"))
        .collect();
    let runbooks = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook: docs/operations.md#"));
    let lost: Vec<&str> = runbooks
        .filter(|chapter| !chapters.iter().any(|has| has == chapter))
        .collect();
    assert_eq!(lost, Vec::<&str>::new());
}

/// Names that no metric has, and labels that theirs has not.
fn strange_metrics(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (_, rest) in text
        .match_indices("media_gateway_")
        .map(|(at, prefix)| text.split_at(at + prefix.len()))
    {
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let metric = METRICS.iter().find(|metric| match metric.kind {
            "counter" => name.strip_suffix("_total") == Some(metric.name),
            "histogram" => name.strip_suffix("_bucket") == Some(metric.name),
            _ => name == metric.name,
        });
        let Some(metric) = metric else {
            wrong.push(name.to_owned());
            continue;
        };
        let labels = rest
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
            .map_or("", |(labels, _)| labels);
        for label in labels
            .split("\",")
            .filter_map(|label| label.split(['=', '!']).next())
        {
            let label = label.trim();
            // Figures without one get that of the scrape.
            let is_there =
                metric.labels.split(' ').any(|has| has == label) || label.is_empty() || label == "instance";
            if !is_there {
                wrong.push(format!("{name}{{{label}}}"));
            }
        }
    }
    wrong
}

#[test]
fn a_dashboard_that_asks_for_too_much_is_found_out() {
    assert_eq!(
        strange_metrics("rate(media_gateway_calls_offered_total{trunk=\"a\",direction!=\"in\"}[5m])"),
        Vec::<String>::new()
    );
    assert_eq!(
        strange_metrics("media_gateway_calls_offered > 1"),
        ["calls_offered"]
    );
    assert_eq!(
        strange_metrics("media_gateway_draining{trunk=\"a\"}"),
        ["draining{trunk}"]
    );
}
