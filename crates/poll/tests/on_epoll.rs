//! The suite over raw epoll.
#![cfg(all(target_os = "linux", not(loom)))]

mod suite;
mod util;

#[path = "suite/close.rs"]
mod close;
#[path = "suite/deadlines.rs"]
mod deadlines;
#[path = "suite/hint.rs"]
mod hint;
#[path = "suite/io.rs"]
mod io;
#[path = "suite/release.rs"]
mod release;
#[path = "suite/splice.rs"]
mod splice;
#[path = "suite/tasks.rs"]
mod tasks;

/// Starts the runtime once in this process.
fn setup() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        gopark_poll::ThreadRuntime::start(gopark_sys::netpoll::epoll().unwrap()).unwrap();
    });
}
