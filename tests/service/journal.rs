//! A service's journal: lines for people who read along, as serverish writes them.

use futures_util::StreamExt as _;
use tcs_core::prelude::*;
use tcs_core::service::Outcome;
use tcs_testkit::nats::{wait_for, within_limit};
use tokio_util::sync::CancellationToken;

use super::{live, on_each_site};

const LINES: usize = 50;

#[derive(Default)]
struct Writer;

#[service("writer")]
impl BlockingService for Writer {
    async fn run(&self, ctx: &Context) -> Result<()> {
        for line in 0..LINES {
            ctx.journal(if line == 0 { Level::NOTICE } else { Level(20) }, format!("line {line}"));
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_once_and_in_order() {
    on_each_site(async |site| {
        let mut heard = site.client.subscribe("svc.journal.writer.t").await.unwrap();
        site.client.flush().await.unwrap();
        let reporter = site.reporter();
        let bus = reporter.bus().unwrap().clone();
        wait_for("the connection", || bus.is_connected()).await;
        let token = CancellationToken::new();
        assert_eq!(live::<Writer>(&reporter, "", token, |_| {}).await, Outcome::Completed);
        for line in 0..LINES {
            let message = within_limit("a line", heard.next()).await.unwrap();
            let body: Value = serde_json::from_slice(&message.payload).unwrap();
            let (data, meta) = (&body["data"], &body["meta"]);
            assert_eq!(data["message"], format!("line {line}"));
            assert_eq!(data["level"], if line == 0 { 25 } else { 20 });
            assert_eq!(data["op"], "publish");
            // serverish's reader fails on any other field
            let mut fields: Vec<_> = data.as_object().unwrap().keys().collect();
            fields.sort();
            assert_eq!(fields, ["conversation_id", "level", "message", "op", "timestamp"]);
            assert_eq!(meta["message_type"], "journal.publish");
            assert_eq!(meta["service_id"], json!("writer.t"));
        }
    })
    .await;
}
