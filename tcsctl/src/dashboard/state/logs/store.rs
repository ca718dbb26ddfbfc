//! Lines of a log, held compactly and within a limit, and searched: a million lines take about
//! 100 MB, and are searched in tens of milliseconds.
//!
//! A line has a number, counted from the first that ever came; it keeps it when older ones go.

use std::collections::VecDeque;
use std::ops::Range;

use chrono::{DateTime, Utc};
use regex::Regex;
use tcs_core::wire::Level;
use tcs_core::wire::control::{LogLine, Stream};
use tcs_present::Role;
use tcs_present::logs::{Text, colours};

/// Lines kept.
pub const MAX_LINES: usize = 1_000_000;
/// Bytes kept, with what is known of each line.
pub const MAX_BYTES: usize = 128 * 1024 * 1024;

/// Lines and bytes of text in one chunk: the oldest chunk goes as a whole.
const CHUNK_LINES: usize = 1024;
const CHUNK_BYTES: usize = 128 * 1024;
/// Bytes of text that are searched at once: the slowest expressions take some milliseconds for them.
const SLICE: u64 = 16 * 1024;

/// Log lines in chunks, within limits of lines and bytes.
#[derive(Debug, Clone, Default)]
pub struct LogStore {
    chunks: VecDeque<Chunk>,
    /// The number of the first line held.
    first: u64,
    lines: usize,
    bytes: usize,
}

#[derive(Debug, Clone, Default)]
struct Chunk {
    /// The number of its first line.
    first: u64,
    /// Its lines, with a line end after each.
    text: String,
    lines: Vec<Held>,
    /// Where in the text the role changes, as the program coloured it.
    colours: Vec<(u32, Role)>,
    gravest: i32,
}

/// What is known of a line, beside its text.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Where its text ends in its chunk.
    end: u32,
    level: i32,
    /// Microseconds of its time; `i64::MIN`: not known.
    at: i64,
    /// 0: not known.
    run: u32,
    stream: Option<Stream>,
}

/// Which lines are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// From this level on.
    pub level: Level,
    /// Of this output; `None`: of both.
    pub stream: Option<Stream>,
    /// Written until then.
    pub until: Option<DateTime<Utc>>,
}

impl Default for Shown {
    fn default() -> Self {
        Self { level: Level(i64::MIN), stream: None, until: None }
    }
}

impl Shown {
    fn shows(&self, held: &Held) -> bool {
        i64::from(held.level) >= self.level.0
            && self.stream.is_none_or(|stream| held.stream == Some(stream))
            && self.until.is_none_or(|until| held.at <= until.timestamp_micros())
    }
}

/// A line that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was written.
    pub at: Option<DateTime<Utc>>,
    /// How grave.
    pub level: Level,
    /// Where it came from, if that is known.
    pub stream: Option<Stream>,
    /// The run of its service, if that is known.
    pub run: Option<u64>,
    /// The text, with the roles that stand for its colours.
    pub text: Text<'a>,
}

