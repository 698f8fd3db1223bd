//! Two families at a time: "Happy Eyeballs", RFC 6555. Go: `sysDialer.dialParallel`.
//!
//! The primary runs in a goroutine of its own; the caller waits for it, and when it has taken long enough or
//! failed the caller runs the fallback himself. So there is one goroutine and no channel; Go has two and one.
//!
//! Each runs under a context of its own, so that who has won can stop the other.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use gopark_sched::context::Context;

/// Who of the two.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Racer {
    /// The family of the first address.
    Primary,
    /// The other.
    Fallback,
}

/// Runs `dial` as the primary and, if that has no success within `delay`, as the fallback too. Returns the
/// first success; the loser's context is canceled, and what it may still bring is dropped, which closes it. If both
/// fail it is the primary's error.
///
/// # Panics
///
/// If `dial` does.
///
/// Go: net/dial.go sysDialer.dialParallel
#[doc(alias = "dialParallel")]
pub fn race<T, E, F>(ctx: &Context, delay: Duration, dial: F) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(Racer, &Context) -> Result<T, E> + Send + Sync + 'static,
{
    let dial = Arc::new(dial);
    let (primary_ctx, stop_primary) = ctx.with_cancel();
    let (fallback_ctx, stop_fallback) = ctx.with_cancel();
    // Whichever way this ends, also if a hook of the program's panics in the fallback: nobody wants the primary's
    // connection any more.
    let _stop_primary = stop_primary.on_drop();
    let primary = {
        let (dial, ctx) = (Arc::clone(&dial), primary_ctx.clone());
        gopark_sched::try_spawn(move || {
            let result = dial(Racer::Primary, &ctx);
            if result.is_ok() {
                stop_fallback.cancel();
            }
            result
        })
    };
    let fallback = || dial(Racer::Fallback, &fallback_ctx);
    let Ok(primary) = primary else {
        // No stack to be had: one after the other.
        return dial(Racer::Primary, &primary_ctx).or_else(|e| fallback().map_err(|_| e));
    };
    match primary.join_timeout(delay) {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(e))) => fallback().map_err(|_| e),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(primary) => match fallback() {
            Ok(value) => Ok(value),
            // Failed, or canceled because the primary has won.
            Err(_) => primary.join().unwrap_or_else(|panic| resume_unwind(panic)),
        },
    }
}
