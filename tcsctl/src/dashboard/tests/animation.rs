//! A film: a service crashes, the operator asks why, and restarts it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tcs_present::why::Material;

use super::fixture::{Messages, night, observatory, state};
use super::svg::{Frame, animation};
use super::{buffer, press};
use crate::dashboard::event::{Action, Event, Heard, Reply};
use crate::dashboard::state::State;

const SIZE: (u16, u16) = (110, 32);
const LAUNCHER: &str = "launcher.Kx1xDO.srv01-process-launcher";
const ID: &str = "filterwheel.jk15";

/// A state, and the messages that it has heard.
struct Film {
    state: State,
    now: DateTime<Utc>,
    frames: Vec<Frame>,
    heard: Vec<std::sync::Arc<tcs_core::observer::Observed>>,
}

impl Film {
    fn shot(&mut self, caption: &'static str, seconds: f32) {
        self.state.update(Event::Tick, self.now);
        self.state.settle(self.now);
        self.frames.push(Frame { buffer: buffer(&self.state), caption, seconds });
    }

    /// So many seconds later; what beats goes on beating.
    fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    fn event(&mut self, event: &str, more: Value) {
        let ago = (night() - self.now).num_milliseconds() as f64 / 1000.0;
        let mut data = json!({"event": event, "service_id": ID, "parent": LAUNCHER,
            "hostname": "srv01.oca.lan"});
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        let mut messages = Messages::default();
        messages.send(ago, &format!("registry.{event}.{ID}"), data);
        let news = messages.take();
        self.heard.extend(news.iter().cloned());
        let news = news.into_iter().map(Heard::Message).collect();
        self.state.update(Event::Heard(news), self.now);
        self.state.settle(self.now);
    }

    fn keys(&mut self, keys: &str) -> Vec<Action> {
        let now = self.now;
        let mut actions = Vec::new();
        for key in keys.split_whitespace() {
            actions.extend(self.state.update(Event::Key(key.parse().unwrap()), now));
            self.state.settle(now);
        }
        actions
    }
}

/// The picture.
pub(super) fn film() -> String {
    let heard = observatory();
    let mut film = Film {
        state: state(heard.clone(), SIZE, night()),
        now: night(),
        frames: Vec::new(),
        heard,
    };
    // the services that are well
    press(&mut film.state, "/ h o s t : s r v 0 1 Enter");
    film.shot("02:13  a night on srv01", 3.0);
    film.pass(2);
    let crash = json!({"exit_code": 3, "will_restart": false, "uptime_seconds": 11_402.0,
        "error": "SerialTimeout: /dev/ttyUSB0 did not answer", "details": {"last_lines": [
            "moving to B", "no answer from /dev/ttyUSB0, trying again",
            "SerialTimeout: /dev/ttyUSB0 did not answer"]}});
    film.event("crashed", crash);
    film.event("failed", json!({"reason": "restart_disabled", "restart_count": 0}));
    film.shot("a service crashes: it stands at the top, with its cause", 4.0);
    film.keys("Esc");
    while film.state.chosen().is_none_or(|it| &*it.id != ID) {
        film.keys("n");
    }
    film.pass(4);
    let actions = film.keys("W");
    if let Some(Action::Explain(subject)) = actions.into_iter().next() {
        let own = |it: &&std::sync::Arc<tcs_core::observer::Observed>| it.subject.ends_with(ID);
        let told = |it: &std::sync::Arc<tcs_core::observer::Observed>| {
            (it.subject.clone(), it.decoded.clone(), it.stamp)
        };
        let material = Material {
            own: film.heard.iter().filter(own).map(told).collect(),
            around: film.heard.iter().map(told).collect(),
            ..Material::default()
        };
        film.state.update(Event::Explained(subject, Ok(Box::new(material))), film.now);
    }
    film.shot("W  why?  how it ended, what else happened, what to type next", 7.0);
    film.pass(3);
    film.keys("Esc r");
    film.shot("Esc r  restart it: the question says what it affects", 3.5);
    let actions = film.keys("y");
    film.shot("y  its launcher is asked", 1.5);
    film.pass(2);
    film.event("start", json!({"pid": 9120}));
    film.event("ready", json!({"startup_duration_seconds": 0.6}));
    let ago = (night() - film.now).num_milliseconds() as f64 / 1000.0;
    let mut messages = Messages::default();
    messages.send(
        ago,
        &format!("status.{ID}"),
        json!({"name": ID, "status": "ok", "message": "B",
        "pid": 9120, "hostname": "srv01.oca.lan", "parent": LAUNCHER}),
    );
    messages.send(
        ago,
        &format!("heartbeat.{ID}"),
        json!({"service_id": ID, "status": "ok",
        "interval_seconds": 10.0}),
    );
    let news = messages.take().into_iter().map(Heard::Message).collect();
    film.state.update(Event::Heard(news), film.now);
    for action in actions {
        if let Action::Request(request) = action {
            let outcome = Ok("restarted, pid 9120".to_owned());
            let took = TimeDelta::milliseconds(640);
            film.state.update(Event::Reply(Reply { request, outcome, took }), film.now);
        }
    }
    film.shot("it runs again, 9 s after the crash", 4.0);
    animation(&film.frames, "a crash, why, and the restart")
}
