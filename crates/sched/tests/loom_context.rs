//! Models of contexts: the real tree and the real registration of descriptors (`context/node.rs`, `context/io.rs`),
//! over a real poll descriptor of gopark-poll, with loom's locks and threads. A timer is a thread that fires at any
//! moment, or was stopped.
#![cfg(loom)]
#![allow(dead_code, missing_docs, unreachable_pub)]

// What the files call parking_lot is `Mutex` below.
extern crate self as parking_lot;

#[path = "util/loom.rs"]
mod util;

#[path = "../src/context/io.rs"]
mod io;
#[path = "../src/context/node.rs"]
mod node;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_poll::Mode;
use gopark_poll::model::ModelDesc;
use io::Attached;
use loom::thread;
use node::Node;
use util::model;

/// What the files find as `super`.
pub(crate) type Cause = Arc<dyn std::error::Error + Send + Sync>;

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Error {
    Canceled,
    DeadlineExceeded,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}

#[derive(Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap()
    }
}

/// The channel, of which a context wants to know no more than whether it is closed.
mod chan {
    use std::marker::PhantomData;

    use gopark_poll::WaitReason;
    use loom::sync::atomic::{AtomicBool, Ordering};

    pub(crate) struct Receiver<T>(AtomicBool, PhantomData<T>);

    impl<T> Receiver<T> {
        pub(crate) fn is_closed(&self) -> bool {
            self.0.load(Ordering::Acquire)
        }
    }

    pub(crate) fn signal(_reason: WaitReason) -> Receiver<()> {
        Receiver(AtomicBool::new(false), PhantomData)
    }

    pub(crate) fn end_signal(rx: &Receiver<()>) {
        rx.0.store(true, Ordering::Release);
    }
}

mod time {
    use std::time::Duration;

    use loom::sync::{Arc, Mutex};

    pub(crate) struct AfterFunc(Arc<Mutex<bool>>);

    pub(crate) fn after_func(_d: Duration, f: impl Fn() + Send + Sync + 'static) -> AfterFunc {
        let stopped = Arc::new(Mutex::new(false));
        let theirs = Arc::clone(&stopped);
        loom::thread::spawn(move || {
            let stopped = *theirs.lock().unwrap();
            if !stopped {
                f();
            }
        });
        AfterFunc(stopped)
    }

    impl AfterFunc {
        pub(crate) fn stop(&self) -> bool {
            !std::mem::replace(&mut *self.0.lock().unwrap(), true)
        }
    }
}

const READ: &[Mode] = &[Mode::Read];

fn root() -> Arc<Node> {
    Node::new(None, None, None)
}

fn child(parent: &Arc<Node>) -> Arc<Node> {
    Node::new(Some(Arc::clone(parent)), None, None)
}

fn canceler(node: &Arc<Node>) -> thread::JoinHandle<()> {
    let node = Arc::clone(node);
    thread::spawn(move || node.cancel(Error::Canceled, None))
}

#[test]
fn a_child_made_while_its_parent_is_canceled_is_canceled() {
    model(3, || {
        let parent = root();
        let cancel = canceler(&parent);
        let node = child(&parent);
        let grandchild = child(&node);
        cancel.join().unwrap();
        assert_eq!(node.err(), Some(Error::Canceled));
        assert_eq!(grandchild.err(), Some(Error::Canceled));
        assert_eq!(parent.children(), 0);
    });
}

#[test]
fn a_child_dropped_while_its_parent_is_canceled_leaves_nothing() {
    model(3, || {
        let parent = root();
        let node = child(&parent);
        let other = child(&parent);
        let cancel = canceler(&parent);
        drop(node);
        cancel.join().unwrap();
        assert_eq!(other.err(), Some(Error::Canceled));
        assert_eq!(parent.children(), 0);
    });
}

#[test]
fn children_that_come_and_go_at_once_leave_nothing() {
    model(3, || {
        let parent = root();
        let theirs = Arc::clone(&parent);
        let other = thread::spawn(move || {
            let node = child(&theirs);
            node.cancel(Error::Canceled, None);
        });
        drop(child(&parent));
        let kept = child(&parent);
        other.join().unwrap();
        assert_eq!(parent.children(), 1);
        parent.cancel(Error::Canceled, None);
        assert_eq!(kept.err(), Some(Error::Canceled));
    });
}

