//! Who may say what about alarms.

use serde_json::json;
use tcs_core::bus::publish::{OutgoingMessage, Publisher, Sent};
use tcs_core::bus::streams::Made;

use super::*;

fn state() -> OutgoingMessage {
    let now = [2026, 11, 23, 2, 13, 4, 0];
    let data = json!({"episode": "failed/x.a@2026-11-23T02:13:04Z", "rev": 1, "state": "active",
        "severity": "critical", "max_severity": "critical", "since": now, "by": "sentinel.main",
        "notify": {"at": now, "why": "raised"}});
    OutgoingMessage::new("svc.alarm.state.failed.x.a".to_owned(), &data).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_acknowledge_and_sentinels_alone_raise() {
    on_each_server(async |binary| {
        let server = server(&binary).await;
        let launcher = bus(&server, "launcher").await;
        launcher.create_missing_streams().await;
        let made = launcher.create_missing_alarm_stream().await;
        assert_eq!(made, Made::Created("svc_alarm".to_owned()));
        let publisher = Publisher::new(launcher);
        let sent = publisher.send(&state()).await;
        assert_eq!(sent, Ok(Sent::Stored { stream: "svc_alarm".to_owned(), sequence: 1 }));

        for user in ["viewer", "operator"] {
            let seen = ctl(&server, user, &["alarms", "--json"]);
            assert_eq!(seen.json()["counts"]["unacked"], 1, "{user}: {seen:#?}");
            let forged = Publisher::new(bus(&server, user).await).send(&state()).await;
            assert!(forged.is_err_and(|error| error.is_final()), "{user} raises alarms");
        }
        let ack = ["ack", "failed/x.a", "-m", "on it"];
        let refused = ctl(&server, "viewer", &ack).expect(1);
        assert!(refused.err.contains("no right to publish"), "{refused:#?}");
        ctl(&server, "operator", &ack).expect(0);
        ctl(&server, "operator", &["note", "x.a", "-m", "again"]).expect(0);
        ctl(&server, "operator", &["shelve", "x.a", "--for", "1h", "-m", "work"]).expect(0);
        let seen = ctl(&server, "viewer", &["alarms", "--json"]).json();
        let alarm = &seen["alarms"][0];
        assert_eq!(
            (&alarm["state"], &alarm["shelved"]["reason"]),
            (&"acked".into(), &"work".into())
        );
    })
    .await;
}
