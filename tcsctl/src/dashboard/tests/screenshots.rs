//! The pictures in `screenshots/`, made from a fixed night. They are compared here; with
//! `TCS_SCREENSHOTS=write` (as `make screenshots` does) they are written.

use std::path::PathBuf;

use super::fixture::{night, observatory, state};
use super::svg::picture;
use super::{buffer, press};
use crate::dashboard::state::State;
use crate::dashboard::theme::ThemeName;

fn shots() -> Vec<(&'static str, &'static str, State)> {
    let shot = |size, keys: &str| {
        let mut state = state(observatory(), size, night());
        press(&mut state, keys);
        state
    };
    let mut night_theme = shot((120, 34), "n n");
    night_theme.theme = ThemeName::Night;
    vec![
        ("fleet", "the fleet, what is wrong first", shot((120, 34), "")),
        ("wide", "the fleet on a wide terminal", shot((160, 44), "n n n n n")),
        ("detail", "all about one service", shot((80, 30), "/ c a m e r a . j Enter j Enter")),
        ("past", "the past, plainly not the present", shot((120, 30), "n { { {")),
        ("confirm", "an action asks first", shot((80, 24), "/ c a m e r a . j Enter j r")),
        ("help", "all keys", shot((90, 50), "?")),
        ("night", "the night theme", night_theme),
        ("small", "on 40 by 12 cells", shot((40, 12), "")),
    ]
}

#[test]
fn they_are_what_the_program_shows() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../screenshots");
    let write = std::env::var_os("TCS_SCREENSHOTS").is_some_and(|value| value == "write");
    let mut stale = Vec::new();
    for (name, title, state) in shots() {
        let path = folder.join(format!("{name}.svg"));
        let now = picture(&buffer(&state), title);
        if write {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, now).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != now {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "no longer what the program shows: {stale:?}; run `make screenshots`"
    );
}
