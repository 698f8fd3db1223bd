//! The descriptor limit, in child processes that have a low one.

mod util;

use std::fs::File;
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use gopark_net::{TcpConn, go, is_temporary, raw_os_error, sleep, spawn};
use gopark_sys::Errno;
use util::local_listener;

procs!();

const LOW_LIMIT: &str = "ulimit -n 64";

/// Runs `body` in a process of its own with few descriptors.
fn in_child(test: &str, body: fn()) {
    if util::is_child_for(test) {
        util::goroutine(test, body);
    } else {
        util::assert_success(util::child(test, LOW_LIMIT), test);
    }
}

/// Takes descriptors until there are none.
fn exhaust() -> Vec<File> {
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(err) => {
                assert_eq!(err.raw_os_error(), Some(Errno::EMFILE.raw()), "{err}");
                return files;
            }
        }
    }
}

/// The processor time that this process has used, from `/proc/self/stat`, which was opened in time.
fn cpu_time(stat: &File) -> Duration {
    let mut buf = [0; 1024];
    let n = stat.read_at(&mut buf, 0).unwrap();
    let stat = String::from_utf8_lossy(&buf[..n]).into_owned();
    // After the command's name, which is in brackets: user and system time are fields 14 and 15, in 1/100 s.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// As in Go: an error that is worth another try, the connection stays in the queue.
#[test]
fn accept_returns_the_limit_as_an_error() {
    in_child("accept_returns_the_limit_as_an_error", || {
        let ln = local_listener();
        let client = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let files = exhaust();
        for _ in 0..3 {
            let err = ln.accept().unwrap_err();
            assert_eq!(err.to_string(), format!("accept tcp {}: accept4: too many open files", ln.addr()));
            assert!(is_temporary(&err));
            assert_eq!(raw_os_error(&err), Some(Errno::EMFILE.raw()));
        }
        drop(files);
        let (server, _) = ln.accept().unwrap();
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
    });
}

/// Whatever step fails for want of a descriptor, the error says which, and nothing leaks.
#[test]
fn dial_and_listen_return_the_limit_as_an_error() {
    in_child("dial_and_listen_return_the_limit_as_an_error", || {
        let ln = local_listener();
        let at = ln.addr().to_string();
        let files = exhaust();
        for _ in 0..100 {
            let err = gopark_net::dial("tcp", &at).err().unwrap();
            assert_eq!(err.to_string(), format!("dial tcp {at}: socket: too many open files"));
            let err = gopark_net::listen("tcp", "127.0.0.1:0").err().unwrap();
            assert_eq!(err.to_string(), "listen tcp 127.0.0.1:0: socket: too many open files");
            let err = ln.try_clone().unwrap_err();
            assert_eq!(err.to_string(), format!("file tcp {at}: fcntl: too many open files"));
        }
        drop(files);
        gopark_net::dial("tcp", &at).unwrap();
    });
}

/// More clients than descriptors: all are served, one after the other, and waiting costs no processor time.
#[test]
fn incoming_survives_the_limit() {
    in_child("incoming_survives_the_limit", || {
        const CLIENTS: usize = 40;
        let stat = File::open("/proc/self/stat").unwrap();
        let ln = Arc::new(local_listener());
        let at = ln.local_addr().unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        go({
            let (ln, served) = (Arc::clone(&ln), Arc::clone(&served));
            move || {
                for conn in ln.incoming() {
                    let conn = conn.expect("incoming hands out no error of the limit");
                    let served = Arc::clone(&served);
                    go(move || {
                        // Served until the client leaves.
                        let mut buf = [0; 16];
                        while let Ok(n @ 1..) = conn.read(&mut buf) {
                            conn.write_all(&buf[..n]).unwrap();
                        }
                        served.fetch_add(1, SeqCst);
                    });
                }
            }
        });
        // The clients are in the kernel's queue; their own descriptors are in this process too, which is what
        // exhausts it: by hand, std's sockets, so that none of their closes pokes the accept loop.
        let mut clients = Vec::new();
        while clients.len() < CLIENTS {
            match TcpStream::connect(at) {
                Ok(client) => clients.push(client),
                Err(_) => break,
            }
        }
        assert!(clients.len() >= 20, "{}", clients.len());
        let files = exhaust();
        let (cpu, start) = (cpu_time(&stat), Instant::now());
        // not for ordering: the time in which a spinning loop would burn
        sleep(Duration::from_millis(700));
        let (used, took) = (cpu_time(&stat) - cpu, start.elapsed());
        assert!(used < took / 4, "{used:?} of processor time in {took:?}");
        drop(files);
        // Everybody is served in the end: those accepted leave, and make room for the others.
        let total = clients.len();
        for client in clients {
            use std::io::{Read, Write};
            gopark_net::blocking(|| {
                client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                (&client).write_all(b"x").unwrap();
                assert_eq!((&client).read(&mut [0]).unwrap(), 1);
            });
        }
        let end = Instant::now() + Duration::from_secs(20);
        while served.load(SeqCst) < total {
            assert!(Instant::now() < end, "{} of {total} served", served.load(SeqCst));
            // not for ordering: the pause of a bounded loop
            sleep(Duration::from_millis(1));
        }
        ln.close().unwrap();
    });
}

/// The close of any connection of ours ends the wait, which has grown to a second by then.
#[test]
fn a_released_descriptor_ends_the_wait_at_once() {
    in_child("a_released_descriptor_ends_the_wait_at_once", || {
        let ln = Arc::new(local_listener());
        let (ours, _peer) = util::pair();
        let _queued = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let _files = exhaust();
        let accept = spawn({
            let ln = Arc::clone(&ln);
            move || ln.incoming().next().unwrap().map(|_| Instant::now())
        });
        // 5 + 10 + 20 + .. + 640 ms: the next wait is of a second.
        // not for ordering: the wait has to grow
        sleep(Duration::from_millis(1_350));
        let closed = Instant::now();
        ours.close().unwrap();
        let accepted = util::join_soon(accept).unwrap();
        let took = accepted.duration_since(closed);
        assert!(took < Duration::from_millis(400), "{took:?}");
    });
}

/// A listener that is closed while its loop waits for a descriptor ends the loop at once.
#[test]
fn closing_the_listener_ends_the_wait() {
    in_child("closing_the_listener_ends_the_wait", || {
        let ln = Arc::new(local_listener());
        let _queued = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let _files = exhaust();
        let accept = spawn({
            let ln = Arc::clone(&ln);
            move || ln.incoming().next().unwrap().map(drop)
        });
        let accept = util::assert_blocked(accept);
        ln.close().unwrap();
        util::assert_closed(util::join_soon(accept));
    });
}
