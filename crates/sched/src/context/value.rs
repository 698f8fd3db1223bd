//! The values of a context: a list, the latest first, whose tail belongs to the parents as well.

use std::any::Any;
use std::sync::Arc;

pub(super) struct Value {
    value: Box<dyn Any + Send + Sync>,
    parent: Option<Arc<Value>>,
}

impl Value {
    pub(super) fn new<T: Any + Send + Sync>(parent: Option<Arc<Value>>, value: T) -> Value {
        Value { value: Box::new(value), parent }
    }

    /// The first `T` from `at` on.
    pub(super) fn find<T: Any>(mut at: Option<&Value>) -> Option<&T> {
        while let Some(value) = at {
            if let Some(found) = value.value.downcast_ref() {
                return Some(found);
            }
            at = value.parent.as_deref();
        }
        None
    }
}

/// Not one inside the other: a goroutine's stack is short, and the list may be long.
impl Drop for Value {
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut value| value.parent.take());
        }
    }
}
