//! Which streams are read, and what is said where there are none.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn reads_streams_of_any_name_under_a_dotted_prefix_and_cleans_up() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        // Two streams share the statuses, one holds two kinds, and none has its usual name.
        writer.stream("SITE1", &["ocm.svc.status.site1.>", "ocm.svc.registry.>"], -1).await;
        writer.stream("SITE2", &["ocm.svc.status.site2.>"], 1).await;
        for n in 1..=3 {
            writer.put("ocm.svc.status.site1.a", &format!("a{n}")).await;
            writer.put("ocm.svc.status.site2.b", &format!("b{n}")).await;
        }
        writer.put("ocm.svc.registry.start.site1.a", "start").await;
        let settings = settings(&server.url(), Some("ocm.svc"));
        let bus = Bus::connect(&settings, NAME, TIMEOUT).await.unwrap();
        let mut told = follow(&bus);
        told.until("snapshot", Told::settled).await;
        assert!(told.complete(Kind::Status) && told.complete(Kind::Registry));
        assert_eq!(told.readings[&Kind::Heartbeat], Reading::NoStream { listening: false });
        assert!(told.is("ocm.svc.status.site1.a", "a3"));
        assert!(told.is("ocm.svc.status.site2.b", "b3"));
        assert_eq!(told.messages, 3);
        assert!(told.clocks > 0, "the broker's clock was measured");
        writer.put("ocm.svc.status.site2.b", "b4").await;
        told.until("live", |t| t.is("ocm.svc.status.site2.b", "b4")).await;
        assert_eq!(writer.consumers("SITE1").await, 2);
        told.follow.stop().await;
        writer.no_consumers("SITE1").await;
        writer.no_consumers("SITE2").await;
    })
    .await;
}

