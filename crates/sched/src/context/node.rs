//! What can be canceled: a tree, in which children hold their parents and parents know their children.
//!
//! | word | meaning | who changes it |
//! | --- | --- | --- |
//! | `err` | 0: not done; else why it is | `finish`, once, under `state`'s lock |
//!
//! From the moment `err` is set nobody is added to `children` any more, and whoever set it has taken them all: so a
//! child that wants to be taken out of a parent that is done has nothing to do.
//!
//! No lock is held while another is taken, or while anything of a user's is dropped.

use gopark_sys::loom::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use gopark_poll::WaitReason;
use parking_lot::Mutex;

use super::{Cause, Error};
use crate::chan::{Receiver, end_signal, signal};
use crate::time::{AfterFunc, after_func};

const CANCELED: u8 = 1;
const OVERDUE: u8 = 2;

/// Something that is to know when a context is done, and is not one itself.
pub(super) trait Hook: Send + Sync {
    /// The context is done. Once; on the thread of whoever canceled it, with no lock held.
    fn canceled(self: Arc<Self>, err: Error);
}

/// Whom to tell.
pub(super) enum Child {
    Node(Weak<Node>),
    Hook(Arc<dyn Hook>),
}

pub(super) struct Node {
    parent: Option<Arc<Node>>,
    /// Place among the parent's children; set before anybody can use it.
    key: AtomicU32,
    deadline: Option<Instant>,
    err: AtomicU8,
    /// Made when somebody asks for it, under the lock.
    done: OnceLock<Receiver<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cause: Option<Cause>,
    children: Children,
    timer: Option<AfterFunc>,
}

impl Node {
    /// A child of `parent`; canceled with `cause` when `deadline` passes.
    pub(super) fn new(
        parent: Option<Arc<Node>>,
        deadline: Option<Instant>,
        cause: Option<Cause>,
    ) -> Arc<Node> {
        let above = parent.as_ref().and_then(|parent| parent.deadline);
        // The parent's timer is enough if it is earlier.
        let own = deadline.filter(|&own| above.is_none_or(|above| own < above));
        let node = Arc::new(Node {
            parent,
            key: AtomicU32::new(0),
            deadline: own.or(above),
            err: AtomicU8::new(0),
            done: OnceLock::new(),
            state: Mutex::new(State::default()),
        });
        if let Some(parent) = &node.parent {
            match parent.add(Child::Node(Arc::downgrade(&node))) {
                Ok(key) => node.key.store(key, Ordering::Relaxed), // nobody else uses it yet
                Err((err, cause)) => node.cancel(err, cause),
            }
        }
        if let Some(deadline) = own {
            node.arm(deadline, cause);
        }
        node
    }

