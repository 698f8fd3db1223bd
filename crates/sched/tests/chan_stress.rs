//! Channels under pressure from all sides: what is sent arrives once, whoever waits, gives up, chooses or closes.
//!
//! Both ends are goroutines and plain threads; the channels are of all kinds; each value is a box that is counted.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use gopark_sched::chan::{self, Receiver, RecvTimeoutError, Select, SendTimeoutError, Sender, TrySendError};
use gopark_sched::{select, spawn, yield_now};
use util::*;

#[test]
fn runs_with_1_2_and_4_procs() {
    run_with_1_2_and_4_procs();
}

/// A value that counts its drops, and says which one it is.
type Value = (usize, Box<CountDrops>);

/// Decides what comes next. Not the scheduler's generator, which `select` uses.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % sides
    }
}

const BRIEF: Duration = Duration::from_micros(30);

/// Sends `value` in one of the ways there are; gives it back if that came to nothing, or the channel is closed.
fn send(dice: &mut Dice, to: &[Sender<Value>], value: Value) -> Option<Value> {
    let at = dice.roll(to.len() as u32) as usize;
    let (tx, other) = (&to[at], &to[(at + 1) % to.len()]);
    let mut slot = Some(value);
    match dice.roll(6) {
        0 => return slot.and_then(|value| tx.send(value).err()).map(chan::SendError::into_inner),
        1 => slot = slot.and_then(|value| tx.try_send(value).err()).map(TrySendError::into_inner),
        2 => {
            let failed = slot.and_then(|value| tx.send_timeout(value, BRIEF).err());
            slot = failed.map(SendTimeoutError::into_inner);
        }
        3 => select! {
            send_from(tx, &mut slot) -> res => return res.err().map(chan::SendError::into_inner),
            after(BRIEF) => {}
        },
        4 => select! {
            send_from(tx, &mut slot) -> res => return res.err().map(chan::SendError::into_inner),
            default => {}
        },
        _ => {
            let nobody = chan::never::<()>();
            let mut set = Select::new();
            let first = slot.take().map(|value| set.send(tx, value));
            set.recv(&nobody);
            if let Ok(done) = set.select_timeout(BRIEF) {
                return done.send(tx).err().map(chan::SendError::into_inner);
            }
            slot = first.and_then(|index| set.take_value(index, tx));
        }
    }
    // Not sent yet: on to the next channel, this time for certain, unless it is closed.
    slot.and_then(|value| other.send(value).err()).map(chan::SendError::into_inner)
}

/// Receives in one of the ways there are. False: all are closed and empty.
fn receive(dice: &mut Dice, from: &[Receiver<Value>], mut got: impl FnMut(Value)) -> bool {
    let at = dice.roll(from.len() as u32) as usize;
    let (rx, other) = (&from[at], &from[(at + 1) % from.len()]);
    let result = match dice.roll(5) {
        0 => rx.recv_timeout(BRIEF).ok(),
        1 => rx.try_recv().ok(),
        2 => select! {
            recv(rx) -> msg => msg.ok(),
            recv(other) -> msg => msg.ok(),
            after(BRIEF) => None,
        },
        3 => select! {
            recv(other) -> msg => msg.ok(),
            recv(rx) -> msg => msg.ok(),
            recv(other) -> msg => msg.ok(),
            default => None,
        },
        _ => {
            let mut set = Select::new();
            for rx in from {
                set.recv(rx);
            }
            match set.select_timeout(BRIEF) {
                Ok(done) => {
                    let index = done.index();
                    done.recv(&from[index]).ok()
                }
                Err(_) => None,
            }
        }
    };
    if let Some(value) = result {
        got(value);
        return true;
    }
    yield_now();
    !from.iter().all(|rx| rx.is_closed() && rx.is_empty())
}

