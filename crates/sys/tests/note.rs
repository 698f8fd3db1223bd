//! Notes: one event, one sleeper, again and again.

mod util;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gopark_sys::note::Note;
use util::{LIMIT, bounded};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn a_wakeup_before_the_sleep_is_not_lost() {
    bounded(|| {
        let note = Note::new();
        note.wakeup();
        note.sleep();
        note.sleep(); // it stays until it is cleared
        assert!(note.sleep_for(Duration::ZERO));
        note.wakeup(); // a second one changes nothing
        assert!(note.sleep_for(LIMIT));
    });
}

#[test]
fn a_cleared_note_sleeps_again() {
    bounded(|| {
        let note = Note::new();
        for _ in 0..3 {
            assert!(!note.sleep_for(SHORT));
            note.wakeup();
            assert!(note.sleep_for(SHORT));
            note.clear();
        }
        assert!(!note.sleep_for(Duration::ZERO));
    });
}

#[test]
fn a_timeout_is_not_early() {
    bounded(|| {
        let note = Note::new();
        for timeout in [Duration::from_micros(1), Duration::from_micros(300), SHORT] {
            let start = Instant::now();
            assert!(!note.sleep_for(timeout));
            assert!(start.elapsed() >= timeout, "{timeout:?}");
        }
    });
}

#[test]
fn a_wakeup_ends_a_sleep_with_any_limit() {
    for limit in [None, Some(LIMIT), Some(Duration::MAX), Some(Duration::from_secs(u64::MAX / 2))] {
        bounded(move || {
            let note = Arc::new(Note::new());
            let waker = Arc::clone(&note);
            let start = Instant::now();
            let thread = std::thread::spawn(move || waker.wakeup());
            match limit {
                None => note.sleep(),
                Some(limit) => assert!(note.sleep_for(limit)),
            }
            assert!(start.elapsed() < LIMIT / 2);
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_wakeup_after_a_timeout_is_kept_for_the_next_sleep() {
    bounded(|| {
        let note = Note::new();
        assert!(!note.sleep_for(SHORT)); // leaves the word saying that somebody sleeps
        note.wakeup();
        assert!(note.sleep_for(LIMIT));
    });
}

/// Each side reuses its note as soon as it is woken, perhaps before the waker's system call is over.
#[test]
fn two_threads_play_ping_pong() {
    const ROUNDS: u64 = 10_000;
    bounded(|| {
        let notes = Arc::new([Note::new(), Note::new()]);
        let ball = Arc::new(AtomicU64::new(0));
        let play = |me: usize, notes: Arc<[Note; 2]>, ball: Arc<AtomicU64>| {
            for round in 0..ROUNDS {
                // A limit now and then, so that both ways to sleep meet.
                if round % 3 == 0 {
                    assert!(notes[me].sleep_for(LIMIT))
                } else {
                    notes[me].sleep()
                }
                notes[me].clear();
                // What the waker did before is seen: the note orders, the word does not.
                let hits = ball.load(Ordering::Relaxed);
                assert_eq!(hits, 2 * round + me as u64);
                ball.store(hits + 1, Ordering::Relaxed);
                notes[1 - me].wakeup();
            }
        };
        let (other_notes, other_ball) = (Arc::clone(&notes), Arc::clone(&ball));
        let other = std::thread::spawn(move || play(1, other_notes, other_ball));
        notes[0].wakeup();
        play(0, notes, Arc::clone(&ball));
        other.join().unwrap();
        assert_eq!(ball.load(Ordering::Relaxed), 2 * ROUNDS);
    });
}

/// Timeouts and wake-ups at the same moment: none is lost, none counted twice.
#[test]
fn a_wakeup_that_races_with_the_timeout_is_seen_later() {
    bounded(|| {
        let notes = Arc::new([Note::new(), Note::new()]);
        let other_notes = Arc::clone(&notes);
        let waker = std::thread::spawn(move || {
            for _ in 0..1000 {
                other_notes[1].sleep();
                other_notes[1].clear();
                other_notes[0].wakeup();
            }
        });
        for _ in 0..1000 {
            notes[1].wakeup();
            while !notes[0].sleep_for(Duration::from_micros(20)) {}
            notes[0].clear();
        }
        waker.join().unwrap();
    });
}
