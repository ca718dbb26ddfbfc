//! The fuzz targets' corpus as a normal test: whatever was once found stays found.

#[path = "../fuzz/inputs.rs"]
mod inputs;

#[test]
fn each_input_of_the_corpus_is_read_without_a_panic() {
    for (target, try_input) in inputs::TARGETS {
        let folder = format!("{}/../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 5, "{folder} has {} files", files.len());
        for path in files {
            println!("{}", path.display());
            try_input(&std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn each_target_is_built_and_has_a_corpus() {
    let root = format!("{}/../fuzz", env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(format!("{root}/{folder}")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let mut targets: Vec<_> = inputs::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
    let manifest = std::fs::read_to_string(format!("{root}/Cargo.toml")).unwrap();
    for target in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
}
