//! The dashboard gives its terminal back however it ends, and writes only what that terminal can
//! show, and only when something changes.

use ::tcsctl::dashboard::terminal::Screen;
use tcs_core::clock;
use tcs_testkit::nats::LIMIT;
use tcs_testkit::site::Site;
use tcs_testkit::tcsctl::recording;
use tcs_testkit::terminal::{Terminal, count};

use super::{PROGRAM, replay};

#[test]
fn every_signal_gives_the_terminal_back() {
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130), ("QUIT", 131)] {
        let mut terminal = replay("process-launcher", &[], &[]);
        terminal.see("replay");
        terminal.signal(signal);
        assert_eq!(terminal.end(), code, "{signal}");
        terminal.assert_given_back();
    }
}

#[test]
fn it_stops_and_goes_on_as_a_shell_wants_it() {
    for how in ["\x1a", ""] {
        let mut terminal = replay("process-launcher", &[], &[]);
        terminal.see("replay");
        if how.is_empty() {
            terminal.signal("TSTP");
        } else {
            terminal.keys(how);
        }
        terminal.wait("it is stopped", |_| terminal.state() == 'T');
        terminal.assert_given_back();
        terminal.signal("CONT");
        terminal.wait("it is back", |text| {
            text.contains("VERDICT") && terminal.screen(vt100::Screen::alternate_screen)
        });
        terminal.keys("q");
        assert_eq!(terminal.end(), 0);
        terminal.assert_given_back();
    }
}

