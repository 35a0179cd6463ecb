//! A part of a list: some items, and where the next ones begin.

/// Some items of a list that is ordered by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// In order of their keys.
    pub items: Vec<T>,
    /// The key of the last item, to ask for those after it; `None` if there are no more.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// The first `limit` items of a list; `key` is what the next page is asked for with.
    pub fn take(items: impl Iterator<Item = T>, limit: usize, key: impl Fn(&T) -> K) -> Self {
        let mut items = items;
        let taken: Vec<T> = items.by_ref().take(limit).collect();
        let more = items.next().is_some();
        let next = taken.last().filter(|_| more).map(key);
        Self { items: taken, next }
    }

    /// The same page with something else made of each item.
    pub fn map<U>(self, of: impl FnMut(T) -> U) -> Page<U, K> {
        Page { items: self.items.into_iter().map(of).collect(), next: self.next }
    }
}
