use std::collections::HashSet;

use super::*;

#[test]
fn each_number_has_one_entry() {
    let entries: Vec<_> = COMMON.iter().chain(system::TABLE).collect();
    let numbers: HashSet<_> = entries.iter().map(|entry| entry.0).collect();
    assert_eq!(numbers.len(), entries.len());
    assert!(entries.iter().all(|(errno, _, text)| errno.raw() > 0 && !text.is_empty()));
}

/// An independent witness for numbers and texts: glibc words its own as Go does, but for the first letter.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn all_that_the_c_library_knows_is_in_the_tables() {
    for raw in 1..200 {
        let theirs = std::io::Error::from_raw_os_error(raw).to_string();
        let theirs = theirs.rsplit_once(" (os error").unwrap().0.to_lowercase();
        let ours = Errno::from_raw(raw);
        if theirs.starts_with("unknown error") {
            assert_eq!(ours.to_string(), format!("errno {raw}"));
            assert_eq!(format!("{ours:?}"), format!("Errno({raw})"));
        } else if let Some((_, name, text)) = ours.entry() {
            assert_eq!(text.to_lowercase(), theirs, "{name}");
        } else {
            // The one number that is younger than Go's table.
            assert_eq!(theirs, "memory page has hardware error");
        }
    }
}
