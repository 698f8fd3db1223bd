use super::*;
use std::path::PathBuf;

fn contender(name: &str, kind: Kind) -> Contender {
    Contender {
        kind,
        name: name.to_owned(),
        echo: PathBuf::new(),
        micro: None,
        million: None,
        sched: None,
        net: None,
    }
}

fn case() -> Case {
    Case {
        suite: "test",
        name: "case".into(),
        title: String::new(),
        columns: &[],
        equal_within: 0.0,
        targets: Vec::new(),
        rows: Vec::new(),
        notes: Vec::new(),
    }
}

#[test]
fn the_median_is_the_middle_of_the_sorted_values() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[f64::INFINITY, f64::INFINITY]), Some(f64::INFINITY));
}

#[test]
fn the_order_rotates_from_round_to_round() {
    let contenders = [contender("a", Kind::Gopark), contender("b", Kind::Go), contender("c", Kind::Tokio)];
    let mut order = String::new();
    let mut case = case();
    let failures = case.interleave(&contenders, 3, |contender| {
        order.push_str(&contender.name);
        Ok(vec![("x", order.len() as f64)])
    });
    assert_eq!(failures, 0);
    assert_eq!(order, "abcbcacab");
    assert_eq!(case.row_of(Kind::Go).expect("it ran").samples["x"], [2.0, 4.0, 9.0]);
    assert_eq!(case.rows[0].spread("x"), Some((1.0, 8.0)));
}

#[test]
fn a_contender_that_fails_is_noted_and_left_out_while_the_others_go_on() {
    let contenders = [contender("a", Kind::Gopark), contender("b", Kind::Go)];
    let mut case = case();
    let failures = case.interleave(&contenders, 2, |contender| match contender.name.as_str() {
        "a" => Ok(vec![("x", 1.0)]),
        _ => anyhow::bail!("no such luck"),
    });
    assert_eq!(failures, 1);
    assert_eq!(case.rows.len(), 1);
    assert_eq!(case.rows[0].samples["x"].len(), 2);
    assert_eq!(case.notes, ["b failed in round 1: no such luck"]);
}
