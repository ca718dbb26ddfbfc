//! The status page with a viewer's rights.

use tcs_testkit::http;
use tcs_testkit::serve::Serve;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_can_serve_all_that_is_served() {
    on_each_server(async |binary| {
        let server = server(&binary).await;
        let dir = tempfile::tempdir().unwrap();
        let _tcsd = fleet(&server, dir.path()).await;
        let login = ["--user", "viewer", "--password", "pw-viewer"];
        let serve = Serve::ready(&server.url(), &login).await;
        let get = async |path: &str| http::get(serve.port, path).await.expect(200);
        assert!(get("/api/v1/fleet").await.body.contains("\"x.a\""));
        get("/api/v1/alarms").await.json();
        let timeline = get("/api/v1/timeline").await.json();
        assert!(timeline["services"].as_array().is_some_and(|all| !all.is_empty()));
        let why = get("/api/v1/why?service=x.a").await.json();
        assert_eq!(why["problems"], serde_json::json!([]), "{why:#}");
        assert!(get("/api/v1/logs?service=x.a").await.body.contains("tick"));
        let start = tcs_core::clock::monotonic();
        while !get("/metrics").await.body.contains("tcs_service_resident_memory_bytes{") {
            assert!(start.elapsed() < LIMIT, "{:#?}", get("/api/v1/resources").await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // and nothing else was tried
        let log = server.log();
        let denied: Vec<&str> = log.lines().filter(|it| it.contains("Violation")).collect();
        assert!(!denied.iter().any(|line| line.contains("viewer")), "{denied:#?}");
    })
    .await;
}
