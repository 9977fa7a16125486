//! Keeps the results of long searches for later views.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Results of searches, one of each type.
#[derive(Default)]
pub(super) struct Kept(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Kept {
    /// The kept result, else the result of `search`, which is kept if `is_whole` returns true. A second
    /// thread waits for the first one. A search must not start another search here.
    pub(super) fn get_or_search<T: Any + Send + Sync>(
        &self,
        search: impl FnOnce() -> T,
        is_whole: impl FnOnce() -> bool,
    ) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(&TypeId::of::<T>()).cloned();
        if let Some(Ok(found)) = found.map(Arc::downcast::<T>) {
            return found;
        }
        let found = Arc::new(search());
        if is_whole() {
            let any: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(&found);
            kept.insert(TypeId::of::<T>(), any);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_result_is_searched_for_once() {
        let kept = Kept::default();
        assert_eq!(*kept.get_or_search(|| 1u32, || true), 1);
        assert_eq!(*kept.get_or_search(|| 2u32, || true), 1);
        assert_eq!(*kept.get_or_search(|| 3u64, || true), 3, "a result of another type");
    }

    #[test]
    fn a_result_that_is_not_whole_is_searched_for_again() {
        let kept = Kept::default();
        assert_eq!(*kept.get_or_search(|| 1u32, || false), 1);
        assert_eq!(*kept.get_or_search(|| 2u32, || true), 2);
    }
}
