//! Rule 1: one fold. Any order, any repetition, any interleaving gives the same fleet.

use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::json;

use super::support::{LAUNCHER, Line, array, at, beat, crashed, event, say, stamp, status};
use crate::{Fleet, Link, MAX_BEATS, Order, ServiceView, Stamp};

/// Messages of a few services and launchers, no two at the same time.
fn messages() -> impl Strategy<Value = Vec<(Line, Stamp)>> {
    let one = (0..11_usize, 0..3_usize, 0..3_usize, any::<bool>(), 0..4_u8);
    prop::collection::vec(one, 1..80).prop_map(|picks| {
        picks
            .into_iter()
            .enumerate()
            .map(|(i, (kind, id, parent, core, late))| {
                let s = 1.0 + 7.0 * i as f64;
                let id = ["a.x", "a.y", LAUNCHER][id];
                let parent = json!({"parent": (["L1", "L2", LAUNCHER])[parent]});
                let line = match kind {
                    0 => status(id, "ok", s),
                    1 => status(id, "shutdown", s),
                    2 => status(id, "error", s).with(&parent),
                    3 => event("declared", id, s).with(&parent),
                    4 => event("start", id, s),
                    5 => event("stop", id, s).with(&json!({"reason": "completed", "exit_code": 0})),
                    6 => crashed(id, s, i % 2 == 0),
                    7 => event("restarting", id, s),
                    8 => event("odd", id, s),
                    9 => event("waiting", id, s).with(&json!({"waiting_for": ["a.x"]})),
                    _ => beat(id, s).meta(&json!({"sender": format!("s{parent}")})),
                };
                // some were delivered late, and say how far into their sender's run they were made
                let made = s - 3.0 * f64::from(late);
                let run = json!({"run_s": made, "ts": array(made)});
                let line = if late > 0 { line.meta(&run) } else { line };
                // some came over plain NATS
                let stamp = if core {
                    Stamp { stored: at(s), order: Order::Core { arrival: i as u64 } }
                } else {
                    stamp(&line)
                };
                (line, stamp)
            })
            .collect()
    })
}

fn fold(messages: &[(Line, Stamp)]) -> Fleet {
    let mut fleet = Fleet::new();
    for (line, stamp) in messages {
        fleet.apply(&line.subject, line.decoded(), *stamp);
    }
    fleet
}

/// Events of two runs of a launcher, numbered as they happened, some stored a second time later on.
fn numbered() -> impl Strategy<Value = Vec<(Line, Stamp)>> {
    let one = (0..5_usize, any::<bool>(), prop::option::of(1..6_usize));
    prop::collection::vec(one, 1..30).prop_map(|picks| {
        let mut stored = Vec::new();
        let (mut numbers, mut again) = ([0_u64; 2], Vec::new());
        for (i, (kind, run, copy)) in picks.into_iter().enumerate() {
            let s = 1.0 + 7.0 * i as f64;
            let number = &mut numbers[usize::from(run)];
            *number += 1;
            let name = ["start", "ready", "stop", "restarting", "crashed"][kind];
            let mut line = event(name, "a.x", s)
                .with(&json!({"launcher_run": format!("r{run}"), "event_seq": *number}))
                .meta(&json!({"sender": format!("s{run}"), "run_s": s, "ts": array(s)}));
            if name == "crashed" {
                line = line.with(&json!({"exit_code": 3, "will_restart": true}));
            }
            stored.push((line.clone(), stamp(&line)));
            if let Some(copy) = copy {
                line.stored += 7.0 * copy as f64 + 1.0 + i as f64 / 100.0;
                again.push((line.clone(), stamp(&line)));
            }
        }
        stored.extend(again);
        stored
    })
}

