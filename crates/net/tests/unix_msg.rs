//! Descriptors that are passed over Unix sockets: they arrive, are close-on-exec, and none is ever leaked. Go:
//! `net/unixsock_readmsg_test.go`, `syscall/syscall_unix_test.go`.
#![cfg_attr(not(target_os = "linux"), allow(unused_imports))] // some tests are for Linux alone

mod util;

use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use gopark_net::{UnixConn, raw_os_error};
use gopark_sys::msg::Control;
use util::after;

procs!();

/// Pipes, of which we have the ends to read from; the others are passed on.
fn pipes(n: usize) -> (Vec<PipeReader>, Vec<OwnedFd>) {
    let pipes = (0..n).map(|_| std::io::pipe().unwrap());
    pipes.map(|(reader, writer)| (reader, OwnedFd::from(writer))).unzip()
}

fn borrow(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

/// Nobody has the other end any more, or this would hang, and be seen by the test's limit.
#[track_caller]
fn assert_all_closed(readers: Vec<PipeReader>) {
    for mut reader in readers {
        let n = gopark_net::blocking(move || reader.read(&mut [0; 8])).unwrap();
        assert_eq!(n, 0);
    }
}

/// By the system's list, which says how each is open.
#[cfg(target_os = "linux")]
fn is_close_on_exec(fd: &OwnedFd) -> bool {
    const O_CLOEXEC: u32 = 0o2_000_000;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    u32::from_str_radix(flags, 8).unwrap() & O_CLOEXEC != 0
}

/// Both ends, with a limit for what should not wait.
fn pair(network: &str) -> (UnixConn, UnixConn) {
    let (a, b) = UnixConn::pair_of(network).unwrap();
    b.set_read_deadline(after(Duration::from_secs(10))).unwrap();
    (a, b)
}

const NETWORKS: [&str; 3] = ["unix", "unixgram", "unixpacket"];

both! {
    // Go: net TestUnixConnReadMsgUnixSCMRightsCloseOnExec
    // go-semantics 7.5: "fd inheritance via SCM_RIGHTS (#42765)"
    #[cfg(target_os = "linux")]
    fn test_unix_conn_read_msg_unix_scm_rights_close_on_exec() {
        let file = File::open("/dev/null").unwrap();
        let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
        let (a, b) = (UnixConn::from_std(a).unwrap(), UnixConn::from_std(b).unwrap());
        a.set_write_deadline(after(Duration::from_secs(5))).unwrap();
        assert_eq!(a.write_msg(&[], &[file.as_fd()], None).unwrap(), 0, "a byte went along, which was not asked for");
        b.set_read_deadline(after(Duration::from_secs(5))).unwrap();
        let msg = b.read_msg(&mut [], 1).unwrap();
        assert_eq!((msg.len, msg.fds.len(), msg.is_control_truncated()), (0, 1, false));
        assert!(is_close_on_exec(&msg.fds[0]));
        assert!(b.try_read(&mut [0]).is_err(), "the byte is gone too");
    }

    // Go: syscall TestPassFD
    fn test_pass_fd() {
        for network in NETWORKS {
            let (a, b) = pair(network);
            let (mut readers, writers) = pipes(3);
            assert_eq!(a.write_msg(b"three", &borrow(&writers), None).unwrap(), 5);
            drop(writers);
            let mut buf = [0; 16];
            let msg = b.read_msg(&mut buf, 3).unwrap();
            assert_eq!((&buf[..msg.len], msg.fds.len(), msg.from), (&b"three"[..], 3, None));
            for (n, fd) in msg.fds.into_iter().enumerate() {
                File::from(fd).write_all(&[n as u8]).unwrap();
                let mut got = [9];
                readers[n].read_exact(&mut got).unwrap();
                assert_eq!(got, [n as u8], "they came in order");
            }
            assert_all_closed(readers);
        }
    }

    fn more_than_there_is_room_for_are_closed() {
        for network in NETWORKS {
            for room in [0, 1, 2, 7] {
                let (a, b) = pair(network);
                let (readers, writers) = pipes(8);
                a.write_msg(b"x", &borrow(&writers), None).unwrap();
                drop(writers);
                let msg = b.read_msg(&mut [0; 4], room).unwrap();
                assert_eq!((msg.len, msg.fds.len()), (1, room), "{network}");
                assert!(msg.is_control_truncated());
                drop(msg);
                assert_all_closed(readers);
            }
        }
    }

    fn those_that_nobody_asked_for_are_closed() {
        for network in NETWORKS {
            let (a, b) = pair(network);
            let (readers, writers) = pipes(5);
            let mut buf = [0; 4];
            let reads: [fn(&UnixConn, &mut [u8]); 5] = [
                |b, buf| assert_eq!(b.read(buf).unwrap(), 1),
                |b, buf| assert_eq!(b.recv(buf).unwrap(), 1),
                |b, buf| assert_eq!(b.recv_from(buf).unwrap().0, 1),
                |b, buf| assert_eq!(b.try_read(buf).unwrap(), 1),
                |b, buf| assert_eq!(b.read_msg(buf, 0).unwrap().len, 1),
            ];
            for (read, writer) in reads.iter().zip(writers) {
                a.write_msg(b"x", &[writer.as_fd()], None).unwrap();
                drop(writer);
                read(&b, &mut buf);
            }
            assert_all_closed(readers);
        }
    }

    fn what_is_cut_still_brings_its_descriptors() {
        for network in ["unixgram", "unixpacket"] {
            let (a, b) = pair(network);
            let (readers, writers) = pipes(2);
            a.write_msg(b"too long", &borrow(&writers), None).unwrap();
            drop(writers);
            let mut buf = [0; 3];
            let msg = b.read_msg(&mut buf, 2).unwrap();
            assert_eq!((msg.len, msg.fds.len(), &buf), (3, 2, b"too"));
            assert!(msg.is_truncated() && !msg.is_control_truncated());
            drop(msg);
            assert_all_closed(readers);
            a.write(b"next").unwrap();
            assert_eq!(b.read_msg(&mut buf, 0).unwrap().len, 3, "the rest was lost");
        }
    }

    fn a_peek_passes_none() {
        for network in NETWORKS {
            let (a, b) = pair(network);
            let (readers, writers) = pipes(1);
            a.write_msg(b"x", &borrow(&writers), None).unwrap();
            drop(writers);
            assert_eq!(b.peek(&mut [0; 4]).unwrap(), 1);
            assert_eq!(b.peek_from(&mut [0; 4]).unwrap().0, 1);
            assert_eq!(b.read_msg(&mut [0; 4], 1).unwrap().fds.len(), 1);
            assert_all_closed(readers);
        }
    }

    /// A read on a stream ends where descriptors were passed, with data left and no event to come: who concluded from
    /// the short read that there is nothing more would wait for ever.
    fn a_read_that_ends_at_descriptors_is_not_the_last() {
        let (a, b) = pair("unix");
        let file = File::open("/dev/null").unwrap();
        for part in [b"one", b"two", b"six"] {
            a.write_msg(part, &[file.as_fd()], None).unwrap();
        }
        a.write_all(b"end").unwrap();
        let (mut got, mut fds, mut buf) = (Vec::new(), 0, [0; 64]);
        while got.len() < 12 {
            let msg = b.read_msg(&mut buf, 4).unwrap();
            got.extend_from_slice(&buf[..msg.len]);
            fds += msg.fds.len();
        }
        assert_eq!((got.as_slice(), fds), (&b"onetwosixend"[..], 3));
        for part in [b"one", b"two", b"six"] {
            a.write_msg(part, &[file.as_fd()], None).unwrap();
        }
        let mut got = Vec::new();
        while got.len() < 9 {
            let n = b.read(&mut buf).unwrap();
            got.extend_from_slice(&buf[..n]);
        }
        assert_eq!(got, b"onetwosix");
    }

    fn a_message_with_too_many_is_refused() {
        let (a, b) = pair("unix");
        let file = File::open("/dev/null").unwrap();
        let err = a.write_msg(b"x", &vec![file.as_fd(); 254], None).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(22), "{err}");
        assert!(b.try_read(&mut [0]).is_err(), "nothing was sent");
        a.write_msg(b"x", &vec![file.as_fd(); 253], None).unwrap();
        assert_eq!(b.read_msg(&mut [0; 4], usize::MAX).unwrap().fds.len(), 253);
    }

    fn messages_name_their_senders() {
        let (server, client) = (UnixConn::bind("").unwrap(), UnixConn::bind("").unwrap());
        let (at, from) = (server.local_addr().unwrap(), client.local_addr().unwrap());
        let file = File::open("/dev/null").unwrap();
        client.write_msg(b"x", &[file.as_fd()], Some(&at)).unwrap();
        let msg = server.read_msg(&mut [0; 4], 1).unwrap();
        assert_eq!((msg.from, msg.fds.len()), (Some(from), 1));
        client.write_msg(&[], &[], Some(&at)).unwrap();
        assert_eq!(server.read_msg(&mut [0; 4], 0).unwrap().len, 0, "an empty datagram is one");
    }

    // Go: syscall TestSCMCredentials
    #[cfg(target_os = "linux")]
    fn test_scm_credentials() {
        const SCM_CREDENTIALS: i32 = 2;
        for network in NETWORKS {
            let (a, b) = pair(network);
            {
                let guard = b.fd().unwrap();
                socket2::SockRef::from(&guard.as_fd()).set_passcred(true).unwrap();
            }
            a.write_msg_control(b"x", &[], None).unwrap();
            let mut control = [0; 128];
            let (msg, len) = b.read_msg_control(&mut [0; 4], &mut control).unwrap();
            assert_eq!(msg.len, 1);
            let found: Vec<_> = Control::new(&control[..len]).collect();
            assert_eq!((found.len(), found[0].kind), (1, SCM_CREDENTIALS));
            assert_eq!(found[0].as_int(), Some(std::process::id() as i32), "the process comes first");
        }
    }
}
