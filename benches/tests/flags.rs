//! The command lines of the benchmark programs.

use gopark_benches::flags::Flags;

fn words(line: &str) -> impl Iterator<Item = String> {
    line.split_whitespace().map(str::to_owned)
}

#[test]
fn values_are_taken_by_name_and_defaults_fill_the_rest() {
    let mut flags = Flags::parse(words("--conns 64 --seconds 1.5")).expect("well formed");
    assert_eq!(flags.take("conns", 1), 64);
    assert_eq!(flags.take("size", 1024), 1024);
    assert_eq!(flags.take_opt::<f64>("seconds"), Some(1.5));
    assert_eq!(flags.take_opt::<f64>("warmup"), None);
    flags.finish();
}

#[test]
fn a_malformed_line_is_refused_with_the_reason() {
    assert!(Flags::parse(words("conns 64")).expect_err("no dashes").contains("expected a flag"));
    assert!(Flags::parse(words("--conns")).expect_err("no value").contains("needs a value"));
    assert!(Flags::parse(words("--conns 1 --conns 2")).expect_err("twice").contains("given twice"));
}
