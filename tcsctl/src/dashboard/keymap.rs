//! The one table of commands. Keymap, footer, help page, palette and the README's list of keys are
//! all made from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::key::{Key, NotAKey};

/// What a person can want, from a key, the palette or the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table below says what each does")]
pub enum Command {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    NextFault,
    Problems,
    Open,
    Back,
    Fold,
    Unfold,
    FoldAll,
    Filter,
    Faults,
    All,
    Sort,
    Reverse,
    Logs,
    Events,
    Wrap,
    Restart,
    Stop,
    Start,
    Actions,
    Pause,
    Earlier,
    Later,
    EarlierEvent,
    LaterEvent,
    Copy,
    CopyCommand,
    Theme,
    Mouse,
    Redraw,
    Dump,
    Palette,
    Help,
    Suspend,
    Quit,
}

/// When a command does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// While a service is chosen.
    Chosen,
    /// While a service is chosen, and operating it is allowed.
    Operate,
    /// On the page of logs.
    Logs,
}

/// Where it stands on the help page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are headings")]
pub enum Group {
    Move,
    Look,
    Act,
    Time,
    Other,
}

impl Group {
    /// In the order of the help page.
    pub const ALL: [Self; 5] = [Self::Move, Self::Look, Self::Act, Self::Time, Self::Other];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::Look => "Look",
            Self::Act => "Act",
            Self::Time => "Time",
            Self::Other => "Other",
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Entry {
    /// What it does.
    pub command: Command,
    /// As typed in the palette and in the configuration file.
    pub name: &'static str,
    /// The keys, unless the configuration file says others; the first is the one shown.
    pub keys: &'static [&'static str],
    /// One line for people.
    pub doc: &'static str,
    /// A word for the footer; empty where it does not stand there.
    pub short: &'static str,
    /// When it does something.
    pub when: When,
    /// Where it is explained.
    pub group: Group,
}

macro_rules! table {
    ($($group:ident $when:ident $command:ident $name:literal [$($key:literal)*] $short:literal $doc:literal;)*) => {
        /// All commands, in the order of the help page. The footer takes those with a short word, in
        /// this order, as many as there is room for.
        pub const TABLE: &[Entry] = &[$(Entry {
            command: Command::$command,
            name: $name,
            keys: &[$($key),*],
            doc: $doc,
            short: $short,
            when: When::$when,
            group: Group::$group,
        }),*];
    };
}

table! {
    Move  Always  Up           "up"            ["k" "Up"]            ""        "previous row";
    Move  Always  Down         "down"          ["j" "Down"]          ""        "next row";
    Move  Always  Top          "top"           ["g" "Home"]          ""        "first row";
    Move  Always  Bottom       "bottom"        ["G" "End"]           ""        "last row";
    Move  Always  PageUp       "page-up"       ["PgUp" "ctrl-u"]     ""        "page up";
    Move  Always  PageDown     "page-down"     ["PgDn" "ctrl-d"]     ""        "page down";
    Move  Always  NextFault    "next-fault"    ["n"]                 ""        "next problem";
    Move  Chosen  Open         "open"          ["Enter"]             "detail"  "show all about the selected service";
    Look  Chosen  Logs         "logs"          ["L"]                 "logs"    "follow the output";
    Look  Always  Filter       "filter"        ["/"]                 "filter"  "filter by text, /regex/, host: status: verdict: launcher:, !not";
    Look  Always  Faults       "faults"        ["!"]                 "faults"  "problems only; on the events page too";
    Look  Always  Problems     "problems"      ["P"]                 ""        "collapse or expand the block of problems";
    Look  Always  Events       "events"        ["e"]                 "events"  "show events, newest last";
    Look  Always  All          "all"           ["A"]                 ""        "include stopped and never-started services; events: busy and idle";
    Look  Always  Sort         "sort"          ["s"]                 ""        "sort by the next column";
    Look  Always  Reverse      "reverse"       ["S"]                 ""        "reverse sort order";
    Look  Chosen  Fold         "fold"          ["h" "Left"]          ""        "collapse, or go to the parent";
    Look  Chosen  Unfold       "unfold"        ["l" "Right"]         ""        "expand";
    Look  Always  FoldAll      "fold-all"      ["z"]                 ""        "collapse all without problems, or expand all";
    Look  Logs    Wrap         "wrap"          ["w"]                 "wrap"    "wrap or cut long lines";
    Act   Operate Actions      "actions"       ["a"]                 "act"     "list the possible actions";
    Act   Operate Restart      "restart"       ["r"]                 ""        "restart (asks first)";
    Act   Operate Stop         "stop"          ["x"]                 ""        "stop (asks first)";
    Act   Operate Start        "start"         []                    ""        "start (asks first)";
    Time  Always  Pause        "pause"         ["Space"]             "pause"   "freeze the display (data keeps arriving)";
    Time  Always  Earlier      "earlier"       ["["]                 "time"    "10 s back";
    Time  Always  Later        "later"         ["]"]                 ""        "10 s forward";
    Time  Always  EarlierEvent "earlier-event" ["{"]                 ""        "back to the previous event";
    Time  Always  LaterEvent   "later-event"   ["}"]                 ""        "forward to the next event";
    Other Chosen  Copy         "copy"          ["y"]                 ""        "copy the details";
    Other Always  CopyCommand  "copy-command"  ["Y"]                 ""        "copy the tcsctl command that shows this";
    Other Always  Theme        "theme"         ["t"]                 ""        "next theme";
    Other Always  Mouse        "mouse"         ["m"]                 ""        "toggle mouse support";
    Other Always  Redraw       "redraw"        ["ctrl-l"]            ""        "redraw the screen";
    Other Always  Dump         "dump"          []                    ""        "write the state to a file for a bug report";
    Other Always  Palette      "palette"       [":" "ctrl-p"]        "command" "run any command by name";
    Other Always  Help         "help"          ["?" "F1"]            "help"    "this page";
    Other Always  Suspend      "suspend"       ["ctrl-z"]            ""        "back to the shell; fg returns";
    Other Always  Back         "back"          ["Esc"]               ""        "close, go back, return to live";
    Other Always  Quit         "quit"          ["q" "ctrl-c"]        "quit"    "quit";
}

