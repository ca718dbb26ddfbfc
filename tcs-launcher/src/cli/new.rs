//! `tcsd new`: a workspace for services of one's own, which builds and passes its test at once.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tcs_core::wire::text::one_line;

use super::{USAGE, say};
use crate::stdout::print;

/// Where, and what is written there. `NAME`, `CORE` and `LAUNCHER` are filled in.
const FILES: [(&str, &str); 9] = [
    ("Cargo.toml", include_str!("new/workspace.toml")),
    ("Makefile", include_str!("new/Makefile.txt")),
    ("services.yaml", include_str!("new/services.yaml")),
    (".gitignore", "/target\n"),
    ("services/Cargo.toml", include_str!("new/services.toml")),
    ("services/src/lib.rs", include_str!("new/lib.rs.txt")),
    ("services/src/guider.rs", include_str!("new/guider.rs.txt")),
    ("launcher/Cargo.toml", include_str!("new/launcher.toml")),
    ("launcher/src/main.rs", include_str!("new/main.rs.txt")),
];

/// Writes it, and tells what to do next.
pub(super) fn run(folder: &Path, tcs: Option<&Path>) -> io::Result<ExitCode> {
    let name = match name(folder) {
        Ok(name) => name,
        Err(mistake) => {
            say(&mistake);
            return Ok(ExitCode::from(USAGE));
        }
    };
    match write(folder, &name, &Source::find(tcs)) {
        Ok(()) => {
            // one that is not UTF-8 cannot be typed from what is shown
            let go = folder.to_str().map(|_| format!("cd {} && ", quoted(folder)));
            print(&format!(
                "created {}: the services are in services/src, one file each\n\
                 next: {}make test && make run",
                folder.display(),
                go.unwrap_or_default()
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(&error);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Words that no crate can be called by: those of the language, in use or kept for later.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The package's name is the folder's, as Rust names things.
fn name(folder: &Path) -> Result<String, String> {
    let Some(name) = folder.file_name() else {
        let folder = folder.display();
        return Err(format!(
            "`{folder}` is not the name of a new folder\nhint: tcsd new my_services"
        ));
    };
    let name = name.to_string_lossy();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits);
    let (why, better) = match &*name {
        name if !is_name => {
            ("cannot name a package: use lower-case letters, digits and `_`", fitted(name))
        }
        name if KEYWORDS.contains(&name) => ("is a keyword of Rust", format!("{name}_services")),
        "alloc" | "core" | "proc_macro" | "std" | "test" => {
            ("is a crate of Rust's own", format!("{name}_services"))
        }
        name if name.starts_with("tcs_") => {
            ("may be a crate of the framework", format!("my_{name}"))
        }
        "build" | "deps" | "examples" | "incremental" | "launcher" | "services" => {
            ("is a folder in every workspace", format!("my_{name}"))
        }
        name => return Ok(name.to_owned()),
    };
    let better = quoted(&folder.with_file_name(better));
    Err(format!("`{}` {why}\nhint: tcsd new {better}", one_line(&name)))
}

/// The nearest name that fits: `my_services` for `My Services`.
fn fitted(name: &str) -> String {
    let small = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().map(small).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('_');
    if name.is_empty() || KEYWORDS.contains(&name) {
        return "my_services".to_owned();
    }
    name.to_owned()
}

/// As a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if text.chars().all(is_plain) && !text.starts_with('-') {
        return text;
    }
    let text = if text.starts_with('-') { format!("./{text}") } else { text };
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The crate that this program was built from. A package, which is built elsewhere, knows none, and so is
/// the same wherever it is built.
const BUILT_FROM: Option<&str> = match option_env!("TCS_PACKAGED") {
    Some(_) => None,
    None => Some(env!("CARGO_MANIFEST_DIR")),
};

/// Where the framework comes from.
enum Source {
    Checkout(PathBuf),
    Registry,
}

impl Source {
    /// A checkout that was named, or that this program was built from, if it is there.
    fn find(named: Option<&Path>) -> Self {
        let built_from = || Path::new(BUILT_FROM?).parent();
        let found = named.or_else(built_from).filter(|at| at.join("tcs-core/Cargo.toml").is_file());
        let found =
            found.or(named).map(|at| fs::canonicalize(at).unwrap_or_else(|_| at.to_owned()));
        found.map_or(Self::Registry, Self::Checkout)
    }

    fn of(&self, package: &str) -> String {
        match self {
            Self::Checkout(at) => {
                let path = at.join(package).display().to_string();
                format!("path = {}", serde_json::Value::from(path))
            }
            Self::Registry => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
        }
    }
}

fn write(folder: &Path, name: &str, source: &Source) -> Result<(), String> {
    if let Source::Checkout(at) = source
        && !at.join("tcs-core/Cargo.toml").is_file()
    {
        return Err(format!("{} is not a checkout of TCS: it has no tcs-core", at.display()));
    }
    if let Source::Checkout(at) = source
        && at.to_str().is_none()
    {
        return Err(format!("{}: cargo accepts only UTF-8 paths", at.display()));
    }
    fs::create_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (path, text) in FILES {
        let text = text
            .replace("NAME", name)
            .replace("CORE", &source.of("tcs-core"))
            .replace("LAUNCHER", &source.of("tcs-launcher"));
        let path = folder.join(path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()))
        });
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn names_of_packages() {
        assert_eq!(name(Path::new("../my_services")).unwrap(), "my_services");
        assert_eq!(name(Path::new("union")).unwrap(), "union", "no word outside of its place");
        for (bad, why, better) in [
            ("..", "is not the name of a new folder", "my_services"),
            ("My Services", "cannot name a package", "my_services"),
            ("1a", "cannot name a package", "a"),
            ("a-b", "cannot name a package", "a_b"),
            ("żółw", "cannot name a package", "w"),
            ("!", "cannot name a package", "my_services"),
            ("fn", "is a keyword of Rust", "fn_services"),
            ("self", "is a keyword of Rust", "self_services"),
            ("gen", "is a keyword of Rust", "gen_services"),
            ("a dir/test", "is a crate of Rust's own", "'a dir/test_services'"),
            ("tcs_core", "may be a crate of the framework", "my_tcs_core"),
            ("services", "is a folder in every workspace", "my_services"),
        ] {
            let told = name(Path::new(bad)).unwrap_err();
            assert!(told.contains(why), "{bad}: {told}");
            assert!(told.ends_with(&format!("\nhint: tcsd new {better}")), "{bad}: {told}");
            let better = fitted(better.trim_matches('\'').rsplit('/').next().unwrap());
            assert!(name(Path::new(&better)).is_ok(), "{better}");
        }
        let not_text = OsStr::from_bytes(b"a\n\xff");
        let told = name(Path::new(not_text)).unwrap_err();
        assert!(told.starts_with("`a\\n\u{fffd}` cannot name a package"), "{told}");
    }

    #[test]
    fn what_is_to_be_typed_is_one_word() {
        for (path, typed) in [
            ("../my_services", "../my_services"),
            ("a dir/b", "'a dir/b'"),
            ("it's/b", r"'it'\''s/b'"),
            ("$(rm)/b", "'$(rm)/b'"),
            ("-x/b", "'./-x/b'"),
        ] {
            assert_eq!(quoted(Path::new(path)), typed);
        }
    }
}
