//! One lookup for all who ask for the same at the same time. Go: `internal/singleflight`, and its use in
//! `net/lookup.go` lookupIPAddr.
//!
//! The lookup runs in a goroutine of its own, under a context of its own that has the values of the first caller's and
//! not its end: whoever gives up leaves, and only when nobody is left is the lookup canceled. (Go's lookup is canceled
//! only if it was never shared; one that everybody has left goes on to its end.)

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use gopark_sched::context::{CancelFunc, Context, Error};
use gopark_sched::{chan, select};
use parking_lot::Mutex;

pub(super) struct Flights<K, T> {
    synced: Mutex<Synced<K, T>>,
}

struct Synced<K, T> {
    calls: HashMap<K, Call<T>>,
    /// Of calls and of callers: a number is given once.
    next_id: u64,
}

struct Call<T> {
    id: u64,
    cancel: CancelFunc,
    waiting: Vec<(u64, chan::Sender<T>)>,
}

/// Why a caller has no result.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum NoResult {
    /// His context is done.
    Done(Error),
    /// The work panicked, which the panic hook has said already.
    Panicked,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Flights<K, T> {
        Flights { synced: Mutex::new(Synced { calls: HashMap::new(), next_id: 0 }) }
    }
}

impl<K, T> Flights<K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    /// The result of `work`, or of what another caller has begun under `key` already.
    ///
    /// `flights` says where these flights are in what the work's goroutine keeps alive.
    pub(super) fn run<O, W>(
        owner: &Arc<O>,
        flights: fn(&O) -> &Flights<K, T>,
        ctx: &Context,
        key: &K,
        work: W,
    ) -> Result<T, NoResult>
    where
        O: Send + Sync + 'static,
        W: Fn(&Context) -> T + Send + Sync + 'static,
    {
        if let Some(err) = ctx.err() {
            return Err(NoResult::Done(err));
        }
        let (tx, rx) = chan::bounded(1);
        let (id, ticket, begun) = flights(owner).join(ctx, key, tx);
        if let Some(call_ctx) = begun {
            let landing = Landing { owner: Arc::clone(owner), flights, key: key.clone(), id };
            let work = Arc::new((work, landing));
            let spawned = {
                let (work, ctx) = (Arc::clone(&work), call_ctx.clone());
                gopark_sched::try_go(move || work.1.deliver(&(work.0)(&ctx)))
            };
            if spawned.is_err() {
                // No stack to be had: the caller does it himself, for others too. Under the call's context and not
                // his own, whose end is none of theirs; when that comes he leaves, as he would if he only waited.
                let leaving = {
                    let (owner, key) = (Arc::clone(owner), key.clone());
                    ctx.after_func(move || flights(&owner).leave(&key, id, ticket))
                };
                let result = (work.0)(&call_ctx);
                leaving.stop();
                work.1.deliver(&result);
                return ctx.err().map_or(Ok(result), |done| Err(NoResult::Done(done)));
            }
            // The goroutine's is to be the only one, so that a panic drops it.
            drop(work);
        }
        select! {
            recv(rx) -> result => return result.map_err(|_| NoResult::Panicked),
            recv(ctx.done()) -> _ => {},
        }
        flights(owner).leave(key, id, ticket);
        Err(NoResult::Done(ctx.err().unwrap_or(Error::Canceled)))
    }

    /// Waits under `key`. With a context: nobody else does, so the caller is to begin.
    fn join(&self, ctx: &Context, key: &K, tx: chan::Sender<T>) -> (u64, u64, Option<Context>) {
        let mut synced = self.synced.lock();
        let ticket = synced.next_id;
        synced.next_id += 1;
        if let Some(call) = synced.calls.get_mut(key) {
            call.waiting.push((ticket, tx));
            return (call.id, ticket, None);
        }
        let (call_ctx, cancel) = ctx.without_cancel().with_cancel();
        synced.calls.insert(key.clone(), Call { id: ticket, cancel, waiting: vec![(ticket, tx)] });
        (ticket, ticket, Some(call_ctx))
    }

    /// The caller `ticket` gives up.
    fn leave(&self, key: &K, id: u64, ticket: u64) {
        let abandoned = {
            let mut synced = self.synced.lock();
            let Some(call) = synced.calls.get_mut(key).filter(|call| call.id == id) else { return };
            call.waiting.retain(|(waiting, _)| *waiting != ticket);
            if call.waiting.is_empty() { synced.calls.remove(key) } else { None }
        };
        if let Some(call) = abandoned {
            call.cancel.cancel();
        }
    }

    /// Ends the call `id`; returns it with whoever waits.
    fn finish(&self, key: &K, id: u64) -> Option<Call<T>> {
        let mut synced = self.synced.lock();
        // After everybody had left another may have begun.
        synced.calls.get(key).filter(|call| call.id == id)?;
        synced.calls.remove(key)
    }

    #[cfg(test)]
    fn in_flight(&self) -> usize {
        self.synced.lock().calls.len()
    }
}

/// Ends the call, also if the work panics.
struct Landing<O, K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    owner: Arc<O>,
    flights: fn(&O) -> &Flights<K, T>,
    key: K,
    id: u64,
}

impl<O, K, T> Landing<O, K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    fn deliver(&self, result: &T) {
        let Some(call) = (self.flights)(&self.owner).finish(&self.key, self.id) else { return };
        for (_, tx) in call.waiting {
            let _ = tx.send(result.clone()); // an error: he has left just now
        }
        call.cancel.cancel();
    }
}

impl<O, K, T> Drop for Landing<O, K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    fn drop(&mut self) {
        if let Some(call) = (self.flights)(&self.owner).finish(&self.key, self.id) {
            call.cancel.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = Flights<&'static str, u32>;

    /// What the runtime is needed for is tested in `tests/resolver.rs`.
    #[test]
    fn callers_join_and_the_last_one_to_leave_cancels() {
        let flights = Numbers::default();
        let ctx = Context::background();
        let (id, first, begun) = flights.join(&ctx, &"a", chan::bounded(1).0);
        let begun = begun.expect("the first begins");
        let (same, second, none) = flights.join(&ctx, &"a", chan::bounded(1).0);
        assert!(same == id && none.is_none());
        assert!(flights.join(&ctx, &"b", chan::bounded(1).0).2.is_some());
        flights.leave(&"a", id, first);
        assert_eq!((begun.err(), flights.in_flight()), (None, 2));
        flights.leave(&"a", id, second);
        assert_eq!((begun.err(), flights.in_flight()), (Some(Error::Canceled), 1));
        // Another call under the same key is another's.
        let (next, _, begun) = flights.join(&ctx, &"a", chan::bounded(1).0);
        assert!(next != id && begun.is_some());
        assert!(flights.finish(&"a", id).is_none());
        flights.leave(&"a", id, first);
        assert_eq!(flights.in_flight(), 2);
        assert_eq!(flights.finish(&"a", next).unwrap().waiting.len(), 1);
    }
}
