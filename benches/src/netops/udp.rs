//! UDP between goroutines of one process over the loopback interface.

use std::io;

use gopark_net::{Outgoing, RecvBatch, SendBatch, UdpConn, scope};

use super::{Figures, Op, measure};

pub(super) const OPS: &[Op] = &[
    ("udp-ping", ping),
    ("udp-self", to_itself),
    ("udp-batch", batches),
    ("udp-single", singles),
    ("udp-segments", segments),
];

/// The bytes of a small datagram.
const SMALL: usize = 64;
/// Datagrams that are on their way at a time. Few enough for the smallest receive buffer.
const BURST: usize = 64;
/// The bytes of a datagram that fills a packet.
const FULL: usize = 1200;

fn local() -> io::Result<UdpConn> {
    let conn = UdpConn::bind("127.0.0.1:0")?;
    conn.set_read_buffer(1 << 20)?;
    Ok(conn)
}

/// A datagram there and another back; whoever waits is parked.
fn ping() -> io::Result<Figures> {
    const COUNT: usize = 20_000;
    let (client, server) = (local()?, local()?);
    let at = server.local_addr()?;
    scope(|s| {
        let server = &server;
        s.go(move || {
            let mut buf = [0; 512];
            while let Ok((n, from)) = server.recv_from(&mut buf) {
                if server.send_to(&buf[..n], from).is_err() {
                    break;
                }
            }
        });
        let mut buf = [7; 512];
        let figures = measure(COUNT, 2 * COUNT, || {
            for _ in 0..COUNT {
                client.send_to(&[7; SMALL], at)?;
                client.recv_from(&mut buf)?;
            }
            Ok(())
        });
        server.close()?;
        figures
    })
}

/// A datagram to the socket that sends it. Go: BenchmarkWriteToReadFromUDPAddrPort.
fn to_itself() -> io::Result<Figures> {
    const COUNT: usize = 40_000;
    let conn = local()?;
    let at = conn.local_addr()?;
    let mut buf = [0; 512];
    measure(COUNT, COUNT, || {
        for _ in 0..COUNT {
            conn.send_to(&[7; SMALL], at)?;
            conn.recv_from(&mut buf)?;
        }
        Ok(())
    })
}

/// Bursts, in as few calls as there can be; Go has one call for each datagram.
fn batches() -> io::Result<Figures> {
    const BURSTS: usize = 600;
    let (sender, receiver) = (local()?, local()?);
    let bytes = [7; SMALL];
    let list = [Outgoing::to(&bytes, receiver.local_addr()?); BURST];
    let (mut send, mut recv) = (SendBatch::new(BURST), RecvBatch::new(BURST, 512));
    measure(BURSTS * BURST, BURSTS * BURST, || {
        for _ in 0..BURSTS {
            sender.send_batch(&mut send, &list)?;
            let mut got = 0;
            while got < BURST {
                receiver.recv_batch(&mut recv)?;
                got += recv.iter().map(|datagram| usize::from(datagram.bytes.len() == SMALL)).sum::<usize>();
            }
        }
        Ok(())
    })
}

/// The same bursts by one call for each datagram, as Go has to.
fn singles() -> io::Result<Figures> {
    const BURSTS: usize = 600;
    let (sender, receiver) = (local()?, local()?);
    let at = receiver.local_addr()?;
    let mut buf = [0; 512];
    measure(BURSTS * BURST, BURSTS * BURST, || {
        for _ in 0..BURSTS {
            for _ in 0..BURST {
                sender.send_to(&[7; SMALL], at)?;
            }
            for _ in 0..BURST {
                receiver.recv_from(&mut buf)?;
            }
        }
        Ok(())
    })
}

/// Bursts of full packets, cut and put together by the system where it can; Go has one call for each.
fn segments() -> io::Result<Figures> {
    const BURSTS: usize = 600;
    let (sender, receiver) = (local()?, local()?);
    let at = receiver.local_addr()?;
    receiver.set_gro(true)?;
    let bytes = [7; FULL * BURST];
    let mut recv = RecvBatch::new(4, 65_535);
    measure(BURSTS * BURST, BURSTS * BURST, || {
        for _ in 0..BURSTS {
            sender.send_segments(&bytes, FULL, Some(at))?;
            let mut got = 0;
            while got < BURST {
                receiver.recv_batch(&mut recv)?;
                got += recv.iter().map(|datagram| usize::from(datagram.bytes.len() == FULL)).sum::<usize>();
            }
        }
        Ok(())
    })
}
