//! Sockets for datagrams behind traits. Go: `net/packetconn_test.go`, `net/protoconn_test.go`.

mod util;

use std::sync::Arc;
use std::time::Duration;

use gopark_net::{Addr, Conn, PacketConn, UdpConn, dial, listen_packet, spawn};
use util::{after, assert_blocked, assert_closed, assert_timeout, join_soon};

procs!();

both! {
    // Go: net TestPacketConn
    fn test_packet_conn() {
        let c1 = listen_packet("udp", "127.0.0.1:0").unwrap();
        let c2 = listen_packet("udp", "127.0.0.1:0").unwrap();
        let mut buf = [0; 128];
        for conn in [&c1, &c2] {
            conn.set_deadline(after(Duration::from_secs(30))).unwrap();
            conn.set_read_deadline(after(Duration::from_secs(30))).unwrap();
            conn.set_write_deadline(after(Duration::from_secs(30))).unwrap();
        }
        assert_eq!(c1.write_to(b"PACKETCONN TEST", &c2.local_addr()).unwrap(), 15);
        assert_eq!(c2.read_from(&mut buf).unwrap(), (15, c1.local_addr()));
        assert_eq!(c2.write_to(&buf[..15], &c1.local_addr()).unwrap(), 15);
        assert_eq!(c1.read_from(&mut buf).unwrap(), (15, c2.local_addr()));
        assert_eq!(&buf[..15], b"PACKETCONN TEST");
        assert_eq!(format!("{c1:?}"), format!("udp:{}", c1.local_addr()));
    }

    // Go: net TestConnAndPacketConn
    fn test_conn_and_packet_conn() {
        let c1 = listen_packet("udp", "127.0.0.1:0").unwrap();
        let c2 = dial("udp", &c1.local_addr().to_string()).unwrap();
        for conn in [&c1.local_addr(), &c2.local_addr()] {
            assert_eq!(conn.network(), "udp");
        }
        assert_eq!(c2.remote_addr(), c1.local_addr());
        c1.set_deadline(after(Duration::from_secs(30))).unwrap();
        c2.set_deadline(after(Duration::from_secs(30))).unwrap();
        let mut buf = [0; 128];
        c2.write(b"CONN AND PACKETCONN TEST").unwrap();
        let (n, from) = c1.read_from(&mut buf).unwrap();
        assert_eq!((n, &from), (24, &c2.local_addr()));
        c1.write_to(&buf[..n], &from).unwrap();
        assert_eq!(c2.read(&mut buf).unwrap(), 24);
        assert_eq!(&buf[..24], b"CONN AND PACKETCONN TEST");
    }

    /// Go's dialed UDP connection is a PacketConn too, and either trait's object gives the type back.
    fn a_udp_conn_is_both() {
        let server = listen_packet("udp", "127.0.0.1:0").unwrap();
        assert!(server.downcast_ref::<UdpConn>().is_some());
        let client = dial("udp", &server.local_addr().to_string()).unwrap();
        let udp = client.downcast_ref::<UdpConn>().expect("a UdpConn");
        server.write_to(b"hello", &udp.local_addr().map(|a| Addr::Udp(a.into())).unwrap()).unwrap();
        let (n, from) = PacketConn::read_from(udp, &mut [0; 8]).unwrap();
        assert_eq!((n, from), (5, server.local_addr()));
    }

    /// Through boxes and counted pointers, as the traits promise.
    fn smart_pointers_are_packet_conns() {
        fn echo(conn: &impl PacketConn) {
            let me = conn.local_addr();
            conn.write_to(b"x", &me).unwrap();
            assert_eq!(conn.read_from(&mut [0; 8]).unwrap(), (1, me));
            conn.set_deadline(after(Duration::ZERO)).unwrap();
            assert_timeout(conn.read_from(&mut [0]));
            conn.set_read_deadline(None).unwrap();
            conn.set_write_deadline(None).unwrap();
            conn.close().unwrap();
            assert_closed(conn.read_from(&mut [0]));
        }
        echo(&listen_packet("udp", "127.0.0.1:0").unwrap());
        echo(&Arc::<dyn PacketConn>::from(listen_packet("udp", "127.0.0.1:0").unwrap()));
        echo(&UdpConn::bind("127.0.0.1:0").unwrap());
    }

    /// A context ends what waits, and the socket works again when it is taken off.
    fn contexts_end_what_waits() {
        use gopark_net::context::Context;

        let conn: Arc<dyn PacketConn> = listen_packet("udp", "127.0.0.1:0").unwrap().into();
        let (ctx, cancel) = Context::background().with_cancel();
        let guard = conn.attach_context(&ctx).unwrap();
        let reader = spawn({
            let conn = Arc::clone(&conn);
            move || conn.read_from(&mut [0]).map(drop)
        });
        let reader = assert_blocked(reader);
        cancel.cancel();
        let err = join_soon(reader).unwrap_err();
        assert!(gopark_net::is_canceled(&err), "{err}");
        assert_eq!(err.to_string(), format!("read udp {}: operation was canceled", conn.local_addr()));
        drop(guard);
        conn.write_to(b"x", &conn.local_addr()).unwrap();
        assert_eq!(conn.read_from(&mut [0]).unwrap().0, 1);
        // The borrowed form, with the traits of streams and without.
        let udp = UdpConn::bind("127.0.0.1:0").unwrap();
        udp.connect(udp.local_addr().unwrap()).unwrap();
        let under = udp.with_context(&ctx).unwrap();
        assert!(gopark_net::is_canceled(&under.write(b"x").unwrap_err()));
        assert!(gopark_net::is_canceled(&under.recv_from(&mut [0]).unwrap_err()));
        assert!(under.detach().is_err());
        assert_eq!(Conn::write(&udp, b"x").unwrap(), 1);
    }
}