/// Four channels, six senders, six receivers, of which two each are threads; with `close`, somebody closes all four in
/// the middle of it.
fn stress(seed: u32, each: usize, close: bool) {
    const PARTIES: usize = 6;
    let drops = CountDrops(Arc::default());
    let (txs, rxs): (Vec<_>, Vec<_>) =
        [chan::bounded(0), chan::bounded(1), chan::bounded(10), chan::unbounded()].into_iter().unzip();
    let seen: Arc<Vec<AtomicUsize>> = Arc::new((0..PARTIES * each).map(|_| AtomicUsize::new(0)).collect());
    let returned = Arc::new(AtomicUsize::new(0));
    let (mut threads, mut goroutines) = (Vec::new(), Vec::new());
    for p in 0..PARTIES {
        let (txs, rxs, drops) = (txs.clone(), rxs.clone(), drops.clone());
        let (seen, returned) = (Arc::clone(&seen), Arc::clone(&returned));
        let mut dice = Dice(seed.wrapping_mul(31).wrapping_add(p as u32) | 1);
        let sends = move || {
            for i in p * each..(p + 1) * each {
                if send(&mut dice, &txs, (i, Box::new(drops.clone()))).is_some() {
                    returned.fetch_add(1, SeqCst);
                }
            }
        };
        let mut dice = Dice(seed.wrapping_mul(37).wrapping_add(p as u32) | 1);
        let receives = move || {
            let got = |(i, _drop): Value| {
                assert_eq!(seen[i].fetch_add(1, SeqCst), 0, "{i} arrived twice");
            };
            while receive(&mut dice, &rxs, got) {}
        };
        if p < 2 {
            threads.push(std::thread::spawn(sends));
            threads.push(std::thread::spawn(receives));
        } else {
            goroutines.push(spawn(sends));
            goroutines.push(spawn(receives));
        }
    }
    if close {
        while seen.iter().filter(|n| n.load(SeqCst) > 0).count() < each {
            yield_now();
        }
        assert!(txs.iter().all(Sender::close));
    }
    drop((txs, rxs));
    gopark_sched::blocking(|| threads.into_iter().for_each(|h| h.join().unwrap()));
    goroutines.into_iter().for_each(|h| h.join().unwrap());
    let arrived = seen.iter().filter(|n| n.load(SeqCst) == 1).count();
    assert_eq!(arrived + returned.load(SeqCst), PARTIES * each, "sent, or given back");
    assert!(close || arrived == PARTIES * each);
    // And one each that the senders cloned from.
    assert_eq!(drops.0.load(SeqCst), PARTIES * each + PARTIES, "dropped once each");
}

#[test]
fn each_value_arrives_once_whoever_waits() {
    bounded_by("stress", 3 * LONG, || (1..4).for_each(|seed| stress(seed, 400, false)));
}

#[test]
fn each_value_arrives_or_comes_back_when_channels_close() {
    bounded_by("stress, closing", 3 * LONG, || (1..9).for_each(|seed| stress(seed, 200, true)));
}

/// A ring of goroutines that pass a token on, each by a select of its own, with timeouts that mostly come first.
#[test]
fn timeouts_lose_no_value() {
    bounded_by("timeouts", 2 * LONG, || {
        const RING: usize = 8;
        const ROUNDS: usize = 200;
        let (first, mut last) = chan::bounded::<usize>(0);
        let members: Vec<_> = (0..RING)
            .map(|i| {
                let (to, next) = chan::bounded(0);
                let from = std::mem::replace(&mut last, next);
                spawn(move || {
                    let timeout = Duration::from_micros(i as u64);
                    loop {
                        match from.recv_timeout(timeout) {
                            Ok(token) => {
                                let mut slot = Some(token + 1);
                                while slot.is_some() {
                                    select! {
                                        send_from(to, &mut slot) -> res => res.unwrap(),
                                        after(timeout) => yield_now(),
                                    }
                                }
                            }
                            Err(RecvTimeoutError::Timeout) => yield_now(),
                            Err(RecvTimeoutError::Disconnected) => return,
                        }
                    }
                })
            })
            .collect();
        for round in 0..ROUNDS {
            first.send(round).unwrap();
            assert_eq!(last.recv(), Ok(round + RING));
        }
        drop(first);
        members.into_iter().for_each(|m| m.join().unwrap());
    });
}
