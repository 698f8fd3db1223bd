//! The soak, for two seconds: it runs, finds nothing, and everything is as it was afterwards.

#[test]
fn two_seconds_of_everything() {
    let program = env!("CARGO_BIN_EXE_soak");
    let output = std::process::Command::new(program)
        .args(["--seconds", "2", "--actors", "60", "--seed", "7"])
        .output()
        .expect("the soak starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(out.contains("all is as it was"), "{out}\n{err}");
}
