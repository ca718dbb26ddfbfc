//! How a notification is sent: as a POST, as an event of `PagerDuty`, by a program.

use std::process::Stdio;
use std::time::Duration;

use hyper::Method;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tcs_alarms::{Failure, Notification, Severity, Why};
use tcs_core::wire::text::one_line;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::http::Request;
use tcs_alarms::settings::{Channel, Form, Pagerduty, Webhook};

/// A program that takes longer has failed.
const EXEC_LIMIT: Duration = Duration::from_secs(10);
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// Sends it by this channel; the error names no secret.
pub(super) async fn send(channel: &Channel, notification: &Notification) -> Result<(), Failure> {
    let is_of_alarms = match channel {
        Channel::Webhook(webhook) => webhook.form == Form::Alertmanager,
        Channel::Pagerduty(_) => true,
        Channel::Exec(_) => false,
    };
    if notification.why == Why::Report && is_of_alarms {
        return Err("this channel accepts alarms only".into());
    }
    match channel {
        Channel::Webhook(webhook) => posted(webhook, notification)?.send().await,
        Channel::Pagerduty(pagerduty) => event(pagerduty, notification)?.send().await,
        Channel::Exec(words) => exec(words, notification, EXEC_LIMIT).await,
    }
}

/// What happened, in one line: `critical: failed/guider.main is active: exit code 3`.
fn title(notification: &Notification) -> String {
    let Notification { severity, rule, object, state, .. } = notification;
    if notification.why == Why::Report {
        return notification.message.clone().unwrap_or_default();
    }
    let what = match notification.why {
        Why::Cleared => "is over",
        Why::Chatter => "comes and goes",
        Why::Escalation => "is still active",
        Why::ShelfEnded => "is active, its shelf ended",
        Why::Digest | Why::Report => "",
        Why::Test => "is a test",
        Why::Raised | Why::Severity | Why::ChatterEnded | Why::CauseEnded | Why::Unacknowledged => {
            state
        }
    };
    let repeat = if notification.may_repeat { " (may repeat)" } else { "" };
    let head = format!("{severity}: {rule}/{object} {what}").trim_end().to_owned();
    match &notification.message {
        Some(message) => format!("{head}: {message}{repeat}"),
        None => format!("{head}{repeat}"),
    }
}

fn posted(webhook: &Webhook, notification: &Notification) -> Result<Request, String> {
    let mut headers: Vec<(String, String)> =
        webhook.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    let body = match webhook.form {
        Form::Json => {
            add("Content-Type", "application/json".to_owned());
            json_of(&notification)?
        }
        Form::Alertmanager => {
            add("Content-Type", "application/json".to_owned());
            json_of(&alertmanager(notification))?
        }
        Form::Ntfy => {
            add(
                "Title",
                match notification.why {
                    Why::Report => one_line(&title(notification)),
                    _ => format!("{}/{}", notification.rule, one_line(&notification.object)),
                },
            );
            add("Priority", priority(notification).to_owned());
            notification.help.iter().for_each(|help| add("Click", one_line(help)));
            notification.text.clone().unwrap_or_else(|| title(notification)).into_bytes()
        }
    };
    Ok(Request { method: Method::POST, url: webhook.url.clone(), headers, body })
}

fn json_of(value: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

/// By ntfy's words.
const fn priority(notification: &Notification) -> &'static str {
    match (notification.why, notification.severity) {
        (Why::Cleared, _) | (_, Severity::Info) => "low",
        (_, Severity::Warning) => "default",
        (_, Severity::Critical) => "urgent",
    }
}

/// One alert: its labels are the same for all notifications of an alarm, so that the end of it
/// resolves what its raise has begun.
fn alertmanager(notification: &Notification) -> Value {
    let mut alert = json!({
        "labels": {
            "alertname": notification.rule,
            "service": notification.object,
            "severity": notification.severity,
        },
        "annotations": {"summary": title(notification), "episode": notification.episode},
        "startsAt": notification.episode.raised.time(),
    });
    if notification.why == Why::Cleared {
        alert["endsAt"] = json!(notification.since);
    }
    if let Some(help) = &notification.help {
        alert["generatorURL"] = json!(help);
    }
    json!([alert])
}

fn event(pagerduty: &Pagerduty, notification: &Notification) -> Result<Request, String> {
    let action = if notification.why == Why::Cleared { "resolve" } else { "trigger" };
    let summary: String = title(notification).chars().take(1024).collect();
    let event = json!({
        "routing_key": pagerduty.key,
        "event_action": action,
        "dedup_key": notification.episode,
        "payload": {
            "summary": summary,
            "source": notification.host.as_deref().unwrap_or(&notification.object),
            "severity": notification.severity,
            "timestamp": notification.since,
            "component": notification.object,
            "class": notification.rule,
            "custom_details": notification,
        },
    });
    let url = match &pagerduty.url {
        Some(url) => url.clone(),
        None => PAGERDUTY.parse().map_err(str::to_owned)?,
    };
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Ok(Request { method: Method::POST, url, headers, body: json_of(&event)? })
}

