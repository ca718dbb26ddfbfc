//! How a service ended, in words: the same for every reader.

use super::Crashed;

impl Crashed {
    /// Why it crashed, in one line: the error, or the last line of its output, with the exit code
    /// or the signal; these alone where nothing else is known.
    /// `SerialTimeout: /dev/ttyUSB0 did not answer (exit 3)`
    pub fn headline(&self) -> String {
        let by_signal = self.exit_code.filter(|code| *code < 0);
        let mut signal = self.signal.clone().or_else(|| by_signal.map(how_ended));
        if self.core_dumped == Some(true)
            && let Some(signal) = &mut signal
        {
            signal.push_str(", core dumped");
        }
        // one that was killed has not written why
        let killed = signal.as_deref().is_some_and(|name| name.starts_with("SIGKILL"));
        let output = self.last_lines.iter().rev().filter(|_| !killed).map(String::as_str);
        let text = self.error.as_deref().into_iter().flat_map(str::lines).chain(output);
        let text = text.map(str::trim).find(|line| !line.is_empty());
        match (text, signal, self.exit_code) {
            (Some(text), Some(signal), _) => format!("{text} ({signal})"),
            // a text that carries its exit code names it
            (Some(text), None, Some(code)) if text.ends_with(&how_ended(code)) => text.to_owned(),
            (Some(text), None, Some(code)) if code != 0 => format!("{text} (exit {code})"),
            (Some(text), None, _) => text.to_owned(),
            (None, Some(signal), _) => signal,
            (None, None, Some(code)) => how_ended(code),
            (None, None, None) => "cause unknown".to_owned(),
        }
    }
}

/// An exit code in words, where a negative one is a signal: `exit code 3`, `SIGTERM`.
pub fn how_ended(code: i32) -> String {
    match code.checked_neg().filter(|number| *number > 0) {
        Some(number) => {
            signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
        }
        None => format!("exit code {code}"),
    }
}

/// Why a launcher has given up a service, in words: `restart limit reached (2 in 30 s), giving up`.
/// `window` is in seconds.
pub fn gave_up(reason: Option<&str>, restarts: Option<u32>, window: Option<f64>) -> String {
    let why = match reason {
        None => return "giving up".to_owned(),
        // a launcher's own words, not a code
        Some(reason) if reason.contains(char::is_whitespace) => {
            return format!("not started: {reason}");
        }
        Some(reason) => reason.replace('_', " "),
    };
    match (restarts, window) {
        (Some(restarts @ 1..), Some(window)) => {
            format!("{why} ({restarts} in {window} s), giving up")
        }
        (Some(restarts @ 1..), None) => format!("{why} ({restarts} restarts), giving up"),
        (Some(0) | None, _) => format!("{why}, giving up"),
    }
}

/// The names of Linux signals, from 1: tables of a system do not say what a launcher elsewhere meant.
const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The name of a signal by its number.
pub fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}
