//! What one address holds of something that is bounded, so that one client does not keep all others
//! out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// How much each address holds.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<IpAddr, usize>>);

/// One part, held until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    address: IpAddr,
    /// How many this address holds, with this one.
    pub(super) held: usize,
}

impl Shares {
    /// One part more for a client. Nothing is refused here: the caller compares [`Share::held`] with
    /// what it allows.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr) -> Share {
        let address = owner(client);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(address).or_default();
        *held += 1;
        Share { shares: Arc::clone(self), address, held: *held }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = all.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// The address under which a client is counted. A host has all addresses of its IPv6 network, so that
/// they count as one.
pub(super) fn owner(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Whether a client may hold all there is. A proxy and a tunnel on this host have a loopback address,
/// and all who come through them have it too.
pub(super) fn is_unbounded(client: IpAddr) -> bool {
    client.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_counted_by_itself_and_until_it_lets_go() {
        let shares = Arc::new(Shares::default());
        let take = |text: &str| shares.take(text.parse().unwrap());
        let first = take("192.0.2.1");
        let second = take("192.0.2.1");
        assert_eq!((first.held, second.held, take("192.0.2.2").held), (1, 2, 1));
        // the same client by the other protocol
        assert_eq!(take("::ffff:192.0.2.1").held, 3);
        drop(first);
        assert_eq!(take("192.0.2.1").held, 2);
        drop(second);
        assert!(shares.0.lock().unwrap().is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn a_host_with_many_addresses_counts_once() {
        let shares = Arc::new(Shares::default());
        let take = |text: &str| shares.take(text.parse().unwrap());
        let held = take("2001:db8:0:1::1");
        let other = take("2001:db8:0:1:ffff:ffff:ffff:ffff");
        assert_eq!((held.held, other.held, take("2001:db8:0:2::1").held), (1, 2, 1));
        // `::1` is not in the network of other hosts
        assert!(is_unbounded("::1".parse().unwrap()));
        assert!(is_unbounded("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!is_unbounded("::2".parse().unwrap()));
    }
}