/// Statuses of a service in two runs of its sender, of ours and of Python's, some stored again before
/// the next one is sent: who was not answered sends again, for as long as it takes.
fn repeated() -> impl Strategy<Value = Vec<(Line, Vec<f64>)>> {
    let again = prop::collection::vec(1..20_u8, 0..3);
    let one = (0..5_usize, 0..3_usize, again);
    (any::<bool>(), prop::collection::vec(one, 1..12)).prop_map(|(ours, picks)| {
        let (mut s, mut began, mut own) = (1.0, 1.0, (5, 1.0));
        let half = picks.len() / 2;
        let lines = picks.into_iter().enumerate().map(|(n, (word, text, again))| {
            s += 20.0;
            if n == half {
                (began, own) = (s, (word, s));
            }
            if own.0 != word {
                own = (word, s);
            }
            let word = ["ok", "warning", "error", "busy", "failed"][word];
            let text = ["", "no signal", "cannot reach the device"][text];
            let id = format!("msg-{n}");
            let sender = if n < half { "s0" } else { "s1" };
            let mut line = status("a.x", word, s)
                .with(&json!({"message": text}))
                .meta(&json!({"id": id, "sender": sender, "ts": array(s)}));
            if ours {
                line = line
                    .with(&json!({"status_age_s": s - own.1}))
                    .meta(&json!({"run_s": s - began}));
            }
            let copies = again.into_iter().map(|after| s + f64::from(after) * 0.9).collect();
            (line, copies)
        });
        lines.collect()
    })
}

/// What people see, without what only the messages between tell: a snapshot holds one status.
fn seen(fleet: &Fleet) -> Vec<String> {
    let view = fleet.view(at(300.0), Link::Steady);
    let one = |service: &ServiceView| {
        let rest = (service.status, &service.parent, &service.children, service.attempt);
        format!("{} {} {rest:?}", service.id, say(service))
    };
    view.services.iter().map(one).collect()
}

