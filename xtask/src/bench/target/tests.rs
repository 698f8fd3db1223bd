use super::*;
use crate::bench::measure::Column;

fn row(kind: Kind, value: f64) -> Row {
    let samples = [("cpu", vec![value])].into_iter().collect();
    Row { contender: kind.name().to_owned(), kind, samples }
}

fn case(targets: Vec<Target>, rows: Vec<Row>) -> Case {
    const COLUMNS: &[Column] = &[Column::new("cpu", "CPU", 2)];
    Case {
        suite: "test",
        name: "case".into(),
        title: String::new(),
        columns: COLUMNS,
        equal_within: 0.04,
        targets,
        rows,
        notes: Vec::new(),
    }
}

#[test]
fn a_ratio_passes_counts_as_equal_or_misses() {
    for (own, expected) in [(1.03, Grade::Pass), (1.06, Grade::Equal), (1.08, Grade::Miss)] {
        let targets = vec![Target::at_most("cpu", 1.03, Kind::Tokio)];
        let found = case(targets, vec![row(Kind::Gopark, own), row(Kind::Tokio, 1.0)]).verdicts();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].grade, expected, "{own}");
        assert_eq!(found[0].wanted, "CPU <= 1.03 x tokio");
    }
}

#[test]
fn at_least_is_judged_from_the_other_side() {
    assert_eq!(grade(4.1, Bound::AtLeast, 4.0, 0.04), Grade::Pass);
    assert_eq!(grade(3.9, Bound::AtLeast, 4.0, 0.04), Grade::Equal);
    assert_eq!(grade(3.0, Bound::AtLeast, 4.0, 0.04), Grade::Miss);
}

#[test]
fn nothing_counts_as_equal_to_an_absolute_limit() {
    let targets = vec![Target::absolute("cpu", Bound::AtMost, 0.1)];
    assert_eq!(case(targets, vec![row(Kind::Gopark, 0.101)]).verdicts()[0].grade, Grade::Miss);
}

#[test]
fn without_the_peer_there_is_no_verdict_and_peers_are_not_judged() {
    let targets = vec![Target::at_most("cpu", 1.0, Kind::Go)];
    assert!(case(targets.clone(), vec![row(Kind::Gopark, 1.0)]).verdicts().is_empty());
    assert!(case(targets, vec![row(Kind::Tokio, 1.0), row(Kind::Go, 1.0)]).verdicts().is_empty());
}
