//! Tables for people, Markdown for the record, CSV for everything else.

use super::build::Kind;
use super::measure::{Case, Row};
use super::target::{Grade, Verdict};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;

/// Peers that ratios are given against.
const PEERS: [Kind; 5] = [Kind::Base, Kind::Epoll, Kind::Tokio, Kind::May, Kind::Go];

/// Rows of cells, the first row being the heads.
type Grid = Vec<Vec<String>>;

/// The cases of one suite as text for a terminal.
pub(crate) fn text(cases: &[Case]) -> String {
    render(cases, Style::Text)
}

/// Writes the Markdown report to `path`, and the raw values to the same path with `.csv`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(path: &Path, host: &str, cases: &[Case]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let markdown = format!(
        "# gopark and its peers\n\n```text\n{host}\n```\n\nMedians over the rounds.\n{}\n\
         ## Targets\n\n```text\n{}```\n",
        render(cases, Style::Markdown),
        summary(cases)
    );
    std::fs::write(path, markdown).with_context(|| format!("cannot write {}", path.display()))?;
    let raw = path.with_extension("csv");
    std::fs::write(&raw, csv(cases)).with_context(|| format!("cannot write {}", raw.display()))
}

/// Every target with its verdict, the missed ones last so that they are seen.
pub(crate) fn summary(cases: &[Case]) -> String {
    let mut verdicts: Vec<(String, Verdict)> = Vec::new();
    for case in cases {
        let name = format!("{}/{}", case.suite, case.name);
        verdicts.extend(case.verdicts().into_iter().map(|verdict| (name.clone(), verdict)));
    }
    if verdicts.is_empty() {
        return "no target could be judged: gopark or its peers did not run\n".to_owned();
    }
    verdicts.sort_by_key(|(_, verdict)| verdict.grade == Grade::Miss);
    let count = |grade| verdicts.iter().filter(|(_, verdict)| verdict.grade == grade).count();
    let total = format!(
        "{} targets: {} passed, {} equal to the limit within the noise, {} missed\n",
        verdicts.len(),
        count(Grade::Pass),
        count(Grade::Equal),
        count(Grade::Miss)
    );
    let mut grid: Grid = vec![["", "case", "contender", "wanted", "found"].map(str::to_owned).to_vec()];
    for (case, verdict) in &verdicts {
        let Verdict { contender, wanted, found, grade } = verdict;
        grid.push(vec![
            grade.to_string(),
            case.clone(),
            contender.clone(),
            wanted.clone(),
            format!("{found:.3}"),
        ]);
    }
    aligned(&grid) + &total
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Text,
    Markdown,
}

/// A table for each case; suite micro, whose cases have one figure each, becomes a single table.
fn render(cases: &[Case], style: Style) -> String {
    let mut out = String::new();
    let (micro, tables): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.suite == "micro");
    for case in tables {
        let _ = writeln!(out, "\n{}", headline(case, style));
        out.push_str(&table(&grid_of(case), style));
        out.push_str(&remarks(&[case], style));
    }
    if !micro.is_empty() {
        let heading = if style == Style::Markdown { "### " } else { "" };
        let _ = writeln!(out, "\n{heading}micro: nanoseconds for each operation, one P on one core\n");
        out.push_str(&table(&matrix_of(&micro), style));
        out.push_str(&remarks(&micro, style));
    }
    out
}

fn headline(case: &Case, style: Style) -> String {
    let rounds = case.rows.first().and_then(|row| row.samples.values().next()).map_or(0, Vec::len);
    let text = format!("{}/{}: {} ({rounds} rounds)", case.suite, case.name, case.title);
    if style == Style::Markdown { format!("### {text}\n") } else { text }
}

/// One row a contender: its medians, the spread of the first metric, and that metric's ratio to each peer's.
fn grid_of(case: &Case) -> Grid {
    let first = case.columns[0];
    let peers: Vec<Kind> = PEERS.into_iter().filter(|peer| case.row_of(*peer).is_some()).collect();
    let mut heads = vec!["contender".to_owned(), first.title.to_owned(), "min..max".to_owned()];
    heads.extend(case.columns[1..].iter().map(|column| column.title.to_owned()));
    heads.extend(peers.iter().map(|peer| format!("/{}", peer.name())));
    let mut grid = vec![heads];
    for row in &case.rows {
        let mut cells = vec![row.contender.clone(), number(row.median(first.metric), first.decimals)];
        cells.push(spread(row, first.metric, first.decimals));
        cells.extend(
            case.columns[1..].iter().map(|column| number(row.median(column.metric), column.decimals)),
        );
        cells.extend(peers.iter().map(|peer| number(ratio(case, row, *peer), 2)));
        grid.push(cells);
    }
    grid
}

