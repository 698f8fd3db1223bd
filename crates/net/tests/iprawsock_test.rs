//! Raw sockets. Go: `net/iprawsock_test.go`, `net/ipraw_test.go`.
//!
//! They are for root, or who has `CAP_NET_RAW`. Who has not is told so by each test that needs one.

mod util;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use gopark_net::{
    Addr, Cause, Dialer, IpConn, IpSockAddr, ListenConfig, OpError, block_on, dial, listen, listen_ip,
    listen_packet, spawn,
};
use util::{after, assert_blocked, assert_closed, assert_timeout, join_soon};

procs!();

const LOCAL4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const LOCAL6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

/// A raw socket, or none, and a line that says that a test did not run, if this machine does not let us have one.
fn raw(network: &str, address: &str) -> Option<IpConn> {
    match listen_ip(network, address) {
        Ok(conn) => {
            conn.set_deadline(after(Duration::from_secs(10))).unwrap();
            Some(conn)
        }
        Err(err) if err.kind() == ErrorKind::PermissionDenied => {
            eprintln!("SKIPPED: no raw sockets for this user, run as root or with CAP_NET_RAW: {err}");
            None
        }
        Err(err) if network.starts_with("ip6") => {
            eprintln!("SKIPPED: no IPv6 on this machine: {err}");
            None
        }
        Err(err) => panic!("{err}"),
    }
}

/// The sum of RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let words = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A number that no other test of this process uses, so that their packets can be told apart: all raw sockets of a
/// protocol see all of its packets.
fn mark() -> [u8; 2] {
    static LAST: AtomicU16 = AtomicU16::new(0);
    (LAST.fetch_add(1, Relaxed) ^ std::process::id() as u16).to_be_bytes()
}

/// The request for an echo, and the kind of its answer.
fn echo_request(ipv6: bool, id: [u8; 2]) -> (Vec<u8>, u8) {
    let (request, answer) = if ipv6 { (128, 129) } else { (8, 0) };
    let mut packet = [&[request, 0, 0, 0, id[0], id[1], 0, 1][..], b"GOPARK RAW SOCKET TEST"].concat();
    if !ipv6 {
        // For IPv6 the system makes it, since the addresses count.
        let sum = checksum(&packet).to_be_bytes();
        packet[2..4].copy_from_slice(&sum);
    }
    (packet, answer)
}

/// Whether it is the answer to our request.
fn is_answer(packet: &[u8], kind: u8, id: [u8; 2]) -> bool {
    packet.len() > 8 && packet[0] == kind && packet[4..6] == id
}

