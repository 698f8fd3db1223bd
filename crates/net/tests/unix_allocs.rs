//! Unix sockets allocate nothing once reading and writing are under way. Go: `net` TestTCPReadWriteAllocs, TestAllocs.

mod util;

use std::io::Read;
use std::time::Duration;

use gopark_net::{UnixConn, go};
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
    /// With a deadline that moves, as servers have it, and both ends waiting for each other all the time.
    fn round_trips() {
        for network in ["unix", "unixpacket", "unixgram"] {
            let (client, server) = UnixConn::pair_of(network).unwrap();
            go(move || {
                let mut buf = [0; 512];
                while let Ok(n @ 1..) = server.read(&mut buf) {
                    server.write_all(&buf[..n]).unwrap();
                }
            });
            let mut buf = [0; 128];
            assert_no_allocations(network, || {
                client.set_deadline(after(Duration::from_secs(60))).unwrap();
                client.write_all(&[1; 128]).unwrap();
                (&client).read_exact(&mut buf).unwrap();
            });
            if network == "unixgram" {
                // An empty datagram is what ends the other side: nothing tells it that the pair has been taken apart.
                client.write(&[]).unwrap();
            }
        }
    }

    // Go: net TestAllocs
    fn test_allocs() {
        let (server, client) = (UnixConn::bind("").unwrap(), UnixConn::bind("").unwrap());
        let to = server.local_addr().unwrap();
        let mut buf = [0; 64];
        assert_no_allocations("send_to, recv_from", || {
            client.send_to_addr(b"12345678", &to).unwrap();
            let (_, from) = server.recv_from(&mut buf).unwrap();
            assert!(!from.is_unnamed());
        });
        assert_no_allocations("write_to, read_from", || {
            client.write_to(b"12345678", &to).unwrap();
            server.read_from(&mut buf).unwrap();
        });
        assert_no_allocations("write_msg, read_msg", || {
            client.write_msg(b"12345678", &[], Some(&to)).unwrap();
            assert_eq!(server.read_msg(&mut buf, 4).unwrap().len, 8);
        });
        client.connect_to_addr(&to).unwrap();
        assert_no_allocations("send, recv", || {
            client.send(b"12345678").unwrap();
            server.recv(&mut buf).unwrap();
        });
    }
}
