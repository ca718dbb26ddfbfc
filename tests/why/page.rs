//! `W` in the dashboard.

use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::signal;

use super::kills::{CAMERA, ID, once, site};

#[tokio::test(flavor = "multi_thread")]
async fn one_key_explains_the_chosen_service_now_and_at_a_past_time() {
    let (site, folder) = site().await;
    let url = site.server.url();
    signal("KILL", site.pid(CAMERA).await);
    once(&site, CAMERA, "failed").await;
    std::fs::remove_file(folder.path().join("run")).unwrap();
    once(&site, ID, "failed").await;
    for size in [(80, 24), (160, 50)] {
        let mut terminal = tcsctl::watch(&url, &[], size);
        terminal.wait("both have failed", |text| text.matches("× failed").count() >= 2);
        terminal.keys("/guider\r");
        terminal.see("/guider");
        terminal.keys("GW");
        for told in
            ["Within 60 s before", "why guider.main at ", "exit code 3", "output  no camera"]
        {
            terminal.see(told);
        }
        // what is below is reached by moving
        terminal.keys("G");
        terminal.see("tcsctl why camera.main");
        terminal.see("what happened to it");
        // and back to the table; then the same of a moment of the past
        terminal.keys("W");
        terminal.see("VERDICT");
        terminal.keys("(");
        terminal.see("THE PAST");
        terminal.keys("W");
        terminal.see("why guider.main at ");
        terminal.wait("it is read", |text| text.contains("Last end"));
        terminal.keys("q");
        assert_eq!(terminal.end(), 0);
    }
}
