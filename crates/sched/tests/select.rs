//! `select!` and `Select`: Go's tests by name, and what Rust adds (values given back, cases at run time).

mod util;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::chan::{
    RecvError, RecvTimeoutError, Select, SelectTimeoutError, SendError, TryRecvError, TrySelectError,
    bounded as channel, never, unbounded,
};
use gopark_sched::{go, scope, select, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

// Go: runtime/chan_test.go TestNonblockSelectRace
#[test]
fn nonblock_select_race() {
    bounded("nonblock_select_race", || {
        for _ in 0..5_000 {
            let ((tx1, rx1), (tx2, rx2)) = (channel(1), channel(1));
            tx1.send(1).unwrap();
            let (theirs1, theirs2) = (rx1.clone(), rx2.clone());
            let looks = spawn(move || {
                select! {
                    recv(theirs1) -> _ => true,
                    recv(theirs2) -> _ => true,
                    default => false,
                }
            });
            tx2.send(1).unwrap();
            select! {
                recv(rx1) -> _ => {}
                default => {}
            }
            assert!(looks.join().unwrap(), "neither was ready, though one of them always was");
        }
    });
}

// Go: runtime/chan_test.go TestNonblockSelectRace2
#[test]
fn nonblock_select_race2() {
    bounded("nonblock_select_race2", || {
        for _ in 0..5_000 {
            let ((tx1, rx1), (tx2, rx2)) = (channel(1), channel::<u8>(0));
            tx1.send(1).unwrap();
            let (theirs1, theirs2) = (rx1.clone(), rx2);
            let looks = spawn(move || {
                select! {
                    recv(theirs1) -> _ => true,
                    recv(theirs2) -> _ => true,
                    default => false,
                }
            });
            tx2.close();
            select! {
                recv(rx1) -> _ => {}
                default => {}
            }
            assert!(looks.join().unwrap(), "neither was ready, though one of them always was");
        }
    });
}

// Go: runtime/chan_test.go TestSelfSelect
#[test]
fn self_select() {
    bounded("self_select", || {
        for cap in [0, 10] {
            // Two that send and receive on the same channel: nobody may meet himself.
            let (tx, rx) = channel::<usize>(cap);
            scope(|s| {
                for p in 0..2 {
                    let (tx, rx) = (tx.clone(), rx.clone());
                    s.go(move || {
                        for i in 0..1_000 {
                            if p == 0 || i % 2 == 0 {
                                select! {
                                    send(tx, p) -> res => res.unwrap(),
                                    recv(rx) -> v => assert!(cap > 0 || v.unwrap() != p, "received one's own"),
                                }
                            } else {
                                select! {
                                    recv(rx) -> v => assert!(cap > 0 || v.unwrap() != p, "received one's own"),
                                    send(tx, p) -> res => res.unwrap(),
                                }
                            }
                        }
                    });
                }
            });
        }
    });
}

// Go: runtime/chan_test.go TestSelectStress
#[test]
fn select_stress() {
    bounded_by("select_stress", 2 * LONG, || {
        const N: usize = 3_000;
        let chans: Vec<_> = [0, 0, 2, 3].map(channel::<usize>).into();
        // Senders and receivers of one channel each, and one of each kind that selects over all four.
        scope(|s| {
            for (tx, _) in &chans {
                s.go(move || (0..N).for_each(|i| tx.send(i).unwrap()));
            }
            for (_, rx) in &chans {
                s.go(move || (0..N).for_each(|_| assert!(rx.recv().is_ok())));
            }
            s.go(|| {
                let mut sent = [0; 4];
                while sent != [N; 4] {
                    let i = {
                        let mut select = Select::new();
                        let open: Vec<usize> = (0..4).filter(|&i| sent[i] < N).collect();
                        for &i in &open {
                            select.send(&chans[i].0, sent[i]);
                        }
                        let done = select.select();
                        let i = open[done.index()];
                        done.send(&chans[i].0).unwrap();
                        i
                    };
                    sent[i] += 1;
                }
            });
            s.go(|| {
                let nobody = never::<usize>();
                let mut received = [0; 4];
                while received != [N; 4] {
                    let case = |i: usize| if received[i] < N { &chans[i].1 } else { &nobody };
                    let i = select! {
                        recv(case(3)) -> v => { v.unwrap(); 3 }
                        recv(case(2)) -> v => { v.unwrap(); 2 }
                        recv(case(0)) -> v => { v.unwrap(); 0 }
                        recv(case(1)) -> v => { v.unwrap(); 1 }
                    };
                    received[i] += 1;
                }
            });
        });
    });
}

// Go: runtime/chan_test.go TestSelectFairness
#[test]
fn select_fairness() {
    bounded("select_fairness", || {
        const TRIALS: usize = 10_000;
        let ((tx1, rx1), (tx2, rx2)) = (channel(TRIALS + 1), channel(TRIALS + 1));
        for _ in 0..=TRIALS {
            tx1.send(1).unwrap();
            tx2.send(2).unwrap();
        }
        let (rx3, rx4) = (never::<u8>(), never::<u8>());
        let (out, results) = channel(0);
        let (done, is_done) = channel::<()>(0);
        let sender = spawn(move || {
            loop {
                let b = select! {
                    recv(rx3) -> m => m.unwrap(),
                    recv(rx4) -> m => m.unwrap(),
                    recv(rx1) -> m => m.unwrap(),
                    recv(rx2) -> m => m.unwrap(),
                };
                select! {
                    send(out, b) -> res => res.unwrap(),
                    recv(is_done) -> _ => return,
                }
            }
        });
        let mut counts = [0_usize; 3];
        (0..TRIALS).for_each(|_| counts[results.recv().unwrap() as usize] += 1);
        drop(done);
        sender.join().unwrap();
        // Ten standard deviations of ten thousand throws of a coin.
        assert!(counts[1].abs_diff(TRIALS / 2) < 500, "{counts:?}");
    });
}

// Go: runtime/chan_test.go TestSelectDuplicateChannel
#[test]
fn select_duplicate_channel() {
    bounded("select_duplicate_channel", || {
        let ((tx1, rx1), (tx2, rx2), (other, rx3)) = (channel(0), channel::<u8>(0), channel::<u8>(0));
        // The node of a case that was not chosen, behind the chosen one in the same queue.
        let first = {
            let rx1 = rx1.clone();
            spawn(move || {
                select! {
                    recv(rx1) -> m => m,
                    recv(rx1) -> m => m,
                    recv(rx2) -> m => m,
                }
            })
        };
        (0..100).for_each(|_| yield_now());
        let second = spawn(move || {
            select! {
                recv(rx1) -> m => m,
                recv(rx3) -> m => m,
            }
        });
        (0..100).for_each(|_| yield_now());
        tx2.send(1).unwrap();
        assert_eq!(first.join().unwrap(), Ok(1));
        tx1.send(2).unwrap();
        assert_eq!(second.join().unwrap(), Ok(2));
        drop(other);
    });
}

// Go: runtime/chan_test.go TestSelectStackAdjust; stacks do not move here, values on them stay where they are.
#[test]
fn a_select_keeps_the_stack_that_it_was_called_on() {
    bounded("select_stack_adjust", || {
        let ((tx, rx), (ready, wait)) = (channel::<Box<usize>>(0), channel(0));
        let waits = spawn(move || {
            let mut sum = 0;
            ready.send(()).unwrap();
            for _ in 0..10 {
                select! {
                    recv(rx) -> m => sum += *m.unwrap(),
                    recv(rx) -> m => sum += *m.unwrap(),
                }
            }
            sum
        });
        wait.recv().unwrap();
        for i in 0..10 {
            tx.send(Box::new(i)).unwrap();
        }
        assert_eq!(waits.join().unwrap(), 45);
    });
}

// Go: test/chan/select.go
#[test]
fn values_and_channels_are_evaluated_once_and_in_order() {
    bounded_on_thread("evaluated", || {
        let mut order = Vec::new();
        let mut note = |i: u8| {
            order.push(i);
            i
        };
        let ((tx, rx), nobody) = (channel(1), never::<u8>());
        select! {
            recv({ note(0); &nobody }) -> _ => unreachable!(),
            send({ note(1); &tx }, note(2)) -> res => res.unwrap(),
            recv({ note(3); &nobody }) -> _ => unreachable!(),
        }
        assert_eq!((rx.recv(), order), (Ok(2), vec![0, 1, 2, 3]));
    });
}

// Go: test/chan/select2.go: that an idle select does not use memory is in alloc.rs.
// Go: test/chan/select3.go
#[test]
fn what_blocks_and_what_does_not() {
    bounded("select3", || {
        let blocks = |f: &(dyn Fn() -> bool + Sync)| assert!(!f(), "did not block");
        let goes_on = |f: &(dyn Fn() -> bool + Sync)| assert!(f(), "blocked");
        let t = Duration::from_millis(1);
        let (tx, rx) = channel::<u8>(0);
        let nobody = never::<u8>();
        blocks(&|| select! { recv(nobody) -> _ => true, after(t) => false });
        blocks(&|| select! { recv(rx) -> _ => true, after(t) => false });
        blocks(&|| select! { send(tx, 7) -> _ => true, after(t) => false });
        blocks(&|| select! { send(tx, 7) -> _ => true, recv(rx) -> _ => true, after(t) => false });
        goes_on(&|| select! { recv(rx) -> _ => false, default => true });
        goes_on(&|| select! { send(tx, 7) -> _ => false, default => true });
        goes_on(&|| select! { default => true });
        let (tx, rx) = channel::<u8>(10);
        blocks(&|| select! { recv(rx) -> _ => true, after(t) => false });
        goes_on(&|| select! { send(tx, 7) -> res => res.is_ok(), after(LONG) => false });
        goes_on(&|| select! { recv(rx) -> m => m == Ok(7), after(LONG) => false });
        (0..10).for_each(|_| tx.send(1).unwrap());
        blocks(&|| select! { send(tx, 7) -> _ => true, after(t) => false });
        // A closed channel never blocks, and gives errors where Go panics.
        tx.close();
        goes_on(&|| select! { send(tx, 7) -> res => res == Err(SendError(7)), default => false });
        (0..10).for_each(|_| goes_on(&|| select! { recv(rx) -> m => m == Ok(1), default => false }));
        goes_on(&|| select! { recv(rx) -> m => m == Err(RecvError), default => false });
    });
}

// Go: test/chan/select4.go, select6.go
#[test]
fn a_default_leaves_nobody_in_a_queue() {
    bounded("select4", || {
        let ((tx1, rx1), (tx2, rx2)) = (channel::<u8>(0), channel::<u8>(0));
        select! { recv(rx1) -> _ => unreachable!(), recv(rx2) -> _ => unreachable!(), default => {} }
        select! {
            recv(rx1) -> _ => unreachable!(),
            recv(rx2) -> _ => unreachable!(),
            after(Duration::from_micros(100)) => {}
        }
        assert!(tx1.try_send(1).is_err() && tx2.try_send(1).is_err(), "a receiver was left behind");
        // One that waits in both queues, and is served through one, is gone from the other.
        let waits = {
            let (rx1, rx2) = (rx1.clone(), rx2.clone());
            spawn(move || select! { recv(rx1) -> m => m, recv(rx2) -> m => m })
        };
        tx1.send(7).unwrap();
        assert_eq!(waits.join().unwrap(), Ok(7));
        assert!(tx1.try_send(1).is_err() && tx2.try_send(1).is_err(), "a receiver was left behind");
        let (done, sent) = channel(0);
        go(move || {
            tx2.send(3).unwrap();
            done.send(()).unwrap();
        });
        assert_eq!(select! { recv(rx1) -> m => m, recv(rx2) -> m => m }, Ok(3));
        sent.recv().unwrap();
    });
}

// Go: test/chan/select7.go
#[test]
fn senders_and_receivers_of_all_kinds_meet() {
    bounded("select7", || {
        let ((_stay, none), nobody) = (channel::<u8>(0), never::<u8>());
        type Recv = fn(&gopark_sched::chan::Receiver<u8>, &gopark_sched::chan::Receiver<u8>) -> u8;
        type Send = fn(&gopark_sched::chan::Sender<u8>, &gopark_sched::chan::Receiver<u8>);
        let receivers: [Recv; 3] = [
            |rx, _| rx.recv().unwrap(),
            |rx, _| select! { recv(rx) -> m => m.unwrap() },
            |rx, none| select! { recv(none) -> m => m.unwrap(), recv(rx) -> m => m.unwrap() },
        ];
        let senders: [Send; 4] = [
            |tx, _| tx.send(9).unwrap(),
            |tx, _| select! { send(tx, 9) -> res => res.unwrap() },
            |tx, none| select! { recv(none) -> _ => unreachable!(), send(tx, 9) -> res => res.unwrap() },
            |tx, none| {
                select! {
                    send(tx, 9) -> res => res.unwrap(),
                    recv(none) -> _ => unreachable!(),
                    after(LONG) => unreachable!(),
                }
            },
        ];
        for cap in [0, 1, 10] {
            for receive in receivers {
                for send in senders {
                    for nothing in [&none, &nobody] {
                        let ((tx, rx), nothing) = (channel(cap), nothing.clone());
                        let theirs = nothing.clone();
                        let sends = spawn(move || send(&tx, &theirs));
                        assert_eq!(receive(&rx, &nothing), 9);
                        sends.join().unwrap();
                    }
                }
            }
        }
    });
}

#[test]
fn branches_can_leave_and_use_the_channels() {
    fn first(rx: &mut gopark_sched::chan::Receiver<u8>) -> Result<u8, RecvError> {
        loop {
            select! {
                recv(rx) -> msg => {
                    let msg = msg?;
                    // The channel is not borrowed any more.
                    *rx = never();
                    if msg > 0 {
                        return Ok(msg);
                    }
                    continue;
                }
                default => break Ok(100),
            }
        }
    }
    bounded_on_thread("branches", || {
        let (tx, mut rx) = channel(2);
        tx.send(1).unwrap();
        assert_eq!(first(&mut rx), Ok(1));
        assert_eq!(first(&mut rx), Ok(100));
        drop(tx);
        let (tx, mut rx) = channel(1);
        drop(tx);
        assert_eq!(first(&mut rx), Err(RecvError));
        // Ends of channels that are temporaries, or behind pointers.
        let (tx, rx) = channel(1);
        let shared = Arc::new((tx, rx));
        select! { send(shared.0, 1) -> res => res.unwrap() }
        let make = || shared.1.clone();
        assert_eq!(select! { recv(make()) -> m => m }, Ok(1));
        assert!(select! { recv(Box::new(&shared.1)) -> m => m.is_err(), default => true });
    });
}

#[test]
fn selects_nest_and_have_any_number_of_cases() {
    bounded_on_thread("nested", || {
        let ((tx, rx), nobody) = (channel(1), never::<u8>());
        tx.send(1).unwrap();
        let got = select! {
            recv(nobody) -> _ => 0,
            recv(rx) -> mut case => {
                let result = select! {
                    send(tx, case.unwrap() + 1) -> result => select! {
                        recv(rx) -> inner => { case = inner; result },
                        default => unreachable!(),
                    },
                    recv(nobody) -> _ => unreachable!(),
                };
                assert_eq!(result, Ok(()));
                case.unwrap()
            }
        };
        assert_eq!(got, 2);
        tx.send(3).unwrap();
        macro_rules! sixteen {
            ($($rest:tt)*) => {
                select! {
                    recv(nobody) -> _ => 0, recv(nobody) -> _ => 0, recv(nobody) -> _ => 0, recv(nobody) -> _ => 0,
                    recv(nobody) -> _ => 0, recv(nobody) -> _ => 0, recv(nobody) -> _ => 0, recv(nobody) -> _ => 0,
                    recv(nobody) -> _ => 0, recv(nobody) -> _ => 0, recv(nobody) -> _ => 0, recv(nobody) -> _ => 0,
                    recv(nobody) -> _ => 0, recv(nobody) -> _ => 0, recv(nobody) -> _ => 0, $($rest)*
                }
            };
        }
        assert_eq!(sixteen!(recv(rx) -> msg => msg.unwrap(),), 3);
        assert_eq!(sixteen!(default => 4), 4);
    });
}

#[test]
fn a_value_that_was_not_sent_is_dropped_or_stays() {
    bounded_on_thread("not_sent", || {
        let (drops, nobody) = (CountDrops(Arc::default()), never::<u8>());
        let count = || drops.0.load(SeqCst);
        let (tx, rx) = channel::<CountDrops>(0);
        select! { send(tx, drops.clone()) -> _ => unreachable!(), default => {} }
        assert_eq!(count(), 1);
        let mut slot = Some(drops.clone());
        select! { send_from(tx, &mut slot) -> _ => unreachable!(), recv(nobody) -> _ => {}, default => {} }
        assert!(slot.is_some() && count() == 1);
        select! { send_from(tx, &mut slot) -> _ => unreachable!(), after(Duration::from_micros(50)) => {} }
        assert!(slot.is_some() && count() == 1);
        // Sent: the slot is empty, and an empty slot is a case that is never ready.
        let (tx1, rx1) = channel(2);
        select! { send_from(tx1, &mut slot) -> res => res.unwrap() }
        assert!(slot.is_none() && tx1.len() == 1 && count() == 1);
        select! { send_from(tx1, &mut slot) -> _ => unreachable!(), default => {} }
        drop((tx1, rx1));
        assert_eq!(count(), 2);
        // Closed: given back in the error.
        rx.close();
        slot = Some(drops.clone());
        let back = select! { send_from(tx, &mut slot) -> res => res.unwrap_err().into_inner() };
        assert!(slot.is_none() && count() == 2);
        let back = select! { send(tx, back) -> res => res.unwrap_err().into_inner() };
        assert_eq!(count(), 2);
        drop(back);
        assert_eq!(count(), 3);
    });
}

/// The destructor of a value that was not sent panics: what another case has done is not undone, or done twice.
#[test]
fn a_destructor_panics_in_a_select() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb");
        }
    }
    bounded_on_thread("bomb", || {
        let drops = CountDrops(Arc::default());
        let ((bombs, _stay), (tx, rx)) = (channel::<Bomb>(0), channel(1));
        let mut slot = Some(drops.clone());
        let result = catch_unwind(AssertUnwindSafe(|| {
            select! {
                send(bombs, Bomb) -> _ => unreachable!(),
                send_from(tx, &mut slot) -> _ => unreachable!(),
            }
        }));
        assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"bomb"));
        assert!(slot.is_none() && tx.len() == 1 && drops.0.load(SeqCst) == 0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            select! {
                send(bombs, Bomb) -> _ => unreachable!(),
                recv(rx) -> _ => unreachable!(),
            }
        }));
        assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"bomb"));
        assert!(tx.is_empty() && drops.0.load(SeqCst) == 1);
        // What was sent stays sent.
        let result = catch_unwind(AssertUnwindSafe(|| {
            select! {
                send(bombs, Bomb) -> _ => unreachable!(),
                send(tx, drops.clone()) -> _ => unreachable!(),
                default => unreachable!(),
            }
        }));
        assert!(result.is_err());
        drop(rx);
        assert_eq!(drops.0.load(SeqCst), 2);
    });
}

