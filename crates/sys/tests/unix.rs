//! Sockets of another family than IP: pairs, names, connecting and accepting, who is at the other end.

#![cfg(target_os = "linux")]

use std::os::fd::{AsRawFd, OwnedFd};

use gopark_sys::{Errno, SysFd, cred, msg, rw, sock};
use socket2::{Domain, SockAddr, Type};

fn unix() -> SysFd {
    SysFd::new(sock::socket(Domain::UNIX, Type::STREAM, None).unwrap())
}

#[test]
fn a_pair_is_connected_non_blocking_and_close_on_exec() {
    for kind in [Type::STREAM, Type::DGRAM, Type::SEQPACKET] {
        let (a, b) = sock::pair(Domain::UNIX, kind).unwrap();
        for fd in [&a, &b] {
            let status = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
            let flags = status.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            let flags = u32::from_str_radix(flags, 8).unwrap();
            assert_eq!(flags & 0o2_004_000, 0o2_004_000, "O_CLOEXEC, O_NONBLOCK: {flags:o}");
        }
        let (a, b) = (SysFd::new(a), SysFd::new(b));
        assert_eq!(rw::recv(&b, &mut [0]), Err(Errno::EAGAIN));
        assert_eq!(rw::send(&a, b"x"), Ok(1));
        assert_eq!(msg::peek_from(&b, &mut [0; 4]).unwrap().0, 1);
        assert_eq!(msg::recv_from(&b, &mut [0; 4]).unwrap().0, 1, "a peek takes nothing");
        assert_eq!(cred::peer_cred(&a).unwrap().pid, Some(std::process::id() as i32));
    }
    let nobody = cred::peer_cred(&unix()).unwrap();
    assert_eq!((nobody.pid, nobody.uid, nobody.gid), (None, u32::MAX, u32::MAX));
    let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    assert_eq!(cred::peer_cred(&SysFd::new(file)), Err(Errno::ENOTSOCK));
}

#[test]
fn any_family_is_bound_connected_accepted_and_named() {
    let ln = unix();
    let name = SockAddr::unix(format!("\0gopark-sys-{}", std::process::id())).unwrap();
    sock::bind_fd(ln.as_fd(), &name).unwrap();
    sock::listen_fd(ln.as_fd(), 0).unwrap();
    assert!(matches!(sock::accept4_any(&ln), Err(Errno::EAGAIN)));
    assert_eq!(sock::local_addr_any(&ln).unwrap().as_abstract_namespace(), name.as_abstract_namespace());
    // An address of IP it has not.
    assert_eq!(sock::local_addr(&ln), Err(Errno::EAFNOSUPPORT));
    let client = unix();
    assert!(matches!(sock::peer_addr_any(&client), Err(Errno::ENOTCONN)));
    sock::connect_any(&client, &name).unwrap();
    assert_eq!(sock::peer_addr_any(&client).unwrap().as_abstract_namespace(), name.as_abstract_namespace());
    // One may wait in a queue of 0; the next is told so, and not when there is room.
    assert_eq!(sock::connect_any(&unix(), &name), Err(Errno::EAGAIN));
    let (server, peer) = sock::accept4_any(&ln).unwrap();
    assert!(peer.is_unnamed());
    assert_eq!(rw::send(&SysFd::new(server), b"x"), Ok(1));
    assert_eq!(rw::recv(&client, &mut [0; 4]), Ok(1));
}

#[test]
fn there_is_room_for_as_many_descriptors_as_were_asked_for() {
    let (a, b) = sock::pair(Domain::UNIX, Type::STREAM).unwrap();
    let (a, b) = (SysFd::new(a), SysFd::new(b));
    for wanted in 0..4 {
        let mut control = msg::ControlBuf::new();
        control.push_rights(&[a.as_fd(); 3]);
        msg::send_msg(&a, &[std::io::IoSlice::new(b"x")], control.as_bytes(), None).unwrap();
        let mut room = vec![0; if wanted == 0 { 0 } else { msg::rights_len(wanted) }];
        let mut byte = [0];
        let got = msg::recv_msg(&b, &mut [std::io::IoSliceMut::new(&mut byte)], &mut room, 0).unwrap();
        assert_eq!(got.fds.len(), wanted.min(3));
        assert_eq!(got.flags & msg::CONTROL_TRUNCATED != 0, wanted < 3);
    }
}
