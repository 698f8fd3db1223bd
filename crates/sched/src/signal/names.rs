//! The names of signals.

use std::fmt;

use gopark_sys::signal::{SIGNAL_MAX, numbers};

/// A signal of the operating system.
///
/// Shown by `{:?}` as its name, "SIGINT", and by `{}` as Go describes it, "interrupt".
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

/// Name, number, and Go's text.
macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $number:expr, $text:literal;)*) => {
        impl Signal {
            $($(#[$doc])* pub const $name: Signal = Signal($number);)*
        }

        const NAMES: &[(Signal, &str, &str)] = &[$((Signal::$name, stringify!($name), $text)),*];
    };
}

signals! {
    /// The terminal has gone, or whoever looks after the process wants it to read its configuration again.
    SIGHUP = numbers::SIGHUP, "hangup";
    /// Ctrl-C.
    SIGINT = numbers::SIGINT, "interrupt";
    /// Ctrl-\.
    SIGQUIT = numbers::SIGQUIT, "quit";
    /// By `abort`; the process ends all the same when that was called.
    SIGABRT = numbers::SIGABRT, "aborted";
    /// Cannot be caught.
    SIGKILL = numbers::SIGKILL, "killed";
    /// By an access to memory. Cannot be caught.
    SIGSEGV = numbers::SIGSEGV, "segmentation fault";
    /// By an access to memory. Cannot be caught.
    SIGBUS = numbers::SIGBUS, "bus error";
    /// By arithmetic. Cannot be caught.
    SIGFPE = numbers::SIGFPE, "floating point exception";
    /// By an instruction. Cannot be caught.
    SIGILL = numbers::SIGILL, "illegal instruction";
    /// By a debugger. Cannot be caught.
    SIGTRAP = numbers::SIGTRAP, "trace/breakpoint trap";
    /// For the program's own use.
    SIGUSR1 = numbers::SIGUSR1, "user defined signal 1";
    /// For the program's own use.
    SIGUSR2 = numbers::SIGUSR2, "user defined signal 2";
    /// A write to a pipe or socket that nobody reads. Rust programs ignore it.
    SIGPIPE = numbers::SIGPIPE, "broken pipe";
    /// By `alarm`.
    SIGALRM = numbers::SIGALRM, "alarm clock";
    /// Please end.
    SIGTERM = numbers::SIGTERM, "terminated";
    /// A child has ended or stopped.
    SIGCHLD = numbers::SIGCHLD, "child exited";
    /// Go on after a stop.
    SIGCONT = numbers::SIGCONT, "continued";
    /// Cannot be caught.
    SIGSTOP = numbers::SIGSTOP, "stopped (signal)";
    /// Ctrl-Z.
    SIGTSTP = numbers::SIGTSTP, "stopped";
    /// A background process reads from the terminal.
    SIGTTIN = numbers::SIGTTIN, "stopped (tty input)";
    /// A background process writes to the terminal.
    SIGTTOU = numbers::SIGTTOU, "stopped (tty output)";
    /// Urgent data on a socket.
    SIGURG = numbers::SIGURG, "urgent I/O condition";
    /// The terminal has another size.
    SIGWINCH = numbers::SIGWINCH, "window changed";
}

impl Signal {
    /// A signal by its number; none if there cannot be one. Whether it can be caught is another question: see
    /// [`notify`](super::notify).
    pub fn from_raw(number: i32) -> Option<Signal> {
        (1..=SIGNAL_MAX).contains(&number).then_some(Signal(number))
    }

    /// Its number.
    pub fn as_raw(self) -> i32 {
        self.0
    }

    pub(super) fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }

    fn known(self) -> Option<&'static (Signal, &'static str, &'static str)> {
        NAMES.iter().find(|(signal, ..)| *signal == self)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some((_, name, _)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some((.., text)) => f.write_str(text),
            None => write!(f, "signal {}", self.0),
        }
    }
}
