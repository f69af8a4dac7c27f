//! How what several tasks share is locked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic while it was held leaves maps and books that are still whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
