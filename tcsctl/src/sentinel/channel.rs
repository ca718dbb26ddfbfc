//! How a notification is sent: as a POST, as an event of `PagerDuty`, by a program.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tcs_alarms::{Notification, Severity, Why};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::http::Request;
use super::settings::{Channel, Form, Pagerduty, Webhook};

/// A program that takes longer has failed.
const EXEC_LIMIT: Duration = Duration::from_secs(10);
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

impl Channel {
    /// Sends it; the error names no secret.
    pub(super) async fn send(&self, notification: &Notification) -> Result<(), String> {
        match self {
            Self::Webhook(webhook) => webhook.request(notification)?.send().await,
            Self::Pagerduty(pagerduty) => pagerduty.request(notification)?.send().await,
            Self::Exec(words) => exec(words, notification).await,
        }
    }
}

/// What happened, in one line: `critical: failed/guider.main is active: exit code 3`.
fn title(notification: &Notification) -> String {
    let Notification { severity, rule, object, state, .. } = notification;
    let what = match notification.why {
        Why::Cleared => "is over",
        Why::Chatter => "comes and goes",
        Why::Escalation => "is still active",
        Why::ShelfEnded => "is active, its shelf ended",
        Why::Digest => "",
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

/// In a header or an argument there are no line breaks.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Webhook {
    fn request(&self, notification: &Notification) -> Result<Request, String> {
        let mut headers: Vec<(String, String)> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        let body = match self.form {
            Form::Json => {
                add("Content-Type", "application/json".to_owned());
                json_of(&notification)?
            }
            Form::Alertmanager => {
                add("Content-Type", "application/json".to_owned());
                json_of(&alertmanager(notification))?
            }
            Form::Ntfy => {
                add("Title", format!("{}/{}", notification.rule, one_line(&notification.object)));
                add("Priority", priority(notification).to_owned());
                notification.help.iter().for_each(|help| add("Click", one_line(help)));
                title(notification).into_bytes()
            }
        };
        Ok(Request { method: "POST", url: self.url.clone(), headers, body })
    }
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

impl Pagerduty {
    fn request(&self, notification: &Notification) -> Result<Request, String> {
        let action = if notification.why == Why::Cleared { "resolve" } else { "trigger" };
        let summary: String = title(notification).chars().take(1024).collect();
        let event = json!({
            "routing_key": self.key,
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
        let url = match &self.url {
            Some(url) => url.clone(),
            None => PAGERDUTY.parse().map_err(str::to_owned)?,
        };
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Ok(Request { method: "POST", url, headers, body: json_of(&event)? })
    }
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

/// Runs a program with the notification as JSON on its standard input. There is no shell.
async fn exec(words: &[String], notification: &Notification) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("no program is named")?;
    let mut child = Command::new(program)
        .args(arguments.iter().map(|word| filled(word, notification)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let body = json_of(notification)?;
    let ended = async {
        if let Some(mut input) = child.stdin.take() {
            // whoever does not read it may have enough in its arguments
            input.write_all(&body).await.ok();
        }
        child.wait().await
    };
    let status = tokio::time::timeout(EXEC_LIMIT, ended)
        .await
        .map_err(|_| format!("{program}: still running after {} s", EXEC_LIMIT.as_secs()))?
        .map_err(|error| format!("{program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program}: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(why: Why) -> Notification {
        let raised = "2026-11-23T02:13:04Z".parse().unwrap();
        let mut it = Notification::unreachable("chat", raised).unwrap();
        (it.why, it.may_repeat, it.message) = (why, false, Some("a\nb {rule}".to_owned()));
        it
    }

    #[test]
    fn words_are_replaced_once_and_in_one_line() {
        let fill = |word: &str| filled(word, &notification(Why::Raised));
        assert_eq!(fill("--severity={severity}"), "--severity=critical");
        assert_eq!(fill("{alarm} {odd} {"), "broker_unreachable/_broker {odd} {");
        let message = "critical: broker_unreachable/_broker active: a b {rule}";
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
            let request = pagerduty.request(&notification(why)).unwrap();
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
            async move { exec(&words, &notification(Why::Raised)).await }
        };
        assert_eq!(run(r#"grep -q '"why":"raised"' && test "$0" = critical"#).await, Ok(()));
        assert!(run("exit 3").await.unwrap_err().contains("exit status: 3"));
        let missing = exec(&["/no/such".to_owned()], &notification(Why::Raised)).await;
        assert!(missing.unwrap_err().starts_with("/no/such: "));
        assert!(exec(&[], &notification(Why::Raised)).await.is_err());
    }
}
