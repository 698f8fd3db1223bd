use super::imp::{affinity, parse_state};
use super::*;

#[test]
fn the_state_follows_the_name_whatever_that_is() {
    assert_eq!(parse_state(b"12 (x) R 1 2"), RunState::Running);
    assert_eq!(parse_state(b"12 (a) S) b) D 1 2"), RunState::Blocked);
    assert_eq!(parse_state(b"12 (x) S 1 2"), RunState::Blocked);
    assert_eq!(parse_state(b"12 (x) Z 1 2"), RunState::Unknown);
    for cut in [&b""[..], b"12", b"12 (x", b"12 (x)", b"12 (x) "] {
        assert_eq!(parse_state(cut), RunState::Unknown);
    }
}

#[test]
fn the_mask_bounds_what_is_available() {
    let procs = available_procs();
    assert!(procs >= 1);
    let mask = affinity().expect("the mask can be read");
    assert!(procs <= mask, "{procs} of {mask}");
}
