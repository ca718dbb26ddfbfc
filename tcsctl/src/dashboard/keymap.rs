//! Which key gives which command, of the table of commands or of one's own. Footer, help page, palette
//! and the handbook's list of keys are made from the same table.

mod argument;
mod error;
pub(super) mod table;

use std::collections::BTreeMap;

use super::key::Key;
use super::own::OwnCommand;
use super::page::Page;

pub use argument::Argument;
pub use error::KeymapError;
pub use table::{Command, Entry, Group, TABLE, When, find};

/// Which key does what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    everywhere: BTreeMap<Key, Command>,
    /// What a page binds for itself.
    on_page: BTreeMap<(Page, Key), Command>,
    by_command: BTreeMap<Command, Vec<Key>>,
    own: Vec<OwnCommand>,
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
        let mut map = Self {
            everywhere: BTreeMap::new(),
            on_page: BTreeMap::new(),
            by_command: BTreeMap::new(),
            own: Vec::new(),
        };
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
                map.bind(key, entry)?;
            }
        }
        for command in [Command::Quit, Command::Back] {
            map.check_reach(command)?;
        }
        Ok(map)
    }

    fn bind(&mut self, key: Key, entry: &Entry) -> Result<(), KeymapError> {
        let mut before = None;
        if entry.on.is_empty() {
            before = self.everywhere.insert(key, entry.command);
        }
        for page in entry.on {
            before = before.or(self.on_page.insert((*page, key), entry.command));
        }
        if let Some(first) = before {
            let (first, second) = (first.entry().name.to_owned(), entry.name.to_owned());
            return Err(KeymapError::Clash { key, first, second });
        }
        self.by_command.entry(entry.command).or_default().push(key);
        Ok(())
    }

    /// Adds commands of one's own. They have no key of another command, on whatever page.
    pub fn with_own(mut self, own: Vec<OwnCommand>) -> Result<Self, KeymapError> {
        let mut taken: BTreeMap<Key, &str> = BTreeMap::new();
        for (command, keys) in &self.by_command {
            taken.extend(keys.iter().map(|key| (*key, command.entry().name)));
        }
        for command in &own {
            for key in &command.keys {
                if let Some(first) = taken.insert(*key, &command.name) {
                    let (first, second) = (first.to_owned(), command.name.clone());
                    return Err(KeymapError::Clash { key: *key, first, second });
                }
            }
        }
        self.own = own;
        Ok(self)
    }

    /// Commands of one's own.
    pub fn own(&self) -> &[OwnCommand] {
        &self.own
    }

    /// The number of the command of one's own with this key.
    pub fn own_of(&self, key: Key) -> Option<usize> {
        self.own.iter().position(|own| own.keys.contains(&key))
    }

    /// Checks that a command that must have a key has one on each page.
    fn check_reach(&self, command: Command) -> Result<(), KeymapError> {
        let name = command.entry().name;
        if self.keys(command).is_empty() {
            return Err(KeymapError::Unreachable(name));
        }
        match Page::ALL.into_iter().find(|page| self.keys_on(*page, command).next().is_none()) {
            Some(page) => Err(KeymapError::Hidden { command: name, page: page.name() }),
            None => Ok(()),
        }
    }

    /// What a key does on a page.
    pub fn command(&self, page: Page, key: Key) -> Option<Command> {
        self.on_page.get(&(page, key)).or_else(|| self.everywhere.get(&key)).copied()
    }

    /// The keys of a command, wherever they hold.
    pub fn keys(&self, command: Command) -> &[Key] {
        self.by_command.get(&command).map_or(&[], Vec::as_slice)
    }

    /// Those that do it on a page; the first is the one to show.
    pub fn keys_on(&self, page: Page, command: Command) -> impl Iterator<Item = Key> + '_ {
        let holds = move |key: &Key| self.command(page, *key) == Some(command);
        self.keys(command).iter().copied().filter(holds)
    }

    /// The keys of a command on a page in words; empty where it has none.
    pub fn shown(&self, page: Page, command: Command) -> String {
        let keys: Vec<_> = self.keys_on(page, command).map(|key| key.to_string()).collect();
        keys.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The handbook's list of keys.
    fn markdown() -> String {
        let keymap = Keymap::default();
        let mut out = String::from("| key | command | does |\n|---|---|---|\n");
        for entry in TABLE {
            let keys: Vec<String> =
                keymap.keys(entry.command).iter().map(|key| format!("`{key}`")).collect();
            let doc = entry.doc_with_pages();
            let _ = writeln!(out, "| {} | {} | {doc} |", keys.join(" "), entry.name);
        }
        out
    }

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
        assert_eq!(map.command(Page::Fleet, Key::char('q')), Some(Command::Quit));
        assert_eq!(map.command(Page::Fleet, "ctrl-p".parse().unwrap()), Some(Command::Palette));
    }

    #[test]
    fn keys_are_changed_and_clashes_told() {
        let map = changed(&[("quit", &["F10"]), ("help", &["q"])]).unwrap();
        assert_eq!(map.command(Page::Fleet, Key::char('q')), Some(Command::Help));
        assert_eq!(map.shown(Page::Logs, Command::Quit), "F10");
        let text = |pairs: &[(&str, &[&str])]| changed(pairs).unwrap_err().to_string();
        assert_eq!(text(&[("help", &["q"])]), "key `q` is bound to both `help` and `quit`");
        assert!(text(&[("hlep", &["q"])]).contains("`hlep` is not a command"));
        assert!(text(&[("help", &["hyper-q"])]).contains("keys of `help`: `hyper-q` is not a key"));
        assert_eq!(text(&[("quit", &[])]), "`quit` must have a key");
    }

    #[test]
    fn a_page_binds_a_key_otherwise_and_clashes_are_told_by_page() {
        // `w` is a command of the logs page alone
        let map = changed(&[("pause", &["w", "p"])]).unwrap();
        let w = Key::char('w');
        assert_eq!(map.command(Page::Logs, w), Some(Command::Wrap));
        assert_eq!(map.command(Page::Events, w), Some(Command::Pause));
        assert_eq!(map.shown(Page::Events, Command::Pause), "w p");
        assert_eq!(map.shown(Page::Logs, Command::Pause), "p", "what does not hold is not shown");
        assert_eq!(map.shown(Page::Fleet, Command::Wrap), "", "nor where there is nothing to wrap");
        let twice = changed(&[("pause", &["p"]), ("sort", &["p"])]).unwrap_err().to_string();
        assert_eq!(twice, "key `p` is bound to both `sort` and `pause`");
        let hidden = changed(&[("quit", &["w"])]).unwrap_err().to_string();
        assert!(hidden.starts_with("`quit` must have a key on the logs page too"), "{hidden}");
    }

    #[test]
    fn the_list_of_keys() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/handbook/dashboard.md");
        let text = std::fs::read_to_string(page).unwrap();
        assert!(text.contains(&markdown()), "the list of keys should be\n{}", markdown());
    }
}
