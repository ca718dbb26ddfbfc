//! What is decided before the dashboard starts.

use chrono::{DateTime, Utc};
use tcs_core::fleet::Filter;
use tcs_present::Times;

use crate::cli::moment::{self, Moment, PointInTime};
use crate::dashboard::bell::Bell;
use crate::dashboard::keymap::Keymap;
use crate::dashboard::theme::ThemeName;

/// What is decided before it starts.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where: site, context or server, for the header.
    pub site: String,
    /// How the connection is said on a command line: `["--host", "nats.oca.lan"]`.
    pub connection: Vec<String>,
    /// The filter to begin with.
    pub filter: Filter,
    /// Show the stopped too.
    pub all: bool,
    /// Nothing may be operated.
    pub read_only: bool,
    /// ASCII only.
    pub ascii: bool,
    /// How times are written.
    pub times: Times,
    /// Use colours.
    pub colour: bool,
    /// The theme to begin with.
    pub theme: ThemeName,
    /// Take the mouse.
    pub mouse: bool,
    /// Which key does what.
    pub keymap: Keymap,
    /// How a new alarm is told beside what is drawn.
    pub bell: Bell,
    /// Who acts on alarms: `user@host`.
    pub operator: String,
    /// The past moment to begin with.
    pub at: Option<Moment>,
    /// What a moment as typed means.
    pub moments: Moments,
}

/// Says which past instant a moment as typed is, seen at `now`; the zone of its clock is in it.
#[derive(Debug, Clone, Copy)]
pub struct Moments(pub fn(Moment, DateTime<Utc>) -> Result<PointInTime, String>);

impl Default for Moments {
    fn default() -> Self {
        Self(|moment, now| moment.past(now, false))
    }
}

impl Moments {
    /// By this machine's zone, or by UTC.
    pub fn new(local: bool) -> Self {
        if local { Self(|moment, now| moment.past(now, true)) } else { Self::default() }
    }

    /// The past instant that this is.
    ///
    /// # Errors
    /// It is none, or not of the past; in one line.
    pub fn past(self, moment: Moment, now: DateTime<Utc>) -> Result<PointInTime, String> {
        (self.0)(moment, now).map_err(|why| why.replace("\nhint: ", "; "))
    }

    /// The same of what is typed.
    ///
    /// # Errors
    /// It is no moment, or not of the past.
    pub fn read(self, text: &str, now: DateTime<Utc>) -> Result<PointInTime, String> {
        self.past(moment::moment(text)?, now)
    }
}