#[test]
fn it_ends_with_its_terminal_and_burns_nothing() {
    for ignored in [false, true] {
        let file = recording("process-launcher");
        let line = format!("exec {PROGRAM} watch --replay {file}");
        let line = if ignored { format!("trap '' HUP; {line}") } else { line };
        let mut terminal = Terminal::start("/bin/sh", &["-c", &line], &[], (80, 24));
        terminal.see("VERDICT");
        let before = terminal.cpu();
        let start = clock::monotonic();
        terminal.hang_up();
        let proc = format!("/proc/{}/stat", terminal.pid());
        let mut last = before;
        let gone = || std::fs::read_to_string(&proc).map_or(true, |stat| stat.contains(") Z "));
        while !gone() {
            assert!(start.elapsed() < LIMIT, "it goes on");
            last = terminal.cpu();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        terminal.end();
        assert!(last - before < 1.0, "{} s of processor time", last - before);
    }
}

/// Not a test by itself: the program of the next one.
#[test]
#[ignore = "run in a terminal by the next test"]
fn a_program_that_panics() {
    let told = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let tell = std::sync::Arc::clone(&told);
    let _screen = Screen::open(true, move |text| *tell.lock().unwrap() = text).unwrap();
    let other = std::thread::spawn(|| panic!("beside the screen"));
    assert!(other.join().is_err());
    assert!(told.lock().unwrap().contains("beside the screen"));
    panic!("on purpose");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_speaks() {
    let this = std::env::current_exe().unwrap();
    let args = ["--exact", "terminal::a_program_that_panics", "--ignored", "--nocapture"];
    let mut terminal = Terminal::start(this.to_str().unwrap(), &args, &[], (100, 30));
    assert_ne!(terminal.end(), 0);
    terminal.assert_given_back();
    terminal.see("on purpose");
    let bytes = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    let place = |needle: &str| bytes.find(needle).unwrap_or_else(|| panic!("{needle}: {bytes}"));
    assert!(place("\x1b[?1049l") < place("on purpose"));
    assert!(!bytes.contains("beside the screen"), "{bytes}");
}

#[test]
fn without_colours_the_choice_and_what_is_wrong_are_seen() {
    let terminal = replay("process-launcher", &[], &[("NO_COLOR", "1")]);
    let text = terminal.see("× failed");
    let bad = text.lines().position(|line| line.contains("× failed")).unwrap() as u16;
    let column = text.lines().nth(usize::from(bad)).unwrap().find('×').unwrap() as u16;
    terminal.screen(|screen| {
        let cell = screen.cell(bad, column).unwrap();
        assert!(cell.bold() && cell.underline());
        let chosen: Vec<u16> =
            (0..24).filter(|row| screen.cell(*row, 40).unwrap().inverse()).collect();
        assert!(!chosen.is_empty(), "{text}");
        let plain = |cell: &vt100::Cell| {
            cell.fgcolor() == vt100::Color::Default && cell.bgcolor() == vt100::Color::Default
        };
        for row in 0..24 {
            for column in 0..80 {
                assert!(plain(screen.cell(row, column).unwrap()), "colour at {row} {column}");
            }
        }
    });
}

#[test]
fn a_terminal_without_utf8_gets_ascii() {
    let terminal = replay("process-launcher", &[], &[("LANG", "C")]);
    terminal.see("x failed");
    assert!(terminal.bytes().is_ascii());
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let terminal = replay("process-launcher", &[], &[]);
    terminal.see("THE RECORDING HAS ENDED");
    // it goes on waking up each second, however busy the machine is
    let wakes = || {
        let before = terminal.wakeups();
        terminal.wait("it has woken up", |_| terminal.wakeups() >= before + 10);
    };
    // the last second of the recording is shown, and then it stands still, its clock too
    let start = clock::monotonic();
    let before = loop {
        let before = terminal.bytes().len();
        wakes();
        if terminal.bytes().len() == before {
            break before;
        }
        assert!(start.elapsed() < LIMIT, "it writes on");
    };
    wakes();
    let bytes = terminal.bytes();
    let written = String::from_utf8_lossy(&bytes[before..]).into_owned();
    assert_eq!(written, "");
    assert_eq!(count(&bytes, b"\x1b[?2026h"), count(&bytes, b"\x1b[?2026l"));
}

/// A pager that shows what it was given, and reads a line, as a pager reads keys.
const PAGER: &str = "#!/bin/sh\nprintf 'PAGED %s\\n' \"$1\"; head -2 \"$2\"; read line; \
    printf '%s|%s' \"$line\" \"$(stat -c %a \"$2\")\" > \"$1\"; exit 3\n";

fn script(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    tcs_testkit::programs::write_script(&path, text);
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pager_has_the_terminal_and_the_keys_until_it_ends() {
    let site = Site::start(
        "services: [{type: talker, variant: a, launch: {exec: [sh, -c, 'echo guiding well; sleep 1000']}}]",
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("heard");
    let pager = format!("{} {}", script(&folder, "pager", PAGER), heard.display());
    let url = site.server.url();
    let args = ["watch", "--server", &url, "talker"];
    let mut terminal = Terminal::start(PROGRAM, &args, &[("PAGER", &pager)], (100, 30));
    terminal.see("● ok");
    terminal.keys("G");
    terminal.keys("L");
    terminal.see("guiding well");
    terminal.keys("o");
    let shown = terminal.see("PAGED ");
    assert!(!shown.contains("log of talker.a"), "{shown}");
    terminal.wait("the lines", |text| text.contains("guiding well"));
    // `q` is the pager's, not the dashboard's; so is Ctrl-C, which this one dies of
    terminal.keys("qq\n");
    terminal.see("log of talker.a");
    terminal.see("pager: exit code 3");
    let heard = std::fs::read_to_string(heard).unwrap();
    assert_eq!(heard, "qq|600", "the pager got the keys, and a file that nobody else reads");
    terminal.keys("o");
    terminal.wait("the second pager", |text| text.matches("PAGED ").count() == 2);
    terminal.keys("\x03");
    terminal.see("pager: killed by signal 2");
    // and the keys are the dashboard's again
    terminal.keys("\x1b");
    terminal.see_no("pager: killed");
    terminal.keys("\x1b");
    terminal.see("VERDICT");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_given_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_of_a_program_that_is_noticed_late_does_not_end_the_dashboard() {
    let site =
        Site::start("services: [{type: talker, variant: a, launch: {exec: [sleep, '1000']}}]")
            .await;
    let folder = tempfile::tempdir().unwrap();
    // its end is seen first, then the interrupt
    let late = "#!/bin/sh\nread line; (sleep 0.2; kill -INT $PPID; touch \"$1\") & exit 3\n";
    let sent = folder.path().join("sent");
    let pager = format!("{} {}", script(&folder, "pager", late), sent.display());
    let url = site.server.url();
    let args = ["watch", "--server", &url, "talker"];
    let mut terminal = Terminal::start(PROGRAM, &args, &[("PAGER", &pager)], (100, 30));
    terminal.see("● ok");
    terminal.keys("GL");
    terminal.see("log of talker.a");
    terminal.keys("o");
    terminal.see_no("log of talker.a");
    terminal.keys("\n");
    terminal.see("pager: exit code 3");
    tcs_testkit::nats::wait_for("the interrupt", || sent.exists()).await;
    terminal.keys("\x1b");
    terminal.see_no("pager: exit code 3");
    terminal.keys("\x1b");
    terminal.see("VERDICT");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_ones_own_are_run_with_each_placeholder_in_its_argument() {
    let site =
        Site::start("services: [{type: talker, variant: a, launch: {exec: [sleep, '1000']}}]")
            .await;
    let folder = tempfile::tempdir().unwrap();
    let own = script(&folder, "own", "#!/bin/sh\nprintf 'OWN %s [%s] [%s]\\n' $# \"$1\" \"$2\"\n");
    let config = folder.path().join("tcsctl");
    std::fs::create_dir(&config).unwrap();
    let yaml = format!(
        "commands:\n  look:\n    key: ctrl-g\n    run: [{own}, \"s={{service}} $HOME; x\", \"{{service}}\"]\n    doc: look at it\n"
    );
    std::fs::write(config.join("console.yaml"), yaml).unwrap();
    let url = site.server.url();
    let vars = [("XDG_CONFIG_HOME", folder.path().to_str().unwrap())];
    let args = ["watch", "--server", &url, "talker"];
    let mut terminal = Terminal::start(PROGRAM, &args, &vars, (100, 30));
    terminal.see("● ok");
    terminal.keys("G");
    terminal.keys("\x07");
    terminal.see("OWN 2 [s=talker.a $HOME; x] [talker.a]");
    terminal.see("[look: exit code 0; Enter returns to the dashboard]");
    terminal.keys("\n");
    terminal.see("VERDICT");
    // by its name in the palette
    terminal.keys(":look\r");
    terminal.see("OWN 2 [s=talker.a");
    terminal.keys("\n");
    terminal.see("VERDICT");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    let args = ["watch", "--read-only", "--server", &url, "talker"];
    let mut terminal = Terminal::start(PROGRAM, &args, &vars, (100, 30));
    terminal.see("● ok");
    terminal.keys("G");
    terminal.keys("\x07");
    let refused = terminal.see("read-only: commands of console.yaml are disabled");
    assert!(!refused.contains("OWN "), "{refused}");
}
