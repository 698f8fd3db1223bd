use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use super::*;

fn ours(socket: impl Into<OwnedFd>) -> SysFd {
    SysFd::new(socket.into())
}

fn pair() -> (SysFd, SysFd, SockAddr) {
    let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    b.set_nonblocking(true).unwrap();
    let addr = b.local_addr().unwrap().into();
    (ours(a), ours(b), addr)
}

#[test]
fn a_datagram_knows_its_sender() {
    let (a, b, to) = pair();
    assert_eq!(send_to(&a, b"hello", Some(&to)), Ok(5));
    let mut buf = [0; 8];
    let (n, from) = recv_from(&b, &mut buf).unwrap();
    assert_eq!(&buf[..n], b"hello");
    assert_eq!(from.unwrap().as_socket(), Some(crate::sock::local_addr(&a).unwrap()));
    assert_eq!(recv_from(&b, &mut buf).unwrap_err(), Errno::EAGAIN);
}

#[test]
fn what_does_not_fit_is_cut_and_said() {
    let (a, b, to) = pair();
    send_msg(&a, &[IoSlice::new(b"hel"), IoSlice::new(b"lo")], &[], Some(&to)).unwrap();
    let (mut x, mut y) = ([0; 2], [0; 2]);
    let got = recv_msg(&b, &mut [IoSliceMut::new(&mut x), IoSliceMut::new(&mut y)], &mut [], 0).unwrap();
    assert_eq!((got.len, got.is_truncated(), &x, &y), (4, true, b"he", b"ll"));
}

#[test]
fn descriptors_that_come_are_owned_and_close_on_exec() {
    let (a, b) = UnixDatagram::pair().unwrap();
    let mut control = ControlBuf::new();
    control.push_rights(&[a.as_fd(), b.as_fd()]);
    let (a, b) = (ours(a), ours(b));
    send_msg(&a, &[IoSlice::new(b"x")], control.as_bytes(), None).unwrap();
    let (mut byte, mut room) = ([0; 1], [0; 64]);
    let got = recv_msg(&b, &mut [IoSliceMut::new(&mut byte)], &mut room, 0).unwrap();
    assert_eq!((got.len, got.fds.len()), (1, 2));
    for fd in &got.fds {
        // SAFETY: no pointer is passed.
        let flags = unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(fd), libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }
}

fn outgoing(bytes: &[u8], to: SocketAddr) -> Outgoing<'_> {
    Outgoing { bytes, to: Some(to) }
}

#[test]
fn a_batch_goes_and_comes() {
    let (a, b, to) = pair();
    let (to, me) = (to.as_socket().unwrap(), crate::sock::local_addr(&a).unwrap());
    let payloads: Vec<Vec<u8>> = (0..5u8).map(|i| vec![i; usize::from(i)]).collect();
    let mut send = SendBatch::new(8);
    assert_eq!(send.send(&a, 5, 0, |i| outgoing(&payloads[i], to)), Ok(5));
    let mut batch = RecvBatch::new(3, 4, 0);
    assert_eq!(batch.recv(&b), Ok(3));
    assert_eq!((batch.bytes(0), batch.bytes(1), batch.bytes(2)), (&[][..], &[1][..], &[2, 2][..]));
    assert_eq!(batch.from(2), Some(me));
    assert_eq!(batch.recv(&b), Ok(2));
    assert_eq!((batch.len(), batch.bytes(1), batch.is_truncated(1)), (2, &[4; 4][..], false));
    assert_eq!(batch.recv(&b), Err(Errno::EAGAIN));
    assert!(batch.is_empty());
}

#[test]
fn a_batch_sends_no_more_than_it_has_room_for() {
    let (a, b, to) = pair();
    let to = to.as_socket().unwrap();
    assert_eq!(SendBatch::new(2).send(&a, 3, 0, |_| outgoing(b"hello", to)), Ok(2));
    let mut batch = RecvBatch::new(4, 3, 0);
    assert_eq!(batch.recv(&b), Ok(2));
    assert_eq!((batch.bytes(1), batch.is_truncated(1)), (&b"hel"[..], true));
}

#[test]
fn the_first_datagram_of_a_batch_reports_what_is_wrong_with_it() {
    let (a, b, to) = pair();
    let to = to.as_socket().unwrap();
    let huge = vec![0; 70_000];
    let mut send = SendBatch::new(2);
    let mut all = |list: [&[u8]; 2]| send.send(&a, 2, 0, |i| outgoing(list[i], to));
    assert_eq!(all([b"x", &huge]), Ok(1));
    assert_eq!(all([&huge, b"x"]), Err(Errno::EMSGSIZE));
    assert_eq!(RecvBatch::new(4, 1, 0).recv(&b), Ok(1));
}

#[cfg(target_os = "linux")]
#[test]
fn one_buffer_can_be_many_datagrams_both_ways() {
    let (a, b, to) = pair();
    let to = to.as_socket().unwrap();
    if !crate::sockopt::has_udp_segment(&a) {
        return;
    }
    let bytes: Vec<u8> = (0..250).collect();
    assert_eq!(send_segments_ip(&a, &bytes, 100, Some(&to)), Ok(250));
    let mut batch = RecvBatch::new(4, 300, 64);
    assert_eq!(batch.recv(&b), Ok(3));
    assert_eq!((batch.bytes(0), batch.bytes(2)), (&bytes[..100], &bytes[200..]));
    if !crate::sockopt::set_udp_gro(&b, true).unwrap() {
        return;
    }
    assert_eq!(send_segments_ip(&a, &bytes, 100, Some(&to)), Ok(250));
    assert_eq!(batch.recv(&b), Ok(1));
    assert_eq!(batch.bytes(0), &bytes[..]);
    assert_eq!(batch.control(0).find_map(|piece| piece.as_segment_size()), Some(100));
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_alike_goes_in_one_piece_and_arrives_as_it_was() {
    let (a, b, to) = pair();
    let (c, d, other) = pair();
    let (to, other) = (to.as_socket().unwrap(), other.as_socket().unwrap());
    if !crate::sockopt::has_udp_segment(&a) {
        return;
    }
    drop(c);
    // Runs: 3 and a shorter one; another address; 2; a longer one; empty ones; 1.
    let list: [(&[u8], SocketAddr); 11] = [
        (b"aaaa", to),
        (b"bbbb", to),
        (b"cccc", to),
        (b"dd", to),
        (b"ee", other),
        (b"ff", to),
        (b"gg", to),
        (b"hhh", to),
        (b"", to),
        (b"", to),
        (b"i", to),
    ];
    let mut send = SendBatch::new(16);
    for merge_below in [0, 3, 4, 5, 1000] {
        let sent = send.send(&a, list.len(), merge_below, |i| outgoing(list[i].0, list[i].1));
        assert_eq!(sent, Ok(list.len()));
        for (fd, at) in [(&b, to), (&d, other)] {
            let wanted: Vec<&[u8]> = list.iter().filter(|item| item.1 == at).map(|item| item.0).collect();
            let mut batch = RecvBatch::new(16, 16, 0);
            assert_eq!(batch.recv(fd), Ok(wanted.len()));
            let got: Vec<&[u8]> = (0..batch.len()).map(|i| batch.bytes(i)).collect();
            assert_eq!(got, wanted, "{merge_below}");
        }
    }
}
