//! The settings of `type: report` (`docs/spec/history.md#report`).

use chrono::NaiveTime;
use serde::Deserialize;

use crate::rules::ChannelName;
use crate::span::Span;

/// A report that a service writes.
#[derive(Debug, Clone, Deserialize)]
pub struct ReportSettings {
    /// Folder that it is written to.
    pub folder: String,
    /// When the period begins.
    #[serde(default = "half_a_day")]
    pub since: PeriodEdge,
    /// When it ends; now by default.
    #[serde(default)]
    pub until: Option<PeriodEdge>,
    /// In what form.
    #[serde(default)]
    pub format: ReportForm,
    /// A channel of the sentinels by which it is sent too.
    #[serde(default)]
    pub send: Option<ChannelName>,
}

/// An end of a period that comes again each day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum PeriodEdge {
    /// That long ago.
    Ago(Span),
    /// The last time at which the clock showed this, in UTC.
    Clock(NaiveTime),
}

const fn half_a_day() -> PeriodEdge {
    PeriodEdge::Ago(Span::seconds(12 * 3600))
}

impl TryFrom<String> for PeriodEdge {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let clock = NaiveTime::parse_from_str(&text, "%H:%M").map(Self::Clock);
        clock.or_else(|_| text.parse().map(Self::Ago)).map_err(|_| {
            format!("`{}` is not a time\nhint: write \"20:00\" or 12h", text.escape_debug())
        })
    }
}

/// In what form a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportForm {
    /// One file that a browser shows.
    #[default]
    Html,
    /// Markdown.
    Md,
    /// Plain text.
    Text,
    /// `tcsctl.report.v1`.
    Json,
}
