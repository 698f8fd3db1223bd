//! What one of gopark's scheduling operations costs, `METRIC VALUE` a line.
//!
//! The counterparts are `peers/go/sched`, and `sched_tokio.rs` and `sched_may.rs` in the peers of these names: the
//! same operations in the same shapes and numbers; `benches/README.md` says what each does. Short ones run several
//! times and the median counts: a single neighbour on the core must not decide.
//!
//! # Safety
//! What the start of the runtime asks for: nothing here touches a thread-local across a call that may block, and the
//! program is linked statically.
#![allow(unsafe_code)]

use gopark_benches::flags::Flags;
use gopark_benches::server::{die_with_parent, say};
use gopark_benches::shapes;
use gopark_net::{Runtime, TcpConn, TcpListener, chan, go, sleep};
use std::io::{self, Read as _};
use std::time::Duration;

const BATCHES: usize = 9;
const LONG_BATCHES: usize = 5;

fn main() -> io::Result<()> {
    die_with_parent();
    let mut flags = Flags::from_env();
    let op: String = flags.take("op", String::new());
    let procs = flags.take("procs", 1);
    let (count, sockets) = (flags.take("count", 200_000), flags.take("sockets", 0));
    flags.finish();
    // SAFETY: see the head of this file.
    let rt = unsafe { Runtime::builder().max_procs(procs).start()? };
    match op.as_str() {
        "pingpong" => rt.run(|| report(shapes::ping_pong)),
        "chan" => rt.run(|| report(shapes::buffered)),
        "select" => rt.run(|| report(shapes::select_of_two)),
        "mutex" => rt.run(|| report(shapes::mutex)),
        "contended" => rt.run(|| report(shapes::contended)),
        "timer" => rt.run(|| report(shapes::timer)),
        "fanout" => rt.run(|| report(shapes::fanout)),
        "sleepers" => rt.run(sleepers),
        "skynet" => rt.run(skynet),
        "wake" => rt.run(wake),
        "burst" => burst(&rt, count)?,
        "quiet" => quiet(&rt, sockets)?,
        other => {
            eprintln!("sched_gopark: no operation {other:?}");
            std::process::exit(2);
        }
    }
    Ok(())
}

/// Prints the median of several batches.
fn report(once: impl Fn() -> f64) {
    once();
    println!("ns {:.2}", median((0..BATCHES).map(|_| once()).collect()));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn sleepers() {
    shapes::sleepers();
    println!("ms {:.3}", median((0..LONG_BATCHES).map(|_| millis(shapes::sleepers())).collect()));
}

fn skynet() {
    let cold = millis(shapes::skynet());
    let warm = median((0..LONG_BATCHES).map(|_| millis(shapes::skynet())).collect());
    println!("cold_ms {cold:.3}\nwarm_ms {warm:.3}");
}

fn wake() {
    let mut found: Vec<f64> = shapes::wake().iter().map(|time| time.as_secs_f64() * 1e6).collect();
    found.sort_by(f64::total_cmp);
    println!("p50_us {:.2}\np99_us {:.2}", found[found.len() / 2], found[found.len() * 99 / 100]);
}

/// Says `ready`, waits for the end of its input, has `count` goroutines alive at once, and when all are gone says
/// `done` and stays.
fn burst(rt: &Runtime, count: usize) -> io::Result<()> {
    rt.run(|| shapes::crowd(1000));
    say("ready");
    io::stdin().read_to_end(&mut Vec::new())?;
    rt.run(|| shapes::crowd(count));
    say("done");
    rt.run(|| {
        loop {
            sleep(Duration::from_secs(3600));
        }
    })
}

/// Does a little of everything, says `quiet` and does nothing any more, with goroutines that wait: for a channel, and
/// for a byte on each of `sockets` connections.
fn quiet(rt: &Runtime, sockets: usize) -> io::Result<()> {
    let (_keep, never) = chan::bounded::<()>(0);
    let mut near = Vec::new();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for _ in 0..sockets {
        let conn = TcpConn::connect(listener.local_addr()?)?;
        let (far, _) = listener.accept()?;
        conn.write_all(&[1])?;
        far.read(&mut [0])?;
        near.push(conn);
        go(move || {
            let got = far.read(&mut [0]);
            panic!("a quiet connection has something to read: {got:?}");
        });
    }
    go(move || {
        let got = never.recv();
        panic!("a channel without a sender delivers: {got:?}");
    });
    rt.run(|| {
        shapes::crowd(1000);
        sleep(Duration::from_millis(1));
    });
    say("quiet");
    // A plain thread in a system call, which the scheduler has nothing to do with.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
