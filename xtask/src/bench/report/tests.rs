use super::*;
use crate::bench::measure::Column;
use crate::bench::target::Target;

fn row(kind: Kind, cpu: &[f64]) -> Row {
    let rates = cpu.iter().map(|cpu| 1e6 / cpu).collect();
    let samples = [("cpu_us", cpu.to_vec()), ("rate", rates)].into_iter().collect();
    Row { contender: kind.name().to_owned(), kind, samples }
}

fn case() -> Case {
    const COLUMNS: &[Column] = &[Column::new("cpu_us", "CPU", 2), Column::new("rate", "req/s", 0)];
    Case {
        suite: "echo",
        name: "64x1024".into(),
        title: "64 connections".into(),
        columns: COLUMNS,
        equal_within: 0.04,
        targets: vec![Target::at_most("cpu_us", 0.85, Kind::Go), Target::at_most("cpu_us", 0.1, Kind::Go)],
        rows: vec![row(Kind::Gopark, &[5.0, 4.0, 6.0]), row(Kind::Go, &[10.0, 10.0, 10.0])],
        notes: vec!["something odd".into()],
    }
}

#[test]
fn the_table_shows_medians_spreads_ratios_and_verdicts() {
    let text = text(&[case()]);
    assert!(text.contains("4.00..6.00"), "{text}");
    assert!(text.contains("200,000"), "{text}");
    assert!(text.contains(" 0.50"), "the ratio to Go: {text}");
    assert!(text.contains("pass  gopark: CPU <= 0.85 x go: 0.500"), "{text}");
    assert!(text.contains("MISS  gopark: CPU <= 0.1 x go"), "{text}");
    assert!(text.contains("note: something odd"), "{text}");
}

#[test]
fn missed_targets_come_last_in_the_summary() {
    let text = summary(&[case()]);
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in {text}"));
    assert!(place("pass") < place("MISS"));
    assert!(text.contains("2 targets: 1 passed, 0 equal to the limit within the noise, 1 missed"), "{text}");
}

#[test]
fn raw_values_are_kept_round_by_round() {
    let raw = csv(&[case()]);
    assert!(raw.contains("echo,64x1024,gopark,cpu_us,2,4\n"), "{raw}");
    assert_eq!(raw.lines().count(), 1 + 2 * 2 * 3);
}

#[test]
fn thousands_are_set_apart() {
    assert_eq!(grouped("1234567.25"), "1,234,567.25");
    assert_eq!(grouped("123"), "123");
    assert_eq!(grouped("-1000"), "-1,000");
}

#[test]
fn a_micro_suite_is_one_table_with_a_line_for_each_operation() {
    const COLUMNS: &[Column] = &[Column::new("ns", "ns", 1)];
    let row = |kind: Kind, ns: f64| Row {
        contender: kind.name().to_owned(),
        kind,
        samples: [("ns", vec![ns])].into_iter().collect(),
    };
    let mut case = case();
    case.suite = "micro";
    case.title = "yield".into();
    case.columns = COLUMNS;
    case.targets = vec![Target::at_most("ns", 0.6, Kind::Go)];
    case.rows = vec![row(Kind::Gopark, 25.0), row(Kind::Go, 66.0)];
    let text = text(&[case]);
    let line = text.lines().find(|line| line.contains("yield")).expect("a line for it");
    for part in ["25.0", "66.0", "0.38", "<= 0.6 x go", "pass"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}