impl LogStore {
    /// How many lines are held.
    pub fn len(&self) -> usize {
        self.lines
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The number of the first line held.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next line gets.
    pub fn end(&self) -> u64 {
        self.first + self.lines as u64
    }

    /// Takes a line; the oldest go where there are too many.
    pub fn push(&mut self, line: &LogLine) {
        let text = colours(&line.message);
        let is_full = self.chunks.back().is_none_or(|chunk| {
            chunk.lines.len() >= CHUNK_LINES || chunk.text.len() + text.plain.len() > CHUNK_BYTES
        });
        if is_full {
            if let Some(chunk) = self.chunks.back_mut() {
                chunk.text.shrink_to_fit();
                chunk.lines.shrink_to_fit();
            }
            let first = self.end();
            self.chunks.push_back(Chunk { first, gravest: i32::MIN, ..Chunk::default() });
        }
        let Some(chunk) = self.chunks.back_mut() else { return };
        let level = line.level.0.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        let start = chunk.text.len() as u32;
        chunk.colours.extend(text.roles.iter().map(|(at, role)| (start + *at as u32, *role)));
        chunk.text.push_str(&text.plain);
        let end = chunk.text.len() as u32;
        chunk.text.push('\n');
        chunk.gravest = chunk.gravest.max(level);
        chunk.lines.push(Held {
            end,
            level,
            at: line.timestamp.map_or(i64::MIN, |at| at.time().timestamp_micros()),
            run: line.run.and_then(|run| u32::try_from(run).ok()).unwrap_or_default(),
            stream: line.stream,
        });
        self.lines += 1;
        self.bytes += cost(text.plain.len() + 1, text.roles.len()) + size_of::<Held>();
        while (self.lines > MAX_LINES || self.bytes > MAX_BYTES) && self.chunks.len() > 1 {
            let Some(old) = self.chunks.pop_front() else { return };
            self.lines -= old.lines.len();
            self.first += old.lines.len() as u64;
            self.bytes -= old.cost();
        }
    }

    /// Forgets all lines; numbers go on from where they were.
    pub fn clear(&mut self) {
        *self = Self { first: self.end(), ..Self::default() };
    }

    fn chunk_of(&self, number: u64) -> Option<usize> {
        (self.first..self.end()).contains(&number).then_some(())?;
        self.chunks.partition_point(|chunk| chunk.first <= number).checked_sub(1)
    }

    /// A line by its number.
    pub fn get(&self, number: u64) -> Option<Entry<'_>> {
        let chunk = self.chunks.get(self.chunk_of(number)?)?;
        let at = (number - chunk.first) as usize;
        let held = chunk.lines.get(at)?;
        let (start, end) = (chunk.start(at), held.end);
        let roles = chunk.colours.partition_point(|(place, _)| *place < start);
        let roles = chunk.colours[roles..].iter().take_while(|(place, _)| *place <= end);
        Some(Entry {
            at: DateTime::from_timestamp_micros(held.at).filter(|_| held.at != i64::MIN),
            level: Level(held.level.into()),
            stream: held.stream,
            run: Some(u64::from(held.run)).filter(|run| *run > 0),
            text: Text {
                plain: chunk.text.get(start as usize..end as usize)?.into(),
                roles: roles.map(|(place, role)| ((place - start) as usize, *role)).collect(),
            },
        })
    }

    /// The nearest line before this one that is shown.
    pub fn before(&self, number: u64, shown: &Shown) -> Option<u64> {
        let last = number.min(self.end()).checked_sub(1)?;
        let newest = self.chunk_of(last)?;
        for chunk in self.chunks.iter().take(newest + 1).rev() {
            if i64::from(chunk.gravest) < shown.level.0 {
                continue;
            }
            let until = (last - chunk.first).min(chunk.lines.len() as u64 - 1) as usize;
            let place = chunk.lines[..=until].iter().rposition(|held| shown.shows(held));
            if let Some(place) = place {
                return Some(chunk.first + place as u64);
            }
        }
        None
    }

    /// The nearest line after this one that is shown; `None`: from the first on.
    pub fn after(&self, number: Option<u64>, shown: &Shown) -> Option<u64> {
        let from = number.map_or(self.first, |number| (number + 1).max(self.first));
        let oldest = self.chunk_of(from)?;
        for chunk in self.chunks.iter().skip(oldest) {
            if i64::from(chunk.gravest) < shown.level.0 {
                continue;
            }
            let skip = from.saturating_sub(chunk.first) as usize;
            let place = chunk.lines[skip..].iter().position(|held| shown.shows(held));
            if let Some(place) = place {
                return Some(chunk.first + (skip + place) as u64);
            }
        }
        None
    }

    /// How many lines after this one are shown.
    pub fn count_after(&self, number: u64, shown: &Shown) -> usize {
        if *shown == Shown::default() {
            return (self.end().saturating_sub(number + 1)) as usize;
        }
        let later = self.chunks.iter().filter(|it| it.first + it.lines.len() as u64 > number + 1);
        let in_chunk = |chunk: &Chunk| {
            let skip = (number + 1).saturating_sub(chunk.first) as usize;
            chunk.lines[skip..].iter().filter(|held| shown.shows(held)).count()
        };
        later.map(in_chunk).sum()
    }

