//! A service that reads what others publish.

use futures_util::StreamExt as _;
use serde_json::Value;
use tcs_core::prelude::*;
use tcs_core::service::Outcome;
use tcs_testkit::nats::LIMIT;
use tokio_util::sync::CancellationToken;

use super::{live, on_each_site};

#[derive(Debug, Deserialize)]
struct Weather {
    wind: f64,
}

#[derive(Default)]
struct Vane;

#[service("vane")]
impl BlockingService for Vane {
    async fn run(&self, ctx: &Context) -> Result<()> {
        let mut reports = ctx.subscribe("weather.>").await?;
        ctx.publish("said", &"listening").await?;
        while let Some(report) = reports.next().await {
            let said = match report.read::<Weather>() {
                Ok(Weather { wind }) => format!("{}: {wind} m/s", report.subject),
                Err(error) => error.to_string(),
            };
            ctx.publish("said", &said).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_hears_what_is_published_on_its_subjects() {
    on_each_site(async |site| {
        let (stop, reporter) = (CancellationToken::new(), site.reporter());
        let mut said = site.client.subscribe("said").await.unwrap();
        site.client.flush().await.unwrap();
        let ends = live::<Vane>(&reporter, "", stop.clone(), |_| {});
        let publishes = async {
            let mut says = async |words: &str| {
                let message = tokio::time::timeout(LIMIT, said.next()).await.unwrap().unwrap();
                let body: Value = serde_json::from_slice(&message.payload).unwrap();
                assert_eq!(body["data"], words);
            };
            let send = async |subject: &'static str, body: &'static str| {
                site.client.publish(subject, body.into()).await.unwrap();
            };
            says("listening").await;
            send("other.mast", r#"{"wind": 99}"#).await;
            // in the envelope of the Python system, then plain
            send("weather.mast", r#"{"data": {"wind": 7.5}, "meta": {"id": "x"}}"#).await;
            says("weather.mast: 7.5 m/s").await;
            send("weather.dome", r#"{"wind": 8.5}"#).await;
            says("weather.dome: 8.5 m/s").await;
            send("weather.dome", "{").await;
            says("message on `weather.dome`: EOF while parsing an object at line 1 column 1").await;
            stop.cancel();
        };
        let (outcome, ()) = tokio::join!(ends, publishes);
        assert_eq!(outcome, Outcome::Cancelled);
    })
    .await;
}
