use super::RandomOrder;

/// Whatever the random number, each P is visited once.
// Go: runtime TestStealOrder
#[test]
fn steal_order() {
    let numbers = (0..1_000).chain([u32::MAX, u32::MAX - 1, 1 << 31, 0x9e37_79b9]);
    for random in numbers {
        for count in 1..=64 {
            let mut seen = vec![false; count as usize];
            for id in RandomOrder::new(count, random) {
                assert!(id < count, "{id} of {count}");
                assert!(!seen[id as usize], "{id} of {count} twice, random number {random}");
                seen[id as usize] = true;
            }
            assert!(seen.iter().all(|&s| s), "not all of {count}, random number {random}");
        }
    }
}

/// Start and step are independent: with eight Ps all 8 × 4 pairs of them occur.
// Go: golang/go commit 510ad4561f
#[test]
fn start_and_step_are_independent() {
    let mut pairs = std::collections::BTreeSet::new();
    for random in 0..64 {
        let mut order = RandomOrder::new(8, random);
        let (first, second) = (order.next().unwrap(), order.next().unwrap());
        pairs.insert((first, (8 + second - first) % 8));
    }
    assert_eq!(pairs.len(), 8 * 4);
}

#[test]
fn the_largest_number_of_ps_is_visited_completely() {
    let count = 1024 + 512;
    let mut visited: Vec<u32> = RandomOrder::new(count, 0xdead_beef).collect();
    visited.sort_unstable();
    assert_eq!(visited, (0..count).collect::<Vec<_>>());
}
