//! The order of starts, as it is printed.

use serde_json::json;
use tcs_core::fleet::graph::Graph;
use tcs_present::graph::{Document, Shown};
use tcs_present::{Look, touched};

use super::site::Site;

const LAUNCHER: &str = "launcher.L.srv01-process-launcher";

fn declare(site: &mut Site, id: &str, after: &[&str]) {
    let declared = json!({"declared": {"enabled": true, "after": after}});
    site.event(id, "declared", LAUNCHER, declared, 500);
}

fn start(site: &mut Site, id: &str, ago: i64, took: i64) {
    site.event(id, "start", LAUNCHER, json!({"hostname": "srv01", "pid": 7}), ago);
    let ready = json!({"startup_duration_seconds": took});
    site.event(id, "ready", LAUNCHER, ready, ago - took);
}

fn site() -> Site {
    let mut site = Site::default();
    declare(&mut site, "power.a", &[]);
    declare(&mut site, "camera.a", &["power.a"]);
    declare(&mut site, "dome.a", &["power.a"]);
    declare(&mut site, "guider.a", &["camera.a", "dome.a"]);
    declare(&mut site, "focus.a", &["guider.a"]);
    declare(&mut site, "lamp.a", &[]);
    start(&mut site, "power.a", 400, 2);
    start(&mut site, "camera.a", 398, 41);
    start(&mut site, "dome.a", 398, 3);
    start(&mut site, "guider.a", 357, 1);
    start(&mut site, "lamp.a", 300, 1);
    site.says(LAUNCHER, "ok", "", None, 500);
    for id in [LAUNCHER, "power.a", "camera.a", "dome.a", "guider.a", "lamp.a"] {
        site.beats(id, "ok", 3);
    }
    site.event("focus.a", "waiting", LAUNCHER, json!({"waiting_for": ["guider.a"]}), 20);
    site
}

#[test]
fn a_tree_and_the_critical_chain() {
    let view = site().view();
    let graph = Graph::of(&view);
    let all = Shown::new(&view, &graph, |_| true);
    let text = |shown: &Shown<'_>, look: &Look| {
        shown.lines(look).iter().map(|line| line.plain() + "\n").collect::<String>()
    };
    insta::assert_snapshot!("graph_text", text(&all, &Look::default()));
    insta::assert_snapshot!("graph_mermaid", all.mermaid());
    insta::assert_snapshot!(
        "graph_json",
        serde_json::to_string_pretty(&Document::new(&all)).unwrap()
    );
    let narrow = Look { width: Some(24), ..Look::default() };
    assert!(text(&all, &narrow).lines().all(|line| tcs_present::text::width(line) <= 24));
    let some = Shown::new(&view, &graph, |service| &*service.id == "dome.a");
    assert!(!text(&some, &Look::default()).contains("camera.a"));
}

#[test]
fn names_are_no_markup_in_mermaid() {
    let mut site = Site::default();
    declare(&mut site, "a\"]-->x<b>.a", &[]);
    declare(&mut site, "b.a", &["a\"]-->x<b>.a"]);
    let view = site.view();
    let graph = Graph::of(&view);
    let text = Shown::new(&view, &graph, |_| true).mermaid();
    let line = text.lines().nth(1).unwrap();
    assert_eq!(line.matches('"').count(), 2, "{text}");
    assert!(!line.contains("<b>"), "{text}");
}

#[test]
fn an_end_names_what_is_started_after_it_but_not_what_ends_too() {
    let view = site().view();
    let get = |id: &str| view.get(id).unwrap();
    let text = |ids: &[&str]| {
        let services: Vec<_> = ids.iter().map(|id| get(id)).collect();
        let lines = touched::lines_of_end(&view, &services, &Look::default());
        lines.iter().map(|line| line.plain() + "\n").collect::<String>()
    };
    assert!(
        text(&["power.a"])
            .contains("camera.a, dome.a, guider.a are started after it and keep running")
    );
    let two = text(&["power.a", "camera.a"]);
    assert!(two.contains("dome.a, guider.a are started after it"), "{two}");
    assert!(two.contains("guider.a is started after it and keeps running"), "{two}");
    assert!(!text(&["guider.a"]).contains("started after"), "what waits does not run");
}

#[test]
fn what_has_changed_since_the_question_is_told() {
    use touched::{Standing, changes};
    let view = site().view();
    let standing = |view: &tcs_core::fleet::FleetView, ids: &[&str]| {
        let services: Vec<_> = ids.iter().map(|id| view.get(id).unwrap()).collect();
        Standing::of(view, &services, true)
    };
    let before = standing(&view, &["camera.a", "dome.a"]);
    assert!(changes(&before, &standing(&site().view(), &["camera.a", "dome.a"])).is_empty());
    let mut later = site();
    start(&mut later, "camera.a", 2, 1);
    later.beats("camera.a", "ok", 1);
    later.event("dome.a", "stop", LAUNCHER, json!({"reason": "terminated"}), 2);
    let later = later.view();
    assert_eq!(
        changes(&before, &standing(&later, &["camera.a", "dome.a"])),
        ["camera.a was restarted", "dome.a was running, is stopped now"]
    );
    assert_eq!(
        changes(&before, &standing(&later, &["dome.a", "lamp.a"])),
        [
            "camera.a can no longer be asked",
            "dome.a was running, is stopped now",
            "lamp.a is now included"
        ]
    );
    // somebody starts what depends on it
    let before = standing(&view, &["guider.a"]);
    let mut later = site();
    start(&mut later, "focus.a", 2, 1);
    later.beats("focus.a", "ok", 1);
    assert_eq!(
        changes(&before, &standing(&later.view(), &["guider.a"])),
        ["guider.a now affects other services"]
    );
}