both! {
    // Go: net TestResolveIPAddr
    fn test_resolve_ip_addr() {
        let addr = |ip: Option<IpAddr>, scope_id| Ok(IpSockAddr { ip, scope_id });
        let unsuitable = |text: &str| Err(format!("address {text}: no suitable address found"));
        let tests = [
            ("ip", "127.0.0.1", addr(Some(LOCAL4), 0)),
            ("ip4", "127.0.0.1", addr(Some(LOCAL4), 0)),
            ("ip4:icmp", "127.0.0.1", addr(Some(LOCAL4), 0)),
            ("ip", "::1", addr(Some(LOCAL6), 0)),
            ("ip6", "::1", addr(Some(LOCAL6), 0)),
            ("ip6:ipv6-icmp", "::1", addr(Some(LOCAL6), 0)),
            ("ip6:IPv6-ICMP", "::1", addr(Some(LOCAL6), 0)),
            ("ip", "::1%911", addr(Some(LOCAL6), 911)),
            ("ip6", "::1%911", addr(Some(LOCAL6), 911)),
            ("", "127.0.0.1", addr(Some(LOCAL4), 0)),
            ("", "::1", addr(Some(LOCAL6), 0)),
            ("ip4:icmp", "", addr(None, 0)),
            ("l2tp", "127.0.0.1", Err("unknown network l2tp".into())),
            ("l2tp:gre", "127.0.0.1", Err("unknown network l2tp:gre".into())),
            ("tcp", "1.2.3.4:123", Err("unknown network tcp".into())),
            ("ip4", "2001:db8::1", unsuitable("2001:db8::1")),
            ("ip4:icmp", "2001:db8::1", unsuitable("2001:db8::1")),
            ("ip6", "127.0.0.1", unsuitable("127.0.0.1")),
            ("ip6", "::ffff:127.0.0.1", unsuitable("::ffff:127.0.0.1")),
            ("ip6:ipv6-icmp", "127.0.0.1", unsuitable("127.0.0.1")),
            ("ip6:ipv6-icmp", "::ffff:127.0.0.1", unsuitable("::ffff:127.0.0.1")),
        ];
        for (network, text, want) in tests {
            let got = IpSockAddr::resolve(network, text).map_err(|err| err.to_string());
            assert_eq!(got, want, "{network} {text}");
            if let Ok(addr) = got {
                let again = IpSockAddr::resolve(Addr::from(addr).network(), &addr.to_string());
                assert_eq!(again.unwrap(), addr, "{network} {text}");
            }
        }
    }

    // Go: net TestIPConnLocalName
    fn test_ip_conn_local_name() {
        for address in ["127.0.0.1", ""] {
            let Some(conn) = raw("ip4:icmp", address) else { return };
            let want = if address.is_empty() { "0.0.0.0" } else { address };
            assert_eq!(conn.local_addr().unwrap().to_string(), want);
            assert_eq!(conn.remote_addr().to_string(), "");
        }
    }

    // Go: net TestIPConnRemoteName
    fn test_ip_conn_remote_name() {
        if raw("ip:tcp", "127.0.0.1").is_none() {
            return;
        }
        let conn = Dialer::new().local_addr(IpSockAddr::from(LOCAL4)).dial("ip:tcp", "127.0.0.1").unwrap();
        assert_eq!(conn.remote_addr(), Addr::from(IpSockAddr::from(LOCAL4)));
        assert_eq!(conn.local_addr(), Addr::from(IpSockAddr::from(LOCAL4)));
        assert_eq!((conn.remote_addr().network(), format!("{conn:?}").as_str()), ("ip", "ip:127.0.0.1->127.0.0.1"));
    }

    // Go: net TestDialListenIPArgs
    fn test_dial_listen_ip_args() {
        for (network, address) in [
            ("ip", "127.0.0.1"),
            ("ip:", "127.0.0.1"),
            ("ip::", "127.0.0.1"),
            ("ip", "::1"),
            ("ip:", "::1"),
            ("ip::", "::1"),
            ("ip4", "127.0.0.1"),
            ("ip4:", "127.0.0.1"),
            ("ip4::", "127.0.0.1"),
            ("ip6", "::1"),
            ("ip6:", "::1"),
            ("ip6::", "::1"),
        ] {
            assert!(dial(network, address).is_err(), "{network}");
            assert!(listen_packet(network, address).is_err(), "{network}");
            assert!(Dialer::new().dial_ip(network, address).is_err(), "{network}");
            assert!(listen_ip(network, address).is_err(), "{network}");
        }
        for (network, address) in [("ip4:47", "127.0.0.1"), ("ip6:47", "::1")] {
            if raw(network, address).is_some() {
                dial(network, address).unwrap();
                listen_packet(network, address).unwrap();
                Dialer::new().dial_ip(network, address).unwrap();
            }
        }
    }

    fn texts_are_gos() {
        let texts = [
            (dial("ip4", "127.0.0.1").err(), "dial ip4: unknown network ip4"),
            (dial("ip4:icmp", "").err(), "dial ip4:icmp: missing address"),
            (dial("ip4:icmp", "::1").err(), "dial ip4:icmp: address ::1: no suitable address found"),
            (dial("ip4:nope", "127.0.0.1").err(), "dial ip4:nope: address nope: unknown IP protocol specified"),
            (listen_packet("ip::", "127.0.0.1").err(), "listen ip::: unknown network ip::"),
            (
                listen("ip4:icmp", "127.0.0.1").err(),
                "listen ip4:icmp 127.0.0.1: address 127.0.0.1: unexpected address type",
            ),
        ];
        for (got, want) in texts {
            assert_eq!(got.expect("an error").to_string(), want);
        }
    }

    // Go: x/net/icmp TestPing, in its unprivileged part net TestConnAndPacketConn
    fn an_echo_is_answered() {
        for (network, address, ipv6) in
            [("ip4:icmp", "127.0.0.1", false), ("ip6:ipv6-icmp", "::1", true), ("ip6:58", "::1", true)]
        {
            let Some(conn) = raw(network, address) else { continue };
            let local: IpAddr = address.parse().unwrap();
            let id = mark();
            let (request, kind) = echo_request(ipv6, id);
            assert_eq!(conn.write_to(&request, local).unwrap(), request.len());
            let mut buf = [0; 1500];
            loop {
                let (n, from) = conn.read_from(&mut buf).unwrap();
                assert_eq!(from.ip, Some(local));
                if is_answer(&buf[..n], kind, id) {
                    assert_eq!(&buf[8..n], &request[8..], "without an IP header");
                    break;
                }
            }
            let dialed = dial(network, address).unwrap();
            dialed.set_deadline(after(Duration::from_secs(10))).unwrap();
            dialed.write_all(&request).unwrap();
            loop {
                let n = dialed.read(&mut buf).unwrap();
                // A plain read leaves the header of IPv4 where it is.
                let header = if ipv6 { 0 } else { 20 };
                assert!(ipv6 || buf[0] == 0x45, "{:x}", buf[0]);
                if is_answer(&buf[header..n], kind, id) {
                    break;
                }
            }
        }
    }

    /// Between two sockets of a protocol that nobody has.
    fn packets_come_as_they_are() {
        for (network, local, header) in [("ip4:253", LOCAL4, 20), ("ip6:253", LOCAL6, 0)] {
            let Some(server) = raw(network, &local.to_string()) else { continue };
            let client = raw(network, &local.to_string()).unwrap();
            let text = [&mark()[..], b"PACKET"].concat();
            let mut buf = [0; 256];
            client.write_msg(&text, &[], local).unwrap();
            loop {
                let msg = server.read_msg(&mut buf, &mut []).unwrap();
                assert_eq!((msg.from.ip, msg.control_len, msg.is_truncated()), (Some(local), 0, false));
                if buf[header..msg.len] == text {
                    break;
                }
            }
            client.write_to(&text, local).unwrap();
            loop {
                // The trait's way, as Go's net.PacketConn.
                let (n, from) = (&server as &dyn gopark_net::PacketConn).read_from(&mut buf).unwrap();
                assert_eq!(from, Addr::from(IpSockAddr::from(local)));
                if buf[..n] == text {
                    break;
                }
            }
            block_on(poll_fn(|cx| client.poll_write_to(cx, &text, local))).unwrap();
            loop {
                let (n, from) = block_on(poll_fn(|cx| server.poll_read_from(cx, &mut buf))).unwrap();
                assert_eq!(from.ip, Some(local));
                if buf[..n] == text {
                    break;
                }
            }
            client.try_write_to(&text, local).unwrap();
            server.readable().unwrap();
            assert!(server.try_read_from(&mut buf).unwrap().0 > 0);
            let missing = client.write_to(&text, IpSockAddr { ip: None, scope_id: 0 }).unwrap_err();
            assert!(matches!(OpError::of(&missing).unwrap().err, Cause::MissingAddress));
            let dialed = Dialer::new().dial_ip(network, &local.to_string()).unwrap();
            let err = dialed.write_to(&text, local).unwrap_err();
            assert!(matches!(OpError::of(&err).unwrap().err, Cause::WriteToConnected));
            let err = dialed.write_msg(&text, &[], local).unwrap_err();
            assert!(matches!(OpError::of(&err).unwrap().err, Cause::WriteToConnected));
            let other = if local == LOCAL4 { LOCAL6 } else { LOCAL4 };
            if local == LOCAL4 {
                let err = client.write_to(&text, other).unwrap_err();
                let want = format!("write ip4 {local}->{other}: address {other}: non-IPv4 address");
                assert_eq!(err.to_string(), want);
            }
        }
    }

    fn deadlines_and_closing_end_what_waits() {
        // A number that only this test has: other packets of a protocol come here too.
        let Some(conn) = raw("ip4:254", "127.0.0.1") else { return };
        conn.set_read_deadline(after(Duration::from_millis(5))).unwrap();
        assert_timeout(conn.read(&mut [0; 64]));
        assert_timeout(conn.read_from(&mut [0; 64]));
        assert_timeout(conn.read_msg(&mut [0; 64], &mut []));
        conn.set_read_deadline(None).unwrap();
        let other = IpConn::try_from(conn.file().unwrap()).unwrap();
        assert_eq!(other.local_addr().unwrap(), conn.local_addr().unwrap());
        let other = gopark_net::file_packet_conn(conn.fd().unwrap()).unwrap();
        assert!(other.downcast_ref::<IpConn>().is_some());
        drop(conn.try_clone().unwrap());
        let conn = Arc::new(conn);
        let reader = spawn({
            let conn = Arc::clone(&conn);
            move || conn.read_from(&mut [0; 64])
        });
        let reader = assert_blocked(reader);
        gopark_net::Conn::close(&conn).unwrap();
        assert_closed(join_soon(reader));
        assert_closed(conn.write_to(b"x", LOCAL4));
        let udp = gopark_net::UdpConn::bind("127.0.0.1:0").unwrap();
        let err = IpConn::try_from(OwnedFd::from(udp)).unwrap_err();
        assert_eq!(gopark_net::raw_os_error(&err), Some(91), "EPROTOTYPE: {err}");
    }

    fn hooks_see_the_family_and_no_port() {
        if raw("ip:253", "127.0.0.1").is_none() {
            return;
        }
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let hook = || {
            let seen = Arc::clone(&seen);
            move |network: &str, address: &str, _: std::os::fd::BorrowedFd<'_>| {
                seen.lock().unwrap().push(format!("{network} {address}"));
                Ok(())
            }
        };
        ListenConfig::new().control(hook()).listen_packet("ip:253", "127.0.0.1").unwrap();
        Dialer::new().control(hook()).dial("ip4:253", "127.0.0.1").unwrap();
        assert_eq!(*seen.lock().unwrap(), ["ip4 127.0.0.1", "ip4 127.0.0.1"]);
    }
}
