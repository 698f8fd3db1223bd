//! Which programs the checks need, and what to install where one is missing.

use crate::cmd;
use anyhow::{Result, bail};

/// A program the checks start, and what its absence costs.
struct Tool {
    name: &'static str,
    probe: (&'static str, &'static [&'static str]),
    /// A part of the Rust toolchain that rustup can add, or "".
    component: &'static str,
    required: bool,
    install: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "rustfmt",
        probe: ("cargo", &["fmt", "--version"]),
        component: "rustfmt",
        required: true,
        install: "rustup component add rustfmt (or your distribution's rustfmt package)",
    },
    Tool {
        name: "clippy",
        probe: ("cargo", &["clippy", "--version"]),
        component: "clippy",
        required: true,
        install: "rustup component add clippy (or your distribution's rust-clippy package)",
    },
    Tool {
        name: "python3",
        probe: ("python3", &["--version"]),
        component: "",
        required: false,
        install: "python3 (any 3.8 or newer); without it the tests that drive `echo` from Python skip, loudly",
    },
    Tool {
        name: "curl",
        probe: ("curl", &["--version"]),
        component: "",
        required: false,
        install: "curl; without it the test that drives `proxy` and `hello` with it skips, loudly",
    },
    Tool {
        name: "nc",
        probe: ("sh", &["-c", "command -v nc"]),
        component: "",
        required: false,
        install: "nc (Debian: netcat-openbsd); without it the test that drives `proxy` with it skips, loudly",
    },
    Tool {
        name: "c++",
        probe: ("c++", &["--version"]),
        component: "",
        required: false,
        install: "a C++ compiler (Debian: g++); without it the fuzzer cannot be built, and its step skips, loudly",
    },
    Tool {
        name: "go",
        probe: ("go", &["version"]),
        component: "",
        required: false,
        install: "Go 1.22 or newer; only `cargo xtask bench` against Go needs it, no check does",
    },
];

/// Names every tool; adds what rustup can add; fails if a required one is still missing.
pub(crate) fn check() -> Result<()> {
    let mut missing = Vec::new();
    for tool in TOOLS {
        let found = present(tool) || (added_by_rustup(tool) && present(tool));
        match (found, tool.required) {
            (true, _) => println!("  {:8} found", tool.name),
            (false, false) => println!("  {:8} MISSING (optional): install {}", tool.name, tool.install),
            (false, true) => {
                println!("  {:8} MISSING: install it with: {}", tool.name, tool.install);
                missing.push(tool.name);
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("required tools are missing: {} (the lines above say how to install them)", missing.join(", "))
}

fn present(tool: &Tool) -> bool {
    cmd::succeeds(tool.probe.0, tool.probe.1)
}

fn added_by_rustup(tool: &Tool) -> bool {
    !tool.component.is_empty() && cmd::succeeds("rustup", &["component", "add", tool.component])
}

/// Whether there is what libFuzzer is built with.
pub(crate) fn has_cxx() -> bool {
    cmd::succeeds("c++", &["--version"])
}
