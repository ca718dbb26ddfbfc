use super::*;
use crate::clock;
use crate::monitor::pace::BURST;
use crate::wire::MAX_TEXT;

struct Rig {
    core: Core,
    now: Moment,
    sent: Vec<StatusMessage>,
}

impl Rig {
    fn new() -> Self {
        let template = StatusMessage { name: "guider.jk15".to_owned(), ..StatusMessage::default() };
        let now = Moment { wall: clock::wall(), mono: clock::monotonic(), run_s: 0.0 };
        Self { core: Core::new(template), now, sent: Vec::new() }
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
        self.sent.extend(self.core.tick(self.now).into_iter().map(|draft| draft.message));
    }

    fn with(&mut self, act: impl FnOnce(&mut Core, Moment) -> Effect) {
        if let Effect::Send(draft) = act(&mut self.core, self.now) {
            self.sent.push(draft.message);
        }
    }

    fn set(&mut self, node: NodeId, status: Status) {
        self.with(|core, now| core.set_status(node, status, None, now));
    }

    fn check(&mut self, opinion: Option<Status>) {
        self.with(|core, now| core.health(NodeId::ROOT, opinion.map(Opinion::from).as_ref(), now));
    }

    fn statuses(&self) -> Vec<Status> {
        self.sent.iter().map(|message| message.status).collect()
    }
}

#[test]
fn one_message_for_each_change_and_none_for_none() {
    let mut rig = Rig::new();
    rig.set(NodeId::ROOT, Status::Startup);
    rig.set(NodeId::ROOT, Status::Ok);
    rig.with(|core, now| core.set_status(NodeId::ROOT, Status::Ok, Some("again".into()), now));
    rig.set(NodeId::ROOT, Status::Warning);
    assert_eq!(rig.statuses(), [Status::Startup, Status::Ok, Status::Warning]);
}

#[test]
fn words_alone_are_sent_when_announced() {
    let mut rig = Rig::new();
    rig.with(|core, now| core.announce(Status::Shutdown, "Stopping service", now));
    rig.with(|core, now| core.announce(Status::Shutdown, "Service stopped", now));
    rig.with(|core, now| core.announce(Status::Shutdown, "Service stopped", now));
    let words: Vec<_> = rig.sent.iter().filter_map(|m| m.message.as_deref()).collect();
    assert_eq!(words, ["Stopping service", "Service stopped"]);
}

#[test]
fn a_part_s_trouble_is_told_at_any_depth_and_its_work_is_not() {
    let mut rig = Rig::new();
    rig.set(NodeId::ROOT, Status::Ok);
    let camera = rig.core.child(NodeId::ROOT, "camera");
    let cooler = rig.core.child(camera, "cooler");
    for work in [Status::Ok, Status::Startup, Status::Busy, Status::Idle, Status::Shutdown] {
        rig.set(camera, work); // of these a listener hears when the object itself says something
    }
    rig.set(camera, Status::Ok);
    rig.set(cooler, Status::Error);
    rig.set(cooler, Status::Degraded);
    rig.set(NodeId::ROOT, Status::Warning);
    rig.with(|core, now| core.remove(camera, now));
    rig.set(NodeId::ROOT, Status::Ok);
    assert_eq!(
        rig.statuses(),
        [Status::Ok, Status::Error, Status::Degraded, Status::Warning, Status::Ok]
    );
    let details = &rig.sent[1].details;
    assert_eq!(details.own_status, Some(Status::Ok));
    assert_eq!(details.components[0].status, Status::Error);
    assert_eq!(details.components[0].details.own_status, Some(Status::Ok));
    assert_eq!(details.components[0].details.components[0].name, "cooler");
    // ok with unknown is ok
    rig.core.child(NodeId::ROOT, "silent");
    assert_eq!(rig.core.aggregate(), Status::Ok);
    assert_eq!(rig.core.children_count(), 1);
}

#[test]
fn what_comes_too_fast_is_merged_and_counted_with_the_last_state() {
    let mut rig = Rig::new();
    for i in 0..1001 {
        rig.set(NodeId::ROOT, if i % 2 == 0 { Status::Ok } else { Status::Error });
    }
    assert_eq!(rig.sent.len(), BURST as usize);
    let due = rig.core.due().unwrap();
    rig.pass(due - rig.now.mono);
    let last = rig.sent.last().unwrap();
    assert_eq!((last.status, last.details.coalesced), (Status::Ok, Some(1001 - 20)));
    let stands_for: u64 = rig.sent.iter().map(|m| m.details.coalesced.unwrap_or(1)).sum();
    assert_eq!(stands_for, 1001);
    assert_eq!(rig.core.due(), None);
}

