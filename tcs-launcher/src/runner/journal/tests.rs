use std::process::{Command, Stdio};

use tcs_core::clock;

use super::*;

fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

#[test]
fn a_second_launcher_is_told_who_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (first, earlier) = Journal::open(dir.path(), "l", "run1").unwrap();
    assert_eq!(earlier, None);
    let error = Journal::open(dir.path(), "l", "run2").unwrap_err();
    let pid = std::process::id().cast_signed();
    assert!(matches!(error, JournalError::Held { pid: Some(it), .. } if it == pid), "{error}");
    Journal::open(dir.path(), "other", "run3").unwrap();
    drop(first);
    Journal::open(dir.path(), "l", "run4").unwrap();
}

#[test]
fn how_the_last_one_ended() {
    let dir = tempfile::tempdir().unwrap();
    let open = |run| Journal::open(dir.path(), "l", run).unwrap();
    let (journal, _) = open("run1");
    journal.close();
    let (journal, earlier) = open("run2");
    assert_eq!(earlier.unwrap().end, EarlierEnd::InOrder);
    journal.started(&id("a.x"), 1);
    let gone = journal.started(&id("b.x"), 1);
    journal.ended(gone);
    drop(journal);
    let path = dir.path().join("l.journal");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"up\":{\"entry\":7,\"serv");
    fs::write(&path, &text).unwrap();
    let (journal, earlier) = open("run3");
    let earlier = earlier.unwrap();
    assert_eq!((earlier.end, &*earlier.launcher_run), (EarlierEnd::WithoutAWord, "run2"));
    assert_eq!(earlier.services, [("a.x".to_owned(), 1)]);
    drop(journal);
    let text = fs::read_to_string(&path).unwrap().replace(&group::boot_id(), "another");
    fs::write(&path, text).unwrap();
    let (_, earlier) = open("run4");
    assert_eq!(earlier.unwrap().end, EarlierEnd::WithTheMachine);
}

#[test]
fn a_long_life_does_not_grow_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "l", "run1").unwrap();
    let kept = journal.started(&id("kept.x"), 1);
    for _ in 0..REWRITE_AFTER {
        let entry = journal.started(&id("a.x"), 1);
        journal.ended(entry);
    }
    let lines = fs::read_to_string(dir.path().join("l.journal")).unwrap().lines().count();
    assert!(lines <= REWRITE_AFTER + 2, "{lines}");
    drop(journal);
    let (_, earlier) = Journal::open(dir.path(), "l", "run2").unwrap();
    assert_eq!(earlier.unwrap().services, [("kept.x".to_owned(), 1)]);
    assert_eq!(kept, Entry(0));
}

#[test]
fn leftovers_are_ended_and_a_reused_pid_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let run = format!("left-{}", std::process::id());
    let (name, value) = (group::LAUNCHER_MARK, &run);
    let sleep = |mark: bool| {
        let mut command = Command::new("sleep");
        if mark {
            command.env(name, value);
        }
        command.arg("600").stdin(Stdio::null()).spawn().unwrap()
    };
    let (mut named, mut marked, mut stranger) = (sleep(false), sleep(true), sleep(false));
    // its environment is there a moment after it has become the program
    let begin = clock::monotonic();
    let environment = format!("/proc/{}/environ", marked.id());
    while !fs::read(&environment).is_ok_and(|it| String::from_utf8_lossy(&it).contains(&run)) {
        assert!(begin.elapsed().as_secs() < 60, "no mark");
        std::thread::yield_now();
    }
    let (journal, _) = Journal::open(dir.path(), "l", &run).unwrap();
    journal.started(&id("a.x"), named.id().cast_signed());
    journal.started(&id("b.x"), stranger.id().cast_signed());
    drop(journal);
    // b.x's process is another one, that has its number by chance
    let path = dir.path().join("l.journal");
    let start = Process::of(stranger.id().cast_signed()).unwrap().start;
    let pid = stranger.id();
    let text = fs::read_to_string(&path).unwrap();
    let other = text.replace(
        &format!("\"pid\":{pid},\"start\":{start}"),
        &format!("\"pid\":{pid},\"start\":{}", start + 1),
    );
    assert_ne!(text, other);
    fs::write(&path, other).unwrap();

    let (_, earlier) = Journal::open(dir.path(), "l", "next").unwrap();
    let ended = earlier.unwrap().end_leftovers(Duration::from_secs(5));
    let mut pids: Vec<_> = ended.iter().map(|it| it.pid.cast_unsigned()).collect();
    pids.sort_unstable();
    let mut expected = [named.id(), marked.id()];
    expected.sort_unstable();
    let alive = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    for child in [&mut named, &mut marked, &mut stranger] {
        child.wait().unwrap();
    }
    assert_eq!(pids, expected);
    assert!(alive);
}

#[test]
fn a_program_that_takes_over_goes_on_also_where_nothing_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "l", "run1").unwrap();
    let own = std::process::id().cast_signed();
    let entry = journal.started(&id("a.x"), own).0;
    let lock = journal.lock_copy().unwrap();
    drop(journal);
    // in the place of the file that is to be written
    let in_the_way = dir.path().join("l.new");
    fs::create_dir(&in_the_way).unwrap();
    let up = [(entry, id("a.x"), own)].into_iter();
    let journal = Journal::resume(dir.path(), "l", "run1", lock, up).unwrap();
    Journal::open(dir.path(), "l", "run2").unwrap_err();
    fs::remove_dir(&in_the_way).unwrap();
    journal.started(&id("b.x"), own);
    drop(journal);
    let (_, earlier) = Journal::open(dir.path(), "l", "run2").unwrap();
    let services = earlier.unwrap().services;
    assert_eq!(services, [("a.x".to_owned(), own), ("b.x".to_owned(), own)]);
}
