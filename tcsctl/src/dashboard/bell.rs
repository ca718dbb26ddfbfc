//! How the terminal signals a new alarm: by its bell, and by a desktop notification.

/// What is switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bell {
    /// Ring it.
    pub sound: bool,
    /// Notify.
    pub desktop: Desktop,
}

/// The escape sequence for desktop notifications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Desktop {
    /// No notification.
    #[default]
    Off,
    /// OSC 9, as iTerm2, Windows Terminal and kitty take it.
    Osc9,
    /// OSC 777, as foot, Konsole and urxvt take it.
    Osc777,
}

impl Desktop {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Osc9, Self::Osc777];

    /// As the configuration file has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "none",
            Self::Osc9 => "osc9",
            Self::Osc777 => "osc777",
        }
    }
}

/// Characters of a notification; longer ones are cut.
const MOST: usize = 200;

impl Bell {
    /// What is written for a text, which may hold anything; `in_tmux`: a notification goes through
    /// tmux.
    pub fn sequence(self, text: &str, in_tmux: bool) -> String {
        let text: String = text
            .chars()
            .filter(|c| !tcs_present::text::is_hidden(*c))
            // what separates the parts of the sequence
            .map(|c| if c == ';' { ',' } else { c })
            .take(MOST)
            .collect();
        let notification = match self.desktop {
            Desktop::Off => String::new(),
            Desktop::Osc9 => format!("\x1b]9;{text}\x07"),
            Desktop::Osc777 => format!("\x1b]777;notify;tcsctl;{text}\x07"),
        };
        let bell = if self.sound { "\x07" } else { "" };
        if in_tmux && !notification.is_empty() {
            let inner = notification.replace('\x1b', "\x1b\x1b");
            return format!("\x1bPtmux;{inner}\x1b\\{bell}");
        }
        notification + bell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_the_sequence() {
        let ring = |sound, desktop, text: &str| Bell { sound, desktop }.sequence(text, false);
        assert_eq!(ring(true, Desktop::Off, "a"), "\x07");
        assert_eq!(ring(false, Desktop::Off, "a"), "");
        assert_eq!(ring(false, Desktop::Osc9, "a\x07b\x1b]52;c;x"), "\x1b]9;ab]52,c,x\x07");
        let both = ring(true, Desktop::Osc777, "failed/a.b: x; y");
        assert_eq!(both, "\x1b]777;notify;tcsctl;failed/a.b: x, y\x07\x07");
        let bell = Bell { sound: false, desktop: Desktop::Osc9 };
        assert_eq!(bell.sequence("a", true), "\x1bPtmux;\x1b\x1b]9;a\x07\x1b\\");
        assert!(bell.sequence(&"x".repeat(9999), false).len() < 250);
    }
}
