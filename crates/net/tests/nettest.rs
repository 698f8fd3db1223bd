//! What every connection must do, over each kind that there is. Go: `golang.org/x/net/nettest.TestConn`, whose eleven
//! tests these are, by its names.

mod util;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use gopark_net::{Conn, JoinHandle, UnixConn, dial, is_timeout, listen, sleep, spawn};
use util::{A_WHILE, after, ago, join_soon};

procs!();

/// One end. All of [`Conn`]'s methods are by `&self`.
type End = Arc<dyn Conn>;

/// Makes the two ends of a connection.
type Maker = fn() -> (End, End);

/// The length of a buffer, and of what is written at a time.
const CHUNK: usize = 1024;

/// Go: nettest.chunkedCopy. Until the end, or an error: the other side may be done and have closed.
fn chunked_copy(from: &End, to: &End) {
    let mut buf = [0; CHUNK];
    while let Ok(n @ 1..) = from.read(&mut buf) {
        if to.write_all(&buf[..n]).is_err() {
            return;
        }
    }
}

/// Sends back whatever comes, until the end.
fn echo(end: &End) -> JoinHandle<()> {
    let end = Arc::clone(end);
    spawn(move || chunked_copy(&end, &end))
}

/// Reads whatever comes, until the end.
fn discard(end: &End) -> JoinHandle<()> {
    let end = Arc::clone(end);
    spawn(move || {
        let mut buf = [0; CHUNK];
        while end.read(&mut buf).is_ok_and(|n| n > 0) {}
    })
}

/// Writes for ever.
fn flood(end: &End) -> JoinHandle<()> {
    let end = Arc::clone(end);
    spawn(move || while end.write_all(&[7; CHUNK]).is_ok() {})
}

fn read_full(end: &End, buf: &mut [u8]) -> io::Result<()> {
    let mut got = 0;
    while got < buf.len() {
        match end.read(&mut buf[got..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => got += n,
        }
    }
    Ok(())
}

/// Go: nettest.checkForTimeoutError
#[track_caller]
fn check_timeout<T>(result: io::Result<T>) {
    let Err(err) = result else { panic!("no error") };
    assert!(is_timeout(&err), "{err}");
}

/// Go: nettest.testRoundtrip
#[track_caller]
fn roundtrip(end: &End) {
    end.set_deadline(None).unwrap();
    let text = b"Hello, world!";
    end.write_all(text).unwrap();
    let mut buf = [0; 13];
    read_full(end, &mut buf).unwrap();
    assert_eq!(&buf, text);
}

/// Reads what is still on its way, up to a mark.
///
/// Go: nettest.resyncConn
#[track_caller]
fn resync(end: &End) {
    end.set_deadline(None).unwrap();
    let writer = spawn({
        let end = Arc::clone(end);
        move || end.write_all(&[0xff])
    });
    let mut buf = [0; CHUNK];
    loop {
        let n = end.read(&mut buf).unwrap();
        assert_ne!(n, 0, "the end");
        if buf[..n].iter().position(|b| *b == 0xff) == Some(n - 1) {
            break;
        }
    }
    join_soon(writer).unwrap();
}

/// Runs a test with a fresh connection, and sees that all it started ends once both ends are closed.
fn with_pair(make: Maker, test: fn(&End, &End) -> Vec<JoinHandle<()>>) {
    let (c1, c2) = make();
    let started = test(&c1, &c2);
    let _ = c1.close();
    let _ = c2.close();
    for handle in started {
        join_soon(handle);
    }
}

/// All that is written comes, in order, and then the end.
fn basic_io(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    // A generator of Marsaglia's; any bytes that do not repeat soon would do.
    let mut state = 1_u32;
    let want: Vec<u8> = (0..1 << 20)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect();
    let writer = spawn({
        let (c1, data) = (Arc::clone(c1), want.clone());
        move || {
            for chunk in data.chunks(CHUNK) {
                c1.write_all(chunk).unwrap();
            }
            c1.close().unwrap();
        }
    });
    let mut got = Vec::new();
    let mut buf = [0; CHUNK];
    loop {
        match c2.read(&mut buf).unwrap() {
            0 => break,
            n => got.extend_from_slice(&buf[..n]),
        }
    }
    assert!(got == want, "{} bytes, and not the same", got.len());
    c2.close().unwrap();
    vec![writer]
}

/// A number goes to and fro, one more each time.
fn ping_pong(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    const LAST: u64 = 1000;
    fn player(end: &End) -> JoinHandle<()> {
        let end = Arc::clone(end);
        spawn(move || {
            let mut buf = [0; 8];
            let mut previous = 0;
            loop {
                match read_full(&end, &mut buf) {
                    Ok(()) => {}
                    Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => break,
                    Err(err) => panic!("{err}"),
                }
                let number = u64::from_le_bytes(buf);
                assert!(previous == 0 || previous + 2 == number, "{previous}, and then {number}");
                previous = number;
                if number == LAST {
                    break;
                }
                end.write_all(&(number + 1).to_le_bytes()).unwrap();
            }
            end.close().unwrap();
        })
    }
    let players = [player(c1), player(c2)];
    c1.write_all(&0_u64.to_le_bytes()).unwrap();
    players.into_iter().for_each(join_soon);
    vec![]
}

/// Many read at a time, and move the deadline under each other.
fn racy_read(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    let flood = flood(c2);
    let soon = |end: &End| end.set_read_deadline(after(Duration::from_millis(1))).unwrap();
    soon(c1);
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let c1 = Arc::clone(c1);
            spawn(move || {
                let mut buf = [0; CHUNK];
                for _ in 0..100 {
                    if let Err(err) = c1.read(&mut buf) {
                        check_timeout(Err::<(), _>(err));
                        soon(&c1);
                    }
                }
            })
        })
        .collect();
    readers.into_iter().for_each(join_soon);
    vec![flood]
}

