//! hyper over our connections and timers: that the `poll_` methods are all that such a crate needs.
//!
//! The adapters are what a program writes for itself, or will find in a crate of its own one day.

mod util;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use gopark_net::{TcpConn, TcpListener, block_on, future, go, spawn};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::rt::{ReadBufCursor, Sleep, Timer};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};

procs!();

/// A connection as hyper wants it.
struct Io(TcpConn);

impl hyper::rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Without `unsafe` a copy is the price of hyper's uninitialised buffers.
        let mut buf = [0; 4096];
        let len = buf.len().min(to.remaining());
        let n = ready!(self.0.poll_read(cx, &mut buf[..len]))?;
        to.put_slice(&buf[..n]);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.close_write())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, bufs)
    }
}

/// Our timers as hyper wants them.
struct Sleeping(future::Sleep);

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Sleep for Sleeping {}

#[derive(Clone)]
struct Timers;

impl Timer for Timers {
    fn sleep(&self, d: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Sleeping(future::sleep(d))) // not for ordering: a timer of ours
    }

    fn sleep_until(&self, t: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Sleeping(future::sleep_until(t)))
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = match (request.method().clone(), request.uri().path()) {
        (Method::GET, "/hello") => Response::new(Full::from("hello, world")),
        (Method::GET, "/slow") => {
            future::sleep(Duration::from_millis(2)).await; // not for ordering: a slow answer
            Response::new(Full::from("slow"))
        }
        (Method::POST, "/echo") => {
            let body = request.into_body().collect().await.expect("a body").to_bytes();
            Response::new(Full::from(body))
        }
        _ => {
            let mut response = Response::new(Full::from("nothing here"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    };
    Ok(response)
}

/// A goroutine for each connection, and hyper in each. Serves `conns` of them.
fn serve(ln: TcpListener, conns: usize) {
    for _ in 0..conns {
        let (conn, _) = ln.accept().expect("accept");
        go(move || {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(Timers).header_read_timeout(Duration::from_secs(30));
            block_on(http.serve_connection(Io(conn), service_fn(answer)))
        });
    }
}

type Client = SendRequest<Full<Bytes>>;

async fn connect(addr: std::net::SocketAddr) -> (Client, impl Future<Output = hyper::Result<()>>) {
    let conn = TcpConn::connect(addr).expect("connect");
    hyper::client::conn::http1::handshake(Io(conn)).await.expect("handshake")
}

async fn send(client: &mut Client, method: Method, path: &str, body: Bytes) -> (StatusCode, Bytes) {
    client.ready().await.expect("the connection is open");
    let request = Request::builder().method(method).uri(path).header("host", "test").body(Full::from(body));
    let response = client.send_request(request.expect("a request")).await.expect("a response");
    let status = response.status();
    (status, response.into_body().collect().await.expect("its body").to_bytes())
}

both! {
    /// Both halves of a client in one future.
    fn requests_on_one_connection() {
        let ln = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = ln.local_addr().unwrap();
        let server = spawn(move || serve(ln, 1));
        block_on(async {
            let (mut client, driver) = connect(addr).await;
            let requests = async {
                for _ in 0..50 {
                    let (status, body) = send(&mut client, Method::GET, "/hello", Bytes::new()).await;
                    assert_eq!((status, &body[..]), (StatusCode::OK, &b"hello, world"[..]));
                }
                let (status, _) = send(&mut client, Method::GET, "/nowhere", Bytes::new()).await;
                assert_eq!(status, StatusCode::NOT_FOUND);
                let (_, body) = send(&mut client, Method::GET, "/slow", Bytes::new()).await;
                assert_eq!(&body[..], b"slow");
                drop(client);
            };
            let ((), driven) = join(requests, driver).await;
            driven.unwrap();
        });
        server.join().unwrap();
    }

    /// A body larger than all buffers, so that both directions have to wait.
    fn a_large_body_there_and_back() {
        let ln = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = ln.local_addr().unwrap();
        let server = spawn(move || serve(ln, 1));
        let large: Bytes = (0..4 << 20).map(|i: u32| (i % 251) as u8).collect::<Vec<_>>().into();
        let sent = large.clone();
        // The connection's driver on a goroutine of its own, as programs do.
        let (mut client, driver) = block_on(connect(addr));
        let driver = spawn(move || block_on(driver));
        let (status, body) = block_on(send(&mut client, Method::POST, "/echo", sent));
        assert_eq!(status, StatusCode::OK);
        assert!(body == large);
        drop(client);
        driver.join().unwrap().unwrap();
        server.join().unwrap();
    }

    fn many_clients_in_one_future_and_on_goroutines() {
        let ln = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = ln.local_addr().unwrap();
        let server = spawn(move || serve(ln, 24));
        let done = Arc::new(AtomicUsize::new(0));
        let one = move |i: usize, done: Arc<AtomicUsize>| async move {
            let (mut client, driver) = connect(addr).await;
            let requests = async {
                for round in 0..10 {
                    let text = Bytes::from(format!("client {i} round {round}"));
                    let (_, body) = send(&mut client, Method::POST, "/echo", text.clone()).await;
                    assert_eq!(body, text);
                }
                drop(client);
            };
            let ((), driven) = join(requests, driver).await;
            driven.unwrap();
            done.fetch_add(1, SeqCst);
        };
        let goroutines: Vec<_> = (0..16)
            .map(|i| {
                let done = done.clone();
                spawn(move || block_on(one(i, done)))
            })
            .collect();
        block_on(join_all((16..24).map(|i| one(i, done.clone()))));
        goroutines.into_iter().for_each(|g| g.join().unwrap());
        server.join().unwrap();
        assert_eq!(done.load(SeqCst), 24);
    }

    /// hyper's own timeout, by our timer: the server closes a connection that says nothing.
    fn a_header_that_never_comes_runs_into_the_timeout() {
        let ln = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = TcpConn::connect(ln.local_addr().unwrap()).unwrap();
        let (conn, _) = ln.accept().unwrap();
        let served = spawn(move || {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(Timers).header_read_timeout(Duration::from_millis(20));
            block_on(http.serve_connection(Io(conn), service_fn(answer)))
        });
        assert!(served.join().unwrap().is_err());
        assert_eq!(silent.read(&mut [0; 8]).unwrap(), 0);
    }
}
