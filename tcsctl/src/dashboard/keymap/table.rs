//! The one table of commands. A command of a page may have a key that means something else everywhere
//! else.

use crate::dashboard::page::Page;

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
    View,
    Usage,
    Sort,
    Reverse,
    Logs,
    Why,
    Events,
    Alarms,
    Wrap,
    Search,
    NextMatch,
    PreviousMatch,
    LogLevel,
    LogStream,
    SaveLog,
    PageLog,
    Restart,
    Stop,
    Start,
    StopForWork,
    Maintenance,
    EndMaintenance,
    Profile,
    Acknowledge,
    AlarmNote,
    Shelve,
    Actions,
    Pause,
    Earlier,
    Later,
    EarlierMinute,
    LaterMinute,
    EarlierTenMinutes,
    LaterTenMinutes,
    EarlierHour,
    LaterHour,
    EarlierProblem,
    LaterProblem,
    EarlierOwnProblem,
    LaterOwnProblem,
    At,
    Timeline,
    CursorLeft,
    CursorRight,
    ZoomIn,
    ZoomOut,
    Copy,
    CopyCommand,
    Theme,
    Mouse,
    Mark,
    MarkShown,
    MarkFailed,
    UnmarkAll,
    Results,
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
    /// While operating is allowed, whatever is chosen.
    Allowed,
    /// While an open alarm is chosen, and alarms may be acknowledged.
    Alarm,
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
    /// The pages that it belongs to, where its keys come before those of others; empty: all.
    pub on: &'static [Page],
    /// Where it is explained.
    pub group: Group,
}

macro_rules! table {
    ($($group:ident $when:ident $(@$page:ident)* $command:ident $name:literal [$($key:literal)*] $short:literal $doc:literal;)*) => {
        /// All commands, in the order of the help page. The footer takes those with a short word, in
        /// this order, as many as there is room for.
        pub const TABLE: &[Entry] = &[$(Entry {
            command: Command::$command,
            name: $name,
            keys: &[$($key),*],
            doc: $doc,
            short: $short,
            when: When::$when,
            on: &[$(Page::$page),*],
            group: Group::$group,
        }),*];
    };
}

