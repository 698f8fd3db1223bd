//! Groups. Go: `net/listen_test.go` TestIPv4MulticastListener and the like.
//!
//! On the loopback interface, so that nothing leaves this machine. Where the system has no multicast (no route, a
//! sandbox) a test says so and passes.

mod util;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gopark_net::{UdpAddr, UdpConn, listen_multicast_udp, listen_packet, raw_os_error};
use gopark_sys::Errno;
use util::{after, assert_success, child, is_child_for};

procs!();

/// The loopback interface is the first everywhere on Linux.
const LOOPBACK: u32 = 1;

fn group(ip: &str, port: u16) -> UdpAddr {
    SocketAddr::new(ip.parse().unwrap(), port).into()
}

/// A port that nobody has, from below those that the system gives to who asks for any. This binary runs several times
/// at once, and each has some hundred of its own. Not found by a socket that is closed again: while another test starts
/// a process, the child has a copy of every descriptor until its exec.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nth = std::process::id().wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Relaxed));
    20_000 + (nth % 10_000) as u16
}

/// The last member has left: at once, but for a copy of its descriptor as above.
fn is_left(ip: IpAddr) -> bool {
    let start = Instant::now();
    while is_member(ip) && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1)); // not for ordering: how often we look
    }
    !is_member(ip)
}

/// Unwraps, or says why the test cannot be done here.
fn possible<T>(what: &str, result: std::io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(e) => {
            let errno = raw_os_error(&e).map(Errno::from_raw);
            let absent =
                [Errno::ENODEV, Errno::ENETUNREACH, Errno::EADDRNOTAVAIL, Errno::EAFNOSUPPORT, Errno::EPERM];
            assert!(errno.is_some_and(|errno| absent.contains(&errno)), "{what}: {e}");
            eprintln!("{what}: not possible here: {e}");
            None
        }
    }
}

/// Whether the system counts `ip` among the groups of an interface.
fn is_member(ip: IpAddr) -> bool {
    let wanted = match ip {
        IpAddr::V4(ip) => format!("{:08X}", u32::from_ne_bytes(ip.octets())),
        IpAddr::V6(ip) => ip.octets().iter().map(|b| format!("{b:02x}")).collect(),
    };
    ["igmp", "igmp6"].iter().any(|file| {
        std::fs::read_to_string(format!("/proc/net/{file}")).is_ok_and(|text| text.contains(&wanted))
    })
}

