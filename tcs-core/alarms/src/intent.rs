//! What a sentinel is to do: records to be stored, notifications to be claimed and sent.

use crate::address::Address;
use crate::notification::Claim;
use crate::record::Record;

/// A record to be stored, only if the last message of its subject is the one that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub address: Address,
    /// What.
    pub record: Record,
    /// The last sequence number of the subject; 0: none.
    pub expected: u64,
}

/// Something a sentinel is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Store a record; where that is refused, another sentinel has done it.
    Write(Box<Write>),
    /// Store the claim; where that succeeds, send, and store the outcome.
    Notify(Box<Claim>),
}

impl Intent {
    pub(crate) fn write(address: Address, record: Record, expected: u64) -> Self {
        Self::Write(Box::new(Write { address, record, expected }))
    }

    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Write(write) => write.address.clone(),
            Self::Notify(claim) => claim.address(),
        }
    }

    pub(crate) fn expected(&mut self) -> &mut u64 {
        match self {
            Self::Write(write) => &mut write.expected,
            Self::Notify(claim) => &mut claim.expected,
        }
    }
}