/// `{severity}` and the like, replaced in one pass: what is put in is not read again.
fn filled(word: &str, notification: &Notification) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let value = after.split_once('}').and_then(|(name, tail)| {
            let value = match name {
                "severity" => notification.severity.to_string(),
                "alarm" => notification.episode.alarm.to_string(),
                "episode" => notification.episode.to_string(),
                "rule" => notification.rule.clone(),
                "service" => notification.object.clone(),
                "state" => notification.state.to_owned(),
                "message" => title(notification),
                _ => return None,
            };
            Some((one_line(&value), tail))
        });
        let (value, tail) = value.unwrap_or(("{".to_owned(), after));
        text.push_str(&value);
        rest = tail;
    }
    text + rest
}

/// Runs a program with the notification as JSON on its standard input. There is no shell. It has a
/// process group of its own: one that takes longer than `limit` is killed with all that it started.
async fn exec(
    words: &[String],
    notification: &Notification,
    limit: Duration,
) -> Result<(), Failure> {
    let (program, arguments) = words.split_first().ok_or("no program is named")?;
    let mut child = Command::new(program)
        .args(arguments.iter().map(|word| filled(word, notification)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let group = Group::of(&child);
    let body = json_of(notification)?;
    let ended = async {
        if let Some(mut input) = child.stdin.take() {
            // whoever does not read it may have enough in its arguments
            input.write_all(&body).await.ok();
        }
        child.wait().await
    };
    let status = tokio::time::timeout(limit, ended)
        .await
        .map_err(|_| {
            Failure::without_answer(format!("{program}: still running after {} s", limit.as_secs()))
        })?
        .map_err(|error| format!("{program}: {error}"))?;
    group.leave();
    if status.success() { Ok(()) } else { Err(format!("{program}: {status}").into()) }
}

/// The process group of a program that runs: it is killed where nobody waits for its end.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// The program has ended by itself; what it has left running is meant to run.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // its leader has not been waited for: the number is still its own
        if let Some(group) = self.0 {
            killpg(group, Signal::SIGKILL).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(why: Why) -> Notification {
        let raised = "2026-11-23T02:13:04Z".parse().unwrap();
        let mut it = Notification::unreachable("chat", raised).unwrap();
        (it.why, it.may_repeat, it.message) = (why, false, Some("a\nb\u{202e} {rule}".to_owned()));
        it
    }

    #[test]
    fn words_are_replaced_once_and_in_one_line() {
        let fill = |word: &str| filled(word, &notification(Why::Raised));
        assert_eq!(fill("--severity={severity}"), "--severity=critical");
        assert_eq!(fill("{alarm} {odd} {"), "broker_unreachable/_broker {odd} {");
        let message = "critical: broker_unreachable/_broker active: a\\nb\\u{202e} {rule}";
        assert_eq!(fill("{message}"), message);
    }

    #[test]
    fn the_end_resolves_what_the_raise_began() {
        let raise = alertmanager(&notification(Why::Raised));
        let clear = alertmanager(&notification(Why::Cleared));
        assert_eq!(raise[0]["labels"], clear[0]["labels"]);
        assert!(raise[0]["endsAt"].is_null() && clear[0]["endsAt"].is_string());
        let pagerduty = Pagerduty { key: "k".to_owned(), url: None };
        let event = |why| -> Value {
            let request = super::event(&pagerduty, &notification(why)).unwrap();
            serde_json::from_slice(&request.body).unwrap()
        };
        let (raise, clear) = (event(Why::Raised), event(Why::Cleared));
        assert_eq!(raise["dedup_key"], clear["dedup_key"]);
        assert_eq!(
            (&raise["event_action"], &clear["event_action"]),
            (&"trigger".into(), &"resolve".into())
        );
    }

    #[tokio::test]
    async fn a_program_gets_the_notification_and_its_failure_is_one() {
        let run = |script: &str| {
            let words = ["sh", "-c", script, "{severity}"].map(str::to_owned);
            async move { exec(&words, &notification(Why::Raised), EXEC_LIMIT).await }
        };
        assert_eq!(run(r#"grep -q '"why":"raised"' && test "$0" = critical"#).await, Ok(()));
        assert!(run("exit 3").await.unwrap_err().error.contains("exit status: 3"));
        let missing = exec(&["/no/such".to_owned()], &notification(Why::Raised), EXEC_LIMIT).await;
        assert!(missing.unwrap_err().error.starts_with("/no/such: "));
        assert!(exec(&[], &notification(Why::Raised), EXEC_LIMIT).await.is_err());
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid").display().to_string();
        let script = "sleep 1000 & echo $! > \"$0.new\"; mv \"$0.new\" \"$0\"; wait";
        let words = ["sh", "-c", script, &file].map(str::to_owned);
        let raised = notification(Why::Raised);
        let mut limit = Duration::from_millis(500);
        // on a busy machine the shell needs longer to begin
        let pid = loop {
            let error = exec(&words, &raised, limit).await.unwrap_err();
            assert!(
                error.may_have_arrived && error.error.contains("still running after"),
                "{error}"
            );
            if let Ok(pid) = std::fs::read_to_string(&file) {
                break pid;
            }
            limit *= 2;
        };
        let stat = format!("/proc/{}/stat", pid.trim());
        let has_ended = || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
        };
        for _ in 0..1000 {
            if has_ended() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{}", std::fs::read_to_string(&stat).unwrap());
    }
}