/// Many write at a time, and move the deadline under each other.
fn racy_write(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    let discard = discard(c2);
    let soon = |end: &End| end.set_write_deadline(after(Duration::from_millis(1))).unwrap();
    soon(c1);
    let writers: Vec<_> = (0..10)
        .map(|_| {
            let c1 = Arc::clone(c1);
            spawn(move || {
                for _ in 0..100 {
                    if let Err(err) = c1.write_all(&[1; CHUNK]) {
                        check_timeout(Err::<(), _>(err));
                        soon(&c1);
                    }
                }
            })
        })
        .collect();
    writers.into_iter().for_each(join_soon);
    vec![discard]
}

/// A read deadline does not touch writes.
fn read_timeout(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    let discard = discard(c2);
    c1.set_read_deadline(ago(A_WHILE)).unwrap();
    check_timeout(c1.read(&mut [0; CHUNK]));
    c1.write_all(&[1; CHUNK]).unwrap();
    vec![discard]
}

/// A write deadline does not touch reads.
fn write_timeout(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    let flood = flood(c2);
    c1.set_write_deadline(ago(A_WHILE)).unwrap();
    check_timeout(c1.write_all(&[1; CHUNK]));
    assert_ne!(c1.read(&mut [0; CHUNK]).unwrap(), 0);
    vec![flood]
}

/// A deadline in the past fails both at once, with nothing done; without it they work again.
fn past_timeout(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    let echo = echo(c2);
    roundtrip(c1);
    c1.set_deadline(ago(A_WHILE)).unwrap();
    check_timeout(c1.write(&[1; CHUNK]));
    check_timeout(c1.write_all(&[1; CHUNK]));
    check_timeout(c1.read(&mut [0; CHUNK]));
    roundtrip(c1);
    vec![echo]
}

/// A deadline in the past fails what is in progress, and not before it is set.
fn present_timeout(c1: &End, _: &End) -> Vec<JoinHandle<()>> {
    let set = Arc::new(AtomicBool::new(false));
    let reader = spawn({
        let (c1, set) = (Arc::clone(c1), Arc::clone(&set));
        move || {
            check_timeout(c1.read(&mut [0; CHUNK]));
            assert!(set.load(SeqCst), "before the deadline was set");
        }
    });
    let writer = spawn({
        let (c1, set) = (Arc::clone(c1), Arc::clone(&set));
        move || {
            check_timeout(write_until_error(&c1));
            assert!(set.load(SeqCst), "before the deadline was set");
        }
    });
    sleep(A_WHILE); // not for ordering: so that they are in progress, most of the time
    set.store(true, SeqCst);
    c1.set_read_deadline(ago(A_WHILE)).unwrap();
    c1.set_write_deadline(ago(A_WHILE)).unwrap();
    [reader, writer].into_iter().for_each(join_soon);
    vec![]
}

