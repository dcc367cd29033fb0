//! The functions that a compiler calls without being told to: of C's string.h, as [`program!`](crate::program) exports them.
//!
//! On x86-64 they are the processor's own string instructions, which are quick from some hundred bytes on, and no more is
//! copied here. Elsewhere they go byte by byte, by reads and writes that the compiler does not take for such a copy again.

/// memcpy(3).
///
/// # Safety
/// `from` is readable and `to` writable for `length` bytes, and `to` does not begin within those of `from`.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as the caller says; the direction flag is clear, as the ABI has it.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rcx") length => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    for index in 0..length {
        // SAFETY: the index is within the length.
        unsafe { move_byte(to.wrapping_add(index), from.wrapping_add(index)) };
    }
    to
}

/// memmove(3).
///
/// # Safety
/// `from` is readable and `to` writable for `length` bytes.
#[inline(always)]
pub unsafe fn shift(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= length {
        // SAFETY: a copy from the front overwrites nothing that is still to be read.
        return unsafe { copy(to, from, length) };
    }
    for index in (0..length).rev() {
        // SAFETY: the index is within the length; from the back nothing is overwritten that is still to be read.
        unsafe { move_byte(to.wrapping_add(index), from.wrapping_add(index)) };
    }
    to
}

/// # Safety
/// `from` is readable and `to` writable.
#[inline(always)]
unsafe fn move_byte(to: *mut u8, from: *const u8) {
    // SAFETY: as the caller says.
    let byte = unsafe { from.read_volatile() };
    // SAFETY: the same.
    unsafe { to.write_volatile(byte) };
}

/// memset(3).
///
/// # Safety
/// `to` is writable for `length` bytes.
#[inline(always)]
pub unsafe fn fill(to: *mut u8, value: u8, length: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as the caller says; the direction flag is clear, as the ABI has it.
    unsafe {
        core::arch::asm!(
            "rep stosb",
            inout("rcx") length => _,
            inout("rdi") to => _,
            in("al") value,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    for index in 0..length {
        // SAFETY: the index is within the length.
        unsafe { to.wrapping_add(index).write_volatile(value) };
    }
    to
}

/// strlen(3).
///
/// # Safety
/// `text` is readable up to its first byte of 0.
#[inline(always)]
pub unsafe fn length(text: *const u8) -> usize {
    let mut length = 0;
    loop {
        // SAFETY: the byte of 0 has not come yet.
        let byte = unsafe { text.wrapping_add(length).read_volatile() };
        if byte == 0 {
            return length;
        }
        length += 1;
    }
}

/// memcmp(3).
///
/// # Safety
/// `left` and `right` are readable for `length` bytes.
#[inline(always)]
pub unsafe fn compare(left: *const u8, right: *const u8, length: usize) -> i32 {
    for index in 0..length {
        // SAFETY: the index is within the length.
        let left = unsafe { left.wrapping_add(index).read_volatile() };
        // SAFETY: the same.
        let right = unsafe { right.wrapping_add(index).read_volatile() };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_moved_whole_in_either_direction() {
        for (from, to) in [(0, 3), (3, 0), (2, 2), (0, 8)] {
            let mut bytes: [u8; 16] = core::array::from_fn(|index| index as u8);
            let expected: [u8; 8] = core::array::from_fn(|index| (from + index) as u8);
            let start = bytes.as_mut_ptr();
            let (source, target) = (start.wrapping_add(from), start.wrapping_add(to));
            // SAFETY: both are eight bytes within the array.
            let result = unsafe { shift(target, source, 8) };
            assert_eq!(result, target);
            assert_eq!(bytes[to..to + 8], expected, "{from} to {to}");
        }
    }

    #[test]
    fn no_byte_beyond_the_length_is_written() {
        let mut bytes = [1; 8];
        // SAFETY: the array has that many bytes.
        unsafe { fill(bytes.as_mut_ptr(), 7, 5) };
        assert_eq!(bytes, [7, 7, 7, 7, 7, 1, 1, 1]);
        let mut copied = [0; 8];
        // SAFETY: both arrays have that many bytes.
        unsafe { copy(copied.as_mut_ptr(), bytes.as_ptr(), 6) };
        assert_eq!(copied, [7, 7, 7, 7, 7, 1, 0, 0]);
    }

    #[test]
    fn the_first_byte_that_differs_decides_as_an_unsigned_number() {
        let compared = |left: &[u8; 3], right: &[u8; 3]| {
            // SAFETY: both have three bytes.
            unsafe { compare(left.as_ptr(), right.as_ptr(), 3) }.signum()
        };
        assert_eq!(compared(b"abc", b"abc"), 0);
        assert_eq!(compared(b"abd", b"abc"), 1);
        assert_eq!(compared(b"a\x7fz", b"a\x80a"), -1);
    }

    #[test]
    fn a_text_ends_before_its_zero() {
        // SAFETY: there is a zero.
        assert_eq!(unsafe { length(c"four".as_ptr().cast()) }, 4);
    }
}
