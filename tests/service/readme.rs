//! The README's service: what stands there is compiled, and run at a broker.

mod hello_world {
    use tcs_core::service::Outcome;
    use tokio_util::sync::CancellationToken;

    use super::super::{Held, live, on_each_site};

    include!("hello_world.rs");

    #[test]
    fn the_readme_shows_what_is_run_here() {
        let readme = include_str!("../../README.md");
        let source = include_str!("hello_world.rs");
        assert!(readme.contains(&format!("```rust\n{source}```\n")), "the README shows another");
        assert!(source.lines().count() <= 18, "a complete service in about fifteen lines");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_reports_itself_and_stops_when_told() {
        on_each_site(async |site| {
            let reporter = site.reporter();
            let stop = CancellationToken::new();
            let (token, speaker) = (stop.clone(), reporter.clone());
            let life = tokio::spawn(async move {
                live::<HelloWorld>(&speaker, "  interval: 0.05\n", token, |_| {}).await
            });
            let beats = |beats: &[Held]| beats.iter().any(|beat| beat.text("status") == "ok");
            site.wait_until("heartbeat", "readme.hello_world.t", beats).await;
            stop.cancel();
            assert_eq!(life.await.unwrap(), Outcome::Cancelled);
            let said = site.said("readme.hello_world.t").await;
            assert!(said.contains(&"ok Service running".to_owned()), "{said:?}");
            assert!(said.last().unwrap().starts_with("shutdown "), "{said:?}");
        })
        .await;
    }
}
