//! Each state and each event, as the table of `docs/spec/alarms.md#life-of-an-alarm` has it.

use tcs_fleet::Verdict;

use super::{Case, Watch};
use crate::alarms::Held;
use crate::findings::Finding;
use crate::record::{Condition, StateRecord, Why};
use crate::rules::{RuleSet, Terms};
use crate::tests::support::{alarm, at, place, state};
use crate::{Severity, Span};

use Condition::{Active, Normal, Returned};

fn terms() -> Terms {
    let terms = RuleSet::defaults().terms("error").unwrap();
    Terms { held: Span::seconds(10), latch: false, ..terms }
}

fn latched() -> Terms {
    Terms { latch: true, ..terms() }
}

fn held(record: StateRecord) -> Held<StateRecord> {
    let stored = record.since.time();
    Held { record: record.into(), place: place(1.0), stored }
}

fn found() -> Finding {
    Finding { verdict: Some(Verdict::Error), ..Finding::default() }
}

/// What is written of an alarm with this record.
fn written(
    record: Option<StateRecord>,
    acked: bool,
    finding: Option<&Finding>,
    terms: Terms,
    watch: &Watch,
    now: f64,
) -> Option<StateRecord> {
    let (id, held) = (alarm(), record.map(held));
    let evidence = [("status".to_owned(), place(5.0))].into();
    let (held, now, by) = (held.as_ref(), at(now), "sentinel.main");
    Case { id: &id, held, acked, finding, terms, evidence, now, by }.next(watch)
}

/// What is written at `now` where the condition has held, or been over, since 100.
fn next(
    before: Option<Condition>,
    acked: bool,
    finding: Option<&Finding>,
    terms: Terms,
    now: f64,
) -> Option<StateRecord> {
    let record = before.map(|condition| {
        let mut record = state(1.0, condition, 1.0);
        record.verdict = Some("error".to_owned());
        record.raises = vec![at(1.0).into()];
        record
    });
    let other = Finding::default();
    let mut watch = Watch::default();
    watch.observe(if finding.is_some() { None } else { Some(&other) }, at(99.0));
    watch.observe(finding, at(100.0));
    watch.observe(finding, at(now));
    written(record, acked, finding, terms, &watch, now)
}

#[test]
fn each_state_and_each_event() {
    let error = found();
    let found = Some(&error);
    let plain = terms();
    // before, acknowledged, condition, latched, for how long; after
    for (before, acked, finding, terms, lasted, after) in [
        (None, false, found, plain, 9.0, None),
        (None, false, found, plain, 10.0, Some((Active, 1))),
        (None, false, None, plain, 10.0, None),
        (Some(Normal), false, found, plain, 9.0, None),
        (Some(Normal), false, found, plain, 10.0, Some((Active, 1))),
        (Some(Normal), true, found, plain, 10.0, Some((Active, 1))),
        (Some(Normal), false, None, latched(), 99.0, None),
        (Some(Active), false, found, plain, 99.0, None),
        (Some(Active), true, found, plain, 99.0, None),
        (Some(Active), false, None, plain, 9.0, None),
        (Some(Active), false, None, plain, 10.0, Some((Normal, 1))),
        (Some(Active), false, None, latched(), 10.0, Some((Returned, 1))),
        (Some(Active), true, None, latched(), 10.0, Some((Normal, 1))),
        (Some(Returned), false, None, latched(), 99.0, None),
        (Some(Returned), false, found, latched(), 9.0, None),
        (Some(Returned), false, found, latched(), 10.0, Some((Active, 2))),
        // what was seen is over: a new episode
        (Some(Returned), true, found, latched(), 10.0, Some((Active, 1))),
        (Some(Returned), true, None, latched(), 0.0, Some((Normal, 1))),
    ] {
        let next = next(before, acked, finding, terms, 100.0 + lasted);
        let said = next.as_ref().map(|record| (record.state, record.occurrences));
        let row = format!("{before:?} acked {acked} finding {} {lasted}", finding.is_some());
        assert_eq!(said, after, "{row}");
        let Some(next) = next else { continue };
        let is_new = before.is_none_or(|it| it == Normal) || (before == Some(Returned) && acked);
        let is_new = is_new && next.state == Active;
        assert_eq!(next.episode.raised.time() == at(100.0 + lasted), is_new, "{row}");
        // people are notified of a raise from now on
        assert_eq!(next.notify.at.time() == at(100.0 + lasted), next.state == Active, "{row}");
        assert_eq!(next.raised.is_none(), next.state == Active, "{row}");
    }
}

