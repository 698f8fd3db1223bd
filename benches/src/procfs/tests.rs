use super::*;

#[test]
fn ticks_are_found_behind_a_name_with_blanks_and_parentheses() {
    let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 1 0 100 0 0";
    assert_eq!(ticks_of(stat), Some(12));
    assert_eq!(ticks_of("no parenthesis"), None);
}

#[test]
fn a_busy_thread_shows_in_the_difference_of_two_marks() {
    let pid = std::process::id();
    let before = CpuMark::take(pid).expect("this process exists");
    let start = std::time::Instant::now();
    let mut x = 1u64;
    while start.elapsed().as_millis() < 30 {
        x = std::hint::black_box(x.wrapping_mul(3));
    }
    let after = CpuMark::take(pid).expect("this process exists");
    let own = rustix::thread::gettid().as_raw_nonzero().get() as u32;
    let spent = after.threads_since(&before)[&own];
    assert!(spent > 1_000_000, "30 ms of looping show as {spent} ns");
    assert!(after.total_ns >= before.total_ns);
}

#[test]
fn when_a_thread_has_ended_the_total_of_the_process_counts() {
    let mut before = CpuMark { total_ns: 100, ..CpuMark::default() };
    before.threads.insert(1, 50);
    before.threads.insert(2, 50);
    let mut after = CpuMark { total_ns: 400, ..CpuMark::default() };
    after.threads.insert(1, 60);
    assert_eq!(after.since(&before), 300);
    after.threads.insert(2, 75);
    after.threads.insert(3, 5);
    assert_eq!(after.since(&before), 40);
}