#[test]
fn busy_at_once_and_idle_a_second_after_the_last() {
    let mut rig = Rig::new();
    let started = |rig: &mut Rig| rig.with(|core, now| core.task_started(NodeId::ROOT, now));
    let finished = |rig: &mut Rig| rig.with(|core, now| core.task_finished(NodeId::ROOT, now));
    rig.set(NodeId::ROOT, Status::Ok);
    started(&mut rig);
    started(&mut rig);
    finished(&mut rig);
    finished(&mut rig);
    rig.pass(Duration::from_millis(900));
    started(&mut rig); // inside the second: stays busy
    rig.pass(Duration::from_secs(2));
    finished(&mut rig);
    rig.pass(Duration::from_millis(999));
    assert_eq!(rig.statuses(), [Status::Ok, Status::Busy]);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.statuses(), [Status::Ok, Status::Busy, Status::Idle]);
    assert_eq!(rig.sent.last().unwrap().message.as_deref(), Some("No active tasks"));
    // one task too many ended: no trouble
    finished(&mut rig);
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Idle);
}

#[test]
fn a_task_hides_nothing_grave_and_a_cancelled_error_shows_the_tasks() {
    let mut rig = Rig::new();
    rig.set(NodeId::ROOT, Status::Error);
    rig.with(|core, now| core.task_started(NodeId::ROOT, now));
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Error);
    rig.with(|core, now| core.cancel_error(NodeId::ROOT, now));
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Busy);
    assert_eq!(rig.core.message(NodeId::ROOT), Some("Error resolved"));
    rig.set(NodeId::ROOT, Status::Warning);
    rig.with(|core, now| core.cancel_error(NodeId::ROOT, now));
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Warning, "no error, nothing to cancel");
}

#[test]
fn the_guides_flow_ok_degraded_ok_failed_ok() {
    let mut rig = Rig::new();
    rig.with(|core, now| {
        core.set_status(NodeId::ROOT, Status::Ok, Some("Service running".into()), now)
    });
    for opinion in [None, Some(Status::Degraded), None, Some(Status::Degraded)] {
        rig.check(opinion);
    }
    rig.check(Some(Status::Failed));
    rig.check(None); // repaired
    assert_eq!(
        rig.statuses(),
        [Status::Ok, Status::Degraded, Status::Ok, Status::Degraded, Status::Failed, Status::Ok]
    );
    assert_eq!(rig.core.message(NodeId::ROOT), Some("Service running"));
}

#[test]
fn a_check_that_says_ok_ends_an_error_set_by_hand_and_no_opinion_does_not() {
    let mut rig = Rig::new();
    rig.set(NodeId::ROOT, Status::Error);
    rig.check(None);
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Error);
    rig.check(Some(Status::Ok));
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Ok);
    rig.set(NodeId::ROOT, Status::Shutdown);
    rig.check(Some(Status::Ok));
    rig.check(Some(Status::Error));
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Shutdown, "the life cycle's word stands");
}

#[test]
fn what_is_set_by_hand_while_a_check_complains_is_what_comes_back() {
    let mut rig = Rig::new();
    rig.set(NodeId::ROOT, Status::Ok);
    rig.check(Some(Status::Degraded));
    rig.set(NodeId::ROOT, Status::Warning);
    rig.check(Some(Status::Degraded));
    rig.check(None);
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Warning);
}

#[test]
fn late_metrics_find_their_node_in_a_frozen_report() {
    let mut rig = Rig::new();
    let camera = rig.core.child(NodeId::ROOT, "camera");
    let mount = rig.core.child(NodeId::ROOT, "mount");
    let Effect::Send(mut draft) = rig.core.set_status(NodeId::ROOT, Status::Ok, None, rig.now)
    else {
        panic!("a change")
    };
    rig.core.set_status(camera, Status::Failed, None, rig.now);
    draft.fill(|node| (node == mount).then(|| Map::from_iter([("az".to_owned(), 1.5.into())])));
    let parts = &draft.message.details.components;
    assert_eq!(parts[1].details.metrics["az"], 1.5);
    assert!(parts[0].details.metrics.is_empty());
    assert_eq!(parts[0].status, Status::Unknown, "as it was at the moment of the change");
}

#[test]
fn long_messages_are_cut_between_characters() {
    let mut rig = Rig::new();
    let long = "é".repeat(MAX_TEXT);
    rig.with(|core, now| core.set_status(NodeId::ROOT, Status::Ok, Some(long), now));
    let len = rig.sent[0].message.as_ref().unwrap().len();
    assert!((MAX_TEXT - 1..=MAX_TEXT).contains(&len), "{len}");
}

