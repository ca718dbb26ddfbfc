// Copyright 2020-2022 The NATS Authors
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
// http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

//! Internal ID generation for inbox subjects and object store nonces.
//!
//! By default, uses NUID for high-performance, cryptographically strong IDs.
//! When the `nuid` feature is disabled, falls back to the random bytes of the system.

/// Generate a unique ID string.
///
/// With the `nuid` feature (default): Uses NUID for high-performance,
/// cryptographically strong, collision-resistant IDs.
///
/// Without `nuid` feature: 22 alphanumeric characters from the system's random bytes.
#[cfg(feature = "nuid")]
#[inline]
pub(crate) fn next() -> String {
    nuid::next().to_string()
}

/// Generate a unique ID string of 22 alphanumeric characters, NUID's length.
///
/// This is used when the `nuid` feature is disabled.
// Changed in TCS (2026-11): takes the system's random bytes, without the crate `rand`. See README.md.
#[cfg(not(feature = "nuid"))]
pub(crate) fn next() -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::with_capacity(22);
    while id.len() < 22 {
        for byte in random_bytes::<32>() {
            // each character is as likely as any other
            if let Some(character) = ALPHABET.get(usize::from(byte & 63)) {
                if id.len() < 22 {
                    id.push(char::from(*character));
                }
            }
        }
    }
    id
}

/// Bytes that nobody can guess. A system that has none to give cannot run this client.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes of the system");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_next_generates_non_empty() {
        let id = next();
        assert!(!id.is_empty());
    }

    #[test]
    fn test_next_generates_unique() {
        let id1 = next();
        let id2 = next();
        assert_ne!(id1, id2);
    }

    #[test]
    fn test_next_reasonable_length() {
        let id = next();
        // NUID generates 22 characters, our rand fallback does too
        assert!(id.len() >= 20 && id.len() <= 30);
    }

    #[test]
    fn test_next_alphanumeric() {
        let id = next();
        assert!(id.chars().all(|c| c.is_alphanumeric()));
    }
}
