//! The spans of `tracing`, kept apart between goroutines.
//!
//! Subscribers keep the stack of entered spans per thread. A goroutine that parks inside a span would leave it to
//! whatever runs on the thread next, and leave a foreign one later. So before it lets go of its thread it exits its
//! spans, innermost first, until none is current, and enters them again, in reverse, when it goes on: on whatever
//! thread, and on its own stack, since subscribers are user code. A goroutine that waits on its own thread (it is
//! wired, or unwinds) keeps them.
//!
//! While no subscriber wants anything this is one relaxed load a park. With one it is a question for the current span.
//!
//! Other ways: asking users not to park inside a span, which rules out `#[instrument]` on a handler; a subscriber
//! layer of our own, which others do not know of.

use tracing::Span;
use tracing::level_filters::LevelFilter;

use crate::g::G;
use crate::newproc::{catch, discard};

/// Whether there is a subscriber that wants anything at all.
#[inline]
pub(crate) fn in_use() -> bool {
    LevelFilter::current() != LevelFilter::OFF
}

/// Lets go of the thread by `switch`, outside of all spans. `gp` is the calling goroutine.
///
/// It is half parked already: a subscriber that waits for a lock or a channel of ours in `enter` or `exit` ends the
/// process with "double wait", if its caller's wait is of the same kind and not over already. In events, which is where
/// subscribers do I/O, it may.
///
/// Not inlined, nor is what it calls: subscribers use thread-locals, before and after.
#[cold]
#[inline(never)]
pub(crate) fn outside(gp: &'static G, switch: impl FnOnce()) {
    // A subscriber that parks while it is told of an exit: its caller has seen to the spans, or is about to.
    if gp.in_spans().replace(true) {
        return switch();
    }
    let spans = exit_all();
    gp.in_spans().set(false);
    switch();
    if spans.is_empty() {
        return;
    }
    gp.in_spans().set(true);
    enter_again(spans);
    gp.in_spans().set(false);
}

/// Exits the spans of the calling thread; returns them, innermost first.
#[inline(never)]
pub(crate) fn exit_all() -> Vec<Span> {
    let mut spans = Vec::new(); // no allocation until there is one
    loop {
        let span = Span::current();
        if span.is_none() {
            return spans;
        }
        let before = span.id();
        span.with_subscriber(|(id, subscriber)| subscriber.exit(id));
        spans.push(span);
        // One that does not let go of its span would keep us here.
        if Span::current().id() == before && spans.len() > 1 && spans[spans.len() - 2].id() == before {
            spans.pop();
            return spans;
        }
    }
}

#[inline(never)]
fn enter_again(spans: Vec<Span>) {
    for span in spans.iter().rev() {
        span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
    }
}

/// The end of a goroutine: a span that it has entered and not left would be there for the next one on the thread.
#[cold]
#[inline(never)]
pub(crate) fn end(gp: &'static G) {
    gp.in_spans().set(true);
    // A subscriber's panic is not the goroutine's, and must not keep its end from who waits for that.
    if let Err(payload) = catch(|| drop(exit_all())) {
        discard(payload);
    }
    gp.in_spans().set(false);
}
