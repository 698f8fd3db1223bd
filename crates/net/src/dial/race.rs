//! Two families at a time: "Happy Eyeballs", RFC 6555. Go: `sysDialer.dialParallel`.
//!
//! The primary runs in a goroutine of its own; the caller waits for it, and when it has taken long enough or
//! failed the caller runs the fallback himself. So there is one goroutine and no channel; Go has two and one.

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
/// first success; the loser is canceled, and what it may still bring is dropped, which closes it. If both
/// fail it is the primary's error. Each runs under a child of `ctx`.
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
    let (primary_ctx, cancel_primary) = ctx.with_cancel();
    let (fallback_ctx, cancel_fallback) = ctx.with_cancel();
    let primary = {
        let (dial, ctx) = (Arc::clone(&dial), primary_ctx.clone());
        gopark_sched::try_spawn(move || {
            let result = dial(Racer::Primary, &ctx);
            if result.is_ok() {
                cancel_fallback.cancel();
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
            Ok(value) => {
                cancel_primary.cancel();
                Ok(value)
            }
            // Failed, or canceled because the primary has won.
            Err(_) => primary.join().unwrap_or_else(|panic| resume_unwind(panic)),
        },
    }
}
