//! The order of the sources of names. Go: `net/nss.go`.

use std::collections::HashMap;
use std::io;

use super::watched::Setting;

/// What `/etc/nsswitch.conf` says.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Nsswitch {
    /// Why it, or the rest of it, is not known.
    pub(super) error: Option<NssError>,
    /// The sources of each database, in order.
    pub(super) sources: HashMap<String, Vec<Source>>,
}

/// Why a file of this kind is not known.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum NssError {
    Missing,
    Unreadable,
    NoColon,
    UnclosedBracket,
    InvalidCriteria,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Source {
    /// `files`, `dns`, `mdns4_minimal`.
    pub(super) name: String,
    pub(super) criteria: Vec<Criterion>,
}

/// What to do when the source has given its answer: `[NOTFOUND=return]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Criterion {
    /// There was a `!`.
    pub(super) negate: bool,
    /// In lower case, as the action.
    pub(super) status: String,
    pub(super) action: String,
}

impl Setting for Nsswitch {}

impl Source {
    /// Whether the criteria are what would be without any.
    ///
    /// Go: net/nss.go nssSource.standardCriteria
    #[doc(alias = "standardCriteria")]
    pub(super) fn standard_criteria(&self) -> bool {
        let last = self.criteria.len().saturating_sub(1);
        self.criteria.iter().enumerate().all(|(i, criterion)| criterion.is_standard(i == last))
    }
}

impl Criterion {
    /// Go: net/nss.go nssCriterion.standardStatusAction
    #[doc(alias = "standardStatusAction")]
    fn is_standard(&self, last: bool) -> bool {
        let usual = match self.status.as_str() {
            "success" => "return",
            "notfound" | "unavail" | "tryagain" => "continue",
            _ => return false,
        };
        // After the last one there is nothing to go on with.
        !self.negate && (self.action == usual || (last && self.action == "return"))
    }
}

impl Nsswitch {
    pub(super) fn load(file: io::Result<String>) -> Option<Nsswitch> {
        let failed = |error| Nsswitch { error: Some(error), sources: HashMap::new() };
        Some(match file {
            Ok(text) => Nsswitch::parse(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => failed(NssError::Missing),
            Err(_) => failed(NssError::Unreadable),
        })
    }

    /// Go: net/nss.go parseNSSConf
    #[doc(alias = "parseNSSConf")]
    pub(super) fn parse(text: &str) -> Nsswitch {
        let mut conf = Nsswitch::default();
        for line in text.lines() {
            let line = trim(line.split('#').next().unwrap_or_default());
            if line.is_empty() {
                continue;
            }
            if let Err(error) = conf.parse_line(line) {
                conf.error = Some(error);
                break;
            }
        }
        conf
    }

    fn parse_line(&mut self, line: &str) -> Result<(), NssError> {
        let (database, sources) = line.split_once(':').ok_or(NssError::NoColon)?;
        let mut rest = trim(sources);
        if rest.is_empty() {
            return Ok(());
        }
        // Once a line: the name may be as long as there are many sources.
        let known = self.sources.entry(trim(database).to_owned()).or_default();
        while !rest.is_empty() {
            let (name, after) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = trim(after);
            let mut criteria = Vec::new();
            if let Some(bracket) = rest.strip_prefix('[') {
                let (inside, after) = bracket.split_once(']').ok_or(NssError::UnclosedBracket)?;
                criteria = parse_criteria(inside).ok_or(NssError::InvalidCriteria)?;
                rest = trim(after);
            }
            known.push(Source { name: name.to_owned(), criteria });
        }
        Ok(())
    }
}

/// Go: net/nss.go parseCriteria
#[doc(alias = "parseCriteria")]
fn parse_criteria(text: &str) -> Option<Vec<Criterion>> {
    let fields = text.split([' ', '\t', '\r', '\n']).filter(|field| !field.is_empty());
    let criterion = |field: &str| {
        let rest = field.strip_prefix('!');
        let lower = rest.unwrap_or(field).to_ascii_lowercase();
        let (status, action) = lower.split_once('=').filter(|_| lower.len() >= 3)?;
        Some(Criterion { negate: rest.is_some(), status: status.to_owned(), action: action.to_owned() })
    };
    fields.map(criterion).collect()
}

/// Go: net/parse.go trimSpace
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Nsswitch {
        Nsswitch::parse(text)
    }