    /// Some lines from this one on, little enough to be searched at once; `None`: there is none.
    pub fn slice_from(&self, from: u64) -> Option<Range<u64>> {
        let chunk = self.chunks.get(self.chunk_of(from)?)?;
        let line = (from - chunk.first) as usize;
        let most = u64::from(chunk.start(line)) + SLICE;
        let fits = chunk.lines[line..].partition_point(|held| u64::from(held.end) <= most);
        Some(from..from + fits.max(1) as u64)
    }

    /// Some lines before this one; `None`: there is none.
    pub fn slice_before(&self, end: u64) -> Option<Range<u64>> {
        let last = end.checked_sub(1)?;
        let chunk = self.chunks.get(self.chunk_of(last)?)?;
        let line = (last - chunk.first) as usize;
        let begin = u64::from(chunk.lines[line].end).saturating_sub(SLICE);
        let left_out = chunk.lines[..line].partition_point(|held| u64::from(held.end) < begin);
        Some(chunk.first + left_out as u64..end)
    }

    /// The numbers of the lines of a slice that match, whether they are shown or not.
    pub fn search(&self, pattern: &Regex, slice: Range<u64>) -> Vec<u64> {
        let chunk = self.chunk_of(slice.start).and_then(|at| self.chunks.get(at));
        let Some(chunk) = chunk else { return Vec::new() };
        let place = |line: u64| line.saturating_sub(chunk.first) as usize;
        chunk.search(pattern, place(slice.start)..place(slice.end).min(chunk.lines.len()))
    }

    /// Whether a line is one of those shown.
    pub fn is_shown(&self, number: u64, shown: &Shown) -> bool {
        let held = self.chunk_of(number).and_then(|at| {
            let chunk = &self.chunks[at];
            chunk.lines.get((number - chunk.first) as usize)
        });
        held.is_some_and(|held| shown.shows(held))
    }
}

impl Chunk {
    fn start(&self, line: usize) -> u32 {
        line.checked_sub(1).map_or(0, |before| self.lines[before].end + 1)
    }

    fn cost(&self) -> usize {
        cost(self.text.len(), self.colours.len()) + self.lines.len() * size_of::<Held>()
    }

    /// The text of the lines as a whole: a match that reaches over the end of a line is one of the
    /// line only if it is found there by itself.
    fn search(&self, pattern: &Regex, lines: Range<usize>) -> Vec<u64> {
        let mut found = Vec::new();
        let Some(last) = lines.end.checked_sub(1).and_then(|last| self.lines.get(last)) else {
            return found;
        };
        let text = &self.text[..last.end as usize];
        let mut at = self.start(lines.start) as usize;
        while at <= text.len()
            && let Some(hit) = pattern.find_at(text, at)
        {
            let line = self.lines.partition_point(|held| (held.end as usize) < hit.start());
            let Some(held) = self.lines.get(line) else { break };
            let (start, end) = (self.start(line) as usize, held.end as usize);
            if hit.end() <= end || pattern.is_match(&text[start..end]) {
                found.push(self.first + line as u64);
            }
            at = end + 1;
        }
        found
    }
}

