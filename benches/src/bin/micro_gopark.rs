//! What gopark's own operations cost on one P, one `NAME NANOSECONDS` a line.
//!
//! The counterparts are `peers/go/micro` and `peers/tokio/src/bin/micro.rs`: the same operations in the same numbers,
//! each run several times and the median reported, since a single neighbour on the core must not decide.
//!
//! # Safety
//! What the start of the runtime asks for: nothing here touches a thread-local across a call that may block, and the
//! program is linked statically.
#![allow(unsafe_code)]

use gopark_benches::crowd::Crowd;
use gopark_benches::ops;
use gopark_benches::server::die_with_parent;
use gopark_net::{Runtime, TcpConn, TcpListener};
use std::io;
use std::time::{Duration, Instant};

const BATCHES: usize = 9;
const CROWD: usize = 50_000;

fn main() -> io::Result<()> {
    die_with_parent();
    // SAFETY: see the head of this file.
    let rt = unsafe { Runtime::builder().max_procs(1).start()? };
    rt.run(all)
}

fn all() -> io::Result<()> {
    // First, while there is no stack of a crowd yet: the cold figure is about making them.
    let (cold, warm) = crowds();
    report("create", 100_000, || ops::create(1000));
    report("join", 50_000, || ops::join(50_000));
    report("yield2", 200_000, || ops::yields(2, 100_000));
    report("yield1000", 200_000, || ops::yields(1000, 200));
    report("pingpong", 50_000, || ops::ping_pong(50_000));
    deadline()?;
    println!("cold50k {cold:.2}\nwarm50k {warm:.2}");
    Ok(())
}

/// Prints the median of several batches, for each of a batch's `count` operations.
fn report(name: &str, count: usize, mut once: impl FnMut() -> Duration) {
    once();
    let found = (0..BATCHES).map(|_| each(once(), count)).collect();
    println!("{name} {:.2}", median(found));
}

fn each(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Moves the read deadline of a live connection.
fn deadline() -> io::Result<()> {
    const COUNT: usize = 100_000;
    let ln = TcpListener::bind("127.0.0.1:0")?;
    let conn = TcpConn::connect(ln.local_addr()?)?;
    let _peer = ln.accept()?;
    report("deadline", COUNT, || {
        let start = Instant::now();
        for _ in 0..COUNT {
            conn.set_read_deadline(Some(Instant::now() + Duration::from_secs(30)))
                .expect("the connection is open");
        }
        start.elapsed()
    });
    Ok(())
}

/// The cost of each of 50,000 goroutines that are alive at once: the first time, with stacks that are new, and the
/// median of later times.
fn crowds() -> (f64, f64) {
    let crowd = Crowd::new(CROWD);
    let once = || {
        let start = Instant::now();
        crowd.gather();
        let time = start.elapsed();
        crowd.dismiss();
        each(time, CROWD)
    };
    let cold = once();
    (cold, median((0..5).map(|_| once()).collect()))
}