/// A program that ends lets go of its consumers once; its tasks may run for a moment longer.
#[tokio::test(flavor = "multi_thread")]
async fn once_released_a_connection_makes_no_consumers() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        writer.stream("SITE1", &["svc.status.>"], -1).await;
        writer.put("svc.status.a", "a1").await;
        let settings = settings(&server.url(), None);
        let bus = Bus::connect(&settings, NAME, TIMEOUT).await.unwrap();
        let mut told = follow(&bus);
        told.until("snapshot", |told| told.complete(Kind::Status)).await;
        assert_eq!(writer.consumers("SITE1").await, 1);
        bus.release().await;
        assert_eq!(writer.consumers("SITE1").await, 0, "the server has deleted it");
        let begun = follow(&bus);
        // a consumer's loss is noticed within seconds: then another one would be made
        told.until("the loss", |told| !told.complete(Kind::Status)).await;
        assert_eq!(writer.consumers("SITE1").await, 0);
        drop(begun);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_streams_nothing_is_subscribed_until_they_appear() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        let bus = connect(&server.url()).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        for reading in told.readings.values() {
            assert_eq!(*reading, Reading::NoStream { listening: false });
        }
        // Nobody listens: the server says so at once.
        let asked = writer.0.client().request("svc.status.a", "x".into()).await.unwrap_err();
        assert_eq!(asked.kind(), async_nats::RequestErrorKind::NoResponders);
        let made = bus.create_missing_streams().await;
        let names: Vec<_> = made.iter().map(|(_, made)| made.clone()).collect();
        let created = |name: &str| Made::Created(name.to_owned());
        let all = [created("svc_registry"), created("svc_status"), created("svc_heartbeat")];
        assert_eq!(names, all);
        let again = bus.create_missing_streams().await;
        assert!(again.iter().all(|(_, made)| matches!(made, Made::Found(_))), "{again:?}");
        writer.put("svc.status.a", "hello").await;
        let followed = |t: &Told| t.is("svc.status.a", "hello") && t.complete(Kind::Status);
        told.until("followed", followed).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn created_streams_have_the_limits_of_the_fleet() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let settings = settings(&server.url(), Some("ocm.svc"));
        let bus = Bus::connect(&settings, NAME, TIMEOUT).await.unwrap();
        bus.create_missing_streams().await;
        let js = Writer::new(&server).await.0;
        let config = |name: &'static str| {
            let js = js.clone();
            async move { js.get_stream(name).await.unwrap().cached_info().config.clone() }
        };
        let registry = config("ocm_svc_registry").await;
        assert_eq!(registry.subjects, ["ocm.svc.registry.>"]);
        assert_eq!((registry.max_bytes, registry.max_messages_per_subject), (10 << 20, 100));
        assert_eq!(registry.max_age, Duration::ZERO);
        let status = config("ocm_svc_status").await;
        assert_eq!((status.max_bytes, status.max_age.as_secs()), (500 << 20, 30 * 86400));
        // one chatty service pushes nobody out
        assert_eq!(status.max_messages_per_subject, 1000);
        let heartbeat = config("ocm_svc_heartbeat").await;
        assert_eq!((heartbeat.max_bytes, heartbeat.max_age.as_secs()), (100 << 20, 86400));
        assert!(!heartbeat.no_ack);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_it_says_so_and_listens_only_if_asked() {
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, "").await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let bus = connect(&server.url()).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        let expected = Reading::NoJetStream { why: ApiError::NoJetStream, listening: false };
        assert_eq!(told.readings[&Kind::Status], expected);
        let asked = client.request("svc.status.a", "x".into()).await.unwrap_err();
        assert_eq!(asked.kind(), async_nats::RequestErrorKind::NoResponders);
        assert!(matches!(&bus.create_missing_streams().await[0].1, Made::Failed(_)));

        let mut told = Told::new(bus.follow(&Kind::FLEET, true));
        told.until("settled", Told::settled).await;
        let listening = Reading::NoJetStream { why: ApiError::NoJetStream, listening: true };
        assert_eq!(told.readings[&Kind::Status], listening);
        within_limit("heard", async {
            while !told.is("svc.status.a", "plain") {
                client.publish("svc.status.a", "plain".into()).await.unwrap();
                let next = tokio::time::timeout(Duration::from_millis(100), told.follow.next(9));
                next.await.unwrap_or_default().into_iter().for_each(|item| told.note(item));
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jetstream_off_for_the_account_is_another_answer() {
    on_each_server(async |binary| {
        let config = format!(
            "{JETSTREAM} accounts {{ A {{ jetstream: enabled, users [{{user: a, password: pw}}] }},
             B {{ users [{{user: b, password: pw}}] }} }}"
        );
        let server = Server::start_with(&binary, &config).await;
        let bus = connect(&url_as(&server, "b")).await;
        let mut told = follow(&bus);
        told.until("settled", Told::settled).await;
        let Reading::NoJetStream { why, .. } = &told.readings[&Kind::Status] else {
            panic!("{:?}", told.readings)
        };
        assert_eq!(*why, ApiError::NotEnabled);
    })
    .await;
}

/// As in a cluster whose leader changes: the old one no longer answers, the new one not yet.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_is_asked_again() {
    on_each_server(async |binary| {
        let server = Server::start(&binary).await;
        let writer = Writer::new(&server).await;
        writer.stream("svc_status", &["svc.status.>"], 1).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let mut asked = client.subscribe("lossy.API.>").await.unwrap();
        client.flush().await.unwrap();
        let leader = tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            while let Some(question) = asked.next().await {
                let subject = question.subject.to_string();
                let real = format!("$JS.API.{}", subject.strip_prefix("lossy.API.").unwrap());
                if !seen.insert(subject) {
                    let reply = question.reply.unwrap();
                    client.publish_with_reply(real, reply, question.payload).await.unwrap();
                }
            }
        });
        let section = NatsSection {
            url: Some(server.url().as_str().into()),
            js_api_prefix: Some("lossy.API".into()),
            ..NatsSection::default()
        };
        let settings = Settings::from_process(&section, None).unwrap();
        let bus = Bus::connect(&settings, NAME, TIMEOUT).await.unwrap();
        assert_eq!(bus.stream("svc_status").await.unwrap().messages, 0);
        let held = bus.subjects_held("svc.status.>").await.unwrap().unwrap();
        assert!(held.1.is_empty(), "{held:?}");
        leader.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_listen_goes_on_saying_so() {
    on_each_server(async |binary| {
        let server = Server::start_with(
            &binary,
            r#"authorization { users: [{user: a, password: b, permissions: {subscribe: {deny: "svc.status.>"}}}] }"#,
        )
        .await;
        let url = server.url().replace("nats://", "nats://a:b@");
        let bus = Bus::connect(&settings(&url, None), NAME, TIMEOUT).await.unwrap();
        let follow = bus.follow(&[Kind::Status], true);
        let mut readings = Vec::new();
        let mut read = async || {
            for heard in follow.next(16).await {
                if let Item::Note(Note::Reading(_, reading)) = heard {
                    readings.push(reading);
                }
            }
            matches!(readings.last(), Some(Reading::Failed(ApiError::Denied(_))))
        };
        within_limit("the refusal", async { while !read().await {} }).await;
        // it looks for streams several times in this time
        let longer = async {
            while read().await {}
            unreachable!("it says something else now");
        };
        tokio::time::timeout(Duration::from_secs(2), longer).await.unwrap_err();
    })
    .await;
}
