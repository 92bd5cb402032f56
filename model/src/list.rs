//! A list that lies in place: millions of states are cloned and hashed, and none may allocate.

use std::{fmt, ops::Deref};

/// At most `N` values, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct List<T: Copy + Default, const N: usize> {
    values: [T; N],
    len: u8,
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self { values: [T::default(); N], len: 0 }
    }
}

impl<T: Copy + Default + fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Copy + Default, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..usize::from(self.len)]
    }
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    /// Whether nothing more fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == N
    }

    /// Puts a value at the end; a full list stays as it is, and says so.
    #[must_use]
    pub fn push(&mut self, value: T) -> bool {
        let fits = !self.is_full();
        if fits {
            self.values[usize::from(self.len)] = value;
            self.len += 1;
        }
        fits
    }

    /// Keeps the values for which `keep` says so. What is gone leaves no trace: equal lists hash equally.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let mut kept = Self::default();
        for value in self.iter().filter(|value| keep(value)) {
            let fits = kept.push(*value);
            debug_assert!(fits, "no longer than before");
        }
        *self = kept;
    }

    /// Changes every value.
    pub fn each(&mut self, mut change: impl FnMut(&mut T)) {
        for value in &mut self.values[..usize::from(self.len)] {
            change(value);
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, index: usize) -> Option<T> {
        let value = self.get(index).copied()?;
        let mut kept = Self::default();
        for (at, value) in self.iter().enumerate() {
            if at != index {
                let fits = kept.push(*value);
                debug_assert!(fits, "shorter than before");
            }
        }
        *self = kept;
        Some(value)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn what_was_removed_leaves_no_trace() {
        let mut long = List::<u8, 3>::default();
        assert!(long.push(1) && long.push(2) && long.push(3) && !long.push(4));
        let mut short = List::<u8, 3>::default();
        assert!(short.push(1) && short.push(3));
        assert_eq!(long.remove(1), Some(2));
        assert_eq!(long, short);
        long.retain(|value| *value > 1);
        assert_eq!(&*long, [3]);
    }
}
