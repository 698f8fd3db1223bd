//! The suite over the scripted fake: what needs no events of the kernel, and what only a script can bring
//! about.
#![cfg(not(loom))]

mod suite;
mod util;

#[path = "suite/scripted.rs"]
mod scripted;

use std::sync::OnceLock;

use gopark_sys::netpoll::fake::Fake;

/// Starts the runtime once in this process.
fn setup() -> &'static Fake {
    static FAKE: OnceLock<Fake> = OnceLock::new();
    FAKE.get_or_init(|| {
        let fake = Fake::new();
        gopark_poll::ThreadRuntime::start(fake.backend()).unwrap();
        fake
    })
}
