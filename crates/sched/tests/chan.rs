//! Channels: Go's tests by name, and what Rust adds (closing by drop, values given back, destructors).

mod util;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::chan::{
    self, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    bounded as channel, never, unbounded,
};
use gopark_sched::{go, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// Lets the others run until they all wait, as far as one can tell.
fn let_the_others_wait() {
    (0..100).for_each(|_| yield_now());
}

// Go: runtime/chan_test.go TestChan
#[test]
fn chan() {
    bounded_by("chan", 3 * LONG, || {
        let rounds = if procs() == 1 { 40 } else { 100 };
        for cap in 0..rounds {
            an_empty_channel_blocks_receivers(cap);
            a_full_channel_blocks_senders(cap);
            a_closed_channel_gives_errors(cap);
            close_wakes_a_receiver(cap);
            values_arrive_in_order(cap);
            values_arrive_once(cap);
            len_and_capacity(cap);
        }
    });
}

fn an_empty_channel_blocks_receivers(cap: usize) {
    let (tx, rx) = channel(cap);
    let received = Arc::new(AtomicUsize::new(0));
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let (rx, received) = (rx.clone(), Arc::clone(&received));
            spawn(move || {
                rx.recv().unwrap();
                received.fetch_add(1, SeqCst);
            })
        })
        .collect();
    let_the_others_wait();
    assert_eq!(received.load(SeqCst), 0);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    tx.send(0).unwrap();
    tx.send(0).unwrap();
    waiting.into_iter().for_each(|h| h.join().unwrap());
}

fn a_full_channel_blocks_senders(cap: usize) {
    let (tx, rx) = channel(cap);
    (0..cap).for_each(|i| tx.send(i).unwrap());
    let sent = Arc::new(AtomicBool::new(false));
    let blocked = {
        let (tx, sent) = (tx.clone(), Arc::clone(&sent));
        spawn(move || {
            tx.send(cap).unwrap();
            sent.store(true, SeqCst);
        })
    };
    let_the_others_wait();
    assert!(!sent.load(SeqCst));
    if !blocked.is_finished() && cap > 0 {
        assert_eq!(tx.try_send(7), Err(TrySendError::Full(7)));
    }
    for i in 0..=cap {
        assert_eq!(rx.recv(), Ok(i));
    }
    blocked.join().unwrap();
}

