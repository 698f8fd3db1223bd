//! SIGINT and SIGTERM as an ordinary call.

use gopark_net::signal::{Signal, notify};
use std::io;

/// Calls `stop` on a thread of its own at the first SIGINT or SIGTERM; a second one ends the process at once.
///
/// A plain thread, because the runtime need not be running, and because closing a listener from it shows that every
/// call of gopark works outside goroutines too.
///
/// # Errors
/// The signals cannot be caught, or the thread cannot be started.
pub fn on_signal(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let signals = notify(&[Signal::SIGINT, Signal::SIGTERM])?;
    let wait = move || {
        let Ok(signal) = signals.recv() else { return };
        drop(signals); // the next one does again what it does by default
        tracing::info!("{signal}: stopping; once more to stop at once");
        stop();
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}
