//! Systems whose further errors have no table here: the C library's text, in lower case as Go's are.

use std::fmt;

use super::{Entry, Errno};

/// None beyond the common ones.
pub(super) const TABLE: &[Entry] = &[];

/// The C library's text, which std follows by the number in parentheses.
pub(super) fn display(errno: Errno, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = std::io::Error::from_raw_os_error(errno.raw()).to_string();
    let text = text.rsplit_once(" (os error").map_or(text.as_str(), |(text, _)| text);
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // A first word in capitals is a name ("RPC ...") and stays.
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            write!(f, "{}{}", first.to_lowercase(), chars.as_str())
        }
        _ => f.write_str(text),
    }
}