    fn arm(self: &Arc<Node>, deadline: Instant, cause: Option<Cause>) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return self.cancel(Error::DeadlineExceeded, cause);
        }
        if self.err().is_some() {
            return;
        }
        let node = Arc::downgrade(self);
        let timer = after_func(left, move || {
            if let Some(node) = node.upgrade() {
                node.cancel(Error::DeadlineExceeded, cause.clone());
            }
        });
        let mut state = self.state.lock();
        if self.why().is_none() {
            state.timer = Some(timer);
            return;
        }
        drop(state);
        timer.stop();
    }

    /// Why the node is done. Then `done` is closed (golang/go#75533), if need be by us.
    #[inline]
    pub(super) fn err(&self) -> Option<Error> {
        let why = self.why();
        if why.is_some() {
            self.end();
        }
        why
    }

    /// Tells who waits for it that the node is done, or that it is no more. With no lock held.
    #[cold]
    fn end(&self) {
        if let Some(done) = self.done.get()
            && !done.is_closed()
        {
            end_signal(done);
        }
    }

    /// `err`, for under the lock.
    fn why(&self) -> Option<Error> {
        // Pairs with the store in `finish`: who sees it sees what the canceler did before.
        match self.err.load(Ordering::Acquire) {
            CANCELED => Some(Error::Canceled),
            OVERDUE => Some(Error::DeadlineExceeded),
            _ => None,
        }
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        let err = self.err()?;
        let cause = self.state.lock().cause.clone();
        Some(cause.unwrap_or_else(|| Arc::new(err)))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn children(&self) -> usize {
        self.state.lock().children.len()
    }

    pub(super) fn done(&self) -> &Receiver<()> {
        if let Some(done) = self.done.get() {
            return done;
        }
        let made = signal(WaitReason::ChanReceive);
        let state = self.state.lock();
        let done = self.done.get_or_init(|| made);
        let is_done = self.why().is_some();
        drop(state);
        if is_done {
            end_signal(done);
        }
        done
    }

    /// Adds somebody to tell. Err: it is done already, and why.
    pub(super) fn add(&self, child: Child) -> Result<u32, (Error, Option<Cause>)> {
        let mut state = self.state.lock();
        match self.why() {
            None => Ok(state.children.insert(child)),
            Some(err) => {
                let cause = state.cause.clone();
                drop(state); // before `child`, which may be the last of something
                Err((err, cause))
            }
        }
    }

    /// Takes somebody out who need not be told any more. Nothing to do if it is done.
    pub(super) fn remove(&self, key: u32) {
        let mut state = self.state.lock();
        let child = if self.why().is_none() { state.children.remove(key) } else { None };
        drop(state);
        drop(child);
    }

    /// Cancels the node and everything below it, unless it is done.
    pub(super) fn cancel(self: &Arc<Node>, err: Error, cause: Option<Cause>) {
        let Some(children) = self.finish(err, cause.clone()) else { return };
        if let Some(parent) = &self.parent {
            parent.remove(self.key.load(Ordering::Relaxed)); // set by `new`
        }
        // In a loop, and not one call inside the other: the tree may be deep and the stack is short.
        let mut todo = vec![children];
        while let Some(mut children) = todo.pop() {
            for child in children.drain() {
                match child {
                    Child::Node(node) => {
                        // One that is just being dropped takes itself out.
                        let Some(node) = node.upgrade() else { continue };
                        todo.extend(node.finish(err, cause.clone()));
                    }
                    Child::Hook(hook) => hook.canceled(err),
                }
            }
        }
    }

    /// The node is done now: tells who waits for it, and hands out its children. None: it was done.
    fn finish(&self, err: Error, cause: Option<Cause>) -> Option<Children> {
        let mut state = self.state.lock();
        if self.why().is_some() {
            return None;
        }
        state.cause = cause;
        let word = if err == Error::Canceled { CANCELED } else { OVERDUE };
        self.err.store(word, Ordering::Release); // pairs with `err`
        let timer = state.timer.take();
        let children = std::mem::take(&mut state.children);
        drop(state);
        if let Some(timer) = timer {
            timer.stop();
        }
        self.end();
        Some(children)
    }

    /// Nobody holds the node any more: takes it out of its parent, which is returned.
    fn leave(&mut self) -> Option<Arc<Node>> {
        if let Some(timer) = self.state.get_mut().timer.take() {
            timer.stop();
        }
        self.end();
        let parent = self.parent.take()?;
        if self.why().is_none() {
            parent.remove(self.key.load(Ordering::Relaxed)); // set by `new`
        }
        Some(parent)
    }
}

/// Not one inside the other: see `cancel`.
impl Drop for Node {
    fn drop(&mut self) {
        let mut next = self.leave();
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut node| node.leave());
        }
    }
}

/// The children of a node, each at a place of its own, so that one can leave in constant time.
#[derive(Default)]
struct Children {
    places: Vec<Option<Child>>,
    free: Vec<u32>,
}

impl Children {
    /// More places than this are given back when all are free.
    const KEEP: usize = 64;

    fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn insert(&mut self, child: Child) -> u32 {
        if let Some(key) = self.free.pop() {
            self.places[key as usize] = Some(child);
            return key;
        }
        self.places.push(Some(child));
        self.places.len() as u32 - 1
    }

    fn remove(&mut self, key: u32) -> Option<Child> {
        let child = self.places.get_mut(key as usize)?.take()?;
        self.free.push(key);
        if self.len() == 0 && self.places.len() > Children::KEEP {
            *self = Children::default();
        }
        Some(child)
    }

    fn drain(&mut self) -> impl Iterator<Item = Child> {
        self.free.clear();
        self.places.drain(..).flatten()
    }
}
