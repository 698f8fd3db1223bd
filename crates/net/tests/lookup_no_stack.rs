//! A lookup that many share when there is no stack for its goroutine, in a process of its own.
#![cfg(target_os = "linux")] // the limit on mappings is Linux's

#[path = "util/dns.rs"]
mod dns;
mod util;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dns::*;
use gopark_net::context::Context;
use gopark_net::{DnsConn, Resolver, chan, is_canceled};

const NAME: &str = "the_end_of_who_looks_up_is_not_the_others";
const LONG: Duration = Duration::from_secs(20);

static ASKED: AtomicU32 = AtomicU32::new(0);

/// Whoever comes first looks up himself then, for all who ask meanwhile; that he is canceled is nothing to them.
#[test]
fn the_end_of_who_looks_up_is_not_the_others() {
    if !util::is_child_for(NAME) {
        // Guards by mprotect cost a mapping each, of which there are few.
        return util::assert_success(util::child(NAME, "export GOPARK_STACK_GUARD=mprotect"), NAME);
    }
    util::runtime();
    let (release, gate) = chan::bounded::<()>(0);
    let fake = FakeDns::new("nameserver 192.0.2.53", |query| query.addresses());
    let resolver = fake
        .builder()
        .dial(move |ctx, _, server| {
            ASKED.fetch_add(1, SeqCst);
            gopark_net::select! {
                recv(gate) -> _ => {},
                recv(ctx.done()) -> _ => return Err(ctx.err().unwrap().into()),
            }
            let script = std::sync::Arc::new(|query: &Query| query.addresses().into());
            Ok(DnsConn::Datagrams(Box::new(FakeConn::new("udp", server, script))))
        })
        .build();
    // While there are mappings for the threads' stacks.
    let (ctx, cancel) = Context::background().with_cancel();
    let (first_begin, first) = on_thread(&resolver, ctx);
    let (second_begin, second) = on_thread(&resolver, Context::background());
    let (stop, stopped) = chan::bounded::<()>(0);
    let sleeper = || {
        let stopped = stopped.clone();
        gopark_net::try_go(move || _ = stopped.recv())
    };
    while sleeper().is_ok() {}
    first_begin.send(()).unwrap();
    while ASKED.load(SeqCst) == 0 {
        thread::sleep(Duration::from_millis(1)); // not for ordering: nothing else says it
    }
    second_begin.send(()).unwrap();
    thread::sleep(Duration::from_millis(200)); // not for ordering: a late one asks itself, see below
    cancel.cancel();
    assert!(second.recv_timeout(Duration::from_millis(200)).is_err(), "it waits for the answer");
    drop(stop);
    drop(release);
    assert_eq!(second.recv_timeout(LONG).unwrap().unwrap(), [TEST_ADDR]);
    assert!(is_canceled(&first.recv_timeout(LONG).unwrap().unwrap_err()));
    assert_eq!(ASKED.load(SeqCst), 1, "one lookup for both");
}

type Found = std::io::Result<Vec<std::net::IpAddr>>;

/// A thread that looks up once it is told to.
fn on_thread(resolver: &Resolver, ctx: Context) -> (mpsc::Sender<()>, mpsc::Receiver<Found>) {
    let (resolver, (begin, begun), (tx, rx)) = (resolver.clone(), mpsc::channel(), mpsc::channel());
    thread::spawn(move || {
        begun.recv().unwrap();
        let _ = tx.send(resolver.lookup_ip(&ctx, "ip4", "golang.org"));
    });
    (begin, rx)
}
