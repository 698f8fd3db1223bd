//! Many datagrams a call: batches, segments, and what the system puts together.

mod util;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gopark_net::{OpError, Outgoing, RecvBatch, SendBatch, UdpConn, block_on, raw_os_error, spawn};
use gopark_sys::Errno;
use util::{after, ago, assert_blocked, assert_closed, assert_timeout, join_soon};

procs!();

fn local() -> UdpConn {
    let conn = UdpConn::bind("127.0.0.1:0").expect("a free port");
    conn.set_deadline(after(Duration::from_secs(30))).unwrap();
    conn
}

fn pair() -> (UdpConn, UdpConn, SocketAddr) {
    let (a, b) = (local(), local());
    b.set_read_buffer(1 << 20).unwrap();
    let to = b.local_addr().unwrap();
    (a, b, to)
}

/// Receives until `count` datagrams have come.
fn collect(conn: &UdpConn, batch: &mut RecvBatch, count: usize) -> Vec<(Vec<u8>, SocketAddr)> {
    let mut all = Vec::new();
    while all.len() < count {
        conn.recv_batch(batch).unwrap();
        all.extend(batch.iter().map(|d| (d.bytes.to_vec(), d.from)));
    }
    assert_eq!(all.len(), count);
    all
}

both! {
    /// In order, each with its sender, however many fit into a call.
    fn batches_bring_what_was_sent() {
        let (a, b, to) = pair();
        let me = a.local_addr().unwrap();
        let sent: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i; usize::from(i)]).collect();
        let list: Vec<_> = sent.iter().map(|bytes| Outgoing::to(bytes, to)).collect();
        for (room, take) in [(1, 1), (7, 64), (64, 7), (128, 128)] {
            let mut send = SendBatch::new(room);
            assert_eq!(a.send_batch(&mut send, &list).unwrap(), 100);
            let got = collect(&b, &mut RecvBatch::new(take, 128), 100);
            for (i, (bytes, from)) in got.iter().enumerate() {
                assert_eq!((bytes, *from), (&sent[i], me));
            }
        }
        assert_eq!(a.send_batch(&mut SendBatch::new(1), &[]).unwrap(), 0);
    }

    /// As with single calls: connected sockets need no address.
    fn batches_go_to_the_peer() {
        let (a, b, to) = pair();
        a.connect(to).unwrap();
        let list = [Outgoing::new(b"one"), Outgoing::new(b""), Outgoing::new(b"three")];
        assert_eq!(a.send_batch(&mut SendBatch::new(8), &list).unwrap(), 3);
        assert_eq!(a.try_send_batch(&mut SendBatch::new(2), &list).unwrap(), 2);
        let got = collect(&b, &mut RecvBatch::new(8, 16), 5);
        assert_eq!(got.iter().map(|(d, _)| &d[..]).collect::<Vec<_>>(), [&b"one"[..], b"", b"three", b"one", b""]);
    }

    /// Several families on one socket, as with single calls.
    fn batches_map_addresses() {
        let Ok(b) = UdpConn::bind("[::]:0") else { return };
        let port = b.local_addr().unwrap().port();
        b.set_deadline(after(Duration::from_secs(30))).unwrap();
        let to4 = SocketAddr::from(([127, 0, 0, 1], port));
        if b.send_to(b"probe", to4).is_err() {
            return; // no IPv4 on IPv6 sockets here
        }
        let list = [Outgoing::to(b"four", to4), Outgoing::to(b"six", format!("[::1]:{port}").parse().unwrap())];
        assert_eq!(b.send_batch(&mut SendBatch::new(4), &list).unwrap(), 2);
        let got = collect(&b, &mut RecvBatch::new(4, 16), 3);
        assert_eq!(got[1], (b"four".to_vec(), to4));
        assert!(got[2].1.is_ipv6());
    }

    /// The first that is wrong is the error of its own call; those before it are sent.
    fn the_first_wrong_datagram_ends_a_batch() {
        let (a, b, to) = pair();
        let huge = vec![0; 70_000];
        let mut send = SendBatch::new(8);
        let six = "[::1]:9".parse().unwrap();
        let too_long = format!("->{to}: sendmmsg: message too long");
        for (wrong, text) in [
            (Outgoing::to(&huge, to), too_long.as_str()),
            (Outgoing::to(b"x", six), "->[::1]:9: address ::1: non-IPv4 address"),
        ] {
            let list = [Outgoing::to(b"a", to), Outgoing::to(b"b", to), wrong, Outgoing::to(b"c", to)];
            assert_eq!(a.send_batch(&mut send, &list).unwrap(), 2);
            let err = a.send_batch(&mut send, &list[2..]).unwrap_err();
            assert!(err.to_string().ends_with(text), "{err}");
            assert_eq!(a.send_batch(&mut send, &list[3..]).unwrap(), 1);
            assert_eq!(collect(&b, &mut RecvBatch::new(8, 4), 3)[2].0, b"c");
        }
    }

    /// What does not fit is cut and says so; the others are whole.
    fn a_batch_cuts_what_does_not_fit() {
        let (a, b, to) = pair();
        let list = [Outgoing::to(b"12345", to), Outgoing::to(b"123", to)];
        a.send_batch(&mut SendBatch::new(2), &list).unwrap();
        b.readable().unwrap();
        let mut batch = RecvBatch::new(1, 4);
        let mut seen = Vec::new();
        while seen.len() < 2 {
            assert_eq!(b.recv_batch(&mut batch).unwrap(), 1);
            seen.extend(batch.iter().map(|d| (d.bytes.to_vec(), d.is_truncated)));
        }
        assert_eq!(seen, [(b"1234".to_vec(), true), (b"123".to_vec(), false)]);
    }

    /// Deadlines and closing, as with single calls.
    fn batches_heed_deadlines_and_close() {
        let (a, b, to) = pair();
        let mut batch = RecvBatch::new(4, 16);
        assert_eq!(b.try_recv_batch(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);
        b.set_read_deadline(ago(Duration::from_millis(1))).unwrap();
        assert_timeout(b.recv_batch(&mut batch));
        a.set_write_deadline(ago(Duration::from_millis(1))).unwrap();
        assert_timeout(a.send_batch(&mut SendBatch::new(1), &[Outgoing::to(b"x", to)]));
        assert_timeout(a.send_segments(b"xy", 1, Some(to)));
        b.set_read_deadline(None).unwrap();
        let b = Arc::new(b);
        let reader = spawn({
            let b = Arc::clone(&b);
            move || b.recv_batch(&mut RecvBatch::new(4, 16)).map(drop)
        });
        let reader = assert_blocked(reader);
        b.close().unwrap();
        assert_closed(join_soon(reader));
        assert_closed(b.send_batch(&mut SendBatch::new(1), &[Outgoing::to(b"x", to)]));
        assert_closed(b.set_gro(true));
    }

    /// As a future, with the sender on another goroutine.
    fn batches_are_futures_too() {
        let (a, b, to) = pair();
        let sender = spawn(move || a.send_batch(&mut SendBatch::new(3), &[Outgoing::to(b"x", to); 3]).unwrap());
        let (mut batch, mut got) = (RecvBatch::new(2, 4), 0);
        while got < 3 {
            got += block_on(poll_fn(|cx| b.poll_recv_batch(cx, &mut batch))).unwrap();
        }
        assert_eq!(join_soon(sender), 3);
    }

    /// One buffer is as many datagrams as it has segments, whoever cuts it.
    fn segments_arrive_as_datagrams() {
        let (a, b, to) = pair();
        let plain = local();
        plain.forget_gso();
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
        for conn in [&a, &plain] {
            for size in [100, 1200, 9_999, 10_000, 20_000] {
                conn.send_segments(&bytes, size, Some(to)).unwrap();
                let count = bytes.len().div_ceil(size);
                let got = collect(&b, &mut RecvBatch::new(16, 20_000), count);
                for (piece, (d, from)) in bytes.chunks(size).zip(&got) {
                    assert_eq!((piece, *from), (&d[..], conn.local_addr().unwrap()));
                }
            }
            conn.send_segments(&[], 100, Some(to)).unwrap();
            conn.connect(to).unwrap();
            conn.send_segments(b"abcde", 2, None).unwrap();
            let got = collect(&b, &mut RecvBatch::new(16, 16), 3);
            assert_eq!(got.iter().map(|(d, _)| &d[..]).collect::<Vec<_>>(), [&b"ab"[..], b"cd", b"e"]);
        }
        let err = a.send_segments(b"x", 0, None).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }

    /// How much was sent before the error is in the error.
    fn segments_that_fail_say_how_much_went() {
        let (a, _b, to) = pair();
        let err = a.send_segments(&vec![0; 140_000], 70_000, Some(to)).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(Errno::EMSGSIZE.raw()), "{err}");
        assert_eq!(OpError::of(&err).unwrap().written, 0);
        let err = local().send_segments(b"x", 1, None).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(Errno::EDESTADDRREQ.raw()), "{err}");
    }

    /// What the system has put together is taken apart again.
    fn datagrams_that_were_put_together_come_apart() {
        let (a, b, to) = pair();
        if !b.set_gro(true).unwrap() {
            return; // an older system
        }
        let bytes: Vec<u8> = (0..5_500u32).map(|i| (i % 251) as u8).collect();
        a.send_segments(&bytes, 1000, Some(to)).unwrap();
        a.send_to(b"alone", to).unwrap();
        let mut batch = RecvBatch::new(8, 65_535);
        let got = collect(&b, &mut batch, 7);
        for (piece, (d, _)) in bytes.chunks(1000).zip(&got) {
            assert_eq!(piece, &d[..]);
        }
        assert_eq!(got[6].0, b"alone");
        assert!(b.set_gro(false).unwrap());
    }
}

