//! Lookups that hang must not take all threads. Go: `net/net.go` acquireThread

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use gopark_net::for_tests::Gate;
use gopark_net::{blocking, sleep, spawn};

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
}