/// An active alarm, changed, under other terms or with another finding.
fn active(
    change: impl FnOnce(&mut StateRecord),
    finding: &Finding,
    severity: Severity,
    now: f64,
) -> Option<StateRecord> {
    let mut record = state(1.0, Active, 1.0);
    record.verdict = Some("error".to_owned());
    record.raises = vec![at(1.0).into()];
    change(&mut record);
    let mut watch = Watch::default();
    watch.observe(Some(finding), at(1.0));
    watch.observe(Some(finding), at(now));
    written(Some(record), false, Some(finding), Terms { severity, ..terms() }, &watch, now)
}

#[test]
fn a_higher_severity_is_told_and_a_lower_one_is_not() {
    let worse = active(|_| {}, &found(), Severity::Critical, 50.0).unwrap();
    assert_eq!((worse.severity, worse.max_severity), (Severity::Critical, Severity::Critical));
    assert_eq!((worse.notify.at.time(), worse.notify.why), (at(50.0), Why::Severity));
    assert_eq!((worse.rev, worse.raised), (2, Some(place(1.0))));
    let better = active(|_| {}, &found(), Severity::Info, 50.0).unwrap();
    assert_eq!((better.severity, better.max_severity), (Severity::Info, Severity::Warning));
    assert_eq!(better.notify.at.time(), at(1.0));
}

#[test]
fn another_verdict_is_written_and_newer_evidence_alone_is_not() {
    assert_eq!(active(|_| {}, &found(), Severity::Warning, 50.0), None);
    let failed = Finding { verdict: Some(Verdict::Failed), ..Finding::default() };
    let other = active(|_| {}, &failed, Severity::Warning, 50.0).unwrap();
    assert_eq!((other.verdict.as_deref(), other.notify.at.time()), (Some("failed"), at(1.0)));
}

#[test]
fn who_has_seen_less_writes_nothing() {
    let newer = |record: &mut StateRecord| {
        record.evidence.insert("status".to_owned(), place(6.0));
    };
    assert_eq!(active(newer, &found(), Severity::Critical, 50.0), None);
    let older = |record: &mut StateRecord| {
        record.evidence.insert("status".to_owned(), place(4.0));
        record.evidence.insert("heartbeat".to_owned(), place(9.0));
    };
    assert!(active(older, &found(), Severity::Critical, 50.0).is_some());
}

#[test]
fn a_cause_silences_at_once_and_its_end_is_told_after_a_while() {
    let cause: crate::AlarmId = "launcher_lost/launcher.L".parse().unwrap();
    let caused = Finding { cause: Some(cause.clone()), ..found() };
    let next = active(|_| {}, &caused, Severity::Warning, 2.0).unwrap();
    assert_eq!((next.cause.as_ref(), next.notify.at.time()), (Some(&cause), at(1.0)));
    let with = |record: &mut StateRecord| record.cause = Some(cause.clone());
    assert_eq!(active(with, &found(), Severity::Warning, 10.0), None);
    let with = |record: &mut StateRecord| record.cause = Some(cause.clone());
    let next = active(with, &found(), Severity::Warning, 11.0).unwrap();
    assert_eq!((next.cause, next.notify.why), (None, Why::CauseEnded));
}

#[test]
fn a_raise_waits_while_its_cause_may_be_silent_too() {
    let waits = Finding { wait: chrono::TimeDelta::seconds(3), ..found() };
    assert_eq!(next(None, false, Some(&waits), terms(), 112.0), None);
    assert!(next(None, false, Some(&waits), terms(), 113.0).is_some());
}

