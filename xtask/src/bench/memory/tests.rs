use super::*;

#[test]
fn own_memory_can_be_read_and_grows_with_what_is_touched() {
    let pid = std::process::id();
    let before = Memory::of(pid).expect("this process exists");
    assert!(before.threads >= 1 && before.maps > 5 && before.page_tables > 0);
    let block = std::hint::black_box(vec![1u8; 8 << 20]);
    let after = Memory::of(pid).expect("this process exists");
    assert!(after.rss >= before.rss + (6 << 20), "{before:?}, then {after:?}");
    drop(block);
}

#[test]
fn fields_are_found_by_the_start_of_their_line() {
    let text = "Name:\tx\nVmPTE:\t  48 kB\nThreads:\t3\n";
    assert_eq!(field(text, "VmPTE:"), Some(48));
    assert_eq!(field(text, "Threads:"), Some(3));
    assert_eq!(field(text, "Rss:"), None);
}
