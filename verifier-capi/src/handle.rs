//! Handles of sessions and views for C. They are numbers that look like pointers, and no number is used
//! twice. So a handle that was freed or is of the other kind is reported and not followed.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::pointer::put;
use crate::status::Failure;

/// The open handles of one kind.
pub(crate) struct Table<T>(RwLock<BTreeMap<usize, Arc<T>>>);

/// A type that has handles.
pub(crate) trait Handle: Send + Sync + Sized + 'static {
    /// Its name in messages.
    const KIND: &'static str;

    /// The table of its handles.
    fn table() -> &'static Table<Self>;
}

/// The next handle, of any kind. It is on the page at zero, where nothing is mapped, or far from any
/// allocation, so code that follows it as a pointer fails at once.
static NEXT: AtomicUsize = AtomicUsize::new(0x10);

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }
}

/// The value of a handle. It stays alive while the caller holds it, even if the handle is freed meanwhile.
pub(crate) fn get<T: Handle>(handle: *const T, name: &str) -> Result<Arc<T>, Failure> {
    if handle.is_null() {
        return Err(Failure::argument(format!("{name} is NULL")));
    }
    let open = T::table().0.read().unwrap_or_else(PoisonError::into_inner);
    open.get(&handle.addr()).cloned().ok_or_else(|| Failure::handle(handle, name))
}

/// Creates a value and writes its handle to `to`; writes NULL if it cannot be created.
///
/// # Safety
///
/// As [`put`].
pub(crate) unsafe fn put_new<T: Handle>(
    to: *mut *mut T,
    name: &str,
    make: impl FnOnce() -> Result<T, Failure>,
) -> Result<(), Failure> {
    // First of all: a caller that checks only the handle must not see an old one.
    // SAFETY: the caller's guarantee for `to` is the one that `put` requires.
    unsafe { put(to, ptr::null_mut(), name) }?;
    let made = Arc::new(make()?);
    let handle = NEXT.fetch_add(0x10, Ordering::Relaxed);
    T::table().0.write().unwrap_or_else(PoisonError::into_inner).insert(handle, made);
    // SAFETY: as above.
    unsafe { put(to, ptr::without_provenance_mut(handle), name) }
}

/// Closes a handle; does nothing for NULL.
pub(crate) fn free<T: Handle>(handle: *mut T, name: &str) -> Result<(), Failure> {
    if handle.is_null() {
        return Ok(());
    }
    let mut open = T::table().0.write().unwrap_or_else(PoisonError::into_inner);
    let freed = open.remove(&handle.addr());
    if open.is_empty() {
        // An empty map keeps a node; without it, no memory is left after all handles are freed.
        open.clear();
    }
    drop(open);
    // Dropped without the lock: the session's memory may run the caller's code when it is dropped.
    freed.map(drop).ok_or_else(|| Failure::handle(handle, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing;

    static THINGS: Table<Thing> = Table::new();

    impl Handle for Thing {
        const KIND: &'static str = "thing";

        fn table() -> &'static Table<Self> {
            &THINGS
        }
    }

    #[test]
    fn a_handle_is_given_once() {
        let new = || {
            let mut thing = ptr::null_mut();
            // SAFETY: it is a local variable.
            assert!(unsafe { put_new(&raw mut thing, "thing", || Ok(Thing)) }.is_ok());
            thing
        };
        let first: *mut Thing = new();
        assert!(get(first, "thing").is_ok());
        let held = get(first, "thing");
        assert!(free(first, "thing").is_ok());
        assert!(held.is_ok(), "a user keeps the value alive");
        assert_ne!(new(), first);
        assert!(get(first, "thing").is_err() && free(first, "thing").is_err());
    }
}