fn a_closed_channel_gives_errors(cap: usize) {
    let (tx, rx) = channel(cap);
    (0..cap).for_each(|i| tx.send(i).unwrap());
    assert!(tx.close());
    assert!(!rx.close() && !tx.close());
    assert!(tx.is_closed() && rx.is_closed());
    assert_eq!(tx.send(9), Err(SendError(9)));
    assert_eq!(tx.try_send(9), Err(TrySendError::Disconnected(9)));
    assert_eq!(tx.send_timeout(9, Duration::ZERO), Err(SendTimeoutError::Disconnected(9)));
    for i in 0..cap {
        assert_eq!(rx.recv(), Ok(i));
    }
    assert_eq!(rx.recv(), Err(RecvError));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

fn close_wakes_a_receiver(cap: usize) {
    let (tx, rx) = channel::<u8>(cap);
    let waiting = spawn(move || rx.recv());
    let_the_others_wait();
    tx.close();
    assert_eq!(waiting.join().unwrap(), Err(RecvError));
}

fn values_arrive_in_order(cap: usize) {
    let (tx, rx) = channel(cap);
    go(move || (0..100).for_each(|i| tx.send(i).unwrap()));
    assert_eq!(rx.into_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

fn values_arrive_once(cap: usize) {
    const PARTIES: usize = 4;
    const EACH: usize = 100;
    let (tx, rx) = channel(cap);
    for _ in 0..PARTIES {
        let tx = tx.clone();
        go(move || (0..EACH).for_each(|i| tx.send(i).unwrap()));
    }
    drop(tx);
    let receivers: Vec<_> =
        (0..PARTIES).map(|_| rx.clone()).map(|rx| spawn(move || rx.iter().collect::<Vec<_>>())).collect();
    let mut seen = [0; EACH];
    receivers.into_iter().flat_map(|h| h.join().unwrap()).for_each(|i| seen[i] += 1);
    assert_eq!(seen, [PARTIES; EACH]);
}

fn len_and_capacity(cap: usize) {
    let (tx, rx) = channel(cap * 2);
    assert_eq!((tx.len(), tx.capacity(), rx.len(), rx.capacity()), (0, Some(cap * 2), 0, Some(cap * 2)));
    assert!(rx.is_empty() && tx.is_full() == (cap == 0));
    (0..cap).for_each(|i| tx.send(i).unwrap());
    assert_eq!((tx.len(), rx.len(), rx.is_empty(), rx.is_full()), (cap, cap, cap == 0, cap == 0));
}

#[test]
fn an_unbounded_channel_never_makes_a_sender_wait() {
    bounded_on_thread("unbounded", || {
        let (tx, rx) = unbounded();
        assert_eq!((tx.capacity(), tx.is_full(), rx.is_empty()), (None, false, true));
        for round in 0..5 {
            (0..1000 * round).for_each(|i| tx.try_send(i).unwrap());
            assert_eq!(tx.len(), 1000 * round);
            assert!(rx.try_iter().eq(0..1000 * round));
        }
        drop(tx);
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

#[test]
fn never_delivers_nothing() {
    bounded_on_thread("never", || {
        let rx = never::<u8>();
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let start = Instant::now();
        assert_eq!(rx.recv_timeout(Duration::from_millis(5)), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= Duration::from_millis(5));
        assert!(!rx.is_closed() && !rx.same_channel(&chan::never()) && rx.same_channel(&rx.clone()));
    });
}

// Go: runtime/chan_test.go TestNonblockRecvRace
#[test]
fn nonblock_recv_race() {
    bounded("nonblock_recv_race", || {
        for _ in 0..2_000 {
            let (tx, rx) = channel(1);
            tx.send(1).unwrap();
            let receives = {
                let rx = rx.clone();
                spawn(move || rx.try_recv())
            };
            tx.close();
            let here = rx.try_recv();
            let there = receives.join().unwrap();
            let results = [here, there];
            assert!(results.contains(&Ok(1)), "the value was there all the time: {results:?}");
            assert!(results.contains(&Err(TryRecvError::Disconnected)), "{results:?}");
        }
    });
}

// Go: runtime/chan_test.go TestPseudoRandomSend
#[test]
fn pseudo_random_send() {
    bounded("pseudo_random_send", || {
        const N: usize = 100;
        for cap in [0, 1, N] {
            let (tx, rx) = channel(cap);
            let bits = spawn(move || rx.iter().collect::<Vec<u8>>());
            for _ in 0..N {
                gopark_sched::select! {
                    send(tx, 0) -> res => res.unwrap(),
                    send(tx, 1) -> res => res.unwrap(),
                }
            }
            drop(tx);
            let bits = bits.join().unwrap();
            let ones = bits.iter().filter(|&&b| b == 1).count();
            assert!(bits.len() == N && (10..=N - 10).contains(&ones), "cap {cap}: {ones} ones of {N}");
        }
    });
}

// Go: runtime/chan_test.go TestMultiConsumer
#[test]
fn multi_consumer() {
    bounded_by("multi_consumer", 2 * LONG, || {
        const WORKERS: usize = 23;
        const N: usize = 20_000;
        let ((q, tasks), (r, results)) = (channel(WORKERS * 3), channel(WORKERS * 3));
        let workers: Vec<_> = (0..WORKERS)
            .map(|w| {
                let (tasks, r) = (tasks.clone(), r.clone());
                spawn(move || {
                    for v in tasks {
                        if w == v % WORKERS {
                            yield_now(); // mix the order up
                        }
                        r.send(v).unwrap();
                    }
                })
            })
            .collect();
        drop(r);
        let primes = [2, 3, 7, 11, 13, 17, 19, 23, 27, 31];
        let expected: usize = (0..N).map(|i| primes[i % primes.len()]).sum();
        go(move || (0..N).for_each(|i| q.send(primes[i % primes.len()]).unwrap()));
        let (mut n, mut sum) = (0, 0);
        results.iter().for_each(|v| (n, sum) = (n + 1, sum + v));
        assert_eq!((n, sum), (N, expected));
        workers.into_iter().for_each(|w| w.join().unwrap());
    });
}

// Go: runtime/chan_test.go TestShrinkStackDuringBlockedSend; a value stays where it is while its sender waits.
#[test]
fn values_are_taken_from_the_senders_stack() {
    bounded("blocked send", || {
        const N: usize = 10;
        let (tx, rx) = channel(0);
        let sender = spawn(move || {
            for i in 0..N {
                tx.send([i as u8; 1000]).unwrap();
            }
        });
        for i in 0..N {
            let_the_others_wait();
            assert_eq!(rx.recv(), Ok([i as u8; 1000]));
        }
        sender.join().unwrap();
    });
}

// Go: runtime/chan_test.go TestNoShrinkStackWhileParking, for its pressure on parking in a channel.
#[test]
fn parking_and_waking_at_the_same_time() {
    bounded("parking", || {
        for _ in 0..2_000 {
            let (tx, rx) = channel(0);
            let parks = spawn(move || rx.recv());
            yield_now();
            tx.send(()).unwrap();
            assert_eq!(parks.join().unwrap(), Ok(()));
        }
    });
}

// Go: runtime/chan_test.go TestSelectStackAdjust and TestChanSendBarrier have no counterpart: nothing moves here.
// Go: test/chan/fifo.go, both parts
#[test]
fn fifo() {
    bounded("fifo", || {
        let (tx, rx) = channel(10);
        (0..10).for_each(|i| tx.send(i).unwrap());
        assert!((0..10).all(|i| rx.recv() == Ok(i)));
        // Receivers are served in the order in which they came: each passes on to the next.
        let (tx, rx) = channel(0);
        let (first, mut from) = channel(0);
        for i in 0..10 {
            let (to, next) = channel(0);
            let (rx, mine) = (rx.clone(), std::mem::replace(&mut from, next));
            go(move || {
                mine.recv().unwrap();
                assert_eq!(rx.recv(), Ok(i));
                to.send(()).unwrap();
            });
        }
        first.send(()).unwrap();
        (0..10).for_each(|i| tx.send(i).unwrap());
        from.recv().unwrap();
    });
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    bounded("order", || {
        let (tx, rx) = channel(0);
        let receivers: Vec<_> = (0..5)
            .map(|_| {
                let rx = rx.clone();
                let waits = spawn(move || rx.recv());
                let_the_others_wait();
                waits
            })
            .collect();
        if procs() == 1 {
            (0..5).for_each(|i| tx.send(i).unwrap());
            for (i, waits) in receivers.into_iter().enumerate() {
                assert_eq!(waits.join().unwrap(), Ok(i));
            }
        }
    });
}

// Go: test/chan/perm.go is about types: Sender and Receiver. test/chan/zerosize.go
#[test]
fn zerosize() {
    bounded_on_thread("zerosize", || {
        let (tx, rx) = channel::<()>(usize::MAX);
        (0..1000).for_each(|_| tx.send(()).unwrap());
        assert_eq!((rx.len(), rx.try_iter().count(), rx.capacity()), (1000, 1000, Some(usize::MAX)));
        for (tx, rx) in [channel::<[u64; 0]>(0), unbounded()] {
            let handle = std::thread::spawn(move || (0..100).for_each(|_| tx.send([]).unwrap()));
            assert_eq!(rx.iter().count(), 100);
            handle.join().unwrap();
        }
    });
}

// Go: test/chan/sendstmt.go, goroutines.go: a chain of many
#[test]
fn goroutines() {
    bounded("goroutines", || {
        let (first, mut right) = channel(0);
        for _ in 0..10_000 {
            let (tx, rx) = channel(0);
            let left = std::mem::replace(&mut right, rx);
            go(move || tx.send(left.recv().unwrap() + 1).unwrap());
        }
        first.send(0).unwrap();
        assert_eq!(right.recv(), Ok(10_000));
    });
}

// Go: test/chan/sieve1.go
#[test]
fn sieve1() {
    bounded("sieve1", || {
        let (tx, mut numbers) = channel(0);
        go(move || (2_u32..).take_while(|&i| tx.send(i).is_ok()).for_each(drop));
        let primes: Vec<u32> = (0..25)
            .map(|_| {
                let prime = numbers.recv().unwrap();
                let (tx, rx) = channel(0);
                let source = std::mem::replace(&mut numbers, rx);
                go(move || {
                    source
                        .iter()
                        .filter(|i| i % prime != 0)
                        .take_while(|&i| tx.send(i).is_ok())
                        .for_each(drop)
                });
                prime
            })
            .collect();
        assert_eq!((primes[0], primes[4], primes[24]), (2, 11, 97));
    });
}

// Go: test/chan/nonblock.go
#[test]
fn nonblock() {
    bounded("nonblock", || {
        for cap in [0, 1, 10, 100] {
            let (tx, rx) = channel::<u32>(cap);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let gets = {
                let rx = rx.clone();
                spawn(move || rx.recv())
            };
            // It is found when it waits (or, with a buffer, before).
            while tx.try_send(123).is_err() {
                yield_now();
            }
            assert_eq!(gets.join().unwrap(), Ok(123));
            let puts = {
                let tx = tx.clone();
                spawn(move || tx.send(234))
            };
            let got = loop {
                match rx.try_recv() {
                    Ok(v) => break v,
                    Err(err) => assert!(err.is_empty()),
                }
                yield_now();
            };
            assert_eq!((got, puts.join().unwrap()), (234, Ok(())));
            (0..cap).for_each(|_| tx.try_send(1).unwrap());
            assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
        }
    });
}

// Go: test/closedchan.go, test/chan/doubleselect.go with its close; test/ken/chan1.go
#[test]
fn chan1() {
    bounded("chan1", || {
        const N: usize = 1_000;
        const M: usize = 10;
        let ((tx, rx), counts) = (channel::<usize>(2), Arc::new([const { AtomicUsize::new(0) }; N]));
        let receivers: Vec<_> = (0..M)
            .map(|_| {
                let (rx, counts) = (rx.clone(), Arc::clone(&counts));
                spawn(move || {
                    while let Ok(i) = rx.recv() {
                        counts[i].fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        (0..N).for_each(|i| tx.send(i).unwrap());
        tx.close();
        receivers.into_iter().for_each(|h| h.join().unwrap());
        assert!(counts.iter().all(|n| n.load(SeqCst) == 1));
    });
}

// Go: test/chan/doubleselect.go: a sender in the queues of several channels sends once.
#[test]
fn doubleselect() {
    bounded("doubleselect", || {
        const N: usize = 5_000;
        let chans: [_; 4] = std::array::from_fn(|_| channel(0));
        let [(c1, r1), (c2, r2), (c3, r3), (c4, r4)] = chans;
        go(move || {
            for i in 0..N {
                gopark_sched::select! {
                    send(c1, i) -> res => res.unwrap(),
                    send(c2, i) -> res => res.unwrap(),
                    send(c3, i) -> res => res.unwrap(),
                    send(c4, i) -> res => res.unwrap(),
                }
            }
        });
        let (out, merged) = channel(0);
        for rx in [r1, r2, r3, r4] {
            let out = out.clone();
            go(move || rx.iter().for_each(|v| out.send(v).unwrap()));
        }
        drop(out);
        let mut seen = vec![0; N];
        merged.iter().for_each(|i: usize| seen[i] += 1);
        assert!(seen.iter().all(|&n| n == 1), "each value once");
    });
}

#[test]
fn the_last_sender_closes_and_the_last_receiver_discards() {
    bounded_on_thread("drops", || {
        let drops = CountDrops(Arc::default());
        let count = || drops.0.load(SeqCst);
        for (i, (tx, rx)) in [channel(5), unbounded()].into_iter().enumerate() {
            let before = count();
            let (tx2, rx2) = (tx.clone(), rx.clone());
            assert!(tx.same_channel(&tx2) && rx.same_channel(&rx2));
            (0..3).for_each(|_| tx.send(drops.clone()).unwrap());
            drop(rx);
            assert!(tx.send(drops.clone()).is_ok() && !tx.is_closed());
            assert!(rx2.recv().is_ok());
            assert_eq!(count(), before + 1);
            if i == 0 {
                drop((tx, tx2));
                assert!(rx2.is_closed() && rx2.recv().is_ok());
                drop(rx2);
            } else {
                drop(rx2);
                assert_eq!(count(), before + 4, "dropped with the last receiver, not the last sender");
                drop(tx.send(drops.clone()).unwrap_err().into_inner());
                assert_eq!((tx.len(), tx2.is_closed()), (0, true));
            }
        }
        assert_eq!(count(), 4 + 5);
    });
}

#[test]
fn a_waiting_sender_has_its_value_back_when_the_channel_closes() {
    bounded("given back", || {
        for last_receiver_goes in [true, false] {
            let (tx, rx) = channel(1);
            tx.send(String::from("taken")).unwrap();
            let waits = {
                let tx = tx.clone();
                spawn(move || tx.send(String::from("mine")))
            };
            let_the_others_wait();
            if last_receiver_goes {
                drop(rx);
            } else {
                rx.close();
            }
            assert_eq!(waits.join().unwrap(), Err(SendError(String::from("mine"))));
        }
    });
}

/// The destructor of one queued value panics: the others are dropped all the same, and no lock is held meanwhile.
#[test]
fn panicking_destructors() {
    struct Bomb(CountDrops, bool, Option<chan::Sender<Bomb>>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert_eq!(Arc::strong_count(&self.0.0), 5 - self.0.0.load(SeqCst), "the others are there still");
            // Its own channel can be used from here: the lock is free.
            assert!(self.2.as_ref().is_none_or(|tx| tx.is_closed() && tx.len() < 4 && !tx.close()));
            assert!(!self.1, "bomb");
        }
    }
    bounded_on_thread("bombs", || {
        for (tx, rx) in [channel(4), unbounded()] {
            let drops = CountDrops(Arc::default());
            for i in 0..4 {
                let tx2 = tx.clone();
                assert!(tx.send(Bomb(drops.clone(), i == 1, Some(tx2))).is_ok());
            }
            let result = catch_unwind(AssertUnwindSafe(|| drop(rx)));
            assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"bomb"));
            assert_eq!(drops.0.load(SeqCst), 4);
            assert!(tx.is_closed() && tx.is_empty());
        }
    });
}

#[test]
fn big_values_and_values_that_cannot_be_copied() {
    #[derive(PartialEq, Debug)]
    #[repr(align(128))]
    struct Big([u64; 2000], Box<u8>);
    bounded("big", || {
        for (tx, rx) in [channel(0), channel(2), unbounded()] {
            let sends = spawn(move || {
                for i in 0..20 {
                    tx.send(Big([i; 2000], Box::new(i as u8))).unwrap();
                }
            });
            for (i, big) in rx.iter().enumerate() {
                assert!(std::ptr::from_ref(&big).addr().is_multiple_of(128));
                assert_eq!(big, Big([i as u64; 2000], Box::new(i as u8)));
            }
            sends.join().unwrap();
        }
    });
}

#[test]
#[should_panic(expected = "capacity overflow")]
fn a_capacity_beyond_memory_panics() {
    let _ = channel::<u64>(usize::MAX);
}

#[test]
fn timeouts_of_sends_and_receives() {
    for on_thread in [true, false] {
        let body = || {
            let d = Duration::from_millis(3);
            for cap in [0, 1] {
                let (tx, rx) = channel(cap);
                (0..cap).for_each(|_| tx.send(0).unwrap());
                let start = Instant::now();
                assert_eq!(tx.send_timeout(1, d), Err(SendTimeoutError::Timeout(1)));
                assert!(start.elapsed() >= d);
                assert_eq!(tx.send_deadline(1, start), Err(SendTimeoutError::Timeout(1)));
                assert_eq!(tx.send_timeout(1, Duration::ZERO), Err(SendTimeoutError::Timeout(1)));
                assert_eq!(rx.len(), cap);
                (0..cap).for_each(|_| assert_eq!(rx.recv_timeout(LONG), Ok(0)));
                let start = Instant::now();
                assert_eq!(rx.recv_timeout(d), Err(RecvTimeoutError::Timeout));
                assert!(start.elapsed() >= d);
                assert_eq!(rx.recv_deadline(start), Err(RecvTimeoutError::Timeout));
                // Too long for the clock is for ever.
                go(move || tx.send_timeout(7, Duration::MAX).unwrap());
                assert_eq!(rx.recv_deadline(Instant::now() + LONG), Ok(7));
                assert_eq!(rx.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Disconnected));
            }
        };
        if on_thread { bounded_on_thread("timeouts", body) } else { bounded("timeouts", body) }
    }
}

/// Goroutines and plain threads on both ends, with what waits and what gives up: each value arrives once.
#[test]
fn goroutines_and_threads_mixed() {
    bounded_by("mixed", 2 * LONG, || {
        const EACH: usize = 2_000;
        for cap in [0, 1, 7] {
            let (tx, rx) = channel(cap);
            let seen: Arc<Vec<AtomicUsize>> = Arc::new((0..4 * EACH).map(|_| AtomicUsize::new(0)).collect());
            let send = |p: usize| {
                let tx = tx.clone();
                move || {
                    for i in p * EACH..(p + 1) * EACH {
                        let mut left = Some(i);
                        while let Some(value) = left.take() {
                            left = match i % 3 {
                                0 => tx.send(value).err().map(SendError::into_inner),
                                1 => tx.try_send(value).err().map(TrySendError::into_inner),
                                _ => {
                                    let timeout = Duration::from_micros(20);
                                    tx.send_timeout(value, timeout).err().map(SendTimeoutError::into_inner)
                                }
                            };
                            if left.is_some() {
                                yield_now();
                            }
                        }
                    }
                }
            };
            let receive = |p: usize| {
                let (rx, seen) = (rx.clone(), Arc::clone(&seen));
                move || {
                    loop {
                        let got = if p == 0 {
                            rx.recv_timeout(Duration::from_micros(20))
                        } else {
                            rx.recv().map_err(RecvTimeoutError::from)
                        };
                        match got {
                            Ok(i) => seen[i].fetch_add(1, SeqCst),
                            Err(RecvTimeoutError::Timeout) => continue,
                            Err(RecvTimeoutError::Disconnected) => return,
                        };
                    }
                }
            };
            let threads: Vec<_> = [std::thread::spawn(send(0)), std::thread::spawn(receive(0))].into();
            let threads: Vec<_> = threads.into_iter().chain([std::thread::spawn(receive(1))]).collect();
            let goroutines: Vec<_> =
                (1..4).map(|p| spawn(send(p))).chain([spawn(receive(0)), spawn(receive(1))]).collect();
            drop((tx, rx));
            gopark_sched::blocking(|| threads.into_iter().for_each(|h| h.join().unwrap()));
            goroutines.into_iter().for_each(|h| h.join().unwrap());
            assert!(seen.iter().all(|n| n.load(SeqCst) == 1), "each value once");
        }
    });
}

/// Both ends do not keep what is theirs alone: no yield, no turn taken from others for ever.
#[test]
fn a_pair_that_never_waits_lets_others_run() {
    bounded("budget", || {
        let stop = Arc::new(AtomicBool::new(false));
        let (tx, rx) = channel(1);
        let spins = {
            let stop = Arc::clone(&stop);
            spawn(move || {
                while !stop.load(SeqCst) {
                    tx.send(1).unwrap();
                    rx.recv().unwrap();
                }
            })
        };
        yield_now();
        // With one P we get here only if it yields.
        stop.store(true, SeqCst);
        spins.join().unwrap();
    });
}

/// A goroutine that unwinds must not leave its thread; it waits like one.
#[test]
fn channels_can_be_used_while_unwinding() {
    struct Says(chan::Sender<usize>, chan::Receiver<usize>);
    impl Drop for Says {
        fn drop(&mut self) {
            for i in 0..10 {
                self.0.send(i).unwrap();
                let answer = gopark_sched::select! {
                    recv(self.1) -> answer => answer,
                    after(LONG) => Err(RecvError),
                };
                assert_eq!(answer, Ok(i));
            }
        }
    }
    bounded("unwinding", || {
        let ((tx, requests), (answer, rx)) = (channel(0), channel(0));
        go(move || requests.iter().for_each(|i| answer.send(i).unwrap()));
        let panics = spawn(move || {
            let _says = Says(tx, rx);
            panic!("on purpose");
        });
        assert_eq!(panics.join().unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    });
}

/// Channels work between plain threads also in a process that never starts the runtime.
#[test]
fn channels_need_no_runtime() {
    let test = "channels_need_no_runtime";
    match child(test, &[]) {
        Child::Inside => {
            let ((tx, requests), (answer, rx)) = (channel(0), channel(2));
            let thread = std::thread::spawn(move || requests.iter().for_each(|i| answer.send(i).unwrap()));
            for i in 0..100 {
                tx.send(i).unwrap();
                let nobody = never::<usize>();
                let got = gopark_sched::select! {
                    recv(rx) -> msg => msg,
                    recv(nobody) -> msg => msg,
                };
                assert_eq!(got, Ok(i));
            }
            drop(tx);
            thread.join().unwrap();
            // What needs a timer says what is missing.
            let err = catch_unwind(AssertUnwindSafe(|| rx.recv_timeout(LONG))).unwrap_err();
            assert!(err.downcast_ref::<String>().unwrap().contains("Runtime::start"));
        }
        Child::Ended(output) => assert!(output.status.success(), "{}", text_of(&output)),
        Child::Skip => {}
    }
}

#[test]
fn errors_say_what_happened() {
    assert_eq!(SendError(1).to_string(), "send: the channel is closed");
    assert_eq!(TrySendError::Full(1).to_string(), "send: the channel is full");
    assert_eq!(TryRecvError::Empty.to_string(), "receive: the channel is empty");
    assert_eq!(RecvError.to_string(), "receive: the channel is closed and empty");
    assert_eq!(format!("{:?}", TrySendError::Disconnected([0; 100])), "Disconnected(..)");
    let (tx, rx) = channel::<u8>(3);
    assert_eq!(format!("{tx:?}"), "Sender { len: 0, capacity: Some(3), closed: false }");
    assert_eq!(format!("{rx:?}"), "Receiver { len: 0, capacity: Some(3), closed: false }");
}
