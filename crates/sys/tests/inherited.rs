//! Descriptors that were left open for this process. One test, since there is one flag a process.

use std::fs::File;
use std::os::fd::IntoRawFd;

use gopark_sys::{Errno, inherited};

#[test]
fn descriptors_are_taken_once_also_if_they_are_closed_by_then() {
    let number = File::open("/dev/null").unwrap().into_raw_fd();
    assert_eq!(inherited::take(1 << 29, 1).unwrap_err(), Errno::EBADF);
    let taken = inherited::take(number, 1).unwrap().expect("after a failure it may be called again");
    assert_eq!(taken.len(), 1);
    drop(taken);
    assert!(inherited::take(number, 1).expect("not looked at any more").is_none());
}