/// In a network namespace of its own, whose loopback takes no more than other interfaces: datagrams that are longer go
/// one by one, in fragments, and shorter ones in one piece before and after.
#[test]
fn what_is_longer_than_the_path_takes_goes_one_by_one() {
    const NAME: &str = "what_is_longer_than_the_path_takes_goes_one_by_one";
    const MAKE: &str = "ip link set lo mtu 1500 && ip link set lo up";
    if !util::is_child_for(NAME) {
        let can = Command::new("unshare").args(["-rn", "sh", "-c", MAKE]).output();
        if !can.is_ok_and(|out| out.status.success()) {
            eprintln!("not possible here: no namespaces, or no ip(8)");
            return;
        }
        let inner = util::child(NAME, &format!("{MAKE} || exit 1"));
        let mut command = Command::new("unshare");
        command.arg("-rn").arg(inner.get_program()).args(inner.get_args());
        for (key, value) in inner.get_envs() {
            command.env(key, value.unwrap_or_default());
        }
        return util::assert_success(command, NAME);
    }
    util::goroutine(NAME, || {
        let (a, b, to) = pair();
        let bytes: Vec<u8> = (0..20_000u32).map(|i| (i % 251) as u8).collect();
        let mut recv = RecvBatch::new(32, 4000);
        for size in [1000, 2000, 1472, 1473, 4000, 500] {
            a.send_segments(&bytes, size, Some(to)).unwrap();
            let got = collect(&b, &mut recv, bytes.len().div_ceil(size));
            assert!(got.iter().zip(bytes.chunks(size)).all(|((d, _), piece)| d == piece), "{size}");
        }
        let fresh = local();
        let mut send = SendBatch::new(32);
        for size in [1000, 2000, 1472, 1473, 4000, 500] {
            let list: Vec<_> = bytes.chunks(size).take(32).map(|piece| Outgoing::to(piece, to)).collect();
            assert_eq!(fresh.send_batch(&mut send, &list).unwrap(), list.len());
            let got = collect(&b, &mut recv, list.len());
            assert!(got.iter().zip(&list).all(|((d, _), sent)| d == sent.bytes), "{size}");
        }
    });
}
