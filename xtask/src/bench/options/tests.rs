use super::*;

fn parse(line: &str) -> Result<Options> {
    Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn nothing_said_means_suite_echo_with_the_default_build() {
    let options = parse("").expect("an empty line is fine");
    assert_eq!(options.suites, [Suite::Echo]);
    assert_eq!(options.variants, [Variant::default()]);
    assert_eq!((options.rounds, options.measure), (5, Duration::from_secs(3)));
    assert_eq!(options.variants[0].name(), "gopark");
    assert_eq!(options.variants[0].rustflags(), "");
}

#[test]
fn pollers_and_run_queues_are_crossed() {
    let options = parse("echo --netpoll mio --netpoll epoll --runq deque").expect("well formed");
    let names: Vec<String> = options.variants.iter().map(Variant::name).collect();
    assert_eq!(names, ["gopark-mio-deque", "gopark-epoll-deque"]);
    assert_eq!(options.variants[1].rustflags(), "--cfg netpoll=\"epoll\" --cfg runq=\"deque\"");
}

#[test]
fn all_names_every_suite() {
    assert_eq!(parse("all --rounds 2").expect("well formed").suites, Suite::ALL);
}

#[test]
fn only_restricts_the_contenders() {
    let options = parse("--only gopark,go").expect("well formed");
    assert!(options.wants("go") && options.wants("gopark") && !options.wants("tokio"));
}

#[test]
fn what_is_wrong_is_named() {
    assert!(parse("ecko").expect_err("no such suite").to_string().contains("`ecko`"));
    assert!(parse("--netpoll kqueue").expect_err("no such poller").to_string().contains("`kqueue`"));
    assert!(parse("--rounds").expect_err("no value").to_string().contains("--rounds needs a value"));
    assert!(parse("--rounds 0").is_err());
    assert!(parse("--seconds -1").is_err());
}
