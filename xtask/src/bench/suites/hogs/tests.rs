use super::*;

#[test]
fn progress_is_taken_from_the_reports_inside_the_window_and_stretched_to_it() {
    let stat = |ms: f64, blocked, hog_ms: f64| Stat { now_ns: ms * 1e6, blocked, hog_cpu_ns: hog_ms * 1e6 };
    let stats =
        [stat(0.0, 0.0, 0.0), stat(100.0, 10.0, 50.0), stat(600.0, 110.0, 300.0), stat(2000.0, 999.0, 999.0)];
    let found = Stats::of(&stats, (50_000_000, 1_050_000_000)).expect("two reports inside");
    assert_eq!(found.blocked_per_s, 200.0);
    assert!((found.hog_cpu_s - 0.5).abs() < 1e-9, "250 ms in half the window: {found:?}");
}

#[test]
fn too_few_reports_are_an_error() {
    let stat = Stat { now_ns: 5.0, blocked: 0.0, hog_cpu_ns: 0.0 };
    assert!(Stats::of(&[], (0, 10)).is_err());
    assert!(Stats::of(&[stat], (0, 10)).is_err());
}

#[test]
fn a_stat_line_has_three_numbers() {
    assert_eq!(stat_of("1 2 3"), Some(Stat { now_ns: 1.0, blocked: 2.0, hog_cpu_ns: 3.0 }));
    assert_eq!(stat_of("1 2"), None);
    assert_eq!(stat_of("1 2 x"), None);
}
