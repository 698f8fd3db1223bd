//! What the loom models share.

/// Checks `f` in every interleaving with at most `preemptions` of them forced, or as many as the environment variable
/// LOOM_MAX_PREEMPTIONS says if that is fewer.
pub fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    let wanted = builder.preemption_bound.unwrap_or(preemptions);
    builder.preemption_bound = Some(wanted.min(preemptions));
    builder.max_branches = 10_000;
    builder.check(f);
}

/// Elements of a run queue are numbers dressed as pointers; the queue never follows them.
pub fn item(n: usize) -> *mut u8 {
    std::ptr::without_provenance_mut(n + 1)
}

pub fn number(item: *mut u8) -> usize {
    item.addr() - 1
}
