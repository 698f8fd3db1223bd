//! Answers that are remembered for as long as they say, if a program wants that. Go has no such thing.
//!
//! Only answers that have what was asked for: how long there is none of a thing is in another record, and a name that
//! has just been made is asked for at once. Bounded in number; an answer of unusual size is not kept, so in bytes too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::base::iana::Rtype;
use parking_lot::Mutex;

use super::message::Response;
use super::resolv_conf::ResolvConf;

/// The longest that anything is remembered, whatever it says (RFC 8767 speaks of a week; a program that runs for so
/// long had better ask once a day).
const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Larger answers are not kept.
const BYTES_MAX: usize = 4096;

pub(super) struct Cache {
    entries_max: usize,
    synced: Mutex<Synced>,
}

#[derive(Default)]
struct Synced {
    entries: HashMap<Key, Entry>,
    /// Whose servers have said this.
    conf: Option<Arc<ResolvConf>>,
}

/// The full name in lower case, and the type.
type Key = (String, Rtype);

struct Entry {
    response: Arc<Response>,
    server: String,
    until: Instant,
}

impl Cache {
    pub(super) fn new(entries_max: usize) -> Cache {
        Cache { entries_max, synced: Mutex::default() }
    }

    /// What the servers of `conf` have said before, and which of them did.
    pub(super) fn get(
        &self,
        conf: &Arc<ResolvConf>,
        fqdn: &str,
        qtype: Rtype,
        now: Instant,
    ) -> Option<(Arc<Response>, String)> {
        let mut synced = self.synced.lock();
        // Other servers may know other things: within another network, names of their own.
        if !synced.conf.as_ref().is_some_and(|known| Arc::ptr_eq(known, conf)) {
            synced.entries.clear();
            synced.conf = Some(Arc::clone(conf));
            return None;
        }
        let entry = synced.entries.get(&(fqdn.to_ascii_lowercase(), qtype))?;
        (now < entry.until).then(|| (Arc::clone(&entry.response), entry.server.clone()))
    }

    pub(super) fn put(
        &self,
        conf: &Arc<ResolvConf>,
        (fqdn, qtype): (&str, Rtype),
        (response, server): (&Arc<Response>, &str),
        now: Instant,
    ) {
        let ttl = response.ttl().min(TTL_MAX);
        if self.entries_max == 0 || ttl.is_zero() || response.len() > BYTES_MAX {
            return;
        }
        let mut synced = self.synced.lock();
        if !synced.conf.as_ref().is_some_and(|known| Arc::ptr_eq(known, conf)) {
            return;
        }
        let key = (fqdn.to_ascii_lowercase(), qtype);
        if synced.entries.len() >= self.entries_max && !synced.entries.contains_key(&key) {
            synced.make_room(now);
        }
        let entry = Entry { response: Arc::clone(response), server: server.to_owned(), until: now + ttl };
        synced.entries.insert(key, entry);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.synced.lock().entries.len()
    }
}

impl Synced {
    /// Forgets what is out of date; if nothing is, what would be next. Looks at all of them: that is done only when an
    /// answer comes over the network, which takes longer.
    fn make_room(&mut self, now: Instant) {
        let before = self.entries.len();
        self.entries.retain(|_, entry| now < entry.until);
        if self.entries.len() == before {
            let next = self.entries.iter().min_by_key(|(_, entry)| entry.until).map(|(key, _)| key.clone());
            next.and_then(|key| self.entries.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::message::Question;

    /// An answer of one A record with `ttl` seconds, and `padding` bytes behind.
    fn response(name: &str, ttl: u32, padding: usize) -> Arc<Response> {
        let question = Question::new(name, Rtype::A).unwrap();
        let mut octets = question.encode(7, false, false)[2..].to_vec();
        octets[2] |= 0x80;
        octets[7] = 1;
        octets.extend([0xc0, 12, 0, 1, 0, 1]);
        octets.extend(ttl.to_be_bytes());
        octets.extend([0, 4, 192, 0, 2, 1]);
        octets.resize(octets.len() + padding, 0);
        Arc::new(Response::new(octets, 7, &question).unwrap())
    }

    #[test]
    fn answers_are_kept_for_as_long_as_they_say() {
        let (cache, conf) = (Cache::new(2), Arc::new(ResolvConf::parse("", None)));
        let now = Instant::now();
        let sec = Duration::from_secs;
        let put = |name: &str, ttl, now| {
            cache.put(&conf, (name, Rtype::A), (&response(name, ttl, 0), "server"), now);
        };
        let has = |name: &str, now| cache.get(&conf, name, Rtype::A, now).is_some();
        put("a.", 10, now);
        assert!(!has("a.", now), "nobody has asked under these settings");
        put("a.", 10, now);
        assert!(has("A.", now + sec(9)) && !has("a.", now + sec(10)));
        assert!(cache.get(&conf, "a.", Rtype::AAAA, now).is_none());
        assert_eq!(cache.get(&conf, "a.", Rtype::A, now).unwrap().1, "server");
        put("none.", 0, now);
        assert!(!has("none.", now));
        put("b.", 20, now);
        put("c.", 30, now);
        assert!(!has("a.", now) && has("b.", now) && has("c.", now), "the next to go is gone");
        put("d.", 30, now + sec(25));
        assert!(!has("b.", now) && has("c.", now) && has("d.", now), "what is out of date is gone");
        put("long.", u32::MAX, now + sec(100));
        assert!(!has("long.", now + sec(100) + TTL_MAX));
        cache.put(&conf, ("big.", Rtype::A), (&response("big.", 10, BYTES_MAX), "server"), now);
        assert!(!has("big.", now));
        assert!(cache.len() <= 2);
    }

    #[test]
    fn other_settings_begin_anew() {
        let (cache, conf) = (Cache::new(2), Arc::new(ResolvConf::parse("", None)));
        let now = Instant::now();
        assert!(cache.get(&conf, "a.", Rtype::A, now).is_none());
        cache.put(&conf, ("a.", Rtype::A), (&response("a.", 10, 0), "server"), now);
        let other = Arc::new(ResolvConf::parse("", None));
        assert!(cache.get(&other, "a.", Rtype::A, now).is_none());
        // What was asked under the old ones comes too late.
        cache.put(&conf, ("a.", Rtype::A), (&response("a.", 10, 0), "server"), now);
        assert!(cache.get(&other, "a.", Rtype::A, now).is_none());
    }
}