fn cost(text: usize, colours: usize) -> usize {
    text + colours * size_of::<(u32, Role)>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcs_core::wire::Timestamp;

    fn line(text: &str, level: Level, stream: Stream, second: i64) -> LogLine {
        LogLine {
            timestamp: DateTime::from_timestamp(second, 0).map(Timestamp::new),
            stream: Some(stream),
            level,
            logger: None,
            run: Some(1),
            message: text.to_owned(),
        }
    }

    fn filled(lines: usize) -> LogStore {
        let mut store = LogStore::default();
        for (i, second) in (0..lines).zip(0..) {
            let (level, stream) = match i % 10 {
                3 => (Level::ERROR, Stream::Stderr),
                5 => (Level::WARNING, Stream::Stderr),
                _ => (Level::INFO, Stream::Stdout),
            };
            store.push(&line(&format!("line {i}"), level, stream, second));
        }
        store
    }

    #[test]
    fn lines_keep_their_numbers_while_old_ones_go() {
        let mut store = filled(MAX_LINES + 5000);
        assert!(store.len() <= MAX_LINES);
        assert_eq!(store.end(), MAX_LINES as u64 + 5000);
        let first = store.first();
        assert!(first >= 5000);
        assert_eq!(store.get(first).unwrap().text.plain, format!("line {first}"));
        assert_eq!(store.get(first - 1), None);
        store.clear();
        assert_eq!((store.len(), store.end()), (0, MAX_LINES as u64 + 5000));
        assert_eq!(store.before(u64::MAX, &Shown::default()), None);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut store = LogStore::default();
        let long = "x".repeat(8000);
        for i in 0..20_000 {
            store.push(&line(&long, Level::INFO, Stream::Stdout, i));
        }
        assert!(store.bytes <= MAX_BYTES && store.bytes > MAX_BYTES / 2, "{}", store.bytes);
    }

    #[test]
    fn only_what_is_asked_for_is_gone_through() {
        let store = filled(3000);
        let errors = Shown { level: Level::ERROR, ..Shown::default() };
        assert_eq!(store.before(u64::MAX, &errors), Some(2993));
        assert_eq!(store.before(2993, &errors), Some(2983));
        assert_eq!(store.after(None, &errors), Some(3));
        assert_eq!(store.after(Some(1023), &errors), Some(1033), "over the end of a chunk");
        let stderr = Shown { stream: Some(Stream::Stderr), ..Shown::default() };
        assert_eq!(store.after(Some(3), &stderr), Some(5));
        assert_eq!(store.count_after(2989, &stderr), 2);
        let past = Shown { until: DateTime::from_timestamp(100, 0), ..Shown::default() };
        assert_eq!(store.before(u64::MAX, &past), Some(100));
        assert_eq!(store.count_after(98, &past), 2);
        assert_eq!(store.after(Some(100), &past), None);
        let none = Shown { level: Level::CRITICAL, ..Shown::default() };
        assert_eq!((store.before(u64::MAX, &none), store.after(None, &none)), (None, None));
    }

    #[test]
    fn a_search_finds_lines_and_never_what_stands_in_two() {
        let mut store = filled(3000);
        let search = |store: &LogStore, pattern: &str, from| {
            let pattern = Regex::new(&format!("(?im){pattern}")).unwrap();
            let mut found = Vec::new();
            let mut at = from;
            while let Some(slice) = store.slice_from(at) {
                at = slice.end;
                found.extend(store.search(&pattern, slice));
            }
            // the other way round it is the same
            let mut back = Vec::new();
            let mut at = store.end();
            while let Some(slice) = store.slice_before(at).filter(|slice| slice.end > from) {
                at = slice.start;
                back.splice(0..0, store.search(&pattern, slice));
            }
            back.retain(|line| *line >= from);
            assert_eq!(back, found);
            found
        };
        assert_eq!(search(&store, "LINE 29$", 0), [29]);
        assert_eq!(search(&store, "^line 102[34]", 0), [1023, 1024]);
        assert_eq!(search(&store, "line", 2990).len(), 10);
        assert!(search(&store, "7\\s+line", 0).is_empty());
        store.push(&line("", Level::INFO, Stream::Stdout, 0));
        store.push(&line("\u{1b}[31mred\u{1b}[0m end", Level::INFO, Stream::Stdout, 0));
        assert_eq!(search(&store, "red end", 0), [3001]);
        assert_eq!(search(&store, "^$", 0), [3000]);
        let entry = store.get(3001).unwrap();
        assert_eq!(entry.text.roles, [(0, Role::Bad), (3, Role::Text)]);
    }
}
