//! Lookups that hang must not take all threads. Go: `net/net.go` acquireThread

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use gopark_net::context::{Context, Error};
use gopark_net::for_tests::Gate;
use gopark_net::{blocking, chan, sleep, spawn};
use util::{assert_blocked, join_soon};

procs!();

both! {
    fn no_more_than_its_permits_are_inside_and_all_get_in() {
        let gate = Arc::new(Gate::new(3));
        let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let all: Vec<_> = (0..40)
            .map(|i| {
                let (gate, inside, most) = (gate.clone(), inside.clone(), most.clone());
                spawn(move || {
                    gate.enter(|| {
                        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        let d = Duration::from_micros(200);
                        if i % 2 == 0 { sleep(d) } else { blocking(|| std::thread::sleep(d)) } // not for ordering: work
                        inside.fetch_sub(1, SeqCst);
                    });
                    // The place of one that ends in a panic is free again; without the hook's message.
                    if i % 8 == 0 {
                        gate.enter(|| std::panic::resume_unwind(Box::new(i)));
                    }
                })
            })
            .collect();
        for (i, one) in all.into_iter().enumerate() {
            assert_eq!(one.join().is_err(), i % 8 == 0);
        }
        assert_eq!(most.load(SeqCst), 3);
        gate.enter(|| ());
    }

    /// Lookups that hang must not collect those who have been given up; and a permit must not be lost with one of them.
    fn who_is_given_up_leaves_the_queue() {
        let gate = Arc::new(Gate::new(1));
        let (release, held) = chan::bounded::<()>(0);
        let inside = {
            let gate = gate.clone();
            assert_blocked(spawn(move || gate.enter(|| _ = held.recv())))
        };
        let (ctx, cancel) = Context::background().with_cancel();
        let under = |ctx: &Context| {
            let (gate, ctx) = (gate.clone(), ctx.clone());
            assert_blocked(spawn(move || gate.enter_under(&ctx, || 7)))
        };
        let given_up = [0; 3].map(|_| under(&ctx));
        let (other, _cancel) = Context::background().with_cancel();
        let patient = under(&other);
        cancel.cancel();
        for one in given_up {
            assert_eq!(join_soon(one), Err(Error::Canceled));
        }
        drop(release);
        join_soon(inside);
        assert_eq!(join_soon(patient), Ok(7));
        assert_eq!(gate.enter_under(&ctx, || 8), Err(Error::Canceled));
        assert_eq!(gate.enter(|| 9), 9);
    }

    /// Permits and cancels that cross: in whatever order, none is lost and none is there twice.
    fn no_permit_is_lost_to_a_cancel() {
        let gate = Arc::new(Gate::new(2));
        let all: Vec<_> = (0..200u64)
            .map(|i| {
                let gate = gate.clone();
                spawn(move || {
                    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_micros(i * 7 % 500));
                    let _ = gate.enter_under(&ctx, || sleep(Duration::from_micros(50))); // not for ordering: work
                })
            })
            .collect();
        all.into_iter().for_each(|one| join_soon(one));
        // Both are free: two get in at the same time, and a third does not.
        let (release, held) = chan::bounded::<()>(0);
        let both = [0; 2].map(|_| {
            let (gate, held) = (gate.clone(), held.clone());
            assert_blocked(spawn(move || gate.enter(|| _ = held.recv())))
        });
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
        assert_eq!(gate.enter_under(&ctx, || ()), Err(Error::DeadlineExceeded));
        drop(release);
        both.into_iter().for_each(|one| join_soon(one));
    }
}
