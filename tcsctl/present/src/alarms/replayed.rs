//! What `tcsctl alarms replay` found, as lines and as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_alarms::{Digest, Raised, Replayed, Told, Why};
use tcs_fleet::format_duration;

use super::super::schema::SeverityWord;
use super::super::timeline::{GapEntry, gap_text};
use super::{Line, Look, Role, role, text};

/// Cells of an alarm's name; what is longer moves the rest of its own line.
const WIDEST: usize = 40;

/// A line for each raise, the gaps of the record, and the sums.
pub fn replayed(found: &Replayed, look: &Look) -> Vec<Line> {
    let widths = found.raises.iter().map(|it| text::width(&name(it)));
    let width = widths.max().unwrap_or_default().min(WIDEST);
    let mut lines: Vec<Line> =
        found.raises.iter().map(|it| raise(it, found, width, look)).collect();
    let dim = |text: &str| Line::new().with(Role::Dim, text);
    if !lines.is_empty() {
        lines.push(Line::new());
    }
    if found.more > 0 {
        lines.push(dim(&format!("{} more are not listed", text::count(found.more, "raise"))));
    }
    for gap in &found.gaps {
        lines.push(dim(&gap_text(gap, found.to, look)));
    }
    lines.extend(sums(found));
    lines
}

fn name(raised: &Raised) -> String {
    text::shown(&raised.alarm.to_string()).into_owned()
}

/// `2026-11-23 02:13:05  critical  failed/guider.main  for 12 min 3 s: exit code 3; notified: chat, page`
fn raise(raised: &Raised, found: &Replayed, width: usize, look: &Look) -> Line {
    let mut line = Line::new().with(Role::Dim, &look.times.stamp(raised.at, found.to));
    let severity = raised.severity;
    line.push(role(severity), &format!("  {:8}", severity.as_str()));
    let name = name(raised);
    let pad = " ".repeat(width.saturating_sub(text::width(&name)));
    line.push(Role::Text, &format!("  {name}{pad}"));
    let lasted = match raised.ended {
        Some(ended) => format!("  for {}", format_duration(ended - raised.at)),
        None => "  still active".to_owned(),
    };
    line.push(Role::Dim, &lasted);
    if let Some(message) = &raised.message {
        line.push(Role::Text, &format!(": {message}"));
    }
    if raised.chatter {
        line.push(Role::Dim, "; comes and goes");
    }
    if let Some(cause) = &raised.cause {
        line.push(Role::Dim, &format!("; because of {cause}"));
    }
    let mut channels: BTreeMap<&str, usize> = BTreeMap::new();
    for told in raised.told.iter().filter(|told| told.why != Why::Cleared) {
        *channels.entry(&told.channel).or_default() += 1;
    }
    let times = |(channel, count): (&str, usize)| match count {
        1 => channel.to_owned(),
        count => format!("{channel} ({count} times)"),
    };
    let notified: Vec<String> = channels.into_iter().map(times).collect();
    let notified = if notified.is_empty() {
        "; not notified".to_owned()
    } else {
        format!("; notified: {}", notified.join(", "))
    };
    line.push(Role::Dim, &notified);
    line
}

fn sums(found: &Replayed) -> Vec<Line> {
    let plain = |text: &str| Line::new().with(Role::Text, text);
    let raises = found.raises.len() + found.more;
    let lasted = format_duration(found.to - found.from);
    let sent: Vec<String> =
        found.sent.iter().map(|(channel, count)| format!("{channel} {count}")).collect();
    let sent = if sent.is_empty() { "none".to_owned() } else { sent.join(", ") };
    let mut lines = vec![plain(&format!(
        "{} in {lasted}; notifications, ends and digests included: {sent}",
        text::count(raises, "raise")
    ))];
    if !found.digests.is_empty() {
        let digests = text::count(found.digests.len(), "digest");
        lines.push(plain(&format!("floods: {digests} in place of single notifications")));
    }
    lines
}

/// As JSON: `tcsctl.alarms-replay.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "alarms-replay",
    title = "What `tcsctl alarms replay --json` prints",
    description = "What rules would have raised over a past period, and who would have been notified, if nobody had \
        acknowledged or shelved anything. Times are RFC 3339 in UTC, by the broker's clock. A later version of v1 only \
        adds fields.",
    extend("$id" = "tcsctl.alarms-replay.v1")
)]
pub struct Document<'a> {
    #[schemars(extend("const" = "tcsctl.alarms-replay.v1"))]
    schema: &'static str,
    /// Servers.
    source: &'a str,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    /// In the order of time.
    raises: Vec<RaiseEntry<'a>>,
    /// Further raises that are not listed.
    more: usize,
    /// Digests sent in place of single notifications.
    digests: Vec<DigestEntry<'a>>,
    /// Notifications by channel, ends and digests included.
    notifications: &'a BTreeMap<String, usize>,
    /// Parts of the period in which the record has gaps.
    gaps: Vec<GapEntry>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReplayedRaise")]
struct RaiseEntry<'a> {
    /// `<rule>/<service id>`
    id: String,
    rule: &'a str,
    /// A service's id, or `_broker`, `_host.<name>`.
    service: &'a str,
    at: DateTime<Utc>,
    /// When its condition was over; null: it was not when the period ended.
    ended: Option<DateTime<Utc>>,
    /// The highest.
    #[schemars(with = "SeverityWord")]
    severity: &'static str,
    message: Option<&'a str>,
    /// The alarm that explains it.
    cause: Option<String>,
    /// It came and went, and was held active.
    chatter: bool,
    notified: Vec<ToldEntry<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReplayedNotification")]
struct ToldEntry<'a> {
    at: DateTime<Utc>,
    channel: &'a str,
    /// `raised`, `escalation`, `cleared`, ...
    #[schemars(with = "String")]
    why: Why,
    /// Of the escalation, from 0.
    step: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReplayedDigest")]
struct DigestEntry<'a> {
    at: DateTime<Utc>,
    channel: &'a str,
    /// Alarms that were active.
    active: usize,
}

impl<'a> Document<'a> {
    /// `source`: where it was read.
    pub fn new(found: &'a Replayed, source: &'a str) -> Self {
        let digest =
            |it: &'a Digest| DigestEntry { at: it.at, channel: &it.channel, active: it.active };
        Self {
            schema: "tcsctl.alarms-replay.v1",
            source,
            since: found.from,
            until: found.to,
            raises: found.raises.iter().map(RaiseEntry::new).collect(),
            more: found.more,
            digests: found.digests.iter().map(digest).collect(),
            notifications: &found.sent,
            gaps: found.gaps.iter().map(GapEntry::from).collect(),
        }
    }
}

impl<'a> RaiseEntry<'a> {
    fn new(raised: &'a Raised) -> Self {
        let told = |it: &'a Told| ToldEntry {
            at: it.at,
            channel: &it.channel,
            why: it.why,
            step: it.step,
        };
        Self {
            id: raised.alarm.to_string(),
            rule: raised.alarm.rule(),
            service: raised.alarm.object(),
            at: raised.at,
            ended: raised.ended,
            severity: raised.severity.as_str(),
            message: raised.message.as_deref(),
            cause: raised.cause.as_ref().map(ToString::to_string),
            chatter: raised.chatter,
            notified: raised.told.iter().map(told).collect(),
        }
    }
}
