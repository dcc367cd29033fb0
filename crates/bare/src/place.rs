use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that is there from the start of the program and is taken once. It lies beside the program's other data, where it
/// costs a page when it is written to; on a stack it would lie between what every call below it touches, and be moved there.
///
/// It begins with a page (of 4 KiB), so that what is at its front shares as few as there can be.
#[repr(C, align(4096))]
pub struct Place<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: whoever takes the value is the only one who reaches it, and T may be reached from any thread.
unsafe impl<T: Send> Sync for Place<T> {}

impl<T> Place<T> {
    /// A place that holds `value`.
    pub const fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// The value; `None` to all but the first who asks.
    // The flag is what makes it one.
    #[allow(clippy::mut_from_ref)]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: the flag was unset, which it is for one caller in the life of the program: nobody else has a reference.
        Some(unsafe { &mut *self.value.get() })
    }
}
