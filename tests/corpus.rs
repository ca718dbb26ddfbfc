//! The fuzz targets' corpus as a normal test: whatever was once found stays found.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "corpus/dotenv.rs"]
mod dotenv;
#[path = "../fuzz/inputs.rs"]
mod inputs;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.display().to_string(), std::fs::read(&path).unwrap())
    });
    files.collect()
}

#[test]
fn decode() {
    let corpus = corpus("decode");
    assert!(corpus.len() >= 20, "{} files", corpus.len());
    for (path, input) in corpus {
        println!("{path}");
        inputs::decode_any(&input);
    }
}

#[test]
fn fleet() {
    let corpus = corpus("fleet");
    assert!(corpus.len() >= 7, "{} files", corpus.len());
    for (path, input) in corpus {
        println!("{path}");
        inputs::fold_any(&input);
    }
}
