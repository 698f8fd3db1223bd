//! Stack slots: their size, their memory, their guards, and what happens when guards run out.
#![allow(unsafe_code)]

mod util;

use std::os::unix::process::ExitStatusExt;
use std::ptr::NonNull;

use gopark_sys::stack::{Slot, StackError, StackPool, guard_hit, page_size};
use util::{in_child, run_child, stderr_of};

/// Small slots, so that many fit.
const USABLE: usize = 16 << 10;
const GUARD_PAGES: usize = 4;

fn low(slot: &Slot) -> usize {
    slot.bottom().addr().get()
}

fn high(slot: &Slot) -> usize {
    slot.top().addr().get()
}

fn guard_low(slot: &Slot) -> usize {
    low(slot) - GUARD_PAGES * page_size()
}

fn write(at: NonNull<u8>, offset: usize, value: u8) {
    // SAFETY: the tests pass places inside a slot of their own, or die of it in a child process.
    unsafe { at.as_ptr().wrapping_add(offset).write_volatile(value) };
}

fn read(at: NonNull<u8>, offset: usize) -> u8 {
    // SAFETY: as above.
    unsafe { at.as_ptr().wrapping_add(offset).read_volatile() }
}

/// True if this kernel has guards that cost no mapping (Linux 6.13).
fn guards_cost_nothing() -> bool {
    let page = page_size();
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping of our own, used for nothing else.
    unsafe {
        let p = libc::mmap(std::ptr::null_mut(), page, prot, flags, -1, 0);
        assert_ne!(p, libc::MAP_FAILED);
        let works = libc::madvise(p, page, 102) == 0;
        libc::munmap(p, page);
        works
    }
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

#[test]
fn a_slot_is_an_odd_number_of_pages_and_holds_what_was_asked() {
    for asked in [0, 1, 4096, USABLE, (64 << 10) + 1, 260 << 10] {
        let pool = StackPool::new(asked).unwrap();
        assert_eq!(pool.slot_size() / page_size() % 2, 1, "{asked}");
        assert_eq!(pool.slot_size() % page_size(), 0, "{asked}");
        assert!(pool.usable() >= asked && pool.usable() >= 2 * page_size(), "{asked}");
        assert!(pool.usable() < asked + 4 * page_size(), "{asked}");
        let slot = pool.alloc().unwrap();
        assert_eq!(high(&slot) - low(&slot), pool.usable(), "{asked}");
        assert_eq!((high(&slot) % page_size(), low(&slot) % page_size()), (0, 0));
    }
}

#[test]
fn a_size_that_no_memory_has_room_for_is_refused() {
    // The last three overflow if multiplied by the slots of a reservation, the last even in pages.
    for usable in [1 << 50, (1 << 58) + USABLE, usize::MAX / 2, usize::MAX] {
        let refused = StackPool::new(usable).map(|pool| pool.slot_size());
        assert_eq!(refused, Err(StackError::Map(gopark_sys::Errno::ENOMEM)), "{usable:#x}");
    }
}

#[test]
fn all_of_a_slot_is_writable_and_fresh() {
    let pool = StackPool::new(USABLE).unwrap();
    for _ in 0..130 {
        let slot = pool.alloc().unwrap();
        for offset in (0..pool.usable()).step_by(512).chain([pool.usable() - 1]) {
            assert_eq!(read(slot.bottom(), offset), 0);
            write(slot.bottom(), offset, 0xa5);
        }
    }
}

#[test]
fn no_two_slots_share_memory_or_guards() {
    let pools = [StackPool::new(USABLE).unwrap(), StackPool::new(2 * USABLE).unwrap()];
    let mut slots = Vec::new();
    std::thread::scope(|scope| {
        let alloc = |pool| move || (0..250).map(|_| StackPool::alloc(pool).unwrap()).collect::<Vec<Slot>>();
        let threads: Vec<_> = pools.iter().cycle().take(4).map(|pool| scope.spawn(alloc(pool))).collect();
        threads.into_iter().for_each(|thread| slots.extend(thread.join().unwrap()));
    });
    assert_eq!(slots.len(), 1000);
    slots.sort_by_key(low);
    for pair in slots.windows(2) {
        assert!(high(&pair[0]) <= guard_low(&pair[1]), "{pair:?}");
    }
}

#[test]
fn an_address_in_a_guard_names_its_slot_and_no_other_address_does() {
    let pool = StackPool::new(USABLE).unwrap();
    for slot in (0..200).map(|_| pool.alloc().unwrap()) {
        for addr in [low(&slot) - 1, low(&slot) - page_size(), guard_low(&slot), guard_low(&slot) + 1] {
            let hit = guard_hit(addr).expect("an address in a guard");
            assert_eq!((hit.bottom(), hit.top()), (slot.bottom(), slot.top()));
        }
        for addr in [low(&slot), low(&slot) + 1, high(&slot) - 1, high(&slot) - page_size()] {
            assert!(guard_hit(addr).is_none());
        }
        // Below the guard is the slot below, or nothing of ours.
        if let Some(hit) = guard_hit(guard_low(&slot) - 1) {
            assert_ne!(hit.bottom(), slot.bottom());
        }
    }
    let (on_stack, on_heap) = (0_u8, Box::new(0_u8));
    let code = an_address_in_a_guard_names_its_slot_and_no_other_address_does as *const ();
    let elsewhere = [&raw const on_stack, &raw const *on_heap, code.cast()].map(|p| p.addr());
    for addr in elsewhere.into_iter().chain([0, 1, usize::MAX, usize::MAX - 4095]) {
        assert!(guard_hit(addr).is_none(), "{addr:#x}");
    }
}

#[test]
fn many_stacks_cost_few_mappings() {
    if !guards_cost_nothing() {
        println!("SKIPPED: guards cost mappings before Linux 6.13");
        return;
    }
    let pool = StackPool::new(USABLE).unwrap();
    let before = mappings();
    for _ in 0..20_000 {
        pool.alloc().unwrap();
    }
    let more = mappings().saturating_sub(before);
    assert!(more < 100, "{more} mappings more");
}

/// Which pages of a slot are in memory, from the bottom.
#[cfg(target_os = "linux")]
fn resident(slot: &Slot) -> Vec<bool> {
    let len = high(slot) - low(slot);
    let mut pages = vec![0_u8; len / page_size()];
    // SAFETY: the range is mapped, and there is a byte for each of its pages.
    let rc = unsafe { libc::mincore(slot.bottom().as_ptr().cast(), len, pages.as_mut_ptr()) };
    assert_eq!(rc, 0);
    pages.iter().map(|page| page & 1 == 1).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn trim_gives_memory_back_and_keeps_the_top() {
    let pool = StackPool::new(USABLE).unwrap();
    let slot = pool.alloc().unwrap();
    assert!(resident(&slot).iter().all(|page| !page), "a fresh slot costs no memory");
    let pages = pool.usable() / page_size();
    for (keep, kept_pages) in [(page_size(), 1), (page_size() + 1, 2), (0, 0), (pool.usable(), pages)] {
        (0..pool.usable()).step_by(256).for_each(|offset| write(slot.bottom(), offset, 1));
        assert!(resident(&slot).iter().all(|page| *page));
        // SAFETY: the slot is ours, and nothing in it is in use.
        unsafe { slot.trim(keep) }.unwrap();
        let kept = resident(&slot);
        assert_eq!(kept.iter().filter(|page| **page).count(), kept_pages, "{keep}");
        assert!(kept[pages - kept_pages..].iter().all(|page| *page), "{keep}");
        for offset in (0..pool.usable()).step_by(256) {
            let wanted = u8::from(offset >= (pages - kept_pages) * page_size());
            assert_eq!(read(slot.bottom(), offset), wanted, "{keep}");
        }
    }
    // SAFETY: as above. More than there is to keep is no error.
    unsafe { slot.trim(usize::MAX / 2) }.unwrap();
}

/// VmPTE of this process, in KiB.
#[cfg(target_os = "linux")]
fn page_tables() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPTE:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// A few released slots lose their memory and keep their guards; they are handed out again before any other.
#[cfg(target_os = "linux")]
#[test]
fn released_slots_are_empty_and_come_again() {
    let pool = StackPool::new(USABLE).unwrap();
    let slots: Vec<Slot> = (0..600).map(|_| pool.alloc().unwrap()).collect();
    let touch = |slot: &Slot| (0..pool.usable()).step_by(512).for_each(|at| write(slot.bottom(), at, 1));
    slots.iter().for_each(touch);
    let mut some: Vec<Slot> = slots.iter().copied().skip(3).step_by(7).collect();
    some.reverse();
    // SAFETY: they are ours, each is there once, and nothing in them is in use.
    unsafe { pool.release(&mut some) };
    assert_eq!(pool.released(), some.len() as u64);
    assert!(some.iter().all(|slot| !resident(slot).contains(&true)));
    let kept = slots.iter().filter(|slot| !some.iter().any(|other| other.top() == slot.top()));
    assert!(kept.clone().all(|slot| !resident(slot).contains(&false)), "others are untouched");
    let mut again: Vec<Slot> = (0..some.len()).map(|_| pool.alloc().unwrap()).collect();
    again.sort_by_key(low);
    assert_eq!(again.iter().map(low).collect::<Vec<_>>(), some.iter().map(low).collect::<Vec<_>>());
    for slot in &again {
        assert!((0..pool.usable()).step_by(512).all(|at| read(slot.bottom(), at) == 0));
        touch(slot);
    }
    let mut live = 0;
    let all = pool.live_slots(Default::default(), usize::MAX, |_| live += 1);
    assert!(all.is_none() && live == 600, "{live}");
}

/// All of them released, in any order and in pieces: the page tables go as well, and what comes then has its guard.
#[test]
#[cfg(target_os = "linux")]
fn whole_groups_leave_nothing_behind() {
    const NAME: &str = "whole_groups_leave_nothing_behind";
    if !in_child() {
        for guard in ["", "mprotect"] {
            let env = [("GOPARK_STACK_GUARD", guard)];
            let output = run_child(NAME, &env);
            assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{env:?}: {}", stderr_of(&output));
            assert!(stderr_of(&output).contains("as it should be so far"), "{env:?}");
        }
        return;
    }
    let pool = StackPool::new(260 << 10).unwrap();
    let before = (page_tables(), mappings());
    for round in 1..=3 {
        let mut slots: Vec<Slot> = (0..8000).map(|_| pool.alloc().unwrap()).collect();
        slots.iter().for_each(|slot| write(slot.top(), 0_usize.wrapping_sub(1), 1));
        assert!(page_tables() > before.0 + 3000, "{} KiB", page_tables());
        let (odd, even) = slots.split_at_mut(4001);
        odd.reverse();
        for piece in odd.chunks_mut(700).chain(even.chunks_mut(333)) {
            // SAFETY: they are ours, each is there once, and nothing in them is in use.
            unsafe { pool.release(piece) };
        }
        assert!(page_tables() < before.0 + 300, "{} KiB, then {}", before.0, page_tables());
        assert!(mappings() < before.1 + 100, "{} mappings, then {}", before.1, mappings());
        assert_eq!(pool.released(), round * 8000);
    }
    let reserved = pool.reserved();
    let slot = (0..8000).map(|_| pool.alloc().unwrap()).last().unwrap();
    assert_eq!(pool.reserved(), reserved, "the same memory again");
    eprintln!("as it should be so far");
    write(slot.bottom(), 0, 1);
    write(slot.bottom(), 0_usize.wrapping_sub(1), 1); // the guard: the end of this process
}

/// Runs the test `name`, which touches guards, in children; each must die of SIGSEGV.
fn dies_of_sigsegv(name: &str, env: &[(&str, &str)]) {
    let output = run_child(name, env);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{env:?}: {}", stderr_of(&output));
}

#[test]
fn touching_a_guard_kills() {
    if in_child() {
        let pool = StackPool::new(USABLE).unwrap();
        let slot = (0..70).map(|_| pool.alloc().unwrap()).last().unwrap();
        write(slot.bottom(), 0, 1);
        // SAFETY: the slot is ours, and nothing in it is in use.
        unsafe { slot.trim(0) }.unwrap(); // the guard outlives it
        let pages: usize = std::env::var("TOUCH").unwrap().parse().unwrap();
        write(slot.bottom(), 0_usize.wrapping_sub(pages * page_size()), 1);
        return;
    }
    for pages in ["1", "4"] {
        for guard in ["", "mprotect"] {
            let env = [("TOUCH", pages), ("GOPARK_STACK_GUARD", guard)];
            dies_of_sigsegv("touching_a_guard_kills", &env);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn guards_work_in_memory_that_is_locked_later() {
    if in_child() {
        let pool = StackPool::new(USABLE).unwrap();
        pool.alloc().unwrap();
        // SAFETY: a plain system call.
        if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
            eprintln!("SKIPPED: memory cannot be locked here");
            std::process::exit(7);
        }
        let slot = (0..200).map(|_| pool.alloc().unwrap()).last().unwrap();
        write(slot.bottom(), 0_usize.wrapping_sub(1), 1);
        return;
    }
    let output = run_child("guards_work_in_memory_that_is_locked_later", &[]);
    if output.status.code() != Some(7) {
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{}", stderr_of(&output));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_forked_child_guards_its_own_memory() {
    if !in_child() {
        let output = run_child("a_forked_child_guards_its_own_memory", &[]);
        assert!(output.status.success(), "{}", stderr_of(&output));
        return;
    }
    let pool = StackPool::new(USABLE).unwrap();
    for _ in 0..64 {
        pool.alloc().unwrap();
    }
    // SAFETY: this process has one thread, so the child may do what it likes.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            let slot = pool.alloc().unwrap();
            write(slot.bottom(), 0, 1);
            write(slot.bottom(), 0_usize.wrapping_sub(1), 1);
            std::process::exit(0);
        }
        child => {
            let mut status = 0;
            // SAFETY: our own child, and a valid place for its status.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSEGV, "{status:#x}");
            // The slots of the batch that the child guarded in its own memory are untouched here.
            for _ in 0..64 {
                let slot = pool.alloc().unwrap();
                (0..pool.usable()).step_by(page_size()).for_each(|offset| write(slot.bottom(), offset, 1));
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_kernel_without_cheap_guards_stops_before_its_limit_and_names_it() {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let limit: usize = text.trim().parse().unwrap();
    if limit > 300_000 {
        println!("SKIPPED: vm.max_map_count = {limit} takes too long to use up");
        return;
    }
    if !in_child() {
        let name = "a_kernel_without_cheap_guards_stops_before_its_limit_and_names_it";
        let output = run_child(name, &[("GOPARK_STACK_GUARD", "mprotect")]);
        assert!(output.status.success(), "{}", stderr_of(&output));
        return;
    }
    // Two pools: the limit is the process's.
    let pools = [StackPool::new(USABLE).unwrap(), StackPool::new(2 * USABLE).unwrap()];
    let mut stacks = 0;
    let err = loop {
        match pools[stacks % 2].alloc() {
            Ok(_) => stacks += 1,
            Err(err) => break err,
        }
        assert!(stacks <= limit, "more stacks than mappings");
    };
    assert!(
        matches!(err, StackError::TooManyMappings { stacks: n, max_map_count } if n == stacks && max_map_count == limit)
    );
    assert!(stacks > limit / 2 * 9 / 10, "only {stacks} stacks");
    let text = err.to_string();
    for part in ["vm.max_map_count", &stacks.to_string(), &limit.to_string(), "sysctl -w"] {
        assert!(text.contains(part), "{text}");
    }
    // It stays so, for both, and the process itself still has room for mappings.
    assert!(pools.iter().all(|pool| pool.alloc().is_err()));
    std::thread::spawn(|| ()).join().unwrap();
}

#[test]
fn errors_say_what_to_do() {
    let errno = gopark_sys::Errno::ENOMEM;
    assert!(StackError::Map(errno).to_string().contains("ulimit -v"));
    assert!(StackError::Guard(errno).to_string().contains("vm.max_map_count"));
}
