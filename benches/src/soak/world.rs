//! What the actors share, and what must hold of it.

use gopark_net::sync::{Condvar, Mutex, RwLock, Semaphore};
use gopark_net::{TcpConn, TcpListener, chan, go};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// The payload of the panics that belong to the soak.
pub(crate) struct Expected;

/// Connections that are open at a time.
const CONNECTIONS: usize = 500;

/// What the actors share.
pub(crate) struct World {
    pub(crate) steps: AtomicU64,
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// Channels that outlive their users: what was sent and what arrived must agree.
    pub(crate) common: [Common; 3],
    pub(crate) lock: Guarded,
    pub(crate) table: RwLock<[u64; 8]>,
    pub(crate) signal: (Mutex<u64>, Condvar),
    pub(crate) connections: Semaphore,
}

/// A channel for everybody, and the sums of what went in and what came out.
pub(crate) struct Common {
    pub(crate) sender: chan::Sender<u64>,
    pub(crate) receiver: chan::Receiver<u64>,
    sent: [AtomicU64; 2],
    received: [AtomicU64; 2],
}

impl Common {
    fn new((sender, receiver): (chan::Sender<u64>, chan::Receiver<u64>)) -> Common {
        Common { sender, receiver, sent: Default::default(), received: Default::default() }
    }

    pub(crate) fn note_sent(&self, value: u64) {
        self.sent[0].fetch_add(1, Relaxed);
        self.sent[1].fetch_add(value, Relaxed);
    }

    pub(crate) fn note_received(&self, value: u64) {
        self.received[0].fetch_add(1, Relaxed);
        self.received[1].fetch_add(value, Relaxed);
    }
}

/// A lock, and two words that agree whenever nobody holds it.
pub(crate) struct Guarded {
    lock: Mutex<()>,
    held: AtomicBool,
    words: [AtomicU64; 2],
}

impl Guarded {
    /// Locks, and sees to it that nobody else is inside; `inside` may park.
    pub(crate) fn with(&self, inside: impl FnOnce()) {
        let guard = self.lock.lock();
        self.enter();
        inside();
        self.leave();
        drop(guard);
    }

    /// The same if it is free.
    pub(crate) fn try_with(&self, inside: impl FnOnce()) {
        if let Some(guard) = self.lock.try_lock() {
            self.enter();
            inside();
            self.leave();
            drop(guard);
        }
    }

    fn enter(&self) {
        // Acquire: pairs with `leave`. Not an exchange that would order more than the lock does by itself.
        assert!(!self.held.load(Acquire), "two hold the mutex");
        self.held.store(true, Relaxed);
        let [a, b] = &self.words;
        assert_eq!(a.load(Relaxed), b.load(Relaxed), "the mutex does not order what it guards");
        a.store(a.load(Relaxed) + 1, Relaxed);
    }

    fn leave(&self) {
        let [a, b] = &self.words;
        b.store(b.load(Relaxed) + 1, Relaxed);
        assert_eq!(a.load(Relaxed), b.load(Relaxed), "somebody else was inside the mutex");
        self.held.store(false, Release); // pairs with `enter`
    }
}

/// Counts an end, by a panic too.
pub(crate) struct Acts(Arc<World>);

impl Drop for Acts {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Release); // pairs with is_over
    }
}

impl World {
    pub(crate) fn new() -> World {
        World {
            steps: AtomicU64::new(0),
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            common: [chan::bounded(0), chan::bounded(16), chan::unbounded()].map(Common::new),
            lock: Guarded { lock: Mutex::new(()), held: AtomicBool::new(false), words: Default::default() },
            table: RwLock::new([0; 8]),
            signal: (Mutex::new(0), Condvar::new()),
            connections: Semaphore::new(CONNECTIONS),
        }
    }

    /// Somebody begins to act, until the value is dropped.
    pub(crate) fn begin(self: &Arc<World>) -> Acts {
        self.begun.fetch_add(1, Relaxed);
        Acts(Arc::clone(self))
    }

    /// Whether all have ended who began.
    pub(crate) fn is_over(&self) -> bool {
        // The ends first: whoever begins later was begun by somebody who had not ended.
        let ended = self.ended.load(Acquire); // pairs with Acts' drop
        ended == self.begun.load(Relaxed)
    }

    /// What was sent over the common channels and not received is in them still; each value once.
    pub(crate) fn check_ledger(&self) {
        for (index, common) in self.common.iter().enumerate() {
            for value in common.receiver.try_iter() {
                common.note_received(value);
            }
            let sums = |words: &[AtomicU64; 2]| words.each_ref().map(|word| word.load(Relaxed));
            let (sent, received) = (sums(&common.sent), sums(&common.received));
            if sent != received {
                super::failed(&format!(
                    "channel {index}: sent {sent:?}, received {received:?} (count, sum): values were lost or doubled"
                ));
            }
        }
    }

    pub(crate) fn summary(&self) -> String {
        let [steps, begun, ended] =
            [self.steps.load(Relaxed), self.begun.load(Relaxed) as u64, self.ended.load(Relaxed) as u64];
        let values: u64 = self.common.iter().map(|common| common.received[0].load(Relaxed)).sum();
        format!(
            "{steps} steps, {begun} actors of whom {ended} have ended, {values} values over the common channels"
        )
    }
}

/// A server for one connection: everything that comes goes back.
pub(crate) fn serve_one(world: &Arc<World>) -> std::io::Result<TcpConn> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpConn::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    let acts = world.begin();
    go(move || {
        let _acts = acts;
        let mut buf = [0; 512];
        // Ends with the end of the stream, or the reset of a peer that closed with bytes unread.
        while let Ok(count @ 1..) = far.read(&mut buf) {
            if far.write_all(&buf[..count]).is_err() {
                break;
            }
        }
    });
    Ok(near)
}
