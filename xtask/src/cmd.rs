//! Running other programs: with a limit on time, and with what they print kept beside showing it.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The repository's root, from where cargo built this program.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a folder of the repository").to_path_buf()
}

/// Cargo's target folder for builds with other flags, so that the everyday build stays warm.
pub(crate) fn target_dir(name: &str) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
    .join("xtask")
    .join(name)
}

/// `cargo` with `args` (split at spaces), run at the root with no standard input.
pub(crate) fn cargo(args: &str) -> Command {
    let mut cmd = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cmd.args(args.split_whitespace()).current_dir(root()).stdin(Stdio::null());
    // What cargo told this program about its package. Build scripts that watch these (ring's does) would run again
    // whenever cargo is started from here and from a shell in turn.
    let about_us = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_us)) {
        cmd.env_remove(name);
    }
    cmd
}

/// Adds `flags` to whatever RUSTFLAGS the caller's environment has.
pub(crate) fn add_rustflags(cmd: &mut Command, flags: &str) {
    let before = std::env::var("RUSTFLAGS").unwrap_or_default();
    cmd.env("RUSTFLAGS", format!("{before} {flags}").trim());
}

/// True if the program can be started and says it succeeded. Prints nothing.
pub(crate) fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut cmd = Command::new(program);
    cmd.args(args).current_dir(root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    cmd.status().is_ok_and(|s| s.success())
}

/// Runs `cmd` for at most `limit`, showing what it prints; with `log`, both its streams also go, in
/// order, to that file.
pub(crate) fn run(cmd: &mut Command, limit: Duration, log: Option<&Path>) -> Result<()> {
    let shown = show(cmd);
    // At a terminal the child stays in our process group, so that Ctrl-C reaches it too. Without one
    // (CI) it gets a group of its own, so that the limit can end its children as well.
    let own_group = !std::io::stdin().is_terminal();
    if own_group {
        cmd.process_group(0);
    }
    let copier = match log {
        None => None,
        Some(path) => {
            std::fs::create_dir_all(path.parent().expect("a log lies in a folder"))?;
            let mut file = File::create(path).with_context(|| format!("create {}", path.display()))?;
            let (reader, writer) = std::io::pipe()?;
            cmd.stdout(writer.try_clone()?).stderr(writer);
            Some(std::thread::spawn(move || copy_lines(reader, &mut file)))
        }
    };
    let mut child = cmd.spawn().with_context(|| format!("start `{shown}`"))?;
    // The command value holds our ends of the pipe: the reader sees the end only once they are gone.
    cmd.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let status = wait(&mut child, limit, own_group);
    if let Some(copier) = copier {
        copier.join().expect("copying lines does not panic").context("keep the output")?;
    }
    match status? {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("`{shown}` ended with {status}"),
        None => bail!("`{shown}` did not end within {} s and was killed: look for a hang", limit.as_secs()),
    }
}

/// The command as one would type it, for messages.
fn show(cmd: &Command) -> String {
    let words = std::iter::once(cmd.get_program()).chain(cmd.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn copy_lines(reader: impl std::io::Read, file: &mut File) -> std::io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        std::io::stdout().write_all(&line)?;
        file.write_all(&line)?;
    }
}

/// None: the limit passed and the child (with its group, if it has one) was killed.
fn wait(child: &mut Child, limit: Duration, own_group: bool) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            if own_group {
                succeeds("kill", &["-KILL", "--", &format!("-{}", child.id())]);
            }
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20)); // polling a process, not ordering a test
    }
}
