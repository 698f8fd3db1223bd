//! The load generator of the echo benchmarks. Prints one line of JSON about the measured time.
//!
//! ```text
//! load --addr 127.0.0.1:PORT [--conns 64] [--size 1024] [--seconds 3] [--warmup-s 0.5] [--cpu N]
//!      [--server-pid PID] [--sources 1] [--hold no|yes]
//! ```
//! With `--hold yes` it opens the connections, has one message echoed on each, prints `holding N`, and keeps them open
//! until its standard input ends; then every connection must echo once more.
//!
//! It reads the server's CPU time itself, at the very moments at which it begins and ends to count requests: another
//! process would be told of those moments only when the busy machine gets round to it.

use gopark_benches::client::Client;
use gopark_benches::flags::Flags;
use gopark_benches::procfs::CpuMark;
use gopark_benches::server::{clock_ns, die_with_parent, say};
use rustix::time::ClockId;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// Connections opened at once: well below the 128 that the smallest accept queue among the servers holds.
const CONNECT_BATCH: usize = 64;
/// How long connecting may take to be answered. Generous: endless loops beside the server are part of the game.
const ANSWER_MAX: Duration = Duration::from_secs(10);

struct Options {
    addr: SocketAddr,
    conns: usize,
    size: usize,
    measure: Duration,
    warm_up: Duration,
    server_pid: Option<u32>,
    sources: u8,
    hold: bool,
}

fn main() -> ExitCode {
    die_with_parent();
    let mut flags = Flags::from_env();
    let Some(addr) = flags.take_opt("addr") else {
        eprintln!("--addr is needed: where the echo server listens");
        return ExitCode::from(2);
    };
    let cpu: Option<usize> = flags.take_opt("cpu");
    let options = Options {
        addr,
        conns: flags.take("conns", 64),
        size: flags.take("size", 1024),
        measure: Duration::from_secs_f64(flags.take("seconds", 3.0)),
        warm_up: Duration::from_secs_f64(flags.take("warmup-s", 0.5)),
        server_pid: flags.take_opt("server-pid"),
        sources: flags.take("sources", 1),
        hold: flags.take("hold", "no".to_owned()) == "yes",
    };
    flags.finish();
    let outcome = pin(cpu).and_then(|()| if options.hold { hold(&options) } else { measure(&options) });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pin(cpu: Option<usize>) -> io::Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Opens all connections and has each echo once before the next batch, so that no accept queue overflows.
fn open_and_hold_each(client: &mut Client, conns: usize) -> io::Result<()> {
    while client.len() < conns {
        let first = client.len();
        client.connect(CONNECT_BATCH.min(conns - first))?;
        client.round(first, ANSWER_MAX)?;
    }
    Ok(())
}

fn hold(options: &Options) -> io::Result<()> {
    let mut client = Client::new(options.addr, options.size, options.sources)?;
    open_and_hold_each(&mut client, options.conns)?;
    say(&format!("holding {}", client.len()));
    io::stdin().read_to_end(&mut Vec::new())?;
    client.round(0, ANSWER_MAX)?;
    say("alive");
    Ok(())
}

/// Opens connections with a pause between batches: a server that serves nobody must still be measured (as zero).
fn open_all(client: &mut Client, conns: usize) -> io::Result<()> {
    while client.len() < conns {
        client.connect(CONNECT_BATCH.min(conns - client.len()))?;
        if client.len() < conns {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

fn measure(options: &Options) -> io::Result<()> {
    let mut client = Client::new(options.addr, options.size, options.sources)?;
    open_all(&mut client, options.conns)?;
    client.start_all()?;
    client.run(options.warm_up)?;

    let mark = |pid: Option<u32>| pid.map_or(Ok(CpuMark::default()), CpuMark::take);
    let own_before = clock_ns(ClockId::ProcessCPUTime);
    let server_before = mark(options.server_pid)?;
    let begin_ns = clock_ns(ClockId::Monotonic);
    client.measure(options.measure)?;
    let end_ns = clock_ns(ClockId::Monotonic);
    let server_after = mark(options.server_pid)?;
    let own_ns = clock_ns(ClockId::ProcessCPUTime) - own_before;

    let latency = &client.latency;
    let micros = |quantile| latency.quantile(quantile) as f64 / 1000.0;
    let mut line = String::new();
    let threads = server_after.threads_since(&server_before);
    let per_thread: Vec<String> = threads.iter().map(|(tid, ns)| format!("\"{tid}\":{ns}")).collect();
    let _ = write!(
        line,
        "{{\"requests\":{},\"begin_ns\":{begin_ns},\"end_ns\":{end_ns},\"p50_us\":{},\"p99_us\":{},\"p999_us\":{},\
         \"max_us\":{},\"slowest_tenth\":{:.4},\"client_cpu_ns\":{own_ns},\"server_cpu_ns\":{},\
         \"server_threads\":{{{}}}}}",
        latency.len(),
        micros(0.5),
        micros(0.99),
        micros(0.999),
        latency.max() as f64 / 1000.0,
        client.slowest_tenth(),
        server_after.since(&server_before),
        per_thread.join(","),
    );
    say(&line);
    Ok(())
}
