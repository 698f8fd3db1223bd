//! The smallest server (to be written).
fn main() {}