fn write_until_error(end: &End) -> io::Result<()> {
    loop {
        end.write_all(&[1; CHUNK])?;
    }
}

/// A deadline that comes fails what is in progress; without it all works again.
fn future_timeout(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    c1.set_deadline(after(A_WHILE)).unwrap();
    let reader = spawn({
        let c1 = Arc::clone(c1);
        move || check_timeout(c1.read(&mut [0; CHUNK]))
    });
    let writer = spawn({
        let c1 = Arc::clone(c1);
        move || check_timeout(write_until_error(&c1))
    });
    [reader, writer].into_iter().for_each(join_soon);
    let echo = echo(c2);
    resync(c1);
    roundtrip(c1);
    vec![echo]
}

/// Closing fails what is in progress.
fn close_timeout(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    let echo = echo(c2);
    c1.set_deadline(None).unwrap();
    let reader = spawn({
        let c1 = Arc::clone(c1);
        move || {
            let mut buf = [0; CHUNK];
            while c1.read(&mut buf).is_ok_and(|n| n > 0) {}
        }
    });
    let writer = spawn({
        let c1 = Arc::clone(c1);
        move || drop(write_until_error(&c1).unwrap_err())
    });
    sleep(A_WHILE); // not for ordering: so that they are in progress, most of the time
    c1.close().unwrap();
    [reader, writer].into_iter().for_each(join_soon);
    vec![echo]
}

/// All methods at a time, a hundred times, and the connection still works.
fn concurrent_methods(c1: &End, c2: &End) -> Vec<JoinHandle<()>> {
    let echo = echo(c2);
    let methods: [fn(&End); 7] = [
        |c1| drop(c1.read(&mut [0; CHUNK])),
        |c1| drop(c1.write_all(&[1; CHUNK])),
        |c1| c1.set_deadline(after(Duration::from_millis(10))).unwrap(),
        |c1| c1.set_read_deadline(ago(A_WHILE)).unwrap(),
        |c1| c1.set_write_deadline(ago(A_WHILE)).unwrap(),
        |c1| drop(c1.local_addr()),
        |c1| drop(c1.remote_addr()),
    ];
    let calls: Vec<_> = (0..100)
        .flat_map(|_| methods)
        .map(|method| {
            let c1 = Arc::clone(c1);
            spawn(move || method(&c1))
        })
        .collect();
    calls.into_iter().for_each(join_soon);
    resync(c1);
    roundtrip(c1);
    vec![echo]
}

/// The two ends of a connection from a listener of `network`.
fn connected(network: &str, address: &str) -> (End, End) {
    let ln = listen(network, address).expect("a free address");
    let client = dial(network, &ln.addr().to_string()).expect("connect");
    let server = ln.accept().expect("accept");
    (Arc::from(client), Arc::from(server))
}

macro_rules! test_conn {
    ($($kind:ident: $make:expr;)*) => {$(
        mod $kind {
            use super::*;

            fn make() -> (End, End) {
                $make
            }

            test_conn!(@tests
                // Go: nettest BasicIO
                basic_io
                // Go: nettest PingPong
                ping_pong
                // Go: nettest RacyRead
                racy_read
                // Go: nettest RacyWrite
                racy_write
                // Go: nettest ReadTimeout
                read_timeout
                // Go: nettest WriteTimeout
                write_timeout
                // Go: nettest PastTimeout
                past_timeout
                // Go: nettest PresentTimeout
                present_timeout
                // Go: nettest FutureTimeout
                future_timeout
                // Go: nettest CloseTimeout
                close_timeout
                // Go: nettest ConcurrentMethods
                concurrent_methods
            );
        }
    )*};
    (@tests $($name:ident)*) => {$(
        #[test]
        fn $name() {
            util::both(concat!(module_path!(), "::", stringify!($name)), || with_pair(make, super::$name));
        }
    )*};
}

test_conn! {
    tcp: connected("tcp", "127.0.0.1:0");
    unix: connected("unix", "");
    unixpacket: connected("unixpacket", "");
    unix_pair: {
        let (a, b) = UnixConn::pair().expect("a pair");
        (Arc::new(a), Arc::new(b))
    };
    pipe: {
        let (a, b) = gopark_net::pipe();
        (Arc::new(a), Arc::new(b))
    };
}
