//! `--name value` command lines. Hand-written: the examples need four kinds of flag, and show gopark, not a parser.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The words of a command line. A program takes out the flags it knows, then calls [`Flags::finish`].
pub struct Flags {
    words: Vec<String>,
}

/// The longest a timeout can be: a year, in seconds.
const SECONDS_MAX: u64 = 365 * 24 * 60 * 60;

impl Flags {
    /// Wraps the words after the program's name.
    pub fn new(words: Vec<String>) -> Flags {
        Flags { words }
    }

    /// Takes out `--name VALUE` or `--name=VALUE`; None if it is not there.
    ///
    /// # Errors
    /// The value is missing, or the flag is given twice.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        let mut found = None;
        while let Some(i) = self.words.iter().position(|w| is_flag(w, name)) {
            let word = self.words.remove(i);
            let value = match word.split_once('=') {
                Some((_, value)) => value.to_owned(),
                None if i < self.words.len() && !self.words[i].starts_with("--") => self.words.remove(i),
                None => return Err(format!("{name} needs a value (see --help)")),
            };
            if found.replace(value).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        Ok(found)
    }

    /// Takes out `--name N` with N in `range`; None if it is not there.
    ///
    /// # Errors
    /// As [`Flags::text`]; or the value is not a number, or not in the range.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, String> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        match value.parse() {
            Ok(n) if range.contains(&n) => Ok(Some(n)),
            _ => Err(format!("{name} {value}: not a number from {} to {}", range.start(), range.end())),
        }
    }

    /// Takes out `--name SECONDS`; zero means no limit, `default_s` is used if the flag is not there.
    ///
    /// # Errors
    /// As [`Flags::number`].
    pub fn seconds(&mut self, name: &str, default_s: u64) -> Result<Option<Duration>, String> {
        let seconds = self.number(name, 0..=SECONDS_MAX)?.unwrap_or(default_s);
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }

    /// Takes out `--name`; true if it was there.
    pub fn switch(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|w| w != name);
        self.words.len() < before
    }

    /// Takes out the first word that is not a flag. Call it after the flags that have values.
    pub fn word(&mut self) -> Option<String> {
        let i = self.words.iter().position(|w| !w.starts_with("--"))?;
        Some(self.words.remove(i))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// A word that no flag took.
    pub fn finish(self) -> Result<(), String> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(format!("unknown argument `{word}` (see --help)")),
        }
    }
}

/// True for `--name` and `--name=VALUE`.
fn is_flag(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

#[cfg(test)]
mod tests;
