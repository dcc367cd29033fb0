use core::{
    fmt,
    ops::{Deref, DerefMut},
};

/// At most `N` values, in place: what a [`crate::Binding`] holds more than one of.
#[derive(Clone, Copy)]
pub struct List<T, const N: usize> {
    length: u16,
    values: [T; N],
}

/// Bytes of a bounded length.
pub type Bytes<const N: usize> = List<u8, N>;

/// UTF-8 of a bounded length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const N: usize>(Bytes<N>);

/// The value does not fit: the list holds `capacity` values at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many values fit.
    pub capacity: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} fit", self.capacity)
    }
}

impl core::error::Error for Full {}

impl<T: Copy, const N: usize> List<T, N> {
    /// An empty list; `fill` is the value of the places that are not used yet.
    pub const fn new(fill: T) -> Self {
        assert!(N <= u16::MAX as usize);
        Self {
            length: 0,
            values: [fill; N],
        }
    }

    /// Adds a value behind the others. Errors: [`Full`] when `N` values are there already.
    pub fn push(&mut self, value: T) -> Result<(), Full> {
        let place = self
            .values
            .get_mut(usize::from(self.length))
            .ok_or(Full { capacity: N })?;
        *place = value;
        self.length += 1;
        Ok(())
    }

    /// Keeps the first `length` values; all when there are no more. Then nothing is written, not even where it lies.
    pub fn truncate(&mut self, length: usize) {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if length < self.length {
            self.length = length;
        }
    }

    /// Adds all of `values`, or none. Errors: [`Full`] when they do not fit.
    pub fn extend_from_slice(&mut self, values: &[T]) -> Result<(), Full> {
        let start = usize::from(self.length);
        let end = start + values.len();
        if end == start {
            return Ok(());
        }
        self.values
            .get_mut(start..end)
            .ok_or(Full { capacity: N })?
            .copy_from_slice(values);
        self.length = end as u16;
        Ok(())
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..usize::from(self.length)]
    }
}

impl<T, const N: usize> DerefMut for List<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..usize::from(self.length)]
    }
}

impl<T: PartialEq, const N: usize> PartialEq for List<T, N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq, const N: usize> Eq for List<T, N> {}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<const N: usize> Text<N> {
    /// The empty text, which stands for "not set".
    pub const EMPTY: Self = Self(List::new(0));

    /// Errors: [`Full`] when `text` is longer than `N` bytes.
    pub fn new(text: &str) -> Result<Self, Full> {
        let mut bytes = List::new(0);
        bytes.extend_from_slice(text.as_bytes())?;
        Ok(Self(bytes))
    }

    /// Puts `text` in the place of this one. Errors: [`Full`] when it is longer than `N` bytes; then it is empty.
    pub fn replace(&mut self, text: &str) -> Result<(), Full> {
        self.0.truncate(0);
        self.0.extend_from_slice(text.as_bytes())
    }

    /// The bytes of the text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
