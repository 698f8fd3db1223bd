use super::*;

fn tcp(text: &str) -> TcpAddr {
    TcpAddr::from(text.parse::<SocketAddr>().unwrap())
}

fn any(port: u16) -> TcpAddr {
    TcpAddr { ip: None, port, scope_id: 0 }
}

/// Go: net TestSplitHostPort
#[test]
fn split_host_port_agrees_with_go() {
    for (hostport, host, port) in [
        ("localhost:http", "localhost", "http"),
        ("localhost:80", "localhost", "80"),
        ("localhost%lo0:http", "localhost%lo0", "http"),
        ("127.0.0.1:80", "127.0.0.1", "80"),
        ("[::1]:http", "::1", "http"),
        ("[::1%lo0]:80", "::1%lo0", "80"),
        ("[localhost%lo0]:80", "localhost%lo0", "80"),
        (":http", "", "http"),
        (":80", "", "80"),
        (":", "", ""),
        ("localhost:", "localhost", ""),
        ("127.0.0.1:", "127.0.0.1", ""),
        ("[::1]:", "::1", ""),
        ("localhost:domain:port%a", "", ""),
        ("golang.org:https%foo", "golang.org", "https%foo"),
    ] {
        match split_host_port(hostport) {
            Ok(got) => assert_eq!(got, (host, port), "{hostport}"),
            Err(err) => assert_eq!((host, err.err), ("", "too many colons in address"), "{hostport}"),
        }
    }
    for (hostport, err) in [
        ("golang.org", "missing port in address"),
        ("127.0.0.1", "missing port in address"),
        ("", "missing port in address"),
        ("[::1]", "missing port in address"),
        ("[fe80::1%lo0]", "missing port in address"),
        ("[localhost]", "missing port in address"),
        ("[]", "missing port in address"),
        ("::1", "too many colons in address"),
        ("fe80::1%lo0", "too many colons in address"),
        ("fe80::1%lo0:80", "too many colons in address"),
        ("[foo:bar]", "missing port in address"),
        ("[foo:bar]baz", "missing port in address"),
        ("[foo]bar:baz", "missing port in address"),
        ("[foo]:[bar]:baz", "too many colons in address"),
        ("[foo]:bar:baz", "too many colons in address"),
        ("[foo]:[bar]baz", "unexpected '[' in address"),
        ("foo[bar]:baz", "unexpected '[' in address"),
        ("foo]bar:baz", "unexpected ']' in address"),
        ("[foo:80", "missing ']' in address"),
        ("[[::1]:80", "unexpected '[' in address"),
        ("[::1]]:80", "missing port in address"),
        ("host:8]0", "unexpected ']' in address"),
    ] {
        let got = split_host_port(hostport).unwrap_err();
        assert_eq!((got.err, got.addr.as_str()), (err, hostport), "{hostport}");
    }
}

/// Go: net TestJoinHostPort
#[test]
fn join_host_port_puts_brackets_around_colons() {
    for (host, port, want) in [
        ("localhost", "http", "localhost:http"),
        ("localhost%lo0", "80", "localhost%lo0:80"),
        ("127.0.0.1", "80", "127.0.0.1:80"),
        ("::1", "80", "[::1]:80"),
        ("::1%lo0", "http", "[::1%lo0]:http"),
        ("", "80", ":80"),
        ("", "", ":"),
        ("::1", "", "[::1]:"),
    ] {
        assert_eq!(join_host_port(host, port), want);
    }
}

/// Go: net TestAddrListPartition
#[test]
fn test_addr_list_partition() {
    let v4 = |n: u8| tcp(&format!("127.0.0.{n}:80"));
    let v6 = tcp("[2001:db8::1]:80");
    let cases: [(&[TcpAddr], &[TcpAddr], &[TcpAddr]); 7] = [
        (&[v4(1)], &[v4(1)], &[]),
        (&[v4(1), v4(2)], &[v4(1), v4(2)], &[]),
        (&[v4(1), v6], &[v4(1)], &[v6]),
        (&[v6, v4(1)], &[v6], &[v4(1)]),
        (&[v4(1), v6, v4(2)], &[v4(1), v4(2)], &[v6]),
        (&[v6, v4(1), v4(2)], &[v6], &[v4(1), v4(2)]),
        (&[any(80)], &[any(80)], &[]),
    ];
    for (addrs, primaries, fallbacks) in cases {
        assert_eq!(partition(addrs), (primaries.to_vec(), fallbacks.to_vec()), "{addrs:?}");
    }
}

