//! The halves of a connection; and what of the scheduler is reached through this crate.

mod util;

use std::cell::Cell;
use std::io::{Read, Write};

use gopark_net::{JoinSet, SpawnOptions, spawn, yield_now};
use util::{join_soon, pair};

procs!();

gopark_net::goroutine_local! {
    static COUNT: Cell<u32> = Cell::new(7);
}

// Model: tokio tcp_into_split
both! {
    fn the_writer_ends_the_stream_and_the_reader_reads_on() {
        let (near, far) = pair();
        let (mut from, mut to) = near.into_split();
        let echo = spawn(move || {
            let mut all = Vec::new();
            (&far).read_to_end(&mut all).unwrap(); // ends only with the writer
            far.write_all(&all).unwrap();
        });
        to.write_all(b"question").unwrap();
        drop(to);
        let mut answer = Vec::new();
        from.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"question");
        join_soon(echo);
    }
}

both! {
    fn halves_reunite_with_their_own_only() {
        let ((a, a_far), (b, _b_far)) = (pair(), pair());
        let ((a_from, a_to), (b_from, b_to)) = (a.into_split(), b.into_split());
        let wrong = a_from.reunite(b_to).unwrap_err();
        assert!(wrong.to_string().contains("different"));
        let a = wrong.0.reunite(a_to).unwrap();
        b_from.reunite(wrong.1).unwrap();
        // Nothing was shut down.
        a.write_all(b"x").unwrap();
        a_far.write_all(b"y").unwrap();
        let mut one = [0];
        (&a_far).read_exact(&mut one).unwrap();
        (&a).read_exact(&mut one).unwrap();
        assert_eq!(&one, b"y");
    }
}

both! {
    fn a_forgotten_writer_does_not_end_the_stream() {
        let (near, far) = pair();
        let (from, to) = near.into_split();
        to.forget();
        from.as_ref().write_all(b"z").unwrap();
        let mut one = [0];
        (&far).read_exact(&mut one).unwrap();
        drop(from);
        assert_eq!(far.read(&mut one).unwrap(), 0, "both gone: closed");
    }
}

both! {
    fn borrowed_halves_share_the_connection() {
        let (near, far) = pair();
        {
            let (mut from, mut to) = near.split();
            to.write_all(b"1").unwrap();
            far.write_all(b"2").unwrap();
            let mut one = [0];
            from.read_exact(&mut one).unwrap();
            assert_eq!(&one, b"2");
        }
        near.write_all(b"3").unwrap();
        let mut two = [0; 2];
        (&far).read_exact(&mut two).unwrap();
        assert_eq!(&two, b"13");
    }
}

both! {
    fn groups_and_locals_are_reached_through_this_crate() {
        let set = JoinSet::new();
        for i in 0..10 {
            set.spawn(move || {
                COUNT.set(COUNT.get() + i);
                yield_now();
                COUNT.get()
            });
        }
        assert_eq!(set.join_all().into_iter().sum::<u32>(), 10 * 7 + 45);
        let name = SpawnOptions::new().name("n").spawn(gopark_net::goroutine_name).unwrap();
        assert_eq!(join_soon(name).as_deref(), Some("n"));
    }
}
