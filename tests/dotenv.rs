//! `.env` as the real python-dotenv reads it: a table of what people write, and random text of the
//! characters that matter.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde::{Deserialize, Serialize};
use tcs_core::config::Environment;
use tcs_testkit::python;

/// Texts, one JSON string a line, to what each comes to.
const READ: &str = "\
import io, json, logging, os, sys
from dotenv.main import DotEnv
from dotenv.parser import parse_stream
logging.disable()
def stream(text):
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding='utf-8')
os.environ.clear()
os.environ.update(json.loads(sys.stdin.readline()))
for line in sys.stdin:
    text = json.loads(line)
    values = DotEnv(None, stream=stream(text), override=False).dict()
    added = {k: v for k, v in values.items() if v is not None and k not in os.environ}
    errors = sum(binding.error for binding in parse_stream(stream(text)))
    print(json.dumps({'added': added, 'errors': errors}))
";

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Read {
    added: BTreeMap<String, String>,
    errors: usize,
}

fn environment() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("HOME", "/home/op"), ("EMPTY", ""), ("A", "process")])
}

fn ours(text: &str) -> Read {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), text).unwrap();
    let (read, report) = Environment::new(environment()).with_dotenv(dir.path());
    let errors = report.problems.len();
    let added = read.added().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Read { added, errors }
}

fn theirs(texts: &[String]) -> Vec<Read> {
    let mut command = Command::new(python::interpreter());
    command.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = serde_json::to_string(&environment()).unwrap() + "\n";
    for text in texts {
        input += &serde_json::to_string(text).unwrap();
        input.push('\n');
    }
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "no python-dotenv: run `make tools`");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What people write, and what the grammar's corners are.
const TABLE: [&str; 24] = [
    "PW=pa$word\nA=${NOPE:-dflt}\nS=hello world\n",
    "export X=1\nexport Y = 2 \n  export\tZ=3 # c\nexport=4",
    "X='a\\'b\\n\\\\c'\nY=\"a\\\"b\\n\\\\n\\tc\\q\\u00e9\"\n",
    "X=\"one\ntwo\" # c\nY='\n'\r\nZ=3\r\n",
    "\u{feff}X=1\r\nY=2\rZ=3",
    "X=a #b\nY=a#b\nZ=#b\nW= #b\nV=\t# b\nU=''#b",
    "X=\nY\nZ=''\nW=\"\"\nexport V\n",
    "'X y'=1\n'Z'=2\n'W = 3\n",
    "# c\n  # c\n\n \t\nX=1",
    "X='open\nY=2\nZ='x' y\nW=3",
    "X=\"a\\\\\" # end\nY=\"b\\\" still\" \n",
    "X=${A}${HOME}${EMPTY:-d}${NONE}${NONE:-}${NONE:-${A}}\n",
    "X='${HOME}' \nY=\"${HOME}\\t${B:-\\\"}\"\nZ=$HOME $$ ${ ${} ${A:x} ${A-x}",
    "B=1\nX=${B}\nB=2\nY=${B}\nB\nZ=${B}\n",
    "A=file\nX=${A}\n",
    "X=1\nX=2\nX\n",
    "=1\n==\nX==1\nY=1=2\n",
    "X=\u{a0}a\u{a0}\nY=b\u{2003}#c\n\u{3000}Z=1\u{85}",
    "X=a\x1cb\x1c\nY=\x1f1\n",
    "X: 1\nY 1\nZ-x=1\nW.a=2\n1=2\n",
    "X=\"a\" b\nY=1\n",
    "X='a''b'\nY=\"a\"'b'\n",
    "X=\u{e9}\u{1f52d}\nY=\"\\\u{e9}\"\nZ='\\\u{1f52d}'\n",
    "PATH_X=/usr/bin:/bin\nURL=nats://me:pw@host:4222/?a=b&c=d#e\nJSON={\"a\": [1, 2]}\n",
];

/// Characters and words that the grammar knows, in any order.
fn text() -> impl Strategy<Value = String> {
    let words = [
        "A", "B", "X", "export ", "=", "=", "=", " ", "  ", "\t", "\n", "\n", "\r\n", "\r", "'",
        "'", "\"", "\"", "\\", "\\n", "\\'", "\\\"", "#", " #", "$", "${", "}", "${A}", "${X:-",
        ":-", ":", "word", "é", "\u{a0}", "\x1c", "-", ".", "B=", "X='", "\nB=\"",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 1..24).prop_map(|it| it.concat())
}

#[test]
fn dotenv_is_read_as_python_reads_it() {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(11), ..Config::default() });
    let mut texts: Vec<String> = TABLE.iter().map(ToString::to_string).collect();
    texts.extend((0..800).map(|_| text().new_tree(&mut runner).unwrap().current()));
    let theirs = theirs(&texts);
    assert_eq!(theirs.len(), texts.len());
    for (text, theirs) in texts.iter().zip(&theirs) {
        // no environment can hold such a name, and Python's fails at it
        if theirs.added.keys().any(|name| name.contains('=')) {
            continue;
        }
        assert_eq!(ours(text), *theirs, "{text:?}");
    }
    let read = theirs.iter().filter(|it| !it.added.is_empty()).count();
    let errors = theirs.iter().filter(|it| it.errors > 0).count();
    assert!(read > 200 && errors > 100, "random text says too little: {read}, {errors}");
}
