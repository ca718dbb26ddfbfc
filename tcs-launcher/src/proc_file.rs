//! Reads files of `/proc`. They have no size to ask for, and most fit into one read: the standard
//! library begins with 32 bytes, and takes five calls where two will do.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What most of them fit into.
const MOST: usize = 4096;

/// All that a file holds.
pub(crate) fn bytes(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut all = vec![0; MOST];
    let mut len = 0;
    loop {
        match file.read(&mut all[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if len == all.len() {
            all.resize(len * 2, 0);
        }
    }
    all.truncate(len);
    Ok(all)
}

/// The same as text; what is no UTF-8 is replaced.
pub(crate) fn text(path: impl AsRef<Path>) -> io::Result<String> {
    let text = String::from_utf8(bytes(path)?);
    Ok(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_whatever_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for len in [0, 1, MOST - 1, MOST, MOST + 1, 3 * MOST] {
            let written: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            std::fs::write(&path, &written).unwrap();
            assert_eq!(bytes(&path).unwrap(), written, "{len}");
        }
        assert!(bytes(dir.path().join("none")).is_err());
        assert!(text("/proc/self/status").unwrap().starts_with("Name:"));
    }
}
