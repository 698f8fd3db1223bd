//! Receiving and sending datagrams allocates nothing once it is under way. Go: `net` TestAllocs.

mod util;

use gopark_net::{Outgoing, RecvBatch, SendBatch, UdpConn, go};
use gopark_sys::alloc_count::CountingAlloc;
use util::after;

procs!();

#[global_allocator]
static ALLOCATOR: CountingAlloc = CountingAlloc::new();

/// Runs `round` a thousand times, and again until it was not disturbed: the count is of the whole process, and the test
/// harness prints now and then.
fn assert_no_allocations(what: &str, mut round: impl FnMut()) {
    // Queues and lists grow to their size.
    for _ in 0..200 {
        round();
    }
    let mut least = usize::MAX;
    for _ in 0..10 {
        let before = ALLOCATOR.count();
        for _ in 0..1000 {
            round();
        }
        least = least.min(ALLOCATOR.count() - before);
        if least == 0 {
            return;
        }
    }
    panic!("{what}: {least} allocations in 1000 rounds");
}

both! {
    // Go: net TestAllocs
    fn test_allocs() {
        let conn = UdpConn::bind("127.0.0.1:0").unwrap();
        let to = conn.local_addr().unwrap();
        let mut buf = [0; 64];
        assert_no_allocations("send_to, recv_from", || {
            conn.send_to(b"12345678", to).unwrap();
            conn.recv_from(&mut buf).unwrap();
        });
        assert_no_allocations("write_to, read_from", || {
            conn.write_to(b"12345678", to).unwrap();
            conn.read_from(&mut buf).unwrap();
        });
        assert_no_allocations("write_msg, read_msg", || {
            conn.write_msg(b"12345678", &[], Some(to.into())).unwrap();
            conn.read_msg(&mut buf, &mut []).unwrap();
        });
        let trait_object: &dyn gopark_net::PacketConn = &conn;
        assert_no_allocations("PacketConn", || {
            trait_object.write_to(b"12345678", &to_addr(to)).unwrap();
            trait_object.read_from(&mut buf).unwrap();
        });
        let (mut send, mut recv) = (SendBatch::new(8), RecvBatch::new(8, 64));
        assert_no_allocations("batches", || {
            conn.send_batch(&mut send, &[Outgoing::to(b"12345678", to); 8]).unwrap();
            let mut got = 0;
            while got < 8 {
                conn.recv_batch(&mut recv).unwrap();
                got += recv.iter().count();
            }
        });
        assert_no_allocations("segments", || {
            conn.send_segments(&[7; 400], 50, Some(to)).unwrap();
            let mut got = 0;
            while got < 8 {
                got += conn.recv_batch(&mut recv).unwrap();
            }
        });
        conn.connect(to).unwrap();
        assert_no_allocations("send, recv", || {
            conn.send(b"12345678").unwrap();
            conn.recv(&mut buf).unwrap();
        });
    }

    /// Both ends waiting for each other all the time.
    fn round_trips_that_wait_allocate_nothing() {
        let (server, client) = (UdpConn::bind("127.0.0.1:0").unwrap(), UdpConn::bind("127.0.0.1:0").unwrap());
        let at = server.local_addr().unwrap();
        go(move || {
            let mut buf = [0; 64];
            while let Ok((n @ 1.., from)) = server.recv_from(&mut buf) {
                server.send_to(&buf[..n], from).unwrap();
            }
        });
        let mut buf = [0; 64];
        let mut round_trip = || {
            client.send_to(b"12345678", at).unwrap();
            assert_eq!(client.recv_from(&mut buf).unwrap(), (8, at));
        };
        assert_no_allocations("a round trip that waits", &mut round_trip);
        assert_no_allocations("a round trip with a deadline", || {
            client.set_deadline(after(std::time::Duration::from_secs(60))).unwrap();
            round_trip();
        });
        client.set_deadline(None).unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        assert_no_allocations("a round trip with a timeout", round_trip);
        client.send_to(&[], at).unwrap();
    }
}

fn to_addr(addr: std::net::SocketAddr) -> gopark_net::Addr {
    gopark_net::UdpAddr::from(addr).into()
}