/// One row a case, one column a contender.
fn matrix_of(cases: &[&Case]) -> Grid {
    let mut contenders: Vec<(String, Kind)> = Vec::new();
    for row in cases.iter().flat_map(|case| &case.rows) {
        if !contenders.iter().any(|(name, _)| *name == row.contender) {
            contenders.push((row.contender.clone(), row.kind));
        }
    }
    let mut heads = vec!["what".to_owned()];
    for (name, kind) in &contenders {
        heads.push(name.clone());
        if *kind == Kind::Gopark {
            heads.extend(["min..max", "/tokio", "/go", "wanted", ""].map(str::to_owned));
        }
    }
    let mut grid = vec![heads];
    for case in cases {
        let mut cells = vec![case.title.clone()];
        for (name, kind) in &contenders {
            let row = case.rows.iter().find(|row| row.contender == *name);
            let decimals = case.columns[0].decimals;
            cells.push(number(row.and_then(|row| row.median("ns")), decimals));
            if *kind == Kind::Gopark {
                cells.push(row.map_or("-".to_owned(), |row| spread(row, "ns", decimals)));
                for peer in [Kind::Tokio, Kind::Go] {
                    cells.push(number(row.and_then(|row| ratio(case, row, peer)), 2));
                }
                cells.extend(wanted_of(case, name));
            }
        }
        grid.push(cells);
    }
    grid
}

/// The case's target in short, and how the contender did.
fn wanted_of(case: &Case, contender: &str) -> [String; 2] {
    match case.verdicts().into_iter().find(|verdict| verdict.contender == contender) {
        Some(verdict) => {
            let short = verdict.wanted.split_once(' ').map_or(verdict.wanted.as_str(), |(_, rest)| rest);
            [short.to_owned(), verdict.grade.to_string()]
        }
        None => ["-".to_owned(), String::new()],
    }
}

/// The first metric over the peer's.
fn ratio(case: &Case, row: &Row, peer: Kind) -> Option<f64> {
    let metric = case.columns[0].metric;
    Some(row.median(metric)? / case.row_of(peer)?.median(metric)?)
}

fn number(value: Option<f64>, decimals: usize) -> String {
    match value {
        Some(value) if value.is_finite() => grouped(&format!("{value:.decimals$}")),
        Some(_) | None => "-".to_owned(),
    }
}

fn spread(row: &Row, metric: &str, decimals: usize) -> String {
    row.spread(metric).map_or("-".to_owned(), |(least, most)| {
        format!("{}..{}", number(Some(least), decimals), number(Some(most), decimals))
    })
}

/// `1234567.8` as `1,234,567.8`.
fn grouped(text: &str) -> String {
    let (whole, rest) = text.find('.').map_or((text, ""), |dot| text.split_at(dot));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// Verdicts and notes below a table.
fn remarks(cases: &[&Case], style: Style) -> String {
    let mut out = String::new();
    let bullet = if style == Style::Markdown { "- " } else { "  " };
    for case in cases {
        if case.suite != "micro" {
            for verdict in case.verdicts() {
                let Verdict { contender, wanted, found, grade } = verdict;
                let _ = writeln!(out, "{bullet}{grade:5} {contender}: {wanted}: {found:.3}");
            }
        }
        for note in &case.notes {
            let _ = writeln!(out, "{bullet}note: {note}");
        }
    }
    out
}

fn table(grid: &Grid, style: Style) -> String {
    if style == Style::Text {
        return aligned(grid);
    }
    let mut out = String::new();
    for (index, cells) in grid.iter().enumerate() {
        let _ = writeln!(out, "| {} |", cells.join(" | "));
        if index == 0 {
            let _ = writeln!(out, "|{}", " --- |".repeat(cells.len()));
        }
    }
    out + "\n"
}

/// Columns padded to their widest cell: words to the left, numbers to the right.
fn aligned(grid: &Grid) -> String {
    let columns = grid.iter().map(Vec::len).max().unwrap_or(0);
    let width_of = |column: usize| {
        grid.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width_of).collect();
    let is_text = |column: usize| {
        let cells = grid[1..].iter().filter_map(|cells| cells.get(column));
        cells.clone().any(|cell| cell.starts_with(|c: char| c.is_alphabetic()))
    };
    let texts: Vec<bool> = (0..columns).map(is_text).collect();
    let mut out = String::new();
    for cells in grid {
        let mut line = String::from(" ");
        for (column, cell) in cells.iter().enumerate() {
            let width = widths[column];
            let padded = if texts[column] { format!(" {cell:width$} ") } else { format!(" {cell:>width$} ") };
            line.push_str(&padded);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Every value of every round.
fn csv(cases: &[Case]) -> String {
    let mut out = String::from("suite,case,contender,metric,round,value\n");
    for case in cases {
        for row in &case.rows {
            for (metric, values) in &row.samples {
                for (round, value) in values.iter().enumerate() {
                    let (suite, name, contender) = (case.suite, &case.name, &row.contender);
                    let _ = writeln!(out, "{suite},{name},{contender},{metric},{},{value}", round + 1);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