#[test]
fn a_select_gives_up_in_time_and_not_before() {
    for on_thread in [false, true] {
        let body = || {
            let ((tx, rx), d) = (channel::<u8>(0), Duration::from_millis(3));
            let start = Instant::now();
            select! {
                recv(rx) -> _ => unreachable!(),
                after(d) => {}
            }
            assert!(start.elapsed() >= d);
            select! { recv(rx) -> _ => unreachable!(), default(Duration::ZERO) => {} }
            select! { after(d) => {} }
            assert!(start.elapsed() >= 2 * d);
            let mut select = Select::new();
            select.recv(&rx);
            assert_eq!(select.select_timeout(d).map(drop), Err(SelectTimeoutError));
            assert_eq!(select.select_deadline(start).map(drop), Err(SelectTimeoutError));
            assert!(start.elapsed() >= 3 * d);
            go(move || tx.send(4).unwrap());
            assert_eq!(select! { recv(rx) -> m => m, after(LONG) => Ok(0) }, Ok(4));
            assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
        };
        if on_thread { bounded_on_thread("gives_up", body) } else { bounded("gives_up", body) }
    }
}

// Go: runtime/select.go: "select {}" parks for ever
#[test]
fn a_select_without_cases_waits_for_ever() {
    bounded_on_thread("without cases", || {
        let ended = Arc::new(AtomicUsize::new(0));
        let before = gopark_sched::num_goroutines();
        for kind in 0..3 {
            let ended = Arc::clone(&ended);
            go(move || {
                struct Ends(Arc<AtomicUsize>);
                impl Drop for Ends {
                    fn drop(&mut self) {
                        self.0.fetch_add(1, SeqCst);
                    }
                }
                let _ends = Ends(ended);
                match kind {
                    0 => select! {},
                    1 => drop(Select::new().select()),
                    _ => select! { send_from(channel::<u8>(1).0, &mut None) -> _ => {} },
                }
            });
        }
        gopark_sched::sleep(Duration::from_millis(5)); // not for ordering: they never end
        assert!(ended.load(SeqCst) == 0 && gopark_sched::num_goroutines() >= before);
    });
}

