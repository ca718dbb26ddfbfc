//! What a log puts before its text: time, level, logger.

use std::sync::LazyLock;

use regex::Regex;
use tcs_core::wire::journal::Level;

/// Each is taken off the front, again and again, as long as one is there.
static PARTS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // 2026-11-23T02:13:04.071Z, 2026/11/23 02:13:04, in brackets or not
        r"^[\[(]?\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|\s?[+-]\d\d:?\d\d|\sUTC)?[\])]?(?:\s\[\d+\])?(?:\s*[-|:]\s|\s|$)",
        // Nov 23 02:13:04 host, 02:13:04.071, [   12.345678]
        r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\s",
        r"^[\[(]?\d\d:\d\d:\d\d(?:[.,]\d+)?[\])]?(?:\s*[-|]\s|\s)",
        r"^\[\s*\d+\.\d+\]\s",
        // glog
        r"^(?<glog>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [^\s\]]+:\d+\]\s",
        // [ERROR], <error>, [ERROR] name:
        r"^[\[(<](?<bracket>(?i:trace|debug|info|notice|warn|warning|error|critical|fatal))\s*[\])>]:?\s?(?:[\w.|-]+\s*:\s)?",
        // ERROR, ERROR:, ERROR:name:, and after a time also name ERROR, name - ERROR -
        r"^(?<name>[\w.|-]+ (?:- )?)?(?<word>TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)(?::[\w.|-]+:|:|\s-|\s)\s?",
        // a Rust module, after its level
        r"^(?:\w+::)+\w+:\s",
    ];
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// The level, where the line names one, and the rest with its indentation. A line that has nothing
/// before its text comes back as it is.
pub(super) fn split(line: &str) -> (Option<Level>, String) {
    let mut rest = line;
    let mut level = None;
    for part in PARTS.iter() {
        let Some(found) = part.captures(rest) else { continue };
        if found.name("name").is_some() && rest.len() == line.len() {
            continue;
        }
        let name = ["glog", "bracket", "word"].iter().find_map(|name| found.name(name));
        level = level.or(name.and_then(|name| match name.as_str() {
            "F" => Some(Level::CRITICAL),
            "E" => Some(Level::ERROR),
            "W" => Some(Level::WARNING),
            "I" => Some(Level::INFO),
            name => Level::from_name(name),
        }));
        rest = &rest[found.get(0).map_or(0, |all| all.end())..];
    }
    (level, rest.to_owned())
}
