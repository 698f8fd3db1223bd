use super::*;

#[test]
fn every_value_lies_in_its_bucket_within_the_promised_error() {
    let mut value = 1u64;
    while value < u64::MAX / 3 {
        for probe in [value - 1, value, value + 1] {
            let end = end_of(bucket_of(probe));
            assert!(end >= probe, "bucket of {probe} ends at {end}");
            assert!(end - probe <= probe / SUB as u64, "{probe} is reported as {end}");
        }
        value = value * 3 / 2 + 1;
    }
    assert!(bucket_of(u64::MAX) < BUCKETS);
    assert_eq!(end_of(bucket_of(u64::MAX)), u64::MAX);
}

#[test]
fn quantiles_of_a_uniform_run_are_where_they_should_be() {
    let mut histogram = Histogram::new();
    for value in 1..=100_000 {
        histogram.record(value);
    }
    for (quantile, expected) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
        let found = histogram.quantile(quantile) as f64;
        assert!((found / expected - 1.0).abs() < 0.01, "{quantile}: {found} for {expected}");
    }
    assert_eq!(histogram.quantile(1.0), 100_000);
    assert_eq!(histogram.max(), 100_000);
    assert_eq!(histogram.len(), 100_000);
}

#[test]
fn an_empty_or_cleared_histogram_reports_zero() {
    let mut histogram = Histogram::new();
    assert_eq!(histogram.quantile(0.99), 0);
    histogram.record(7);
    assert_eq!(histogram.quantile(0.5), 7);
    histogram.clear();
    assert!(histogram.is_empty());
    assert_eq!(histogram.quantile(0.5), 0);
}