table! {
    Move  Always        Up                "up"                  ["k" "Up"]        ""        "previous row";
    Move  Always        Down              "down"                ["j" "Down"]      ""        "next row";
    Move  Always        Top               "top"                 ["g" "Home"]      ""        "first row";
    Move  Always        Bottom            "bottom"              ["G" "End"]       ""        "last row";
    Move  Always        PageUp            "page-up"             ["PgUp" "ctrl-u"] ""        "page up";
    Move  Always        PageDown          "page-down"           ["PgDn" "ctrl-d"] ""        "page down";
    Move  Always        NextFault         "next-fault"          ["n"]             ""        "next problem";
    Move  Chosen        Open              "open"                ["Enter"]         "detail"  "show all about the selected service";
    Look  Chosen        Logs              "logs"                ["L"]             "logs"    "follow the output";
    Look  Chosen        Why               "why"                 ["W"]             ""        "explain the state of the selected service";
    Look  Always        Filter            "filter"              ["/"]             "filter"  "filter by text, /regex/, host: status: verdict: launcher:, !not";
    Look  Always        Faults            "faults"              ["!"]             "faults"  "problems only; on the events page too";
    Look  Always        Problems          "problems"            ["P"]             ""        "collapse or expand the block of problems";
    Look  Always        Events            "events"              ["e"]             "events"  "show events, newest last";
    Look  Always        Alarms            "alarms"              ["v"]             ""        "show open alarms, unacknowledged ones first";
    Look  Always        All               "all"                 ["A"]             ""        "include stopped and never-started services; events: busy and idle";
    Look  Always        View              "view"                ["o"]             ""        "next view: tree of launchers, hosts side by side, flat";
    Look  Always        Usage             "usage"               ["U"]             ""        "show what services use: CPU, memory, descriptors, threads, last exit";
    Look  Always        Sort              "sort"                ["s"]             ""        "sort by the next column";
    Look  Always        Reverse           "reverse"             ["S"]             ""        "reverse sort order";
    Look  Chosen        Fold              "fold"                ["h" "Left"]      ""        "collapse, or go to the parent";
    Look  Chosen        Unfold            "unfold"              ["l" "Right"]     ""        "expand";
    Look  Always        FoldAll           "fold-all"            ["z"]             ""        "collapse all without problems, or expand all";
    Look  Always  @Logs Search            "search"              ["/"]             "search"  "search for text or a regular expression";
    Look  Always  @Logs NextMatch         "next-match"          ["n"]             ""        "next match, towards newer lines";
    Look  Always  @Logs PreviousMatch     "previous-match"      ["N"]             ""        "previous match, towards older lines";
    Look  Always  @Logs LogLevel          "log-level"           ["l"]             "level"   "only lines of the next level and above";
    Look  Always  @Logs LogStream         "log-stream"          ["s"]             "stream"  "only standard error, only standard output, or both";
    Look  Always  @Logs SaveLog           "save-log"            ["S"]             "save"    "write the lines shown to a file in the working directory";
    Look  Always  @Logs PageLog           "page-log"            ["o"]             "pager"   "open the lines shown in $PAGER";
    Look  Always  @Logs Wrap              "wrap"                ["w"]             "wrap"    "wrap or cut long lines";
    Act   Operate       Actions           "actions"             ["a"]             "act"     "list the possible actions";
    Act   Operate       Restart           "restart"             ["r"]             ""        "restart (asks first)";
    Act   Operate       Stop              "stop"                ["x"]             ""        "stop (asks first)";
    Act   Operate       Start             "start"               []                ""        "start (asks first)";
    Act   Operate       StopForWork       "stop-for-work"       ["X"]             ""        "stop for planned work, with a reason (asks first)";
    Act   Operate       Maintenance       "maintenance"         []                ""        "stop what runs on its host, shelve its alarms (asks first)";
    Act   Allowed       EndMaintenance    "end-maintenance"     []                ""        "start what was stopped for a maintenance (asks first)";
    Act   Allowed       Profile           "profile"             []                ""        "run another set of services (asks first)";
    Act   Alarm         Acknowledge       "acknowledge"         ["c"]             "ack"     "acknowledge the open alarms of the selected row";
    Act   Alarm         AlarmNote         "alarm-note"          ["i"]             ""        "add a note to the open alarms";
    Act   Alarm         Shelve            "shelve"              ["V"]             ""        "shelve the alarms (no notifications)";
    Act   Operate       Mark              "mark"                ["m"]             "mark"    "mark for an action on several services";
    Act   Operate       MarkShown         "mark-shown"          ["M"]             ""        "mark all services in the table";
    Act   Operate       MarkFailed        "mark-failed"         ["F"]             ""        "mark all failed services on its host";
    Act   Operate       UnmarkAll         "unmark-all"          ["u"]             ""        "unmark all";
    Act   Always        Results           "results"             []                ""        "show the results of the last operation on several services";
    Time  Always        Pause             "pause"               ["Space"]         "pause"   "freeze the display (data keeps arriving)";
    Time  Always        Earlier           "earlier"             ["["]             "time"    "10 s back";
    Time  Always        Later             "later"               ["]"]             ""        "10 s forward";
    Time  Always        EarlierMinute     "earlier-minute"      [","]             ""        "1 min back";
    Time  Always        LaterMinute       "later-minute"        ["."]             ""        "1 min forward";
    Time  Always        EarlierTenMinutes "earlier-10-min"      ["<"]             ""        "10 min back";
    Time  Always        LaterTenMinutes   "later-10-min"        [">"]             ""        "10 min forward";
    Time  Always        EarlierHour       "earlier-hour"        ["b"]             ""        "1 h back";
    Time  Always        LaterHour         "later-hour"          ["f"]             ""        "1 h forward";
    Time  Always        EarlierProblem    "earlier-problem"     ["{"]             ""        "back to the previous problem of the fleet";
    Time  Always        LaterProblem      "later-problem"       ["}"]             ""        "forward to the next problem of the fleet";
    Time  Chosen        EarlierOwnProblem "earlier-own-problem" ["("]             ""        "back to the previous problem of the selected service";
    Time  Chosen        LaterOwnProblem   "later-own-problem"   [")"]             ""        "forward to the next problem of the selected service";
    Time  Always        At                "at"                  ["@"]             ""        "show the state at a past time: 02:13, 2h (ago), ...";
    Time  Always        Timeline          "timeline"            ["T"]             ""         "show the past of all services: a row each, a column per minute or so";
    Time  Always  @Timeline CursorLeft    "cursor-left"         ["h" "Left"]      ""        "cursor one column back";
    Time  Always  @Timeline CursorRight   "cursor-right"        ["l" "Right"]     ""        "cursor one column forward";
    Time  Always  @Timeline ZoomIn        "zoom-in"             ["+" "="]         "zoom"    "show a shorter period";
    Time  Always  @Timeline ZoomOut       "zoom-out"            ["-"]             ""        "show a longer period";
    Other Chosen        Copy              "copy"                ["y"]             ""        "copy the details";
    Other Always        CopyCommand       "copy-command"        ["Y"]             ""        "copy the tcsctl command that shows this";
    Other Always        Theme             "theme"               ["t"]             ""        "next theme";
    Other Always        Mouse             "mouse"               []                ""        "toggle mouse support";
    Other Always        Redraw            "redraw"              ["ctrl-l"]        ""        "redraw the screen";
    Other Always        Dump              "dump"                []                ""        "write the state to a file for a bug report";
    Other Always        Palette           "palette"             [":" "ctrl-p"]    "command" "run any command by name";
    Other Always        Help              "help"                ["?" "F1"]        "help"    "this page";
    Other Always        Suspend           "suspend"             ["ctrl-z"]        ""        "back to the shell; fg returns";
    Other Always        Back              "back"                ["Esc"]           ""        "close, go back, return to live";
    Other Always        Quit              "quit"                ["q" "ctrl-c"]    "quit"    "quit";
}

impl Command {
    /// Its line in the table.
    pub fn entry(self) -> &'static Entry {
        TABLE.iter().find(|entry| entry.command == self).unwrap_or(&TABLE[0])
    }
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.name == name)
}

impl Entry {
    /// What it does, and where if that is not everywhere.
    pub fn doc_with_pages(&self) -> String {
        let pages: Vec<_> = self.on.iter().map(|page| page.name()).collect();
        match pages[..] {
            [] => self.doc.to_owned(),
            _ => format!("{} page: {}", pages.join(", "), self.doc),
        }
    }
}