both! {
    // Go: net TestIPv4MulticastListener
    fn test_ipv4_multicast_listener() {
        for network in ["udp", "udp4"] {
            let gaddr = group("224.0.0.254", free_port());
            let Some(one) = possible("a group", listen_multicast_udp(network, LOOPBACK, gaddr)) else { return };
            assert!(is_member(gaddr.ip.unwrap()));
            assert_eq!(one.local_addr().unwrap().port(), gaddr.port);
            assert!(!one.multicast_loop_v4().unwrap());
            // The same group and port a second time.
            let other = listen_multicast_udp(network, LOOPBACK, gaddr).unwrap();
            assert!(one.local_addr().unwrap().ip().is_unspecified());
            one.close().unwrap();
            assert!(is_member(gaddr.ip.unwrap()));
            other.close().unwrap();
            assert!(is_left(gaddr.ip.unwrap()));
        }
    }

    // Go: net TestIPv6MulticastListener
    fn test_ipv6_multicast_listener() {
        for (i, ip) in ["ff01::114", "ff02::114", "ff05::114", "ff0e::114"].into_iter().enumerate() {
            let network = ["udp", "udp6"][i % 2];
            let gaddr = group(ip, free_port());
            let made = listen_multicast_udp(network, LOOPBACK, gaddr);
            let Some(one) = possible("a group", made) else { return };
            assert!(is_member(gaddr.ip.unwrap()));
            assert!(!one.multicast_loop_v6().unwrap());
            assert_eq!(one.multicast_interface_v6().unwrap(), LOOPBACK);
            let other = listen_multicast_udp(network, LOOPBACK, gaddr).unwrap();
            assert_eq!(other.local_addr().unwrap().port(), gaddr.port);
        }
    }

    /// Members get what is sent to the group, each of them, and those that have left do not.
    fn members_get_what_is_sent_to_the_group() {
        let gaddr = group("224.0.0.253", free_port());
        let Some(one) = possible("a group", listen_multicast_udp("udp4", LOOPBACK, gaddr)) else { return };
        let other = listen_multicast_udp("udp4", LOOPBACK, gaddr).unwrap();
        let sender = UdpConn::bind("0.0.0.0:0").unwrap();
        sender.set_multicast_interface_v4(LOOPBACK).unwrap();
        sender.set_multicast_loop_v4(true).unwrap();
        if possible("sending to a group", sender.write_to(b"all", gaddr)).is_none() {
            return;
        }
        for member in [&one, &other] {
            member.set_read_deadline(after(Duration::from_secs(30))).unwrap();
            let mut buf = [0; 8];
            let (n, from) = member.recv_from(&mut buf).unwrap();
            assert_eq!((&buf[..n], from.port()), (&b"all"[..], sender.local_addr().unwrap().port()));
        }
        // Who has left still gets what comes for others at this port, so the answer is in the list of members.
        let IpAddr::V4(ip) = gaddr.ip.unwrap() else { unreachable!() };
        one.leave_multicast_v4_on(&ip, LOOPBACK).unwrap();
        other.leave_multicast_v4_on(&ip, LOOPBACK).unwrap();
        assert!(!is_member(ip.into()));
        let err = other.leave_multicast_v4_on(&ip, LOOPBACK).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(Errno::EADDRNOTAVAIL.raw()), "{err}");
    }

    /// std's names, by the interface's address and by its number.
    fn groups_are_joined_and_left_by_std_names() {
        let conn = UdpConn::bind("0.0.0.0:0").unwrap();
        let (ip, any) = (Ipv4Addr::new(224, 0, 0, 252), Ipv4Addr::LOCALHOST);
        if possible("a group", conn.join_multicast_v4(&ip, &any)).is_none() {
            return;
        }
        assert!(is_member(ip.into()));
        let err = conn.join_multicast_v4(&ip, &any).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(Errno::EADDRINUSE.raw()), "{err}");
        conn.leave_multicast_v4(&ip, &any).unwrap();
        assert!(!is_member(ip.into()));
        let err = conn.join_multicast_v4(&Ipv4Addr::LOCALHOST, &any).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(Errno::EINVAL.raw()), "{err}");
        let Ok(conn) = UdpConn::bind("[::]:0") else { return };
        let ip: Ipv6Addr = "ff02::115".parse().unwrap();
        if possible("a group", conn.join_multicast_v6(&ip, LOOPBACK)).is_none() {
            return;
        }
        assert!(is_member(ip.into()));
        conn.leave_multicast_v6(&ip, LOOPBACK).unwrap();
        assert!(!is_member(ip.into()));
    }

    /// A socket at a group's address is bound to the wildcard, and shares its port.
    fn a_group_to_listen_at_is_a_wildcard_that_shares() {
        let at = format!("224.0.0.254:{}", free_port());
        let one = listen_packet("udp4", &at).unwrap();
        let other = listen_packet("udp4", &at).unwrap();
        for conn in [&one, &other] {
            assert!(conn.local_addr().socket_addr().unwrap().ip().is_unspecified());
        }
    }

    fn what_is_no_group_is_refused() {
        let gaddr = group("127.0.0.1", free_port());
        let err = listen_multicast_udp("udp4", 0, gaddr).unwrap_err();
        assert_eq!(err.to_string(), format!("listen udp4 {gaddr}: setsockopt: invalid argument"));
        let err = listen_multicast_udp("tcp", 0, gaddr).unwrap_err();
        assert_eq!(err.to_string(), format!("listen tcp {gaddr}: unknown network tcp"));
        let nobody = UdpAddr { ip: None, port: 1, scope_id: 0 };
        let err = listen_multicast_udp("udp", 0, nobody).unwrap_err();
        assert_eq!(err.to_string(), "listen udp :1: missing address");
        let err = listen_multicast_udp("udp4", 999_999, group("224.0.0.254", free_port())).unwrap_err();
        assert_eq!(raw_os_error(&err), Some(Errno::EADDRNOTAVAIL.raw()), "{err}");
    }

    fn options_of_groups_are_kept() {
        let conn = UdpConn::bind("127.0.0.1:0").unwrap();
        assert_eq!((conn.multicast_loop_v4().unwrap(), conn.multicast_ttl_v4().unwrap()), (true, 1));
        conn.set_multicast_loop_v4(false).unwrap();
        conn.set_multicast_ttl_v4(4).unwrap();
        assert_eq!((conn.multicast_loop_v4().unwrap(), conn.multicast_ttl_v4().unwrap()), (false, 4));
        let Ok(conn) = UdpConn::bind("[::1]:0") else { return };
        conn.set_multicast_loop_v6(false).unwrap();
        conn.set_multicast_hops_v6(4).unwrap();
        conn.set_multicast_interface_v6(LOOPBACK).unwrap();
        assert_eq!((conn.multicast_loop_v6().unwrap(), conn.multicast_hops_v6().unwrap()), (false, 4));
        assert_eq!(conn.multicast_interface_v6().unwrap(), LOOPBACK);
    }
}

/// In a network namespace of its own: an interface that has no IPv4 address.
// go-semantics 7.5: "multicast on an interface without IPv4 (#70132)": the index form (ip_mreqn)
#[test]
fn an_interface_needs_no_ipv4_address() {
    const NAME: &str = "an_interface_needs_no_ipv4_address";
    const MAKE: &str = "ip link add gopark0 type veth peer name gopark1 && ip link set gopark0 up";
    if !is_child_for(NAME) {
        let can = Command::new("unshare").args(["-rn", "sh", "-c", MAKE]).output();
        if !can.is_ok_and(|out| out.status.success()) {
            eprintln!("not possible here: no namespaces, or no ip(8)");
            return;
        }
        let mut inner = child(NAME, &format!("{MAKE} || exit 1"));
        let mut command = Command::new("unshare");
        command.arg("-rn").arg(inner.get_program()).args(inner.get_args());
        for (key, value) in inner.get_envs() {
            command.env(key, value.unwrap_or_default());
        }
        inner.env_clear();
        return assert_success(command, NAME);
    }
    util::goroutine(NAME, || {
        let interface = gopark_net::interface_by_name("gopark0").unwrap();
        assert!(interface.addrs().unwrap().iter().all(|net| !net.addr().is_ipv4()));
        let index = interface.index;
        let gaddr = group("224.0.0.254", 12345);
        let conn = listen_multicast_udp("udp4", index, gaddr).unwrap();
        assert!(is_member(gaddr.ip.unwrap()));
        conn.close().unwrap();
    });
}
