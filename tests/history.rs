//! The past, told: a generated night of ten hours in a real broker, stored when it happened.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "in a test a panic is the report")]

#[path = "history/budget.rs"]
mod budget;
#[path = "history/night.rs"]
mod night;

use chrono::{DateTime, Utc};
use night::{LENGTH, Night, Truth};
use serde_json::Value;
use tcs_testkit::nats::{self, Server, on_each_server};
use tcs_testkit::{past, tcsctl};

const STREAMS: [(&str, &str); 4] = [
    ("svc_registry", "svc.registry.>"),
    ("svc_status", "svc.status.>"),
    ("svc_heartbeat", "svc.heartbeat.>"),
    ("svc_alarm", "svc.alarm.>"),
];

/// A night, told by each version of the server. Only a current one can be given a past.
async fn on_each_server_of_a_night(test: impl Fn(Night, Server)) {
    if nats::current_server().is_none() {
        return eprintln!("!!! NOT TESTED: there is no current nats-server");
    }
    on_each_server(async |binary| {
        let night = Night::new(tcs_core::clock::wall());
        let server = past::server(&binary, &STREAMS, &night.messages).await;
        test(night, server);
    })
    .await;
}

impl Night {
    fn tell(&self, server: &Server, command: &str, more: &[&str]) -> tcsctl::Output {
        let (from, to) = (self.at(0.0).to_rfc3339(), self.at(LENGTH).to_rfc3339());
        let mut args =
            vec![command, "--since", &from, "--until", &to, "--timeout", "100s", "--ascii"];
        args.extend(more);
        tcsctl::at(&server.url(), &args).expect(0)
    }

    /// Seconds into the night.
    fn second(&self, at: &Value) -> f64 {
        let at: DateTime<Utc> = at.as_str().unwrap().parse().unwrap();
        (at - self.from).num_milliseconds() as f64 / 1000.0
    }
}

