//! Many buffers in one call. Go: `net/writev_test.go`, `internal/poll/writev_test.go`.

mod util;

use std::io::{IoSlice, Read};
use std::sync::Arc;
use std::time::Duration;

use gopark_net::{Buffers, OpError, TcpConn, UnixConn, copy, is_timeout, spawn};
use util::{after, join_soon};

procs!();

fn left(buffers: &Buffers<&[u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    buffers.clone().read_to_end(&mut all).unwrap();
    all
}

fn pieces(n: usize) -> Vec<u8> {
    (0..n).map(|i| i as u8).collect()
}

/// The bytes that arrive, until the other end is closed.
fn drain(mut conn: impl Read + Send + 'static) -> gopark_net::JoinHandle<Vec<u8>> {
    spawn(move || {
        let mut all = Vec::new();
        conn.read_to_end(&mut all).unwrap();
        all
    })
}

both! {
    // Go: writev_test.go TestBuffers_read
    fn test_buffers_read() {
        let mut buffers = Buffers::from_iter(["once ", "upon ", "a ", "time ", "in ", "Gopherland ... "]);
        let mut story = String::new();
        buffers.read_to_string(&mut story).unwrap();
        assert_eq!(story, "once upon a time in Gopherland ... ");
        assert_eq!((buffers.len(), buffers.remaining()), (0, 0));
    }

    // Go: writev_test.go TestBuffers_consume; internal/poll/writev_test.go TestConsume
    fn test_buffers_consume() {
        let cases: [(&[&str], usize, &[&str]); 7] = [
            (&["foo", "bar"], 0, &["foo", "bar"]),
            (&["foo", "bar"], 2, &["o", "bar"]),
            (&["foo", "bar"], 3, &["bar"]),
            (&["foo", "bar"], 4, &["ar"]),
            (&["", "", "", "bar"], 1, &["ar"]),
            (&["", "", "", "foo"], 0, &["foo"]),
            (&["", "", ""], 0, &[]),
        ];
        for (from, n, to) in cases {
            let mut buffers = Buffers::from_iter(from.iter().map(|s| s.as_bytes()));
            buffers.consume(n);
            assert_eq!(left(&buffers), to.concat().as_bytes(), "{from:?} {n}");
            assert_eq!(buffers.len(), to.len(), "{from:?} {n}");
        }
    }

    // Go: writev_test.go TestBuffers_WriteTo
    fn test_buffers_write_to() {
        for by_copy in [false, true] {
            for n in [0, 10, 16, 17, 1023, 1024, 1025, 5000] {
                let want = pieces(n);
                let (mut a, b) = util::pair();
                let got = drain(b);
                let mut buffers: Buffers<&[u8]> = want.chunks(1).collect();
                let written =
                    if by_copy { copy(&mut a, &mut buffers) } else { buffers.write_to(&mut a) }.unwrap();
                assert_eq!((written, buffers.len()), (n as u64, 0));
                drop(a);
                assert_eq!(join_soon(got), want);
            }
        }
    }

    // Go: writev_test.go TestBuffers_WriteTo, its count of calls: 1,024 pieces each, and no more.
    fn a_call_takes_1024_buffers() {
        let want = pieces(1025);
        let slices: Vec<_> = want.chunks(1).map(IoSlice::new).collect();
        let (a, b) = util::pair();
        assert_eq!(a.write_vectored(&slices).unwrap(), 1024);
        assert_eq!(a.write_vectored(&slices[1024..]).unwrap(), 1);
        drop(a);
        assert_eq!(join_soon(drain(b)), want);
    }

    fn over_unix_streams_too() {
        let want = pieces(3000);
        let (mut a, b) = UnixConn::pair().unwrap();
        let got = drain(b);
        assert_eq!(want.chunks(1).collect::<Buffers<_>>().write_to(&mut a).unwrap(), 3000);
        drop(a);
        assert_eq!(join_soon(got), want);
    }

    // Go: writev_test.go TestWritevError
    fn test_writev_error() {
        let (mut a, b) = util::pair();
        drop(b);
        let chunk = vec![0; 1 << 20];
        let mut buffers: Buffers<&[u8]> = std::iter::repeat_n(&chunk[..], 1 << 10).collect();
        let all = buffers.remaining();
        let err = buffers.write_to(&mut a).unwrap_err();
        let op = OpError::of(&err).unwrap();
        assert_eq!(op.op, "writev", "{err}");
        // What was not written is still there, and nothing else is.
        assert_eq!(buffers.remaining() + op.written, all);
    }

    fn an_error_in_the_middle_leaves_the_rest() {
        let (mut a, b) = util::narrow_pair();
        let want: Vec<u8> = (0..100_000).map(|i: usize| (i / 7) as u8).collect();
        let mut buffers: Buffers<&[u8]> = want.chunks(100).collect();
        a.set_write_deadline(after(Duration::from_millis(50))).unwrap();
        let err = buffers.write_to(&mut a).unwrap_err();
        assert!(is_timeout(&err), "{err}");
        let written = OpError::of(&err).unwrap().written;
        assert!(written > 0 && buffers.remaining() + written == want.len());
        // Going on from there, nothing is missing and nothing is twice.
        a.set_write_deadline(None).unwrap();
        let got = drain(b);
        buffers.write_to(&mut a).unwrap();
        drop(a);
        assert!(join_soon(got) == want);
    }

    fn other_writers_do_not_get_in_between() {
        let (a, b) = util::pair();
        let a = Arc::new(a);
        let got = drain(b);
        let writers: Vec<_> = (1..=3u8)
            .map(|i| {
                let a: Arc<TcpConn> = Arc::clone(&a);
                spawn(move || {
                    let piece = vec![i; 4000];
                    let mut buffers: Buffers<&[u8]> = std::iter::repeat_n(&piece[..], 1000).collect();
                    buffers.write_to(&mut &*a).unwrap();
                })
            })
            .collect();
        writers.into_iter().for_each(join_soon);
        drop(a);
        let got = join_soon(got);
        assert_eq!(got.len(), 3 * 4_000_000);
        assert!(got.chunks(4_000_000).all(|run| run.iter().all(|b| *b == run[0])));
    }

    fn to_what_is_no_connection_a_piece_at_a_time() {
        let mut all = Vec::new();
        assert_eq!(Buffers::from_iter(["a", "", "bc"]).write_to(&mut all).unwrap(), 3);
        assert_eq!(all, b"abc");
    }
}