/// All that the law is about: what is kept, and what people see.
fn picture(fleet: &Fleet) -> String {
    let view = fleet.view(at(300.0), Link::Steady);
    let ends: Vec<_> = view.services.iter().map(|service| view.last_end(service)).collect();
    let rest = (&view.roots, &view.counts, &view.hosts);
    format!("{:#?}\n{ends:?}\n{rest:?}", view.services)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repetition_gives_the_same_fleet(
        messages in messages(), order in any::<prop::sample::Index>(), seed in any::<u64>(),
    ) {
        let straight = picture(&fold(&messages));
        let mut mixed = messages.clone();
        let repeated = order.index(messages.len());
        mixed.extend_from_slice(&messages[..repeated]);
        shuffle(&mut mixed, seed);
        let fleet = fold(&mixed);
        prop_assert_eq!(picture(&fleet), straight);
        let whole = fold(&messages);
        prop_assert_eq!(fleet.origins(), whole.origins());
    }

    #[test]
    fn of_an_event_that_is_stored_twice_the_first_counts(
        messages in numbered(), seed in any::<u64>(),
    ) {
        let mut once: std::collections::BTreeMap<(String, u64), (Line, Stamp)> =
            std::collections::BTreeMap::new();
        for (line, stamp) in &messages {
            let run = line.data["launcher_run"].as_str().unwrap().to_owned();
            let key = (run, line.data["event_seq"].as_u64().unwrap());
            once.entry(key).or_insert_with(|| (line.clone(), *stamp));
        }
        let once: Vec<_> = once.into_values().collect();
        let mut mixed = messages.clone();
        shuffle(&mut mixed, seed);
        prop_assert_eq!(seen(&fold(&mixed)), seen(&fold(&once)));
        prop_assert_eq!(picture(&fold(&mixed)), picture(&fold(&messages)));
    }

    #[test]
    fn a_status_that_is_stored_twice_is_one_fact(
        statuses in repeated(), seed in any::<u64>(),
    ) {
        let lines = statuses.iter().map(|(line, _)| line.clone());
        let last = statuses.last().map_or(0.0, |(line, _)| line.stored);
        let sender = statuses.last().map(|(line, _)| line.meta["sender"].clone());
        let beats = super::support::beats("a.x", last + 2.0, 295.0);
        let lines = lines.chain(beats.into_iter().map(|it| it.meta(&json!({"sender": sender}))));
        let once: Vec<_> = lines.map(|line| (line.clone(), stamp(&line))).collect();
        let mut twice = once.clone();
        for (line, copies) in &statuses {
            twice.extend(copies.iter().map(|stored| {
                let copy = Line { stored: *stored, ..line.clone() };
                let stamp = stamp(&copy);
                (copy, stamp)
            }));
        }
        shuffle(&mut twice, seed);
        let facts = |fleet: &Fleet| {
            let view = fleet.view(at(300.0), Link::Steady);
            let service = &view.services[0];
            let words = format!("{} {:?} {:?}", say(service), service.status, service.message);
            (words, service.since.unwrap())
        };
        let (twice, once) = (facts(&fold(&twice)), facts(&fold(&once)));
        prop_assert_eq!(twice.0, once.0);
        // what clocks may drift by in a run of minutes
        prop_assert!((twice.1 - once.1).abs() < TimeDelta::milliseconds(100));
    }

    #[test]
    fn a_snapshot_and_then_the_live_feed_equals_all_at_once(
        messages in messages(), cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(messages.len());
        // a snapshot holds the newest of each subject, in any order; beats before it are not held
        let mut newest: std::collections::BTreeMap<&str, &(Line, Stamp)> =
            std::collections::BTreeMap::new();
        let mut streams: Vec<(Line, Stamp)> = messages.iter()
            .filter(|(line, stamp)| matches!(stamp.order, Order::Stream { .. }) && !line.subject.contains("heartbeat"))
            .cloned().collect();
        // one parent a service: a stream's snapshot holds one `declared` a service
        for (line, _) in &mut streams {
            if line.data["parent"] != json!(null) {
                line.data["parent"] = json!("L1");
            }
        }
        let cut = cut.min(streams.len());
        for message in &streams[..cut] {
            newest.insert(&message.0.subject, message);
        }
        let mut followed: Vec<(Line, Stamp)> = newest.into_values().cloned().collect();
        // of crashes the earlier ones are read too
        let crashes = streams[..cut].iter().filter(|(line, _)| line.subject.contains("crashed"));
        followed.extend(crashes.cloned());
        followed.extend_from_slice(&streams[cut..]);
        prop_assert_eq!(seen(&fold(&followed)), seen(&fold(&streams)));
    }
}

/// Fisher-Yates with a small generator, so that the seed alone tells the order.
fn shuffle<T>(list: &mut [T], mut seed: u64) {
    for i in (1..list.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(i, (seed >> 33) as usize % (i + 1));
    }
}

#[test]
fn the_newest_heartbeats_are_kept_whatever_the_order() {
    let mut lines: Vec<Line> = (0..40).map(|i| beat("a.x", f64::from(i))).collect();
    lines.reverse();
    let fleet = super::support::fold(&lines);
    let view = fleet.view(at(40.0), Link::Steady);
    let stored: Vec<_> = view.services[0].beats().map(|beat| beat.stamp.stored).collect();
    assert_eq!(stored.len(), MAX_BEATS);
    assert_eq!(stored, (24..40).map(|i| at(f64::from(i))).collect::<Vec<_>>());
}

#[test]
fn a_stream_that_was_made_anew_is_newer_whatever_its_sequence() {
    let made = |created: f64, seq: u64, line: Line| {
        let stamp =
            Stamp { stored: at(line.stored), order: Order::Stream { created: at(created), seq } };
        (line, stamp)
    };
    let old = made(0.0, 5000, status("a.x", "error", 10.0));
    let new = made(20.0, 1, status("a.x", "ok", 21.0));
    for messages in [[old.clone(), new.clone()], [new, old]] {
        let view = fold(&messages).view(at(22.0), Link::Steady);
        assert_eq!(view.services[0].status, Some(tcs_wire::Status::Ok));
    }
}
