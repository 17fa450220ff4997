//! What ended a walk: the first of a few causes that the evidence shows. Pure.

use std::collections::BTreeMap;

use super::watch::Target;

/// Part of a core above which a thread has no time left.
const THREAD_SHARE_MIN: f64 = 0.9;
/// Part of all cores above which the machine has no time left.
const CORES_SHARE_MIN: f64 = 0.9;
/// Part of the descriptors allowed above which the next call has none.
const DESCRIPTORS_SHARE_MIN: f64 = 0.98;

/// Why a load was not kept, in words for a report.
pub fn name(refused: &BTreeMap<String, u64>, target: Option<&Target>, cores: usize) -> String {
    let worst = refused.iter().max_by_key(|(_, count)| **count);
    if let Some((rule, _)) = worst {
        return format!("limit rule {rule}");
    }
    let Some(target) = target else {
        return "unknown: the target is no process of this machine".to_owned();
    };
    let (open, allowed) = target.descriptors;
    if open as f64 >= allowed as f64 * DESCRIPTORS_SHARE_MIN {
        return format!("file descriptors: {open} of {allowed}");
    }
    let (thread, share) = &target.thread;
    if *share >= THREAD_SHARE_MIN {
        return format!("CPU: thread {thread} used {:.0} % of a core", share * 100.0);
    }
    if target.cores >= cores as f64 * CORES_SHARE_MIN {
        return format!("CPU: the target used {:.2} of {cores} cores", target.cores);
    }
    if target.drops > 0 {
        return format!("socket buffers: {} datagrams had no room", target.drops);
    }
    format!(
        "unknown: the target used {:.2} of {cores} cores, {thread} most of all with {:.0} %",
        target.cores,
        share * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_named_and_the_rule_before_all() {
        let idle = Target {
            cores: 0.3,
            thread: ("shard-0".to_owned(), 0.2),
            descriptors: (100, 1_000),
            ..Target::default()
        };
        let none = BTreeMap::new();
        let told = |target: &Target| name(&none, Some(target), 2);
        let begins = |target: &Target, with: &str| {
            let told = told(target);
            assert!(told.starts_with(with), "{told}");
        };
        begins(&idle, "unknown: the target used 0.30");
        begins(
            &Target {
                descriptors: (990, 1_000),
                ..idle.clone()
            },
            "file descriptors: 990 of 1000",
        );
        let busy = Target {
            thread: ("shard-0".to_owned(), 0.97),
            ..idle.clone()
        };
        begins(&busy, "CPU: thread shard-0 used 97 %");
        begins(
            &Target {
                cores: 1.9,
                ..idle.clone()
            },
            "CPU: the target used 1.90 of 2",
        );
        begins(
            &Target {
                drops: 4,
                ..idle.clone()
            },
            "socket buffers: 4",
        );
        let refused = BTreeMap::from([("instance.calls".to_owned(), 9), ("trunk.calls".to_owned(), 1)]);
        assert_eq!(name(&refused, Some(&busy), 2), "limit rule instance.calls");
        assert!(name(&none, None, 2).starts_with("unknown"));
    }
}