#[test]
fn a_channel_asked_for_during_a_cancel_is_closed() {
    model(3, || {
        let node = root();
        let cancel = canceler(&node);
        let theirs = Arc::clone(&node);
        let other = thread::spawn(move || {
            theirs.done();
        });
        let done = node.done();
        if node.err().is_some() {
            assert!(done.is_closed(), "err is there, and done is open");
        }
        if done.is_closed() {
            assert!(node.err().is_some(), "done is closed, and err is not there");
        }
        cancel.join().unwrap();
        other.join().unwrap();
        assert!(done.is_closed());
    });
}

/// Whoever is last closes it: looking at the error is not what does.
#[test]
fn a_channel_made_during_a_cancel_is_closed() {
    model(3, || {
        let node = root();
        let cancel = canceler(&node);
        let theirs = Arc::clone(&node);
        let other = thread::spawn(move || {
            theirs.done();
        });
        cancel.join().unwrap();
        other.join().unwrap();
        assert!(node.done().is_closed());
    });
}

#[test]
fn a_cancel_and_a_deadline_at_once_agree() {
    model(2, || {
        let parent = root();
        let later = Instant::now() + Duration::from_secs(3600);
        let node = Node::new(Some(Arc::clone(&parent)), Some(later), None);
        let below = child(&node);
        parent.cancel(Error::Canceled, None);
        let why = node.err();
        assert!(why.is_some());
        assert!(below.err().is_none_or(|err| Some(err) == why), "{:?} {why:?}", below.err());
        assert_eq!(node.err(), why, "it does not change");
    });
}

#[test]
fn a_context_dropped_while_its_time_comes() {
    model(3, || {
        let parent = root();
        let later = Instant::now() + Duration::from_secs(3600);
        drop(Node::new(Some(Arc::clone(&parent)), Some(later), None));
        parent.cancel(Error::Canceled, None);
        assert_eq!(parent.children(), 0);
    });
}

/// What `detach` leaves is a descriptor that nobody has touched, whenever the cancel came; and it tells whether it did.
#[test]
fn a_descriptor_is_as_before_once_it_is_detached() {
    model(3, || {
        let node = root();
        let pd = ModelDesc::open();
        let cancel = canceler(&node);
        let attached = Attached::new(Some(&node), pd.canceler(), READ);
        let failed = pd.prepare(Mode::Read).is_err();
        let was_done = attached.detach();
        assert!(!failed || was_done == Err(Error::Canceled), "a call has failed, and nobody canceled");
        assert_eq!(pd.prepare(Mode::Read), Ok(()));
        cancel.join().unwrap();
        assert_eq!(pd.prepare(Mode::Read), Ok(()), "a cancel that comes too late");
        assert_eq!(node.children(), 0);
    });
}

#[test]
fn two_contexts_on_one_descriptor() {
    model(2, || {
        let (a, b) = (root(), root());
        let pd = ModelDesc::open();
        let of_a = Attached::new(Some(&a), pd.canceler(), READ);
        let of_b = Attached::new(Some(&b), pd.canceler(), READ);
        let cancels = [canceler(&a), canceler(&b)];
        drop(of_a);
        for cancel in cancels {
            cancel.join().unwrap();
        }
        assert!(pd.prepare(Mode::Read).is_err(), "the other is still there");
        assert_eq!(of_b.detach(), Err(Error::Canceled));
        assert_eq!(pd.prepare(Mode::Read), Ok(()));
    });
}

#[test]
fn a_cancel_of_a_slot_that_has_another_user() {
    model(3, || {
        let node = root();
        let pd = ModelDesc::open();
        let attached = Attached::new(Some(&node), pd.canceler(), READ);
        let cancel = canceler(&node);
        pd.evict();
        let next = pd.reuse();
        assert_eq!(next.prepare(Mode::Read), Ok(()));
        drop(attached);
        cancel.join().unwrap();
        assert_eq!(next.prepare(Mode::Read), Ok(()));
    });
}