    fn source(name: &str, criteria: &[(bool, &str, &str)]) -> Source {
        let criterion = |&(negate, status, action): &(bool, &str, &str)| Criterion {
            negate,
            status: status.to_owned(),
            action: action.to_owned(),
        };
        Source { name: name.to_owned(), criteria: criteria.iter().map(criterion).collect() }
    }

    // Go: net TestParseNSSConf
    #[test]
    fn test_parse_nss_conf() {
        let ab = [source("a", &[]), source("b", &[])];
        for text in
            ["foo: a b", "foo: a b\n", "   foo:a    b    \n", "   foo:a    b#c\n", "   foo:a    b #c \n"]
        {
            let conf = parsed(text);
            assert_eq!((conf.error, conf.sources.len()), (None, 1), "{text:?}");
            assert_eq!(conf.sources["foo"], ab, "{text:?}");
        }
        let conf = parsed("   foo:a    b [!a=b    X=Y ] c#d \n");
        let b = source("b", &[(true, "a", "b"), (false, "x", "y")]);
        assert_eq!(conf.sources["foo"], [source("a", &[]), b, source("c", &[])]);

        let conf = parsed(
            "# a comment\n\npasswd:         compat\nhosts:          files mdns4_minimal [NOTFOUND=return] dns mdns4\n\
             protocols:      db files\nnetgroup:       nis\n",
        );
        assert_eq!(conf.error, None);
        assert_eq!(
            conf.sources["hosts"],
            [
                source("files", &[]),
                source("mdns4_minimal", &[(false, "notfound", "return")]),
                source("dns", &[]),
                source("mdns4", &[]),
            ]
        );
        assert_eq!(conf.sources["protocols"], [source("db", &[]), source("files", &[])]);
        assert_eq!(conf.sources["netgroup"], [source("nis", &[])]);
        assert_eq!(conf.sources.len(), 4);
    }

    #[test]
    fn what_is_wrong_ends_the_reading() {
        for (text, error) in [
            ("hosts files\nhosts: dns", NssError::NoColon),
            ("hosts: files [NOTFOUND=return", NssError::UnclosedBracket),
            ("hosts: files [ab]", NssError::InvalidCriteria),
            ("hosts: files [abcd]", NssError::InvalidCriteria),
            ("hosts: files [!=]", NssError::InvalidCriteria),
        ] {
            assert_eq!(parsed(text).error, Some(error), "{text}");
        }
        let missing = Nsswitch::load(Err(io::ErrorKind::NotFound.into())).unwrap();
        assert_eq!(missing.error, Some(NssError::Missing));
        let locked = Nsswitch::load(Err(io::ErrorKind::PermissionDenied.into())).unwrap();
        assert_eq!(locked.error, Some(NssError::Unreadable));
    }

    #[test]
    fn a_long_line_costs_no_more_than_its_length() {
        let sources = "a ".repeat(1 << 18);
        let start = std::time::Instant::now();
        let conf = parsed(&format!("{}: {sources}", "d".repeat(1 << 18)));
        assert_eq!((conf.error, conf.sources.len()), (None, 1));
        assert_eq!(conf.sources.values().next().unwrap().len(), 1 << 18);
        // In a debug build some 0.1 s; with a copy of the name for each source, 64 GiB, twenty.
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
        assert!(!parsed("empty:\nhosts: files").sources.contains_key("empty"));
    }

    #[test]
    fn the_usual_criteria_are_told_from_others() {
        let is = |criteria: &[(bool, &str, &str)]| source("files", criteria).standard_criteria();
        assert!(is(&[]));
        assert!(is(&[(false, "success", "return"), (false, "notfound", "continue")]));
        assert!(is(&[(false, "notfound", "return")]), "the last one");
        assert!(!is(&[(false, "notfound", "return"), (false, "unavail", "continue")]));
        assert!(!is(&[(true, "success", "return")]));
        assert!(!is(&[(false, "success", "merge")]));
        assert!(!is(&[(false, "odd", "return")]));
    }
}