#[test]
fn literals_become_addresses_without_the_resolver() {
    let list = |network, addr| {
        internet_addr_list(&Context::background(), network, addr, None).map_err(|e| e.to_string())
    };
    assert_eq!(list(Network::Tcp, ""), Ok(vec![any(0)]));
    assert_eq!(list(Network::Tcp, ":8080"), Ok(vec![any(8080)]));
    assert_eq!(list(Network::Tcp4, "127.0.0.1:80"), Ok(vec![tcp("127.0.0.1:80")]));
    assert_eq!(list(Network::Tcp6, "[::1]:80"), Ok(vec![tcp("[::1]:80")]));
    assert_eq!(list(Network::Tcp, "[::]:80"), Ok(vec![tcp("[::]:80"), tcp("0.0.0.0:80")]));
    assert_eq!(list(Network::Tcp6, "[::]:80"), Ok(vec![tcp("[::]:80")]));
    assert_eq!(list(Network::Tcp, "[::1%1]:80").unwrap()[0].scope_id, 1);

    assert_eq!(list(Network::Tcp4, "[::1]:80"), Err("address ::1: no suitable address found".into()));
    assert_eq!(
        list(Network::Tcp6, "127.0.0.1:80"),
        Err("address 127.0.0.1: no suitable address found".into())
    );
    assert_eq!(
        list(Network::Tcp6, "[::ffff:127.0.0.1]:80"),
        Err("address ::ffff:127.0.0.1: no suitable address found".into()),
    );
    assert_eq!(
        list(Network::Tcp, "[fe80::1%no-such-if]:80"),
        Err("address fe80::1%no-such-if: no such network interface".into()),
    );
}

#[test]
fn families_follow_gos_rules() {
    let domain = |network, laddr: Option<TcpAddr>, raddr: Option<TcpAddr>, mode| {
        let family = favorite_addr_family(network, laddr.as_ref(), raddr.as_ref(), mode);
        (family.domain == Domain::IPV6, family.only_v6)
    };
    let v4 = Some(tcp("127.0.0.1:1"));
    let v6 = Some(tcp("[::1]:1"));
    assert_eq!(domain(Network::Tcp, None, v4, Use::Dial), (false, false));
    assert_eq!(domain(Network::Tcp, None, v6, Use::Dial), (true, false));
    assert_eq!(domain(Network::Tcp, v4, v6, Use::Dial), (true, false));
    assert_eq!(domain(Network::Tcp, None, Some(any(1)), Use::Dial), (false, false));
    assert_eq!(domain(Network::Tcp, v4, None, Use::Listen), (false, false));
    assert_eq!(domain(Network::Tcp, v6, None, Use::Listen), (true, false));
    assert_eq!(domain(Network::Tcp4, Some(any(1)), None, Use::Listen), (false, false));
    assert_eq!(domain(Network::Tcp6, Some(any(1)), None, Use::Listen), (true, true));
    // Both families where there are both.
    let can = Capabilities::get();
    for wildcard in [any(1), tcp("0.0.0.0:1"), tcp("[::]:1")] {
        let both = can.ipv4_mapped || !can.ipv4 || wildcard == tcp("[::]:1");
        assert_eq!(domain(Network::Tcp, Some(wildcard), None, Use::Listen), (both, false), "{wildcard}");
    }
}

#[test]
fn sockaddrs_fit_their_family() {
    const V4: Family = Family { domain: Domain::IPV4, only_v6: false };
    const V6: Family = Family { domain: Domain::IPV6, only_v6: false };
    let text =
        |addr: TcpAddr, family| to_sockaddr(&addr, family).map(|a| a.to_string()).map_err(|e| e.to_string());
    assert_eq!(text(any(7), V4), Ok("0.0.0.0:7".into()));
    assert_eq!(text(any(7), V6), Ok("[::]:7".into()));
    assert_eq!(text(tcp("0.0.0.0:7"), V6), Ok("[::]:7".into()));
    assert_eq!(text(tcp("1.2.3.4:7"), V6), Ok("[::ffff:1.2.3.4]:7".into()));
    assert_eq!(text(tcp("[::1]:7"), V6), Ok("[::1]:7".into()));
    assert_eq!(text(tcp("[::1]:7"), V4), Err("address ::1: non-IPv4 address".into()));
}
