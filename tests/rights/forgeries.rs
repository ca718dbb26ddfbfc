//! Requests and copies of messages that are forged, on a broker without rights: those who are asked,
//! and those who read, do not take them for genuine.

use async_nats::jetstream::{self, consumer};
use chrono::DateTime;
use futures_util::StreamExt as _;
use serde_json::json;
use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::observer::{Observer, Patience};
use tcs_core::wire::Kind;
use tcs_testkit::nats::{Binary, JETSTREAM, LIMIT, Server, on_each_server, within_limit};

use super::bus;
use super::site::{COMMAND, Calls, RELOAD, client, envelope, fill};

/// Where no configuration stops them, those who are asked do not take what is forged.
#[tokio::test(flavor = "multi_thread")]
async fn forged_requests_are_not_acted_on() {
    on_each_server(async |binary: Binary| {
        let server = Server::start_with(&binary, JETSTREAM).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        fill(&client, 1).await;
        let calls = Calls::default();
        let open = NatsSection { url: Some(server.url().as_str().into()), ..Default::default() };
        let settings = Settings::from_process(&open, None).unwrap();
        let bus = Bus::connect(&settings, "test", LIMIT).await.unwrap();
        let _serving = calls.serve(bus).await;
        let mut arriving = client.subscribe("svc.rpc.>").await.unwrap();
        client.flush().await.unwrap();

        for target in [RELOAD, COMMAND] {
            // a consumer that delivers there, and one that is asked to
            let context = jetstream::new(client.clone());
            let stream = context.get_stream("svc_status").await.unwrap();
            let config = consumer::push::Config {
                deliver_subject: target.to_owned(),
                deliver_group: Some(target.to_owned()),
                ..consumer::push::Config::default()
            };
            stream.create_consumer(config).await.unwrap();
            let next = "$JS.API.CONSUMER.MSG.NEXT.svc_status.victim";
            client.publish_with_reply(next, target, "1".into()).await.unwrap();
            // a stored message as an answer, and answers of other kinds
            let get = json!({"last_by_subj": "svc.status.camera.a"}).to_string();
            for (question, body) in [
                ("$JS.API.DIRECT.GET.svc_status", get.clone()),
                ("$JS.API.STREAM.MSG.GET.svc_status", get),
                ("$JS.API.STREAM.NAMES", String::new()),
                (
                    "svc.rpc.camera.a.v1.health",
                    "{\"meta\": {\"sender\": \"s\", \"id\": \"7\"}}".into(),
                ),
            ] {
                client.publish_with_reply(question, target, body.into()).await.unwrap();
            }
            // a request of nobody, and one that wants its answer somewhere else
            for body in ["", "{}", "{\"data\": {}, \"meta\": {\"sender\": \"s\"}}"] {
                client.publish_with_reply(target, client.new_inbox(), body.into()).await.unwrap();
            }
            let body = envelope(&json!({})).into();
            client.publish_with_reply(target, "svc.status.camera.a", body).await.unwrap();
        }
        // all of it arrives: 3 of the consumers, 3 answers, 4 requests each (what `health` is asked
        // with such a reply subject is not answered)
        let arrived = async {
            let mut count = 0;
            while count < 2 * 10 {
                // what a consumer delivers keeps the subject of its own
                let message = arriving.next().await.unwrap();
                count += usize::from(!message.subject.ends_with(".v1.health"));
            }
        };
        within_limit("all arrives", arrived).await;
        for target in [RELOAD, COMMAND] {
            let request = client.request(target, envelope(&json!({})).into());
            let reply = within_limit("an answer", request).await.unwrap();
            assert!(reply.payload.starts_with(b"{\"data\""), "{:?}", reply.payload);
        }
        assert_eq!(calls.count(), 2, "the two requests, and nothing else");
        let status = jetstream::new(client).get_stream("svc_status").await.unwrap();
        assert_eq!(status.cached_info().state.last_sequence, 2, "no answer was stored");
    })
    .await;
}

/// An old crash that is stored again by its copy is no crash, however it is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_stored_message_is_no_news() {
    on_each_server(async |binary: Binary| {
        let users = "authorization { users [ { user: admin, password: pw-admin }
            { user: getter, password: pw-getter
              permissions { publish: { deny: \"$JS.API.CONSUMER.>\" } } } ] }";
        let server = Server::start_with(&binary, &format!("{JETSTREAM}{users}")).await;
        let client = client(&server, "admin").await;
        fill(&client, 1).await;
        let get = json!({"last_by_subj": "svc.registry.crashed.camera.a"}).to_string();
        let copy = "svc.registry.crashed.camera.b";
        let question = "$JS.API.DIRECT.GET.svc_registry";
        client.publish_with_reply(question, copy, get.into()).await.unwrap();
        let stream = jetstream::new(client.clone()).get_stream("svc_registry").await.unwrap();
        within_limit("the copy is stored", async {
            while stream.get_info().await.unwrap().state.last_sequence < 2 {}
        })
        .await;
        for direct in [true, false] {
            let mut config = stream.get_info().await.unwrap().config;
            config.allow_direct = direct;
            jetstream::new(client.clone()).update_stream(config).await.unwrap();
            for user in ["admin", "getter"] {
                let observer = Observer::new(bus(&server, user).await);
                let patience = Patience { timeout: LIMIT, ..Patience::default() };
                let picture = observer.snapshot(patience).await;
                let what = format!("{user}, allow_direct {direct}");
                assert_eq!(picture.problems("svc"), [], "{what}");
                assert_eq!(picture.fleet.tally().malformed, 1, "{what}");
                let past = observer.since(DateTime::UNIX_EPOCH, &[Kind::Registry]);
                assert_eq!(past.await.observations.len(), 2, "{what}");
            }
        }
    })
    .await;
}
