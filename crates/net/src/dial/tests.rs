use super::*;

const MS: Duration = Duration::from_millis(1);

/// Go: net TestDialerPartialDeadline
#[test]
fn test_dialer_partial_deadline() {
    let now = Instant::now();
    let at = |ms: u64| now + Duration::from_millis(ms);
    for (deadline, addrs, want) in [
        // Regular division.
        (at(12_000), 1, Some(at(12_000))),
        (at(12_000), 2, Some(at(6_000))),
        (at(12_000), 3, Some(at(4_000))),
        // Not less than two seconds.
        (at(12_000), 999, Some(at(2_000))),
        // And not more than there is.
        (at(1_999), 999, Some(at(1_999))),
        // Passed.
        (now, 1, None),
        (now.checked_sub(MS).unwrap(), 1, None),
    ] {
        assert_eq!(partial_deadline(now, deadline, addrs), want, "{addrs} addresses");
    }
}

#[test]
fn the_earlier_of_timeout_and_deadline_counts() {
    let now = Instant::now();
    let dialer = Dialer::new;
    assert_eq!(dialer().deadline_from(now), None);
    assert_eq!(dialer().timeout(5 * MS).deadline_from(now), Some(now + 5 * MS));
    assert_eq!(dialer().deadline(now + MS).deadline_from(now), Some(now + MS));
    assert_eq!(dialer().timeout(5 * MS).deadline(now + MS).deadline_from(now), Some(now + MS));
    assert_eq!(dialer().timeout(MS).deadline(now + 5 * MS).deadline_from(now), Some(now + MS));
    assert_eq!(dialer().timeout(Duration::MAX).deadline_from(now), None);
    assert_eq!(dialer().timeout(Duration::ZERO).deadline_from(now), Some(now));
}

#[test]
fn the_other_family_gets_its_try_after_300_ms() {
    assert_eq!(Dialer::new().fallback_delay, Some(Duration::from_millis(300)));
}
