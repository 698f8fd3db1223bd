//! Channels: Go's tests by name, and what Rust adds (closing by drop, values given back, destructors).

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_sched::chan::{
    self, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError, bounded,
    never, unbounded,
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
    let (tx, rx) = bounded(cap);
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
    let (tx, rx) = bounded(cap);
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
    let (tx, rx) = bounded(cap);
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
    let (tx, rx) = bounded::<u8>(cap);
    let waiting = spawn(move || rx.recv());
    let_the_others_wait();
    tx.close();
    assert_eq!(waiting.join().unwrap(), Err(RecvError));
}

fn values_arrive_in_order(cap: usize) {
    let (tx, rx) = bounded(cap);
    go(move || (0..100).for_each(|i| tx.send(i).unwrap()));
    assert_eq!(rx.into_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

fn values_arrive_once(cap: usize) {
    const PARTIES: usize = 4;
    const EACH: usize = 100;
    let (tx, rx) = bounded(cap);
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
    let (tx, rx) = bounded(cap * 2);
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
