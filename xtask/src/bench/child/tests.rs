use super::*;

fn shell(script: &str) -> Running {
    let cpu = (0..CpuSet::MAX_CPU)
        .find(|cpu| rustix::thread::sched_getaffinity(None).expect("own affinity").is_set(*cpu))
        .expect("a core to run on");
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Running::start(command, "sh", Cpus { load: cpu, server: cpu }, Place::Both).expect("a shell starts")
}

#[test]
fn the_rest_of_the_awaited_line_is_returned_and_others_are_kept() {
    let mut child = shell("echo one; echo two 2; read x; echo three");
    assert_eq!(child.wait_for("two ", START_MAX).expect("it says so"), "2");
    child.close_stdin();
    assert_eq!(child.output(START_MAX).expect("it ends well"), ["one", "two 2", "three"]);
}

#[test]
fn a_child_that_ends_early_or_fails_is_an_error() {
    let error = shell("exit 3").wait_for("listening ", START_MAX).expect_err("it says nothing");
    assert!(error.to_string().contains("ended before"), "{error}");
    assert!(shell("exit 3").output(START_MAX).is_err());
}

#[test]
fn a_child_past_its_time_is_killed() {
    let child = shell("exec sleep 100");
    let pid = child.pid();
    let error = child.output(Duration::from_millis(50)).expect_err("it sleeps on");
    assert!(error.to_string().contains("did not end"), "{error}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it is gone and waited for");
}

#[test]
fn the_callers_own_affinity_is_left_as_it_was() {
    let before = rustix::thread::sched_getaffinity(None).expect("own affinity");
    drop(shell("true"));
    assert_eq!(rustix::thread::sched_getaffinity(None).expect("own affinity"), before);
}
