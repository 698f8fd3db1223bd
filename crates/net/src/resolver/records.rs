//! Records that a program gets, and their order. Go: `net/dnsclient.go`.

use std::error::Error;
use std::{fmt, io};

use super::random::random_below;
use crate::error::DnsError;

/// Where a service is: a SRV record.
///
/// # Examples
///
/// ```
/// let srv = gopark_net::Srv { target: "a.example.".into(), port: 5269, priority: 10, weight: 1 };
/// assert_eq!(gopark_net::join_host_port(&srv.target, &srv.port.to_string()), "a.example.:5269");
/// ```
///
/// Go: net/dnsclient.go SRV
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[doc(alias = "SRV")]
pub struct Srv {
    /// The host, with a dot at its end.
    pub target: String,
    /// The port.
    pub port: u16,
    /// Hosts of the lowest priority are to be tried first.
    pub priority: u16,
    /// Among hosts of one priority, how often this one is to be the first.
    pub weight: u16,
}

/// Who takes mail for a domain: an MX record.
///
/// # Examples
///
/// ```
/// let mx = gopark_net::Mx { host: "mail.example.".into(), preference: 10 };
/// ```
///
/// Go: net/dnsclient.go MX
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[doc(alias = "MX")]
pub struct Mx {
    /// The host, with a dot at its end.
    pub host: String,
    /// Hosts of the lowest preference are to be tried first.
    pub preference: u16,
}

/// Who knows a domain: an NS record.
///
/// # Examples
///
/// ```
/// let ns = gopark_net::Ns { host: "ns1.example.".into() };
/// ```
///
/// Go: net/dnsclient.go NS
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[doc(alias = "NS")]
pub struct Ns {
    /// The name server, with a dot at its end.
    pub host: String,
}

/// An answer had records with names that are no host names. These are the others.
///
/// An answer with such a name is an error: somebody may have put it there for programs that put what they get into a
/// page or a command (CVE-2021-33195). Who can do with the rest takes it from the error.
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{InvalidRecords, Mx, Resolver, context::Context};
///
/// let servers = match Resolver::new().lookup_mx(&Context::background(), "example.com") {
///     Ok(servers) => servers,
///     Err(err) => match InvalidRecords::<Mx>::of(&err) {
///         Some(rest) => rest.valid.clone(),
///         None => return Err(err),
///     },
/// };
/// # Ok(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidRecords<T> {
    /// The records whose names are valid.
    pub valid: Vec<T>,
    /// The error itself.
    pub error: DnsError,
}

impl<T: fmt::Debug + Send + Sync + 'static> InvalidRecords<T> {
    /// The error inside of `err`, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::{InvalidRecords, Ns};
    ///
    /// assert!(InvalidRecords::<Ns>::of(&std::io::ErrorKind::NotFound.into()).is_none());
    /// ```
    pub fn of(err: &io::Error) -> Option<&InvalidRecords<T>> {
        err.get_ref()?.downcast_ref()
    }
}

impl<T> fmt::Display for InvalidRecords<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> Error for InvalidRecords<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Sorts by priority, and shuffles those of one priority by their weights: RFC 2782.
///
/// Go: net/dnsclient.go byPriorityWeight.sort
#[doc(alias = "byPriorityWeight")]
pub(super) fn sort_srv(records: &mut [Srv]) {
    records.sort_by_key(|srv| (srv.priority, srv.weight));
    for group in records.chunk_by_mut(|a, b| a.priority == b.priority) {
        shuffle_by_weight(group);
    }
}

/// Go: net/dnsclient.go byPriorityWeight.shuffleByWeight
#[doc(alias = "shuffleByWeight")]
fn shuffle_by_weight(mut rest: &mut [Srv]) {
    let mut sum: u64 = rest.iter().map(|srv| u64::from(srv.weight)).sum();
    while sum > 0 && rest.len() > 1 {
        let mut left = random_below(sum);
        let chosen = rest.iter().position(|srv| {
            let weight = u64::from(srv.weight);
            let is_it = left < weight;
            left = left.saturating_sub(weight);
            is_it
        });
        rest.swap(0, chosen.unwrap_or(0));
        let (first, others) = rest.split_first_mut().expect("more than one");
        sum -= u64::from(first.weight);
        rest = others;
    }
}

/// Sorts by preference, those of one preference in any order: RFC 5321.
///
/// Go: net/dnsclient.go byPref.sort
pub(super) fn sort_mx(records: &mut [Mx]) {
    for i in (1..records.len()).rev() {
        records.swap(i, random_below(i as u64 + 1) as usize);
    }
    records.sort_by_key(|mx| mx.preference);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(target: &str, priority: u16, weight: u16) -> Srv {
        Srv { target: target.to_owned(), port: 1, priority, weight }
    }

    /// How often the first of `records` is the first after shuffling is within `margin` of what its weight asks for.
    fn check_distribution(records: &[Srv], margin: f64) {
        const ROUNDS: u32 = 10_000;
        let sum: u32 = records.iter().map(|srv| u32::from(srv.weight)).sum();
        let mut first = 0;
        for _ in 0..ROUNDS {
            let mut shuffled = records.to_vec();
            shuffle_by_weight(&mut shuffled);
            first += u32::from(shuffled[0].target == records[0].target);
        }
        let want = f64::from(ROUNDS) * f64::from(records[0].weight) / f64::from(sum);
        let off = (f64::from(first) - want).abs();
        assert!(off <= want * margin, "{first} of {ROUNDS}, {want} wanted");
    }

    // Go: net TestDNSSRVUniformity
    #[test]
    fn test_dns_srv_uniformity() {
        for (size, margin) in [(2, 0.05), (3, 0.10), (10, 0.20)] {
            let records: Vec<_> = (0..size).map(|i| srv(&i.to_string(), 0, 1)).collect();
            check_distribution(&records, margin);
        }
    }

    // Go: net TestWeighting
    #[test]
    fn test_weighting() {
        check_distribution(&[srv("a", 0, 60), srv("b", 0, 30), srv("c", 0, 10)], 0.05);
    }

    #[test]
    fn priority_and_preference_come_first() {
        let mut records = vec![srv("c", 2, 9), srv("b", 1, 0), srv("a", 1, 5), srv("d", 3, 0)];
        sort_srv(&mut records);
        let order: Vec<_> = records.iter().map(|srv| srv.target.as_str()).collect();
        assert_eq!(order, ["a", "b", "c", "d"], "what has no weight comes last");
        sort_srv(&mut []);
        let mx = |host: &str, preference| Mx { host: host.to_owned(), preference };
        let mut records = vec![mx("b", 20), mx("c", 30), mx("a", 10)];
        sort_mx(&mut records);
        let order: Vec<_> = records.iter().map(|mx| mx.host.as_str()).collect();
        assert_eq!(order, ["a", "b", "c"]);
        sort_mx(&mut []);
    }
}
