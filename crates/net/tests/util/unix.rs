//! Names of Unix sockets that are free, and go with the test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A path at which there is nothing, in the system's directory for such. What there is when it is dropped is removed.
pub(crate) struct TempName(PathBuf);

impl TempName {
    pub(crate) fn new() -> TempName {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("gopark-{}-{}", std::process::id(), LAST.fetch_add(1, Relaxed));
        TempName(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn str(&self) -> &str {
        self.0.to_str().expect("a path that is a text")
    }
}

impl Drop for TempName {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
