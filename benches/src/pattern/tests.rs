use super::*;

#[test]
fn messages_differ_between_connections_and_between_one_and_the_next() {
    let pattern = Pattern::new(1024);
    let first = pattern.message(3, 0, 1024);
    assert_eq!(first.len(), 1024);
    assert_eq!(first, pattern.message(3, 0, 1024), "the same message twice is the same");
    assert_ne!(first, pattern.message(4, 0, 1024));
    assert_ne!(first, pattern.message(3, 1, 1024));
    assert_ne!(&first[1..], &first[..1023], "a byte moved by one place shows");
}

#[test]
fn any_connection_and_number_stays_inside_the_table() {
    let pattern = Pattern::new(16 * 1024);
    for conn in [0, 1, 63, 999, usize::MAX] {
        for seq in [0, 1, 1 << 40, u64::MAX] {
            assert_eq!(pattern.message(conn, seq, 16 * 1024).len(), 16 * 1024);
        }
    }
}
