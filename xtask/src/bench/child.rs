//! Child processes that cannot outlive a benchmark: killed by their process id when dropped, by the kernel when this
//! process dies (each asks for that itself), and waited for with a time limit everywhere.

use anyhow::{Context, Result, bail};
use rustix::thread::CpuSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a program may take to say its first line.
const START_MAX: Duration = Duration::from_secs(20);

/// The two cores that everything runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    /// The load's core when pinned.
    pub(crate) load: usize,
    /// The server's core when pinned.
    pub(crate) server: usize,
}

/// Where a child may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One core for itself.
    Core(usize),
    /// Both cores, wherever the kernel likes.
    Both,
}

impl Cpus {
    /// The first two cores this process may use.
    ///
    /// # Errors
    /// There is only one: the load would take its time from the server's.
    pub(crate) fn of_this_machine() -> Result<Cpus> {
        let allowed = rustix::thread::sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        match (cores.next(), cores.next()) {
            (Some(load), Some(server)) => Ok(Cpus { load, server }),
            _ => bail!("the benchmarks need two cores: one for the server, one for the load"),
        }
    }

    fn set(self, place: Place) -> CpuSet {
        let mut set = CpuSet::new();
        match place {
            Place::Core(cpu) => set.set(cpu),
            Place::Both => {
                set.set(self.load);
                set.set(self.server);
            }
        }
        set
    }
}

/// Raises this process' descriptor limit as far as it goes; children inherit it.
pub(crate) fn raise_descriptor_limit() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

/// A running child and the lines it prints.
pub(crate) struct Running {
    child: Child,
    name: String,
    lines: Receiver<String>,
    /// Lines already received.
    seen: Vec<String>,
}

impl Running {
    /// Starts `command` on the given cores; `name` is for messages.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn start(mut command: Command, name: &str, cpus: Cpus, place: Place) -> Result<Running> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = {
            // A child inherits the affinity of the thread that starts it: no `taskset`, no code between fork and exec.
            let before = rustix::thread::sched_getaffinity(None)?;
            rustix::thread::sched_setaffinity(None, &cpus.set(place))?;
            let child = command.spawn();
            rustix::thread::sched_setaffinity(None, &before)?;
            child.with_context(|| format!("cannot start {command:?}"))?
        };
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(|line| line.ok()) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Running { child, name: name.to_owned(), lines, seen: Vec::new() })
    }

    /// Starts an echo server and waits until it listens.
    ///
    /// # Errors
    /// It cannot be started, ends, or does not say `listening ADDR` in time.
    pub(crate) fn server(
        command: Command,
        name: &str,
        cpus: Cpus,
        place: Place,
    ) -> Result<(Running, SocketAddr)> {
        let mut server = Running::start(command, name, cpus, place)?;
        let line = server.wait_for("listening ", START_MAX)?;
        let addr = line.parse().with_context(|| format!("{name} listens on {line:?}"))?;
        Ok((server, addr))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that begins with `prefix`; returns the rest of it.
    ///
    /// # Errors
    /// The child ended or the time passed before such a line came.
    pub(crate) fn wait_for(&mut self, prefix: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let rest = line.strip_prefix(prefix).map(str::to_owned);
                    self.seen.push(line);
                    if let Some(rest) = rest {
                        return Ok(rest);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{} did not print `{prefix}...` within {limit:?}", self.name)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{} ended before it printed `{prefix}...`: {}", self.name, self.child.wait()?)
                }
            }
        }
    }

    /// All lines printed so far.
    pub(crate) fn lines(&mut self) -> &[String] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }

    /// Lets the child see the end of its standard input: the sign to go on for those that wait there.
    pub(crate) fn close_stdin(&mut self) {
        drop::<Option<ChildStdin>>(self.child.stdin.take());
    }

    /// Waits for the child to end by itself; returns all it printed.
    ///
    /// # Errors
    /// It failed, or had not ended within `limit` and was killed.
    pub(crate) fn output(mut self, limit: Duration) -> Result<Vec<String>> {
        let end = Instant::now() + limit;
        // Blocking on its output instead of asking for its status again and again leaves the cores to the measured.
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => bail!("{} did not end within {limit:?}", self.name),
            }
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{}: {status}", self.name);
        }
        Ok(std::mem::take(&mut self.seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the child is already gone and waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests;