fn texts(values: &Value) -> Vec<&str> {
    values.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

/// Whether it is what was meant, to a tenth of a second.
fn is(night: &Night, truth: &Truth, incident: &Value) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() < 0.1;
    let until = match truth.until {
        Some(until) => {
            !incident["until"].is_null() && near(night.second(&incident["until"]), until)
        }
        None => incident["until"].is_null(),
    };
    let lasted = truth.until.unwrap_or(LENGTH) - truth.from;
    until
        && near(night.second(&incident["from"]), truth.from)
        && near(incident["lasted_s"].as_f64().unwrap(), lasted)
        && texts(&incident["services"]) == truth.services
        && incident["cause"].as_str().unwrap().contains(truth.cause)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_night_names_each_incident_once_with_its_cause() {
    on_each_server_of_a_night(|night, server| {
        let report = night.tell(&server, "report", &["--format", "json"]).json();
        let incidents = report["incidents"].as_array().unwrap();
        for truth in &night.truths {
            let found = incidents.iter().filter(|incident| is(&night, truth, incident)).count();
            assert_eq!(found, 1, "{truth:#?}\n{incidents:#?}");
        }
        assert_eq!(incidents.len(), night.truths.len(), "{incidents:#?}");
        assert_eq!(night.truths.len(), 12);

        // who did what about it, and who was told
        let camera = incidents.iter().find(|it| it["services"][0] == "camera.s1").unwrap();
        assert_eq!(camera["requests"].as_array().unwrap().len(), 1, "{camera:#}");
        assert_eq!(camera["requests"][0]["text"], "camera.s1 started by jane@srv01");
        let told: Vec<&str> = camera["alarms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["what"].as_str().unwrap())
            .collect();
        assert_eq!(told, ["raised", "sent", "not_sent", "acknowledged"], "{camera:#}");
        assert_eq!(camera["alarms"][3]["note"], "changing the cable");

        // on purpose is no incident, and a boot is a change
        let changes: Vec<&str> = report["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["text"].as_str().unwrap())
            .collect();
        let expected = [
            "camera.s1 started by jane@srv01",
            "host srv02 rebooted",
            "archive.s1 restarted by jane@srv01",
        ];
        assert_eq!(changes, expected);
        assert_eq!(report["gaps"].as_array().unwrap().len(), 1, "{:#}", report["gaps"]);
        assert_eq!(report["gaps"][0]["kind"], "outage");
        assert_eq!(report["open_alarms"][0]["acknowledged_by"], "jane@srv01");

        // time in each verdict adds up to the night
        for service in report["services"].as_array().unwrap() {
            let times = service["verdicts_s"].as_object().unwrap().values();
            let sum: f64 = times.map(|time| time.as_f64().unwrap()).sum();
            assert!((sum - LENGTH).abs() < 0.01, "{service:#}");
        }
        forms(&night, &server);
    })
    .await;
}

/// The same for people.
fn forms(night: &Night, server: &Server) {
    let text = night.tell(server, "report", &[]).out;
    assert!(text.contains("Result: 12 incidents, 1 still open"), "{text}");
    let markdown = night.tell(server, "report", &["--format", "md"]).out;
    let html = night.tell(server, "report", &["--format", "html"]).out;
    for truth in &night.truths {
        let plain = truth.cause.replace(" <b>&", "");
        for (form, report) in [("text", &text), ("md", &markdown), ("html", &html)] {
            assert!(report.contains(&plain), "{form} lacks {plain}: {report}");
        }
    }
    assert!(markdown.starts_with("# Report 20"), "{markdown}");
    assert!(markdown.contains(r"disk 95 % full \<b\>\&"), "{markdown}");
    // nothing from the network acts, and nothing is fetched
    assert!(html.contains("disk 95 % full &lt;b&gt;&amp;"), "{html}");
    for foreign in ["<b>", "<script", "src=", "href=", "url(", "@import"] {
        assert!(!html.contains(foreign), "{foreign} in {html}");
    }
    assert_eq!(html.matches("<h3>").count(), 12);
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("@media print"));
    if let Some(folder) = std::env::var_os("TCS_KEEP_REPORTS") {
        let folder = std::path::Path::new(&folder);
        for (name, report) in [("txt", &text), ("md", &markdown), ("html", &html)] {
            std::fs::write(folder.join(format!("night.{name}")), report).unwrap();
        }
        let timeline = night.tell(server, "timeline", &[]).out;
        std::fs::write(folder.join("timeline.txt"), timeline).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_of_a_night_is_exact_and_says_where_the_record_has_gaps() {
    on_each_server_of_a_night(|night, server| {
        let timeline = night.tell(&server, "timeline", &["--json"]).json();
        let services = timeline["services"].as_array().unwrap();
        assert_eq!(services.len(), 27);
        let guider = services.iter().find(|it| it["id"] == "guider.s2").unwrap();
        let spans: Vec<_> = guider["spans"].as_array().unwrap().iter().collect();
        let error = spans.iter().position(|it| it["verdict"] == "error").unwrap();
        let seconds = ["from", "until"].map(|end| night.second(&spans[error][end]).to_string());
        assert_eq!(seconds, ["4000", "4321"]);
        assert_eq!(spans[error]["cause"], "reported error: lost the star");
        assert_eq!(spans[error + 1]["verdict"], "ok");

        let drawn = night.tell(&server, "timeline", &["guider", "--problems"]).out;
        let rows: Vec<&str> = drawn.lines().filter(|line| line.starts_with("guider.")).collect();
        assert_eq!(rows.len(), 2, "guider.s3 had no problem: {drawn}");
        // a column is some five minutes: a crash that was mended in 8 s is seen all the same
        assert!(rows[0].contains('@') || rows[0].contains('r'), "{drawn}");
        assert!(rows[1].contains('x'), "{drawn}");
        assert!(drawn.contains("no heartbeat of any service from"), "{drawn}");

        // half an hour before the streams begin nothing is known, and that is said
        let (from, to) = (night.at(-7200.0).to_rfc3339(), night.at(-3000.0).to_rfc3339());
        let args = ["timeline", "--since", &from, "--until", &to, "--json"];
        let early = tcsctl::at(&server.url(), &args).expect(0).json();
        let kinds = early["gaps"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap());
        assert_eq!(kinds.collect::<Vec<_>>(), ["events", "statuses", "heartbeats"], "{early:#}");
        let first = &early["services"][0]["spans"][0];
        assert!(night.second(&first["from"]) >= -3602.0, "{first:#}");
        assert!(early["services"].as_array().unwrap().iter().all(|service| {
            service["spans"].as_array().unwrap().iter().all(|span| span["verdict"] != "lost")
        }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_past_of_which_little_is_stored_is_read_soon() {
    on_each_server_of_a_night(|night, server| {
        let (from, to) = ("1995-01-01T00:00:00Z", night.at(LENGTH).to_rfc3339());
        let args =
            ["report", "--since", from, "--until", &to, "--timeout", "60s", "--format", "json"];
        let report = tcsctl::at(&server.url(), &args).expect(0).json();
        let incidents = report["incidents"].as_array().unwrap();
        let found = |truth: &&Truth| incidents.iter().any(|incident| is(&night, truth, incident));
        assert_eq!(night.truths.iter().filter(found).count(), night.truths.len(), "{incidents:#?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_cannot_be_is_refused() {
    let server = Server::start(&nats::server()).await;
    let args = ["timeline", "--since", "1h", "--until", "2h"];
    let refused = tcsctl::at(&server.url(), &args).expect(2);
    assert!(refused.err.contains("`until` is not after `since`"), "{refused:#?}");
    let args = ["report", "--since", "2999-01-01 00:00"];
    let refused = tcsctl::at(&server.url(), &args).expect(2);
    assert!(refused.err.contains("not in the past"), "{refused:#?}");
}
