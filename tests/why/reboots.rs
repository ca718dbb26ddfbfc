//! The reboot of a host is an event, in the command line and in the dashboard.

use serde_json::{Value, json};
use tcs_core::clock;
use tcs_core::wire::Timestamp;
use tcs_testkit::nats::{Server, server};
use tcs_testkit::{flood, tcsctl};

const LAUNCHER: &str = "launcher.L.srv02-process-launcher";

/// A site on which a launcher sends what is told.
struct Site {
    server: Server,
    client: async_nats::Client,
}

impl Site {
    async fn start() -> Self {
        let server = Server::start(&server()).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        flood::make_streams(&client).await;
        let site = Self { server, client };
        let status = json!({"name": LAUNCHER, "status": "ok", "hostname": "srv02.oca.lan",
            "pid": 99});
        site.say("status", status).await;
        site
    }

    async fn say(&self, kind: &str, data: Value) {
        let meta = json!({"id": "m", "sender": "m", "ts": Timestamp::from(clock::wall())});
        let body = json!({"data": data, "meta": meta}).to_string();
        let context = async_nats::jetstream::new(self.client.clone());
        let stored = context.publish(format!("svc.{kind}.{LAUNCHER}"), body.into()).await.unwrap();
        stored.await.unwrap();
    }

    async fn beat(&self, boot: &str) {
        let metrics = json!({"host_boot_id": boot, "host_boot_at": 1000.0});
        let data = json!({"service_id": LAUNCHER, "status": "ok", "metrics": metrics});
        self.say("heartbeat", data).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_is_an_event_of_its_host() {
    let site = Site::start().await;
    let url = site.server.url();
    site.beat("one").await;
    let mut terminal = tcsctl::watch(&url, &[], (120, 40));
    terminal.wait("it is known", |text| text.contains("● ok") && text.contains("events"));
    assert!(!tcsctl::at(&url, &["events"]).expect(0).out.contains("rebooted"));
    site.beat("two").await;
    terminal.see("host srv02 rebooted");
    // also one that has begun to look since
    let out = tcsctl::at(&url, &["events", "--problems"]).expect(0).out;
    assert!(out.contains("host srv02 rebooted"), "{out}");
    let objects = tcsctl::at(&url, &["events", "--json"]).expect(0).objects();
    let reboot = objects.iter().find(|it| it["event"] == "reboot").unwrap();
    assert_eq!((&reboot["kind"], &reboot["id"]), (&"host".into(), &LAUNCHER.into()));
    assert_eq!(reboot["details"]["host"], "srv02.oca.lan");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}
