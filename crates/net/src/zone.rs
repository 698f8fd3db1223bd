//! Names and numbers of network interfaces, for the zone of an IPv6 link-local address. Go: `ipv6ZoneCache`.
//!
//! A list of its own, remembered for a while, since addresses are printed often. Where the system does not tell,
//! numbers still work, and so an address that was printed can always be read back.

use std::time::{Duration, Instant};

use gopark_sys::interface::names;
use parking_lot::Mutex;

/// Go's interval: how long a list of interfaces is believed.
const FRESH: Duration = Duration::from_secs(60);

static CACHE: Mutex<Cache> = Mutex::new(Cache { read_at: None, interfaces: Vec::new() });

struct Cache {
    read_at: Option<Instant>,
    /// Name and number.
    interfaces: Vec<(String, u32)>,
}

impl Cache {
    /// Reads the list again if it is old, or whatever its age if `force`.
    fn update(&mut self, force: bool) {
        if force || self.read_at.is_none_or(|at| at.elapsed() > FRESH) {
            self.interfaces = names();
            self.read_at = Some(Instant::now());
        }
    }

    /// Looks in a fresh list; what is not there may be new, so the list is read again once.
    fn find<T>(&mut self, find: impl Fn(&[(String, u32)]) -> Option<T>) -> Option<T> {
        self.update(false);
        find(&self.interfaces).or_else(|| {
            self.update(true);
            find(&self.interfaces)
        })
    }
}

/// The number of the interface called `zone`, or `zone` itself if it is a number.
pub(crate) fn index(zone: &str) -> Option<u32> {
    let named = CACHE.lock().find(|all| all.iter().find(|(name, _)| name == zone).map(|&(_, index)| index));
    named.or_else(|| zone.parse().ok())
}

/// The name of interface `index`, or the number in decimal if there is none.
pub(crate) fn name(index: u32) -> String {
    let name = CACHE.lock().find(|all| all.iter().find(|(_, i)| *i == index).map(|(name, _)| name.clone()));
    name.unwrap_or_else(|| index.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_each_others_inverse() {
        for (interface, number) in names() {
            assert_eq!(index(&interface), Some(number));
            assert_eq!(name(number), interface);
        }
    }

    #[test]
    fn what_is_not_an_interface_is_a_number_or_nothing() {
        assert_eq!(index("4000000000"), Some(4_000_000_000));
        assert_eq!(index("no-such-interface"), None);
        assert_eq!(name(4_000_000_000), "4000000000");
    }
}
