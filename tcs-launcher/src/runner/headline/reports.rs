//! Reports of a death that runtimes print: how each begins, where it ends, and what it comes to.

use std::sync::LazyLock;

use regex::Regex;

use super::Text;

/// What a report takes and says.
pub(super) struct Report {
    pub(super) lines: usize,
    /// `None`: it is not about the end of the program.
    pub(super) headline: Option<String>,
}

macro_rules! pattern {
    ($name:ident, $pattern:literal) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($pattern).ok());
    };
}

pattern!(PANIC, r"^thread '.*' (?:\(\d+\) )?panicked at (?<rest>.*)$");
pattern!(SYNTAX, r#"^  File ".*", line \d+$"#);
pattern!(OLD_PANIC, r"^'(?<message>.*)', (?<place>\S+:\d+:\d+)$");
pattern!(EXCEPTION, r"^(?:[A-Za-z_]\w*\.)*(?<kind>[A-Za-z_]\w*)(?<rest>: .*|:?)$");
pattern!(
    ERROR_NAME,
    r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Group|Timeout|Fault|Failure)(?:: .*)?$"
);
pattern!(NUMBERED, r"^\s+(?:\d+: )?(?<text>\S.*)$");
pattern!(TERMINATE, r"^terminate called after throwing an instance of '(?<kind>.*)'$");
pattern!(IN_THREAD, r#"^Exception in thread "[^"]*" (?<rest>.*)$"#);
pattern!(
    ONE_LINE,
    r"^(?:Fatal Python error: |panic: |fatal error: |terminate called |==\d+==\s?ERROR: |\*\*\* |.*: Assertion `.*' failed\.$|(?:free|malloc|realloc|munmap_chunk|corrupted|double free)[ (].*)"
);

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

fn take<'t>(pattern: &LazyLock<Option<Regex>>, name: &str, text: &'t str) -> Option<&'t str> {
    Some(pattern.as_ref()?.captures(text)?.name(name)?.as_str())
}

const TRACEBACK: &str = "Traceback (most recent call last):";
const GROUP: &str = "+ Exception Group Traceback (most recent call last):";

/// Whether a line without a level of its own is of level ERROR, and those that belong to it too.
pub(in crate::runner) fn begins_report(text: &str) -> bool {
    let first = text.trim_start().as_bytes().first().copied().unwrap_or_default();
    // most lines are none: no pattern is tried on them
    matches!(first, b'T' | b'+' | b'F' | b't' | b'p' | b'f' | b'E' | b'=' | b'*')
        && (text.trim_end() == TRACEBACK
            || text.trim() == GROUP
            || matches(&SYNTAX, text)
            || matches(&PANIC, text)
            || matches(&IN_THREAD, text)
            || text.starts_with("Fatal Python error: ")
            || text.starts_with("terminate called ")
            || text.starts_with("panic: "))
}

/// The report that begins with the first of these lines, if one does; `before`: the line before.
pub(super) fn read(lines: &[Text], before: Option<&Text>) -> Option<Report> {
    let first = lines.first()?.text.trim_end();
    if first == TRACEBACK {
        let aside = before.is_some_and(|it| {
            it.text.starts_with("Exception ignored in") || it.text.starts_with("--- Logging error")
        });
        let report = traceback(lines);
        return Some(Report { headline: report.headline.filter(|_| !aside), ..report });
    }
    if first.trim_start() == GROUP {
        return Some(group(lines));
    }
    if let Some(rest) = take(&PANIC, "rest", first) {
        return Some(panic(lines, rest));
    }
    if let Some(rest) = take(&IN_THREAD, "rest", first) {
        return Some(java(lines, rest));
    }
    if let Some(rest) = first.strip_prefix("Error:") {
        return Some(chain(lines, rest.trim()));
    }
    if let Some(kind) = take(&TERMINATE, "kind", first) {
        let what = lines.get(1).and_then(|it| it.text.trim().strip_prefix("what():"));
        let headline = what.map_or(first.to_owned(), |what| format!("{kind}: {}", what.trim()));
        return Some(Report { lines: 1 + usize::from(what.is_some()), headline: Some(headline) });
    }
    // a syntax error has no traceback before it, Node's errors have theirs after
    let is_framed = before.is_some_and(|it| it.is_blank() || it.text.starts_with(' '))
        || lines.get(1).is_some_and(|it| it.text.starts_with("    at "));
    if is_framed && matches(&ERROR_NAME, first) {
        let frames = lines[1..].iter().take_while(|it| it.text.starts_with("    at ")).count();
        return Some(Report { lines: 1 + frames, headline: Some(exception(first)) });
    }
    matches(&ONE_LINE, first)
        .then(|| Report { lines: 1, headline: Some(first.trim_matches('*').trim().to_owned()) })
}