impl Command {
    /// Its line in the table.
    pub fn entry(self) -> &'static Entry {
        TABLE.iter().find(|entry| entry.command == self).unwrap_or(&TABLE[0])
    }
}

/// Why keys cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// No command has this name.
    #[error("`{0}` is not a command of the dashboard\nhint: `tcsctl config show` lists them")]
    Command(String),
    /// That is no key.
    #[error("keys of `{command}`: {source}")]
    Key {
        /// Whose.
        command: String,
        /// What is wrong with it.
        source: NotAKey,
    },
    /// One key for two commands.
    #[error("key `{key}` is bound to both `{first}` and `{second}`")]
    Clash {
        /// Which key.
        key: Key,
        /// Who has it.
        first: &'static str,
        /// Who wants it too.
        second: &'static str,
    },
    /// A command that must have a key has none.
    #[error("`{0}` must have a key")]
    Unreachable(&'static str),
}

/// Which key does what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    by_key: BTreeMap<Key, Command>,
    by_command: BTreeMap<Command, Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new(&BTreeMap::new()).unwrap_or_else(|error| unreachable!("tested: {error}"))
    }
}

impl Keymap {
    /// The table's keys, with those of some commands replaced.
    pub fn new(changed: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        if let Some(name) = changed.keys().find(|name| find(name).is_none()) {
            return Err(KeymapError::Command(name.clone()));
        }
        let mut map = Self { by_key: BTreeMap::new(), by_command: BTreeMap::new() };
        for entry in TABLE {
            let wanted: Vec<&str> = match changed.get(entry.name) {
                Some(keys) => keys.iter().map(String::as_str).collect(),
                None => entry.keys.to_vec(),
            };
            for text in wanted {
                let key: Key = text.parse().map_err(|source| KeymapError::Key {
                    command: entry.name.to_owned(),
                    source,
                })?;
                if let Some(first) = map.by_key.insert(key, entry.command) {
                    let first = first.entry().name;
                    return Err(KeymapError::Clash { key, first, second: entry.name });
                }
                map.by_command.entry(entry.command).or_default().push(key);
            }
        }
        match [Command::Quit, Command::Back].into_iter().find(|c| map.keys(*c).is_empty()) {
            Some(command) => Err(KeymapError::Unreachable(command.entry().name)),
            None => Ok(map),
        }
    }

    /// What a key does.
    pub fn command(&self, key: Key) -> Option<Command> {
        self.by_key.get(&key).copied()
    }

    /// The keys of a command; the first is the one to show.
    pub fn keys(&self, command: Command) -> &[Key] {
        self.by_command.get(&command).map_or(&[], Vec::as_slice)
    }

    /// The keys of a command in words; empty where it has none.
    pub fn shown(&self, command: Command) -> String {
        self.keys(command).iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
    }
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.name == name)
}

/// The README's list of keys.
pub fn markdown() -> String {
    let keymap = Keymap::default();
    let mut out = String::from("| key | command | does |\n|---|---|---|\n");
    for entry in TABLE {
        let keys: Vec<String> =
            keymap.keys(entry.command).iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(out, "| {} | {} | {} |", keys.join(" "), entry.name, entry.doc);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(pairs: &[(&str, &[&str])]) -> Result<Keymap, KeymapError> {
        let own = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Keymap::new(&pairs.iter().map(|(name, keys)| ((*name).to_owned(), own(keys))).collect())
    }

    #[test]
    fn the_table_has_each_command_once_and_no_key_twice() {
        let map = Keymap::new(&BTreeMap::new()).unwrap();
        let mut commands: Vec<Command> = TABLE.iter().map(|entry| entry.command).collect();
        commands.sort_unstable();
        commands.dedup();
        assert_eq!(commands.len(), TABLE.len());
        assert_eq!(map.command(Key::char('q')), Some(Command::Quit));
        assert_eq!(map.command("ctrl-p".parse().unwrap()), Some(Command::Palette));
    }

    #[test]
    fn keys_are_changed_and_clashes_told() {
        let map = changed(&[("quit", &["F10"]), ("help", &["q"])]).unwrap();
        assert_eq!(map.command(Key::char('q')), Some(Command::Help));
        assert_eq!(map.shown(Command::Quit), "F10");
        let text = |pairs: &[(&str, &[&str])]| changed(pairs).unwrap_err().to_string();
        assert_eq!(text(&[("help", &["q"])]), "key `q` is bound to both `help` and `quit`");
        assert!(text(&[("hlep", &["q"])]).contains("`hlep` is not a command"));
        assert!(text(&[("help", &["hyper-q"])]).contains("keys of `help`: `hyper-q` is not a key"));
        assert_eq!(text(&[("quit", &[])]), "`quit` must have a key");
    }

    #[test]
    fn the_list_of_keys() {
        let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        assert!(
            readme.contains(&markdown()),
            "the README's list of keys should be\n{}",
            markdown()
        );
    }
}