#[test]
fn the_part_that_is_in_trouble_leads_with_its_own_words() {
    let mut rig = Rig::new();
    let report = |rig: &mut Rig, node, status, words: &str| {
        rig.with(|core, now| core.set_status(node, status, Some(words.to_owned()), now));
    };
    report(&mut rig, NodeId::ROOT, Status::Busy, "exposing");
    let mount = rig.core.child(NodeId::ROOT, "mount");
    let encoder = rig.core.child(mount, "encoder");
    report(&mut rig, encoder, Status::Error, "no signal");
    report(&mut rig, NodeId::ROOT, Status::Failed, "fire");
    report(&mut rig, NodeId::ROOT, Status::Shutdown, "Service stopped");
    report(&mut rig, NodeId::ROOT, Status::Ok, "exposing");
    report(&mut rig, encoder, Status::Ok, "signal");
    let sent: Vec<_> =
        rig.sent.iter().map(|it| (it.status, it.message.as_deref().unwrap_or_default())).collect();
    assert_eq!(
        sent,
        [
            (Status::Busy, "exposing"),
            (Status::Error, "mount.encoder: no signal"),
            (Status::Failed, "fire"),
            (Status::Error, "Service stopped"),
            (Status::Error, "mount.encoder: no signal"),
            (Status::Ok, "exposing"),
        ]
    );
    assert_eq!(rig.sent[1].details.own_status, Some(Status::Busy));
}

#[test]
fn a_blocked_program_is_a_warning_of_the_watchdog_until_it_goes_on() {
    let mut rig = Rig::new();
    let block = |rig: &mut Rig, why: Option<&str>| {
        rig.with(|core, now| core.set_blocked(why.map(str::to_owned), now));
    };
    // while it starts that is its own business
    rig.set(NodeId::ROOT, Status::Startup);
    block(&mut rig, Some("main loop blocked for 31 s"));
    block(&mut rig, None);
    rig.set(NodeId::ROOT, Status::Ok);
    rig.pass(Duration::from_mins(10));
    block(&mut rig, Some("main loop blocked for 31 s"));
    rig.pass(Duration::from_secs(10));
    block(&mut rig, Some("main loop blocked for 41 s"));
    let said = rig.sent.last().unwrap();
    assert_eq!(said.details.reported_by.as_deref(), Some("watchdog"));
    assert_eq!(said.details.own_status, Some(Status::Ok));
    assert_eq!(said.message.as_deref(), Some("main loop blocked for 31 s"));
    assert_eq!(rig.core.status(NodeId::ROOT), Status::Ok, "what beats carry");
    block(&mut rig, None);
    assert_eq!(rig.statuses(), [Status::Startup, Status::Ok, Status::Warning, Status::Ok]);
    assert_eq!(rig.sent.last().unwrap().details.reported_by, None);
    let ages: Vec<_> = rig.sent.iter().map(|it| it.status_age_s).collect();
    assert_eq!(ages, [Some(0.0); 4], "each turn begins a new status");
    // it hides nothing worse, and not its end
    rig.set(NodeId::ROOT, Status::Error);
    block(&mut rig, Some("main loop blocked for 31 s"));
    rig.set(NodeId::ROOT, Status::Shutdown);
    assert_eq!(rig.statuses()[4..], [Status::Error, Status::Shutdown]);
}

#[test]
fn new_words_of_the_same_status_are_sent_a_little_later_and_the_last_always() {
    let mut rig = Rig::new();
    let error = |rig: &mut Rig, words: &str| {
        rig.with(|core, now| core.set_status(NodeId::ROOT, Status::Error, Some(words.into()), now));
    };
    let words = |rig: &Rig| -> Vec<String> {
        rig.sent.iter().filter_map(|message| message.message.clone()).collect()
    };
    error(&mut rig, "A");
    error(&mut rig, "B");
    assert_eq!(words(&rig), ["A"]);
    error(&mut rig, "C");
    rig.pass(WORDS_AFTER);
    assert_eq!(words(&rig), ["A", "C"], "the last of those that came meanwhile");
    assert_eq!(rig.sent[1].status_age_s, Some(1.0), "since the status, not since the words");
    // then one every 30 s, the last one always
    error(&mut rig, "D");
    rig.pass(WORDS_AFTER);
    error(&mut rig, "E");
    assert_eq!(words(&rig).len(), 2);
    rig.pass(WORDS_EVERY);
    assert_eq!(words(&rig), ["A", "C", "E"]);
    rig.pass(WORDS_EVERY);
    error(&mut rig, "F");
    let last = rig.core.flush(rig.now).unwrap().message;
    assert_eq!(last.message.as_deref(), Some("F"), "also at the end");
    // a message that goes anyway has them
    error(&mut rig, "G");
    rig.set(NodeId::ROOT, Status::Ok);
    rig.pass(WORDS_EVERY * 2);
    assert_eq!(rig.sent.len(), 4);
    // that a number of tasks changes is no news
    rig.with(|core, now| core.task_started(NodeId::ROOT, now));
    rig.with(|core, now| core.task_started(NodeId::ROOT, now));
    rig.pass(WORDS_EVERY * 2);
    assert_eq!(rig.sent.len(), 5);
}
