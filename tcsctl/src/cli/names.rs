//! Names of the commands, and what stands before them.

use super::{Cli, Command, ListArgs, ListOrder};

impl Command {
    /// As it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Events(_) => "events",
            Self::Timeline(_) => "timeline",
            Self::Graph(_) => "graph",
            Self::Report(_) => "report",
            Self::Watch(_) => "watch",
            Self::Why(_) => "why",
            Self::Check(_) => "check",
            Self::Wait(_) => "wait",
            Self::Health(_) => "health",
            Self::Stats(_) => "stats",
            Self::Top(_) => "top",
            Self::Metrics(_) => "metrics",
            Self::Serve(_) => "serve",
            Self::Call(_) => "call",
            Self::Start(_) => "start",
            Self::Stop(_) => "stop",
            Self::Restart(_) => "restart",
            Self::Reload(_) => "reload",
            Self::Profile(_) => "profile",
            Self::Maintenance(_) => "maintenance",
            Self::Upgrade(_) => "upgrade",
            Self::Drill(_) => "drill",
            Self::Logs(_) => "logs",
            Self::Record(_) => "record",
            Self::Replay(_) => "replay",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Demo(_) => "demo",
            Self::Config(_) => "config",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            Self::Alarms(_) => "alarms",
            Self::Ack(_) => "ack",
            Self::Unack(_) => "unack",
            Self::Note(_) => "note",
            Self::Shelve(_) => "shelve",
            Self::Unshelve(_) => "unshelve",
            Self::Sentinel(_) => "sentinel",
            Self::ReportService(_) => "report-service",
            Self::ServeService(_) => "serve-service",
        }
    }
}

impl Cli {
    /// What the list's arguments before another command amount to: for `list` they count with its
    /// own, for any other they are an error, with a hint.
    pub fn settle(&mut self) -> Result<(), String> {
        let outer = std::mem::take(&mut self.list);
        // behind a filter a command's name is read as another filter
        let is_command = |word: &&String| Self::definition().find_subcommand(word).is_some();
        let late = outer.services.iter().skip(1).find(is_command).cloned();
        match (&mut self.command, late) {
            (None, Some(name)) => return Err(before(&outer, &name)),
            (None, None) => self.list = outer,
            (Some(Command::List(list)), _) => {
                if list.services.is_empty() {
                    list.services = outer.services;
                }
                list.at = list.at.take().or(outer.at);
                list.all |= outer.all;
                list.detailed |= outer.detailed;
                list.json |= outer.json;
                list.legend |= outer.legend;
                if outer.by != ListOrder::default() {
                    list.by = outer.by;
                }
            }
            (Some(_), _) if outer == ListArgs::default() => {}
            (Some(command), _) => return Err(before(&outer, command.name())),
        }
        Ok(())
    }
}

/// Why arguments of the list before another command are an error.
fn before(outer: &ListArgs, name: &str) -> String {
    let given = outer.given();
    format!(
        "{given} before `{name}` is an option of `list`, and `{name}` would ignore it\n\
         hint: write the options of a command after it: tcsctl {name} --help"
    )
}
