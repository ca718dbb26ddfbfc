use tcs_core::wire::Level;

use super::*;

fn line(run: u64, text: &str) -> Arc<Line> {
    Arc::new(Line {
        time: "2026-11-23T02:13:05.1234Z".parse().unwrap(),
        stream: Stream::Stderr,
        level: Level::INFO,
        logger: Some("svc|a.b".to_owned()),
        text: text.to_owned(),
        run: Run(run),
    })
}

struct World {
    files: Files,
    dir: tempfile::TempDir,
    wall: DateTime<Utc>,
    now: Instant,
}

impl World {
    fn new(max_size: u64, keep: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let id = "a.b".parse().unwrap();
        let files = Files::new(&id, dir.path().join("logs"), max_size, keep);
        let wall = "2026-11-23T02:13:05Z".parse().unwrap();
        Self { files, dir, wall, now: clock::monotonic() }
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn take(&mut self, lines: &[Arc<Line>], missed: u64) -> Option<Change> {
        self.wall += TimeDelta::seconds(2);
        self.now += Duration::from_secs(2);
        self.files.take(lines, missed, self.wall, self.now)
    }

    /// Names and contents, oldest first.
    fn all(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.logs()).unwrap();
        let read = |entry: io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        };
        let mut all: Vec<_> = entries.map(read).collect();
        all.sort_unstable();
        all
    }
}

#[test]
fn a_run_has_a_file_and_what_it_holds_acts_on_no_terminal() {
    let mut world = World::new(1 << 20, 5);
    assert_eq!(world.take(&[line(1, "one"), line(1, "t\u{1b}[2Jwo\ttab")], 0), None);
    assert_eq!(world.take(&[line(2, "three")], 0), None);
    let all = world.all();
    let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a.b.20261123T021307.000Z.log", "a.b.20261123T021309.000Z.log"]);
    assert_eq!(
        all[0].1,
        "2026-11-23T02:13:05.123Z err [INFO ] svc|a.b: one\n\
         2026-11-23T02:13:05.123Z err [INFO ] svc|a.b: t\\u{1b}[2Jwo\ttab\n"
    );
}

#[test]
fn full_ones_make_room_and_what_is_not_ours_stays() {
    let mut world = World::new(200, 3);
    fs::create_dir(world.logs()).unwrap();
    for other in ["a.b.log", "a.b.20261123T021309.000Z.log.gz", "a.c.20261123T021309.000Z.log"] {
        fs::write(world.logs().join(other), "other").unwrap();
    }
    let lines: Vec<_> = (0..100).map(|n| line(1, &format!("line {n}"))).collect();
    assert_eq!(world.take(&lines, 0), None);
    let all = world.all();
    let (others, own): (Vec<_>, Vec<_>) = all.iter().partition(|(_, text)| text == "other");
    assert_eq!((others.len(), own.len()), (3, 3));
    assert!(own.iter().all(|(_, text)| text.len() <= 200));
    assert!(own[2].1.ends_with("line 99\n"), "{own:?}");
}

#[test]
fn a_line_longer_than_a_file_is_written_all_the_same() {
    let mut world = World::new(10, 2);
    assert_eq!(world.take(&[line(1, "longer than ten bytes"), line(1, "and another")], 0), None);
    assert_eq!(world.all().len(), 2);
}

#[test]
fn what_could_not_be_written_is_counted_and_told_once() {
    let mut world = World::new(1 << 20, 5);
    // in the folder's place is a file
    fs::write(world.logs(), "").unwrap();
    let Some(Change::Failed(error)) = world.take(&[line(1, "a"), line(1, "b")], 3) else {
        panic!("it did not fail")
    };
    assert!(error.contains("logs"), "{error}");
    assert_eq!(world.take(&[line(1, "c")], 0), None, "told before");
    fs::remove_file(world.logs()).unwrap();
    assert_eq!(world.take(&[line(1, "d")], 0), Some(Change::Works { dropped: 6 }));
    assert_eq!(world.take(&[line(1, "e")], 2), None);
    let text = &world.all()[0].1;
    let ends: Vec<_> = text.lines().map(|line| &line[25..]).collect();
    assert_eq!(
        ends,
        [
            "--- 6 lines are missing here",
            "err [INFO ] svc|a.b: d",
            "--- 2 lines are missing here",
            "err [INFO ] svc|a.b: e",
        ]
    );
}

#[test]
fn a_file_that_somebody_moved_is_begun_anew() {
    let mut world = World::new(1 << 20, 5);
    world.take(&[line(1, "before")], 0);
    let first = world.logs().join(&world.all()[0].0);
    fs::rename(&first, world.logs().join("moved")).unwrap();
    world.take(&[line(1, "after")], 0);
    let all = world.all();
    assert_eq!(all.len(), 2);
    assert!(all[0].1.ends_with("after\n") && all[1].1.ends_with("before\n"), "{all:?}");
}
