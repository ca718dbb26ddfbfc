use serde_json::json;

use super::*;

fn map(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_parameter_of_a_wrong_type_is_an_error_and_not_another_operation() {
    let read = |value| StopRequest::read(&map(value));
    assert_eq!(read(json!({})), Ok(StopRequest::default()));
    assert_eq!(read(json!({"when_idle": null, "x": 1})), Ok(StopRequest::default()));
    assert_eq!(read(json!({"when_idle": "yes"})), Err("`when_idle` must be true or false".into()));
    let wait = read(json!({"when_idle": true, "max_wait_s": 1.5}));
    assert_eq!(wait, Ok(StopRequest { when_idle: true, max_wait_s: Some(1.5) }));
    assert!(read(json!({"max_wait_s": -1})).is_err());
    assert!(LogsRequest::read(&map(json!({"lines": -3}))).is_err());
}

#[test]
fn replies_of_older_and_of_later_launchers_are_read() {
    let old = json!({"service_id": "a.b", "result": "started", "pid": 7, "launcher_id": "x"});
    let old: OperationReply = read_reply(&map(old)).unwrap();
    assert!(old.changed && old.outcome.pid == Some(7));
    let later = json!({"service_id": "a.b", "result": "hibernated", "exit_code": null});
    let later: OperationReply = read_reply(&map(later)).unwrap();
    assert_eq!((later.result, later.result.as_str()), (Done::Other, "done"));
    assert!(read_reply::<OperationReply>(&Map::new()).unwrap().changed);

    let logs = json!({"lines": ["bare", {"text": "old", "level": 40}, {"stream": "x"}, 3]});
    let logs: LogsReply = read_reply(&map(logs)).unwrap();
    let lines: Vec<_> = logs.lines.iter().map(|it| (it.message.as_str(), it.level.0)).collect();
    assert_eq!(lines, [("bare", 20), ("old", 40), ("", 20), ("", 20)]);
    assert_eq!(logs.never_started, None);
}

#[test]
fn what_is_written_is_read_again() {
    let change = ServiceChange {
        service_id: "a.b".into(),
        change: Some(ChangeKind::Changed),
        then: Some(Consequence::GoesOn),
        outcome: Outcome { state: Some(Reached::Updated), ..Outcome::default() },
        ..ServiceChange::default()
    };
    let reply = ReloadReply { changed: true, services: vec![change], ..ReloadReply::default() };
    let written = map(serde_json::to_value(&reply).unwrap());
    assert_eq!(written["services"][0]["then"], "goes_on");
    assert_eq!(read_reply::<ReloadReply>(&written), Ok(reply));
}
