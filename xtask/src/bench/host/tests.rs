use super::*;

const BEFORE: (&str, &str) =
    ("cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 1 2 3", "7 (x y) S 1 1 1 0 -1 0 0 0 0 0 10 10 20 20 0 0");

#[test]
fn what_neither_we_nor_our_children_used_is_the_others() {
    let before = Usage::parse(BEFORE.0, BEFORE.1);
    assert_eq!(before, Usage { all: 1200.0, busy: 200.0, stolen: 0.0, own: 60.0 });
    let after =
        Usage::parse("cpu  300 0 200 1690 0 0 0 10 0 0", "7 (x) S 1 1 1 0 -1 0 0 0 0 0 10 20 120 160 0 0");
    let (line, warning) = after.others_since(&before);
    assert_eq!(line, "others   other processes 5.0 %, hypervisor 1.0 %");
    assert!(warning.expect("more than two percent").contains("6.0 %"));
}

#[test]
fn a_quiet_machine_gives_no_warning() {
    let before = Usage::parse(BEFORE.0, BEFORE.1);
    let after =
        Usage::parse("cpu  200 0 100 1900 0 0 0 0 0 0", "7 (x) S 1 1 1 0 -1 0 0 0 0 0 10 10 70 70 0 0");
    assert_eq!(after.others_since(&before).1, None);
}

#[test]
fn the_machine_is_described_on_one_line_each() {
    let text = describe(&Cpus { load: 0, server: 1 });
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.contains("Linux"), "{text}");
}
