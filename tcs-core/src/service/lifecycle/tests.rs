use super::*;
use crate::service::outcome::Cause;

const LIMITS: Limits =
    Limits { start: Some(Duration::from_mins(1)), stop: Duration::from_secs(10) };

fn boom() -> Failure {
    Failure { text: "boom".to_owned(), exit_code: 1, cause: Cause::Error }
}

/// Plays events, and tells the statuses said, the phases begun or aborted, and the outcome.
fn play(events: impl IntoIterator<Item = Event>) -> (Vec<String>, Option<Outcome>) {
    let (mut life, mut effects) = LifeCycle::new(LIMITS);
    let mut log = Vec::new();
    let mut outcome = None;
    let mut events = events.into_iter();
    loop {
        for effect in effects {
            assert_eq!(outcome, None, "nothing is done after the end: {effect:?}");
            match effect {
                Effect::Say(status, text) => log.push(format!("{status} {text}")),
                Effect::Begin(phase) => log.push(format!("{phase:?}")),
                Effect::Abort(phase) => log.push(format!("abort {phase:?}")),
                Effect::Cancel => log.push("cancel".to_owned()),
                Effect::Limit(_) => {}
                Effect::End(end) => outcome = Some(end),
            }
        }
        match events.next() {
            Some(event) => effects = life.handle(event),
            None => return (log, outcome),
        }
    }
}

fn done(phase: Phase) -> Event {
    Event::Done(phase, Ok(()))
}

fn failed(phase: Phase) -> Event {
    Event::Done(phase, Err(boom()))
}

const BEGIN: [&str; 2] = ["startup Initializing service", "Create"];
const START: [&str; 2] = ["startup Starting service", "Start"];
const RUN: [&str; 2] = ["ok Service running", "Run"];
const LEAVE: [&str; 2] = ["shutdown Stopping service", "cancel"];

fn expect(events: &[Event], log: &[&[&str]], outcome: Outcome) {
    let (seen, end) = play(events.iter().cloned());
    assert_eq!(seen, log.concat(), "{events:?}");
    assert_eq!(end, Some(outcome), "{events:?}");
}

#[test]
fn a_whole_life() {
    use Phase::{Create, Run, Start, Stop};
    expect(
        &[done(Create), done(Start), Event::StopWanted, done(Run), done(Stop)],
        &[&BEGIN, &START, &RUN, &LEAVE, &["Stop", "shutdown Service stopped"]],
        Outcome::Cancelled,
    );
    expect(
        &[done(Create), done(Start), done(Run), done(Stop)],
        &[&BEGIN, &START, &RUN, &LEAVE, &["Stop", "shutdown Service stopped"]],
        Outcome::Completed,
    );
}

#[test]
fn the_guides_table_of_failures() {
    use Phase::{Create, Run, Start, Stop};
    expect(
        &[failed(Create)],
        &[&BEGIN, &["failed Initialization failed: boom"]],
        Outcome::StartFailed(boom()),
    );
    expect(
        &[done(Create), failed(Start)],
        &[&BEGIN, &START, &["failed Startup failed: boom"]],
        Outcome::StartFailed(boom()),
    );
    // the clean-up runs after a failed loop too, and its last word is the error
    expect(
        &[done(Create), done(Start), failed(Run), done(Stop)],
        &[&BEGIN, &START, &RUN, &["error Runtime error: boom", "cancel", "Stop"]],
        Outcome::Failed(boom()),
    );
    expect(
        &[done(Create), done(Start), Event::StopWanted, done(Run), failed(Stop)],
        &[&BEGIN, &START, &RUN, &LEAVE, &["Stop", "error Shutdown failed: boom"]],
        Outcome::StopFailed(boom()),
    );
    // both fail: the outcome is the first
    let (log, outcome) = play([done(Create), done(Start), failed(Run), failed(Stop)]);
    assert_eq!(log.last().unwrap(), "error Shutdown failed: boom");
    assert_eq!(outcome, Some(Outcome::Failed(boom())));
    // the loop fails while it is asked to end
    let (log, outcome) =
        play([done(Create), done(Start), Event::StopWanted, failed(Run), done(Stop)]);
    assert!(log.contains(&"error Runtime error: boom".to_owned()));
    assert_eq!(outcome, Some(Outcome::StopFailed(boom())));
}

#[test]
fn time_is_up() {
    use Phase::{Create, Run, Start, Stop};
    let (log, outcome) = play([done(Create), Event::TimeUp]);
    assert_eq!(log[4..], ["abort Start", "failed Startup failed: start-up took longer than 60 s"]);
    assert!(matches!(outcome, Some(Outcome::StartFailed(f)) if f.cause == Cause::TimedOut));
    // the loop does not end by itself: it is ended, and the clean-up runs
    expect(
        &[
            done(Create),
            done(Start),
            Event::StopWanted,
            Event::TimeUp,
            Event::Aborted(Run),
            done(Stop),
        ],
        &[&BEGIN, &START, &RUN, &LEAVE, &["abort Run", "Stop", "shutdown Service stopped"]],
        Outcome::Cancelled,
    );
    // it blocks its thread: that is said, and not waited for
    let (log, outcome) =
        play([done(Create), done(Start), Event::StopWanted, Event::TimeUp, Event::TimeUp]);
    assert!(log.last().unwrap().starts_with("error Shutdown failed: the service blocks"));
    assert!(matches!(outcome, Some(Outcome::StopFailed(f)) if f.cause == Cause::Stuck));
    // the clean-up hangs
    let (log, outcome) =
        play([done(Create), done(Start), Event::StopWanted, done(Run), Event::TimeUp]);
    assert!(log.contains(&"abort Stop".to_owned()));
    assert!(matches!(outcome, Some(Outcome::StopFailed(f)) if f.cause == Cause::TimedOut));
}

#[test]
fn a_wish_to_stop_that_comes_early() {
    use Phase::{Create, Start, Stop};
    let ended = "shutdown Service stopped";
    expect(&[Event::StopWanted, done(Create)], &[&BEGIN, &["cancel", ended]], Outcome::Cancelled);
    // what was set up is cleaned up, and nothing ever runs
    expect(
        &[done(Create), Event::StopWanted, done(Start), done(Stop)],
        &[&BEGIN, &START, &LEAVE, &["Stop", ended]],
        Outcome::Cancelled,
    );
    expect(
        &[done(Create), Event::StopWanted, failed(Start)],
        &[&BEGIN, &START, &LEAVE, &[ended]],
        Outcome::Cancelled,
    );
    expect(
        &[done(Create), Event::StopWanted, Event::TimeUp, Event::Aborted(Start)],
        &[&BEGIN, &START, &LEAVE, &["abort Start", ended]],
        Outcome::Cancelled,
    );
}

/// Every order of events ends at most once, and never begins a phase twice.
#[test]
fn no_order_of_events_breaks_it() {
    use Phase::{Create, Run, Start, Stop};
    let all = [
        done(Create),
        failed(Create),
        done(Start),
        failed(Start),
        done(Run),
        failed(Run),
        done(Stop),
        failed(Stop),
        Event::Aborted(Start),
        Event::Aborted(Run),
        Event::StopWanted,
        Event::TimeUp,
    ];
    let n = all.len();
    for code in 0..n.pow(5) {
        let events = (0..5).map(|i| all[code / n.pow(i) % n].clone());
        let (log, _) = play(events);
        for phase in ["Create", "Start", "Run", "Stop"] {
            assert!(log.iter().filter(|entry| *entry == phase).count() <= 1, "{log:?}");
        }
    }
}
