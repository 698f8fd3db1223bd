//! The repository's own tasks.
mod bench;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((command, rest)) if command == "bench" => bench::run(rest),
        _ => anyhow::bail!("usage: cargo xtask bench"),
    }
}
