//! `tcsd new`: a workspace for services of one's own, which builds and passes its test at once.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{USAGE, print, say};

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
            let folder = folder.display();
            print(&format!(
                "made {folder}: the services are in services/src, each in a file\n\
                 next: cd {folder} && make test && make run"
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(&error);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The package's name is the folder's, as Rust names things.
fn name(folder: &Path) -> Result<String, String> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let taken = ["test", "core", "std", "alloc", "services", "launcher"].contains(&name);
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits) && !taken {
        return Ok(name.to_owned());
    }
    let name = name.escape_debug();
    Err(format!(
        "`{name}` cannot name a package: take small letters, digits and `_`\nhint: tcsd new my_services"
    ))
}

/// Where the framework comes from.
enum Source {
    Checkout(PathBuf),
    Registry,
}

impl Source {
    /// A checkout that was named, or that this program was built from, if it is there.
    fn find(named: Option<&Path>) -> Self {
        let built_from = || Path::new(env!("CARGO_MANIFEST_DIR")).parent();
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
        return Err(format!("{} is no checkout of TCS: it has no tcs-core", at.display()));
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
    use super::*;

    #[test]
    fn names_of_packages() {
        assert_eq!(name(Path::new("../my_services")).unwrap(), "my_services");
        for bad in ["", "..", "My", "a b", "1a", "a-b", "core", "services"] {
            assert!(name(Path::new(bad)).unwrap_err().contains("hint: tcsd new"), "{bad}");
        }
    }
}