#[test]
fn a_select_made_at_run_time() {
    bounded_on_thread("run time", || {
        let ((tx1, rx1), (tx2, rx2), (tx3, rx3)) = (channel(1), unbounded::<String>(), channel::<Vec<u8>>(1));
        let mut select = Select::new();
        let (a, b) = (select.recv(&rx1), select.recv(&rx2));
        let c = select.send(&tx3, vec![1]);
        assert_eq!((a, b, c), (0, 1, 2));
        let done = select.try_select().unwrap();
        assert_eq!(done.index(), c);
        done.send(&tx3).unwrap();
        assert_eq!(rx3.recv(), Ok(vec![1]));
        // Sent once: not ready again until it has another value.
        assert_eq!(select.try_select().map(drop), Err(TrySelectError));
        assert_eq!(select.set_value(c, &tx3, vec![2]), None);
        assert_eq!(select.set_value(c, &tx3, vec![3]), Some(vec![2]));
        assert_eq!(select.take_value(c, &tx3), Some(vec![3]));
        assert_eq!(select.try_select().map(drop), Err(TrySelectError));
        tx2.send("two".into()).unwrap();
        let done = select.select();
        assert_eq!(done.index(), b);
        assert_eq!(done.recv(&rx2), Ok("two".into()));
        select.remove(b);
        tx2.send("dropped with its channel".into()).unwrap();
        assert_eq!(select.try_select().map(drop), Err(TrySelectError));
        tx1.send(5).unwrap();
        let done = select.select();
        assert_eq!((done.index(), done.recv(&rx1)), (a, Ok(5)));
        // Closed channels are ready, with errors; a value comes back.
        drop(tx1);
        assert_eq!(select.select().recv(&rx1), Err(RecvError));
        select.remove(a);
        select.set_value(c, &tx3, vec![4]);
        rx3.close();
        assert_eq!(select.select().send(&tx3), Err(SendError(vec![4])));
        assert_eq!(rx2.try_recv(), Ok("dropped with its channel".into()));
        assert_eq!(rx2.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
#[should_panic(expected = "this case is not a Recv on that channel")]
fn asking_a_select_for_another_case_panics() {
    let ((tx, rx), (_tx, other)) = (channel(1), channel::<u8>(1));
    tx.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    let _ = select.select().recv(&other);
}

#[test]
fn values_of_a_run_time_select_are_dropped_once() {
    bounded_on_thread("run time drops", || {
        let drops = CountDrops(Arc::default());
        let count = || drops.0.load(SeqCst);
        let (tx, rx) = channel(2);
        {
            let mut select = Select::new();
            let not_asked_for = select.recv(&rx);
            tx.send(drops.clone()).unwrap();
            assert_eq!(select.select().index(), not_asked_for);
            assert_eq!(count(), 1, "a value received that nobody asks for");
            select.remove(not_asked_for);
            let never_sent = select.send(&tx, drops.clone());
            select.remove(never_sent);
            assert_eq!(count(), 2);
            select.send(&tx, drops.clone());
        }
        assert_eq!(count(), 3, "a value left in a select that goes");
    });
}

#[test]
fn a_run_time_select_over_many_channels_waits_for_all() {
    bounded("many", || {
        let chans: Vec<_> = (0..100).map(|_| channel::<usize>(0)).collect();
        let mut select = Select::new();
        for (_, rx) in &chans {
            select.recv(rx);
        }
        scope(|s| {
            for (i, (tx, _)) in chans.iter().enumerate() {
                s.go(move || tx.send(i).unwrap());
            }
            let mut seen = vec![false; chans.len()];
            for _ in 0..chans.len() {
                let done = select.select();
                let i = done.index();
                assert_eq!(done.recv(&chans[i].1), Ok(i));
                assert!(!std::mem::replace(&mut seen[i], true), "{i} came twice");
            }
        });
        assert_eq!(select.try_select().map(drop), Err(TrySelectError));
    });
}
