//! Queues of goroutines.
//!
//! Arrays, not lists linked through the goroutines as in Go: a header lies on the page of its own stack, and each of
//! them that a queue has to touch is a miss in the cache and in the TLB. An array grows now and then; what is used at
//! every turn is kept by its owner and keeps its room.

use std::collections::VecDeque;

use crate::g::G;

/// A first-in first-out queue of goroutines.
///
/// Go: runtime/proc.go gQueue
pub(crate) type GQueue = VecDeque<&'static G>;

/// Dead goroutines, the most recently used last.
///
/// Go: runtime/proc.go gList
pub(crate) type GList = Vec<&'static G>;
