//! Handles: the numbers that C holds for sessions and views. They look like pointers. None is given twice,
//! so a handle that was freed, or is of the other kind, is reported and never followed.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::pointer::put;
use crate::status::Failure;

/// The handles that are open, of one kind.
pub(crate) struct Table<T>(RwLock<BTreeMap<usize, Arc<T>>>);

/// A type that C holds by a handle.
pub(crate) trait Handle: Send + Sync + Sized + 'static {
    /// Its name in messages.
    const KIND: &'static str;

    /// Where its handles are.
    fn table() -> &'static Table<Self>;
}

/// The next handle, of any kind. It is on the page at zero, where nothing is mapped, or far from
/// any allocation: a program that follows one fails at once.
static NEXT: AtomicUsize = AtomicUsize::new(0x10);

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }
}

/// The value of a handle. It lives as long as the result is held, even if the handle is freed in the
/// meantime.
pub(crate) fn get<T: Handle>(handle: *const T, name: &str) -> Result<Arc<T>, Failure> {
    if handle.is_null() {
        return Err(Failure::argument(format!("{name} is NULL")));
    }
    let open = T::table().0.read().unwrap_or_else(PoisonError::into_inner);
    open.get(&handle.addr()).cloned().ok_or_else(|| not_open(handle, name))
}

/// Makes a value and writes its handle to the caller's pointer; NULL if it cannot be made.
///
/// # Safety
///
/// As [`put`].
pub(crate) unsafe fn put_new<T: Handle>(
    to: *mut *mut T,
    name: &str,
    make: impl FnOnce() -> Result<T, Failure>,
) -> Result<(), Failure> {
    // This comes before anything is made: a caller that checks only the handle must not see an old one.
    // SAFETY: the caller guarantees `to` is the one that `put` asks for.
    unsafe { put(to, ptr::null_mut(), name) }?;
    let made = Arc::new(make()?);
    let handle = NEXT.fetch_add(0x10, Ordering::Relaxed);
    T::table().0.write().unwrap_or_else(PoisonError::into_inner).insert(handle, made);
    // SAFETY: as above.
    unsafe { put(to, ptr::without_provenance_mut(handle), name) }
}

/// Closes a handle; NULL is ignored.
pub(crate) fn free<T: Handle>(handle: *mut T, name: &str) -> Result<(), Failure> {
    if handle.is_null() {
        return Ok(());
    }
    let mut open = T::table().0.write().unwrap_or_else(PoisonError::into_inner);
    let freed = open.remove(&handle.addr());
    if open.is_empty() {
        // An empty map keeps a node; a program that has freed all must not find memory of this library.
        open.clear();
    }
    drop(open);
    // Dropped after the lock is released: a session's memory may run the caller's code when it ends.
    freed.map(drop).ok_or_else(|| not_open(handle, name))
}

fn not_open<T: Handle>(handle: *const T, name: &str) -> Failure {
    let kind = T::KIND;
    Failure::handle(format!(
        "{name} is {handle:p}, which is not an open {kind}: freed already, or something else"
    ))
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
        assert!(held.is_ok(), "a value in use stays");
        assert_ne!(new(), first);
        assert!(get(first, "thing").is_err() && free(first, "thing").is_err());
    }
}
