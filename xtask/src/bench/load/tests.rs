use super::*;

#[test]
fn the_line_of_the_load_generator_is_understood() {
    let line = concat!(
        r#"{"requests":1000,"begin_ns":5000000000,"end_ns":7000000000,"p50_us":10.5,"p99_us":20,"p999_us":30,"#,
        r#""max_us":40,"slowest_tenth":0.9,"client_cpu_ns":1,"server_cpu_ns":5000000,"#,
        r#""server_threads":{"7":4000000,"8":1000000}}"#
    );
    let outcome = parse(line).expect("well formed");
    assert_eq!(outcome.rate(), 500.0);
    assert_eq!(outcome.cpu_us(), 5.0);
    assert_eq!(outcome.p50_us, 10.5);
    assert_eq!(outcome.server_threads, [(7, 0.004), (8, 0.001)]);
}

#[test]
fn a_line_that_lacks_something_is_refused_by_name() {
    let error = parse(r#"{"requests":1}"#).expect_err("nothing else in it");
    assert!(error.to_string().contains("begin_ns"), "{error}");
}
