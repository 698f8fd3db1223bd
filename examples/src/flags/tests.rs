use super::Flags;
use std::time::Duration;

fn flags(line: &str) -> Flags {
    Flags::new(line.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn both_spellings_of_a_value_are_taken() {
    let mut f = flags("--addr 1:2 --procs=3 --quiet rest");
    assert_eq!(f.text("--addr"), Ok(Some("1:2".to_owned())));
    assert_eq!(f.number("--procs", 1..=8), Ok(Some(3)));
    assert!(f.switch("--quiet"));
    assert!(!f.switch("--quiet"));
    assert_eq!(f.word().as_deref(), Some("rest"));
    assert_eq!(f.finish(), Ok(()));
}

#[test]
fn an_absent_flag_is_none() {
    let mut f = flags("");
    assert_eq!(f.text("--addr"), Ok(None));
    assert_eq!(f.seconds("--idle", 30), Ok(Some(Duration::from_secs(30))));
    assert_eq!(f.word(), None);
}

#[test]
fn zero_seconds_mean_no_limit() {
    assert_eq!(flags("--idle 0").seconds("--idle", 30), Ok(None));
}

#[test]
fn what_is_wrong_is_said() {
    assert!(flags("--addr").text("--addr").unwrap_err().contains("needs a value"));
    assert!(flags("--addr --quiet").text("--addr").unwrap_err().contains("needs a value"));
    assert!(flags("--a 1 --a 2").text("--a").unwrap_err().contains("twice"));
    for bad in ["--n 0", "--n 9", "--n -1", "--n x", "--n=", "--n 99999999999999999999"] {
        assert!(flags(bad).number("--n", 1..=8).unwrap_err().contains("from 1 to 8"), "{bad}");
    }
    assert!(flags("--unknown").finish().unwrap_err().contains("--unknown"));
}
