//! Command lines of the form `--name value`, as every program of the benchmarks takes them.
//!
//! Hand-written instead of a library because the peers include this file too, and a peer should link nothing but
//! what it measures.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// The `--name value` pairs of a command line; a program takes out the ones it knows, then calls [`Flags::finish`].
#[derive(Debug, Default)]
pub struct Flags {
    values: BTreeMap<String, String>,
}

impl Flags {
    /// Reads the process' own command line; ends the process with a message when it is not `--name value` pairs.
    pub fn from_env() -> Flags {
        Flags::parse(std::env::args().skip(1)).unwrap_or_else(|message| refuse(&message))
    }

    /// Reads `--name value` pairs.
    ///
    /// # Errors
    /// A message when a word stands where a flag is expected, a flag has no value, or one is given twice.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Flags, String> {
        let mut values = BTreeMap::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                return Err(format!("expected a flag such as --addr, found {word:?}"));
            };
            let Some(value) = words.next() else {
                return Err(format!("--{name} needs a value"));
            };
            if values.insert(name.to_owned(), value).is_some() {
                return Err(format!("--{name} is given twice"));
            }
        }
        Ok(Flags { values })
    }

    /// Takes a flag out, or `default` when it was not given; ends the process when its value does not parse.
    pub fn take<T>(&mut self, name: &str, default: T) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.values.remove(name) {
            None => default,
            Some(value) => match value.parse() {
                Ok(parsed) => parsed,
                Err(error) => refuse(&format!("--{name} {value}: {error}")),
            },
        }
    }

    /// Takes a flag out if it was given; ends the process when its value does not parse.
    pub fn take_opt<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.values.contains_key(name).then(|| {
            let value = self.values.remove(name).unwrap_or_default();
            value.parse().unwrap_or_else(|error| refuse(&format!("--{name} {value}: {error}")))
        })
    }

    /// Ends the process when a flag is left that nobody took: a misspelt one must not silently change a measurement.
    pub fn finish(self) {
        if let Some(name) = self.values.keys().next() {
            refuse(&format!("unknown flag --{name}"));
        }
    }
}

fn refuse(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(2)
}