/// `serial.serialutil.SerialException: no device`, without the module.
fn exception(text: &str) -> String {
    let text = text.trim();
    match (take(&EXCEPTION, "kind", text), take(&EXCEPTION, "rest", text)) {
        (Some(kind), Some(rest)) => format!("{kind}{}", rest.trim_end_matches(':')),
        _ => text.to_owned(),
    }
}

/// Frames are indented; the exception is the first line that is not.
fn traceback(lines: &[Text]) -> Report {
    let is_frame = |it: &&Text| it.is_blank() || it.text.starts_with([' ', '\t']);
    let frames = lines[1..].iter().take_while(is_frame).count();
    let Some(line) = lines.get(1 + frames) else {
        return Report { lines: 1 + frames, headline: None };
    };
    // a message that begins on the next line
    let next = lines.get(2 + frames).filter(|_| line.text.trim_end().ends_with(':'));
    let headline = match next {
        Some(next) if !next.is_blank() => {
            format!("{}: {}", exception(&line.text), next.text.trim())
        }
        Some(_) | None => exception(&line.text),
    };
    Report { lines: 2 + frames + usize::from(next.is_some()), headline: Some(headline) }
}

/// The group, and the first exception in it that is no group.
fn group(lines: &[Text]) -> Report {
    let is_inside = |it: &&Text| it.text.trim_start().starts_with(['|', '+']);
    let count = 1 + lines[1..].iter().take_while(is_inside).count();
    let inside = |text: &'_ str| -> String {
        let text = text.trim_start().trim_start_matches(['|', '+', '-']);
        text.strip_prefix(' ').unwrap_or(text).to_owned()
    };
    let texts: Vec<String> = lines[1..count].iter().map(|it| inside(&it.text)).collect();
    let is_message = |text: &&String| {
        !text.is_empty()
            && !text.starts_with([' ', '-'])
            && !text.starts_with("Traceback (")
            && !text.starts_with("Exception Group Traceback")
            && !text.chars().next().is_some_and(|first| first.is_ascii_digit())
    };
    let mut messages = texts.iter().filter(is_message);
    let headline = messages.next().map(|top| {
        let first = messages.find(|it| !it.contains(" sub-exception"));
        let first = first.map(|first| format!(": {}", exception(first))).unwrap_or_default();
        format!("{}{first}", exception(top))
    });
    Report { lines: count, headline }
}

/// The place, and the message, which may have several lines.
fn panic(lines: &[Text], rest: &str) -> Report {
    if let (Some(message), Some(place)) =
        (take(&OLD_PANIC, "message", rest), take(&OLD_PANIC, "place", rest))
    {
        return Report { lines: 1, headline: Some(format!("panicked at {place}: {message}")) };
    }
    let is_message = |it: &&Text| {
        let text = &it.text;
        !it.is_blank() && !text.starts_with("stack backtrace:") && !text.starts_with("note: ")
    };
    let message: Vec<&str> =
        lines[1..].iter().take_while(is_message).map(|it| it.text.trim()).take(4).collect();
    let place = rest.trim_end_matches(':');
    let mut taken = 1 + message.len();
    if lines.get(taken).is_some_and(|it| it.text.starts_with("stack backtrace:")) {
        let is_frame = |it: &&Text| it.text.starts_with(' ');
        taken += 1 + lines[taken + 1..].iter().take_while(is_frame).count();
    }
    let headline = Some(format!("panicked at {place}: {}", message.join("; ")));
    Report { lines: taken, headline }
}

/// `Error: no camera`, `Caused by:`, then the causes, indented and perhaps numbered.
fn chain(lines: &[Text], first: &str) -> Report {
    let mut parts: Vec<&str> = Vec::from_iter(Some(first).filter(|it| !it.is_empty()));
    let mut taken = 1;
    let mut in_causes = first.is_empty();
    for line in &lines[1..] {
        let text = line.text.as_str();
        match text.trim() {
            "" => {}
            "Caused by:" => in_causes = true,
            cause if in_causes && text.starts_with([' ', '\t']) => {
                parts.push(take(&NUMBERED, "text", text).unwrap_or(cause));
            }
            // Node's frames
            frame if frame.starts_with("at ") && text.starts_with("    ") => {}
            _ => break,
        }
        taken += 1;
    }
    Report { lines: taken, headline: (!parts.is_empty()).then(|| parts.join(": ")) }
}

/// The exception and its causes; frames are indented.
fn java(lines: &[Text], rest: &str) -> Report {
    let mut parts = vec![exception(rest)];
    let mut taken = 1;
    for line in &lines[1..] {
        if let Some(cause) = line.text.strip_prefix("Caused by: ") {
            parts.push(exception(cause));
        } else if !line.text.starts_with('\t') && !line.text.starts_with("    ") {
            break;
        }
        taken += 1;
    }
    Report { lines: taken, headline: Some(parts.join(": ")) }
}
