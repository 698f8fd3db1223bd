//! A file of settings that is read again when it has changed. Go: `resolverConfig`, `nsswitchConfig` and `hosts` in
//! `net`, which have this three times.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Mutex, RwLock};

/// How long nobody looks whether a file has changed (Go's interval).
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// The most that is read of a file. A list of hosts to block has some megabytes; a device that never ends, or a log
/// that somebody has linked there, must not take the memory.
const SIZE_MAX: u64 = 32 << 20;

/// What a file says, as its `T`.
pub(super) struct Watched<T> {
    path: PathBuf,
    /// `Err`: why it could not be read. `None` keeps what was known before.
    parse: fn(io::Result<String>) -> Option<T>,
    looks: Mutex<Looks>,
    value: RwLock<Arc<T>>,
}

/// When somebody looked, and what the file was like then.
struct Looks {
    at: Option<Instant>,
    stamp: Option<(SystemTime, u64)>,
}

/// When to look at the file again.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Recheck {
    /// Once what is known is no longer fresh.
    Sometimes,
    /// Before each use: there is nothing to lose.
    Always,
    /// Never again.
    Never,
}

/// What is kept of a file.
pub(super) trait Setting: Default {
    fn recheck(&self) -> Recheck {
        Recheck::Sometimes
    }
}

impl<T: Setting> Watched<T> {
    pub(super) fn new(path: impl Into<PathBuf>, parse: fn(io::Result<String>) -> Option<T>) -> Watched<T> {
        Watched {
            path: path.into(),
            parse,
            looks: Mutex::new(Looks { at: None, stamp: None }),
            value: RwLock::default(),
        }
    }

    /// What the file says.
    pub(super) fn get(&self) -> Arc<T> {
        self.get_at(Instant::now())
    }

    fn get_at(&self, now: Instant) -> Arc<T> {
        let value = Arc::clone(&self.value.read());
        // Somebody is at it: what is known is good enough meanwhile, but for the very first.
        let mut looks = match self.looks.try_lock() {
            Some(looks) => looks,
            None => {
                let looks = self.looks.lock();
                if looks.at.is_some() {
                    return Arc::clone(&self.value.read());
                }
                looks
            }
        };
        if let Some(at) = looks.at {
            let is_due = match value.recheck() {
                Recheck::Sometimes => now.saturating_duration_since(at) >= FRESH,
                Recheck::Always => true,
                Recheck::Never => false,
            };
            if !is_due {
                return Arc::clone(&self.value.read());
            }
        }
        let stamp = self.stamp();
        let is_first = looks.at.replace(now).is_none();
        if is_first || stamp != looks.stamp {
            let read = self.read();
            // What could not be read is tried again, though it has not changed: it may have been a want of descriptors.
            looks.stamp = stamp.filter(|_| read.is_ok());
            if let Some(value) = (self.parse)(read) {
                *self.value.write() = Arc::new(value);
            }
        }
        Arc::clone(&self.value.read())
    }

    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let meta = std::fs::metadata(&self.path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    }

    /// The text; what is not UTF-8 in it is replaced, for no name has it.
    fn read(&self) -> io::Result<String> {
        let file = std::fs::File::open(&self.path)?;
        let mut bytes = Vec::new();
        file.take(SIZE_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, PartialEq, Debug)]
    struct Text(String);

    impl Setting for Text {
        fn recheck(&self) -> Recheck {
            match self.0.as_str() {
                "never" => Recheck::Never,
                "always" => Recheck::Always,
                _ => Recheck::Sometimes,
            }
        }
    }

    fn text(read: io::Result<String>) -> Option<Text> {
        match read {
            Ok(text) => Some(Text(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Some(Text("missing".into())),
            Err(_) => None,
        }
    }

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let dir = std::env::temp_dir().join(format!("gopark-watched-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Dir(dir)
        }

        fn write(&self, text: &str) -> PathBuf {
            let path = self.0.join("file");
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    // Go: net TestUpdateResolvConf, TestHostCacheModification; go-semantics 7.5: "resolver config reload"
    #[test]
    fn a_change_shows_after_five_seconds() {
        let dir = Dir::new("change");
        let watched = Watched::new(dir.write("one"), text);
        let start = Instant::now();
        assert_eq!(watched.get_at(start).0, "one");
        dir.write("three");
        assert_eq!(watched.get_at(start + Duration::from_secs(4)).0, "one");
        assert_eq!(watched.get_at(start + FRESH).0, "three");
        std::fs::remove_file(dir.0.join("file")).unwrap();
        assert_eq!(watched.get_at(start + FRESH).0, "three");
        assert_eq!(watched.get_at(start + 2 * FRESH).0, "missing");
        dir.write("back");
        assert_eq!(watched.get_at(start + 3 * FRESH).0, "back");
    }

    // Go: net TestDNSConfigNoReload
    #[test]
    fn what_is_known_can_say_when_to_look() {
        let dir = Dir::new("recheck");
        let watched = Watched::new(dir.write("always"), text);
        let start = Instant::now();
        assert_eq!(watched.get_at(start).0, "always");
        dir.write("never");
        assert_eq!(watched.get_at(start).0, "never");
        dir.write("other");
        assert_eq!(watched.get_at(start + 1000 * FRESH).0, "never");
    }

    /// A process that had no descriptor left for a moment is not without its settings for ever.
    #[test]
    fn what_could_not_be_read_is_tried_again() {
        use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
        static TRIES: AtomicU32 = AtomicU32::new(0);
        fn count(read: io::Result<String>) -> Option<Text> {
            TRIES.fetch_add(1, SeqCst);
            text(read)
        }
        let dir = Dir::new("again");
        std::fs::create_dir(dir.0.join("file")).unwrap(); // has a stamp, and cannot be read
        let watched = Watched::new(dir.0.join("file"), count);
        let start = Instant::now();
        for (after, tries) in [(0, 1), (4, 1), (5, 2), (9, 2), (10, 3)] {
            watched.get_at(start + Duration::from_secs(after));
            assert_eq!(TRIES.load(SeqCst), tries, "after {after} s");
        }
        // What can be read is read once.
        std::fs::remove_dir(dir.0.join("file")).unwrap();
        dir.write("text");
        for after in [15, 20, 25] {
            assert_eq!(watched.get_at(start + Duration::from_secs(after)).0, "text");
            assert_eq!(TRIES.load(SeqCst), 4);
        }
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let dir = Dir::new("unreadable");
        let watched = Watched::new(dir.write("known"), text);
        let start = Instant::now();
        assert_eq!(watched.get_at(start).0, "known");
        std::fs::remove_file(dir.0.join("file")).unwrap();
        std::fs::create_dir(dir.0.join("file")).unwrap();
        assert_eq!(watched.get_at(start + FRESH).0, "known");
        assert_eq!(Watched::new(dir.0.join("none"), text).get_at(start).0, "missing");
    }
}
