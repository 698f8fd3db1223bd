//! SIGINT and SIGTERM as an ordinary call.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;

/// Calls `stop` on a thread of its own at the first SIGINT or SIGTERM; a second one ends the process at once.
///
/// A plain thread, because the runtime need not be running, and because closing a listener from it shows that every
/// call of gopark works outside goroutines too. signal-hook installs its handler without SA_ONSTACK; that is fine
/// here: it writes one byte to a pipe, which fits any goroutine's stack, and the kernel prefers the main thread.
///
/// # Errors
/// The signals cannot be caught, or the thread cannot be started.
pub fn on_signal(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        let mut coming = signals.forever();
        if coming.next().is_some() {
            tracing::info!("stopping; once more to stop at once");
            stop();
        }
        if let Some(signal) = coming.next() {
            std::process::exit(128 + signal);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}
