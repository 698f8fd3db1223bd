//! Multipath TCP. Go: `net/mptcpsock_linux_test.go`.
#![cfg(target_os = "linux")]

mod util;

use gopark_net::{Dialer, ListenConfig, spawn};
use socket2::{Protocol, SockRef};
use util::join_soon;

procs!();

/// Whether this kernel makes such sockets at all.
fn supported() -> bool {
    let made = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, Some(Protocol::MPTCP));
    if let Err(e) = &made {
        eprintln!("skipped in part: no Multipath TCP here: {e}");
    }
    made.is_ok()
}

fn is_mptcp(fd: impl std::os::fd::AsFd) -> bool {
    SockRef::from(&fd).protocol().unwrap() == Some(Protocol::MPTCP)
}

both! {
    // Go: net TestMultiPathTCP
    fn test_multi_path_tcp() {
        let supported = supported();
        for (network, address) in [("tcp4", "127.0.0.1:0"), ("tcp6", "[::1]:0")] {
            for (listens, dials) in [(false, false), (false, true), (true, false), (true, true)] {
                let config = ListenConfig::new().set_multipath_tcp(listens);
                assert_eq!(config.multipath_tcp(), listens);
                let Ok(ln) = config.listen_tcp(network, address) else {
                    eprintln!("skipped: no {network} here");
                    continue;
                };
                assert_eq!(is_mptcp(ln.fd().unwrap()), listens && supported);
                let dialer = Dialer::new().set_multipath_tcp(dials);
                assert_eq!(dialer.multipath_tcp(), dials);
                let target = ln.addr().to_string();
                let dialed = spawn(move || dialer.dial_tcp(network, &target).unwrap());
                let (server, _) = ln.accept().unwrap();
                let client = join_soon(dialed);
                // In use if both sides asked; otherwise it is TCP, and works.
                let both = listens && dials && supported;
                let case = format!("{network}, listens {listens}, dials {dials}");
                assert_eq!(server.multipath_tcp().unwrap(), both, "server of {case}");
                assert_eq!(client.multipath_tcp().unwrap(), both, "client of {case}");
                for round in 0..100_u8 {
                    client.write_all(&[round; 3]).unwrap();
                    let mut buf = [0; 64];
                    let mut got = 0;
                    while got < 3 {
                        got += server.read(&mut buf[got..]).unwrap();
                    }
                    assert_eq!(buf[..3], [round; 3]);
                    server.write_all(&buf[..1]).unwrap();
                    assert_eq!(client.read(&mut buf).unwrap(), 1);
                }
                assert!(client.nodelay().unwrap() && server.nodelay().unwrap());
                client.close().unwrap();
                assert!(gopark_net::is_closed(&client.multipath_tcp().unwrap_err()));
                assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
            }
        }
    }

    /// A refusal is a refusal, after the second try by plain TCP, which costs no more than a round trip.
    fn a_refused_dial_falls_back_and_is_refused() {
        let free = util::local_listener();
        let target = free.addr().to_string();
        free.close().unwrap();
        let err = Dialer::new().set_multipath_tcp(true).dial_tcp("tcp", &target).unwrap_err();
        assert_eq!(err.to_string(), format!("dial tcp {target}: connect: connection refused"));
    }
}
