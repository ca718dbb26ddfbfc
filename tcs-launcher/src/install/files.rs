//! The texts of the files that an installation writes.

use std::path::{Path, PathBuf};

use super::{Layout, Passwords};

pub(super) const SERVICES: &str = include_str!("services.yaml");
pub(super) const CAMERAS: &str = include_str!("tcsd-drop-ins/cameras.conf");
pub(super) const LAUNCH_USER: &str = include_str!("tcsd-drop-ins/launch-user.conf");

const UNIT: &str = include_str!("tcsd.service");
const USER_UNIT: &str = include_str!("tcsd-user.service");
const BROKER_UNIT: &str = include_str!("tcs-nats.service");
const USER_BROKER_UNIT: &str = include_str!("tcs-nats-user.service");
const BROKER: &str = include_str!("nats-server.conf");

const URL: &str = "nats://127.0.0.1:4222";

/// The unit of `tcsd`.
pub(super) fn unit(user: bool, program: &Path, layout: &Layout) -> String {
    let text = if user { USER_UNIT } else { UNIT };
    text.replace("CONFIG", &word(&layout.config))
        .replace("STATE\n", &format!("{}\n", word(&layout.state)))
        .replace("/usr/bin/tcsd", &word(program))
}

/// Whether an installation wrote this unit.
pub(super) fn is_own_unit(text: &str) -> bool {
    text.lines().take_while(|line| line.starts_with('#')).any(|line| line.contains("`tcsd install"))
}

/// What a unit starts.
pub(super) fn program_of(unit: &str) -> Option<PathBuf> {
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    Some(command.split_whitespace().next()?.replace("%%", "%").into())
}

/// The unit of the broker.
pub(super) fn broker_unit(user: bool, program: &Path, config: &Path) -> String {
    let text = if user { USER_BROKER_UNIT } else { BROKER_UNIT };
    text.replace("CONFIG", &word(config)).replace("/usr/sbin/nats-server", &word(program))
}

/// A path as systemd reads it: `%` is its own mark.
fn word(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// The configuration of the broker: the sample with its own store and with passwords in place of
/// variables.
pub(super) fn broker(store: &Path, passwords: &Passwords) -> String {
    let mut text = BROKER.replace("/var/lib/nats", &store.display().to_string());
    for (variable, password) in [
        ("$TCS_LAUNCHER_PASSWORD", &passwords.launcher),
        ("$TCS_SERVICE_PASSWORD", &passwords.service),
        ("$TCS_OPERATOR_PASSWORD", &passwords.operator),
        ("$TCS_VIEWER_PASSWORD", &passwords.viewer),
    ] {
        text = text.replace(variable, &format!("\"{password}\""));
    }
    // how to set what is set now
    let start = text.find("# Passwords come from the environment").unwrap_or_default();
    let end = text.find("# One user per person").unwrap_or(start);
    text.replace_range(start..end, "# `tcsd install` has generated the passwords.\n#\n");
    text
}

/// A file of variables for systemd and shells.
pub(super) fn environment(user: &str, password: &str) -> String {
    format!("NATS_URL={URL}\nNATS_USER={user}\nNATS_PASSWORD={password}\n")
}

/// A `nats` context: `tcsctl --context FILE`.
pub(super) fn context(user: &str, password: &str) -> String {
    format!("{{\"url\": \"{URL}\", \"user\": \"{user}\", \"password\": \"{password}\"}}\n")
}

/// The password in a text of [`environment`]; `None`: it is another text.
pub(super) fn password_of(text: &str, user: &str) -> Option<String> {
    let password = text.lines().find_map(|line| line.strip_prefix("NATS_PASSWORD="))?;
    (environment(user, password) == text).then(|| password.to_owned())
}

/// The password of a user in a file made by [`context`].
pub(super) fn password_of_context(text: &str, user: &str) -> Option<String> {
    let password = text.split("\"password\": \"").nth(1)?.split('"').next()?;
    (context(user, password) == text).then(|| password.to_owned())
}
