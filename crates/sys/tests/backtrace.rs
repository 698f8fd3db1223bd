//! Frames of the calling thread's own stack.

use gopark_sys::backtrace::{Frames, module_of, resolve};

#[inline(never)]
fn is_looked_for(bottom: usize, base: usize) -> Frames {
    let mut frames = Frames::new();
    frames.capture(bottom, base);
    std::hint::black_box(frames)
}

fn here() -> usize {
    let mark = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&mark)).addr()
}

#[test]
fn a_stack_is_written_down_and_named() {
    let frames = is_looked_for(0, usize::MAX);
    let names: Vec<_> =
        frames.addresses().iter().flat_map(|&a| resolve(a)).filter_map(|s| s.function).collect();
    assert!(names.iter().any(|n| n.ends_with("::is_looked_for")), "{names:?}");
    assert!(!frames.is_cut());
    let (module, offset) = module_of(frames.addresses()[0]).expect("an address of this program");
    assert!(module.contains("backtrace") && offset > 0, "{module} {offset}");
}

#[test]
fn the_walk_ends_at_the_base() {
    let all = is_looked_for(0, usize::MAX).addresses().len();
    let some = is_looked_for(0, here() + 512).addresses().len();
    assert!(some > 0 && some < all, "{some} of {all}");
}

#[test]
fn with_little_stack_left_nothing_is_done() {
    assert!(is_looked_for(here() - 16 * 1024, usize::MAX).addresses().is_empty());
}

#[test]
fn what_is_no_code_has_no_name() {
    assert!(module_of(1).is_none());
    assert!(resolve(1).iter().all(|s| s.function.is_none()));
}