#[test]
fn what_comes_and_goes_is_held_active_until_it_is_quiet() {
    let raises = |times: &[f64]| times.iter().map(|s| at(*s).into()).collect::<Vec<_>>();
    let raise = |before: &[f64], now: f64| {
        let mut record = state(1.0, Returned, 1.0);
        record.raises = raises(before);
        let mut watch = Watch::default();
        watch.observe(Some(&found()), at(now - 20.0));
        written(Some(record), false, Some(&found()), latched(), &watch, now).unwrap()
    };
    assert!(!raise(&[100.0], 140.0).chatter);
    let third = raise(&[100.0, 120.0], 160.0);
    assert_eq!((third.chatter, third.notify.why), (true, Why::Chatter));
    assert!(!raise(&[100.0, 120.0], 161.0).chatter);
    assert!(raise(&[100.0, 200.0, 300.0, 400.0], 700.0).chatter);
    assert_eq!(raise(&[1.0, 100.0], 700.0).raises, raises(&[100.0, 700.0]));

    let chatter = |last: f64| {
        move |record: &mut StateRecord| {
            record.chatter = true;
            record.raises = vec![at(last).into()];
        }
    };
    // held since 1: the last raise that is noted is of 0
    assert_eq!(active(chatter(0.0), &found(), Severity::Warning, 299.0), None);
    let over = active(chatter(0.0), &found(), Severity::Warning, 300.0).unwrap();
    assert_eq!((over.chatter, over.state, over.notify.why), (false, Active, Why::ChatterEnded));
    // a raise meanwhile
    let again = active(chatter(-40.0), &found(), Severity::Warning, 2.0).unwrap();
    assert_eq!((again.chatter, again.raises.last().unwrap().time()), (true, at(1.0)));
}

#[test]
fn chatter_ends_with_what_is_true() {
    let end = |now: f64| {
        let mut record = state(1.0, Active, 1.0);
        (record.chatter, record.raises) = (true, vec![at(100.0).into()]);
        let mut watch = Watch::default();
        watch.observe(None, at(120.0));
        written(Some(record), false, None, latched(), &watch, now)
    };
    assert_eq!(end(399.0), None);
    let ended = end(400.0).unwrap();
    assert_eq!((ended.state, ended.chatter), (Returned, false));
}

#[test]
fn a_raise_dated_in_the_future_counts_for_nothing() {
    let later = at(1e6).into();
    let end = |now: f64| {
        let mut record = state(1.0, Active, 1.0);
        (record.chatter, record.raises) = (true, vec![at(100.0).into(), later]);
        let mut watch = Watch::default();
        watch.observe(None, at(120.0));
        written(Some(record), false, None, latched(), &watch, now)
    };
    assert_eq!(end(399.0), None);
    assert_eq!(end(400.0).map(|it| it.chatter), Some(false));
    let chatter = |record: &mut StateRecord| {
        record.chatter = true;
        record.raises = vec![at(0.0).into(), later];
    };
    let over = active(chatter, &found(), Severity::Warning, 300.0).unwrap();
    assert_eq!((over.chatter, over.notify.why), (false, Why::ChatterEnded));
    // nor does it begin any
    let mut record = state(1.0, Returned, 1.0);
    record.raises = vec![later; 4];
    let mut watch = Watch::default();
    watch.observe(Some(&found()), at(100.0));
    let raised = written(Some(record), false, Some(&found()), latched(), &watch, 120.0).unwrap();
    assert!(!raised.chatter && raised.raises == [at(120.0).into()], "{raised:?}");
}

#[test]
fn time_in_which_nothing_could_be_seen_does_not_count() {
    let mut watch = Watch::default();
    watch.observe(Some(&found()), at(100.0));
    watch.freeze(chrono::TimeDelta::seconds(60));
    assert!(!watch.is_ripe(&found(), &terms(), at(169.0)));
    assert!(watch.is_ripe(&found(), &terms(), at(170.0)));
}

#[test]
fn what_is_seen_for_the_first_time_may_have_held_before() {
    let since = |s| Finding { since: Some(at(s)), ..found() };
    let mut watch = Watch::default();
    watch.observe(Some(&since(50.0)), at(100.0));
    assert!(watch.is_ripe(&found(), &terms(), at(100.0)));
    // but not longer than it was seen to be over
    watch.observe(None, at(200.0));
    watch.observe(Some(&since(50.0)), at(210.0));
    assert!(!watch.is_ripe(&found(), &terms(), at(219.0)));
}
