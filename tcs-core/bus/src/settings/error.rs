//! What is wrong with settings.

use tcs_wire::id::IdError;

use super::values::Origin;
use crate::address::AddressError;
use crate::context::ContextError;
use crate::secret::SecretError;

/// Why the settings cannot be resolved. No text holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Server address.
    #[error("{origin}: {source}")]
    Address {
        /// Who said so.
        origin: Origin,
        /// What is wrong.
        source: AddressError,
    },
    /// Credentials.
    #[error("{origin}: {source}")]
    Secret {
        /// Who said so.
        origin: Origin,
        /// What is wrong.
        source: SecretError,
    },
    /// JetStream domain or API prefix.
    #[error("{origin}: {source}")]
    JetStream {
        /// Who said so.
        origin: Origin,
        /// What is wrong.
        source: IdError,
    },
    /// A JetStream domain with a dot in it.
    #[error(
        "{}: JetStream domain `{domain}` has a dot\nhint: give an API prefix as such: --api-prefix",
        origin.of_option("--domain")
    )]
    Domain {
        /// Who said so.
        origin: Origin,
        /// As given.
        domain: String,
    },
    /// Subject prefix.
    #[error("{}: {source}", origin.of_option("--prefix"))]
    Prefix {
        /// Who said so.
        origin: Origin,
        /// What is wrong.
        source: IdError,
    },
    /// Context.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// One half of a pair.
    #[error("{origin}: {has} without {lacks}")]
    Half {
        /// Who said so.
        origin: Origin,
        /// What is there.
        has: &'static str,
        /// What is not.
        lacks: &'static str,
    },
    /// A port or a yes/no in the environment that is none.
    #[error("{name}: `{value}` is not {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}
