//! Who may save a site's streams, and who may restore them.

use tcs_testkit::nats::on_each_server;

use super::site::{client, fill};
use super::{ctl, server};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_may_back_up_and_only_a_launcher_may_restore() {
    on_each_server(async |binary| {
        let first = server(&binary).await;
        fill(&client(&first, "launcher").await, 1).await;
        let folder = tempfile::tempdir().unwrap();
        let backup = folder.path().join("b");
        let backup = backup.to_str().unwrap();
        ctl(&first, "viewer", &["backup", backup]).expect(0);

        let second = server(&binary).await;
        for user in ["viewer", "operator", "service"] {
            let refused = ctl(&second, user, &["restore", backup]);
            assert_eq!(refused.code, Some(3), "{user}: {refused:#?}");
            let why = "cannot create stream svc_registry: ";
            assert!(refused.err.contains(why), "{user}: {refused:#?}");
        }
        ctl(&second, "launcher", &["restore", backup]).expect(0);
        let list = |server, args: &[&str]| {
            ctl(server, "viewer", &[args, &["--all", "--json"]].concat()).expect(0).json()
        };
        let moment = tcs_core::clock::wall().to_rfc3339();
        let (before, after) = (list(&first, &["--at", &moment]), list(&second, &["--at", &moment]));
        assert_eq!(before["services"], after["services"]);
        assert!(!after["services"].as_array().unwrap().is_empty());
    })
    .await;
}
