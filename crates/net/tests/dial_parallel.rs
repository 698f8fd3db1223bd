//! Two families at a time. Go: `net/dial_test.go`, the parts that need hooks there.

mod util;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_net::context::Context;
use gopark_net::for_tests::{Racer, race};
use gopark_net::sleep;

const MS: Duration = Duration::from_millis(1);

procs!();

type Outcome = Result<&'static str, &'static str>;

/// What one racer does: waits, unless its context is done meanwhile, and then succeeds or fails.
fn racer(wait: Duration, result: Outcome, ctx: &Context) -> Outcome {
    let end = Instant::now() + wait;
    while Instant::now() < end {
        if ctx.err().is_some() {
            return Err("canceled");
        }
        sleep(MS); // not for ordering: how often it looks
    }
    result
}

type Script = (Duration, Outcome);

/// The result of a race, and how long it took.
fn run(delay: Duration, primary: Script, fallback: Script) -> (Outcome, Duration) {
    util::runtime();
    let begin = Instant::now();
    let result = race(&Context::background(), delay, move |who, ctx| {
        let (wait, result) = if who == Racer::Primary { primary } else { fallback };
        racer(wait, result, ctx)
    });
    (result, begin.elapsed())
}

// Go: net TestDialParallel
#[test]
fn test_dial_parallel() {
    const DELAY: Duration = Duration::from_millis(200);
    const SLOW: Duration = Duration::from_secs(20);
    let now = Duration::ZERO;
    for (primary, fallback, want, least, most) in [
        // The primary is fast: nobody else is asked.
        ((now, Ok("p")), (now, Ok("f")), Ok("p"), 0, 150),
        // It fails at once: the fallback is not kept waiting.
        ((now, Err("p")), (now, Ok("f")), Ok("f"), 0, 150),
        // It is slow: the fallback gets its try after the delay, and wins.
        ((SLOW, Ok("p")), (now, Ok("f")), Ok("f"), 200, 1500),
        // Slow, but faster than the fallback, which is canceled.
        ((300 * MS, Ok("p")), (SLOW, Ok("f")), Ok("p"), 300, 1500),
        // Both fail: the primary's error, whoever came first.
        ((now, Err("p")), (now, Err("f")), Err("p"), 0, 150),
        ((300 * MS, Err("p")), (now, Err("f")), Err("p"), 300, 1500),
        // The fallback fails while the primary is on its way.
        ((400 * MS, Ok("p")), (now, Err("f")), Ok("p"), 400, 1500),
        // The primary fails while the fallback is on its way.
        ((300 * MS, Err("p")), (400 * MS, Ok("f")), Ok("f"), 600, 2500),
    ] {
        let (got, took) = run(DELAY, primary, fallback);
        assert_eq!(got, want, "{primary:?} {fallback:?}");
        let bounds = Duration::from_millis(least)..Duration::from_millis(most);
        assert!(bounds.contains(&took), "{primary:?} {fallback:?}: took {took:?}");
    }
}

// Go: net TestDialerFallbackDelay
#[test]
fn test_dialer_fallback_delay() {
    let default = 300 * MS;
    for delay in [Duration::from_nanos(1), 200 * MS, default] {
        let (got, took) = run(delay, (Duration::from_secs(20), Ok("p")), (Duration::ZERO, Ok("f")));
        assert_eq!(got, Ok("f"));
        assert!(took >= delay && took < delay + 1000 * MS, "{delay:?}: took {took:?}");
    }
}

/// Two successes at the same time: one is returned, the other is dropped, which for a connection is closing it.
// Go: net TestDialParallelSpuriousConnection
#[test]
fn test_dial_parallel_spurious_connection() {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    static MADE: AtomicU32 = AtomicU32::new(0);
    static LIVE: AtomicU32 = AtomicU32::new(0);

    struct Connection;
    impl Connection {
        fn new() -> Connection {
            LIVE.fetch_add(1, SeqCst);
            MADE.fetch_add(1, SeqCst);
            Connection
        }
    }
    impl Drop for Connection {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, SeqCst);
        }
    }

    util::runtime();
    for _ in 0..20 {
        // Neither looks at its context: both succeed.
        let winner = race(&Context::background(), MS, |who, _| {
            STARTED.fetch_add(1, SeqCst);
            sleep(if who == Racer::Primary { 4 * MS } else { 3 * MS }); // not for ordering: who wins is left open
            Ok::<_, ()>(Connection::new())
        });
        assert!(winner.is_ok());
        let end = Instant::now() + Duration::from_secs(10);
        // A loser that has not made its connection yet has none to drop.
        while MADE.load(SeqCst) != STARTED.load(SeqCst) || LIVE.load(SeqCst) != 1 {
            assert!(Instant::now() < end, "the loser's connection is not dropped");
            sleep(MS); // not for ordering: how often we look
        }
        drop(winner);
        assert_eq!(LIVE.load(SeqCst), 0);
    }
}

#[test]
fn a_panic_in_either_racer_comes_out() {
    util::runtime();
    for panicking in [Racer::Primary, Racer::Fallback] {
        let caught = std::panic::catch_unwind(|| {
            race::<(), _, _>(&Context::background(), MS, move |who, _| {
                if who == panicking {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                sleep(5 * MS); // not for ordering: what the other racer does
                Err("failed")
            })
        });
        let payload = caught.expect_err("a panic");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
    }
}
