use serde_json::{Map, Value, json};

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
    assert_eq!(wait, Ok(StopRequest { when_idle: true, max_wait_s: Some(1.5), comment: None }));
    assert!(read(json!({"max_wait_s": -1})).is_err());
    assert!(LogsRequest::read(&map(json!({"lines": -3}))).is_err());
}

#[test]
fn replies_of_older_and_of_later_launchers_are_read() {
    let old = json!({"service_id": "a.b", "result": "started", "pid": 7, "launcher_id": "x"});
    let old: OperationReply = read_reply(&map(old)).value;
    assert!(old.changed && old.outcome.pid == Some(7));
    let later = json!({"service_id": "a.b", "result": "hibernated", "exit_code": null});
    let later: OperationReply = read_reply(&map(later)).value;
    assert_eq!((later.result, later.result.as_str()), (Done::Other, "done"));
    assert!(read_reply::<OperationReply>(&Map::new()).value.changed);

    let logs = json!({"lines": ["bare", {"text": "old", "level": 40}, {"stream": "x"}, 3]});
    let logs: LogsReply = read_reply(&map(logs)).value;
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
    assert_eq!(read_reply(&written), Partly { value: reply, unread: vec![] });
}

#[test]
fn what_is_wrong_in_a_reply_is_left_out_and_named() {
    let reply = json!({
        "changed": true,
        "dry_run": "yes",
        "unchanged": -1,
        "notes": ["a", 5, "b"],
        "services": [
            {"service_id": "a.b", "change": "exploded", "fields": [1, "launch.env"], "pid": "x"},
            "a.c",
            {"service_id": "a.d", "waits_for": [{"service_id": "e.f"}, {"below_level": 1e308}]},
        ],
    });
    let Partly { value, unread } = read_reply::<ReloadReply>(&map(reply));
    assert_eq!(
        unread,
        [
            "dry_run",
            "notes[1]",
            "services[0].change",
            "services[0].fields[0]",
            "services[0].pid",
            "services[1]",
            "services[2].waits_for[1].below_level",
            "unchanged",
        ]
    );
    assert!(value.changed && value.notes == ["a", "b"] && value.services.len() == 2);
    assert_eq!(value.services[0].fields, ["launch.env"]);
    assert_eq!(value.services[1].waits_for.len(), 2);
}

#[test]
fn figures_that_are_wrong_or_absurd_are_named_where_they_stand() {
    let reply = json!({
        "sampled_at": "now",
        "host": {"host_load1": 1e308, "host_cpus": 4, "host_cpu_percent": -1, "host_boot_at": 1e300},
        "services": [
            {"service_id": "a.b", "cpu_percent": 1e308, "rss_bytes": 5, "open_fds": u64::MAX},
            7,
            {"service_id": "a.c", "cpu_percent": "12 %", "rss_bytes": -5, "scope": "task",
             "history": [{"cpu_percent": -1e308, "rss_bytes": 5}]},
        ],
    });
    let Partly { value, unread } = ResourcesReply::read(&map(reply));
    assert_eq!(unread, ["sampled_at", "services[1]"]);
    assert_eq!(value.host.unread, ["host_cpu_percent", "host_load1", "host_boot_at"]);
    assert_eq!((value.host.cpus, value.host.load1), (Some(4), None));
    let [one, two] = &value.services[..] else { panic!("{value:?}") };
    assert_eq!(
        (one.rss_bytes, &one.unread[..]),
        (Some(5), &["cpu_percent", "open_fds"].map(String::from)[..])
    );
    assert_eq!(
        (two.scope, &two.unread[..]),
        (Scope::Task, &["cpu_percent", "rss_bytes", "history"].map(String::from)[..])
    );
    assert_eq!((two.history[0].cpu_percent, two.history[0].rss_bytes), (None, Some(5)));
}
