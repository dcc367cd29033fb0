//! A program that may lie anywhere puts its own addresses right: what a dynamic linker does for others.
//!
//! It is linked as if it lay at address 0, and the kernel puts it somewhere else each time (address space layout
//! randomization). Wherever an address stands in its data the linker has left a note (ELF, `DT_RELA`); of another kind than
//! "the base and this much" (`R_*_RELATIVE`) there is none in a program without a symbol to look up. When they are right, the
//! pages that hold them (`PT_GNU_RELRO`) are made read-only, so that nobody turns a pointer to code into another.

use crate::end;
use crate::syscall::call;
use linux_raw_sys::elf_uapi::{
    DT_RELA, DT_RELASZ, PT_DYNAMIC, PT_GNU_RELRO, elf64_hdr, elf64_phdr, elf64_rela,
};
use linux_raw_sys::general::{__NR_mprotect, PROT_READ};

#[cfg(target_arch = "x86_64")]
const RELATIVE: u64 = 8;
#[cfg(target_arch = "aarch64")]
const RELATIVE: u64 = 1027;

/// The page size that a linker lays a program out for: that of the processor, or the largest one that it may have.
#[cfg(target_arch = "x86_64")]
const PAGE: usize = 4096;
#[cfg(target_arch = "aarch64")]
const PAGE: usize = 65536;

/// The exit code where a dynamic linker cannot do its work, as a shell's for a program that cannot be run.
const NOT_LINKED: u8 = 127;

/// Puts the addresses right of the program whose ELF header is at `base`.
///
/// Until it has, nothing here may go through a table of addresses: it is loops over plain numbers.
///
/// # Safety
/// `base` is the first byte of the running program, which has one thread, is linked to address 0, and was not relocated yet.
pub unsafe extern "C" fn relocate(base: *mut u8) {
    // SAFETY: the ELF header is the first thing of the first segment.
    let header = unsafe { base.cast::<elf64_hdr>().read() };
    // SAFETY: the program headers are in the same segment.
    let segments = unsafe { base.add(header.e_phoff as usize) }.cast::<elf64_phdr>();
    let mut read_only = (0, 0);
    for index in 0..usize::from(header.e_phnum) {
        // SAFETY: the header says how many there are.
        let segment = unsafe { segments.wrapping_add(index).read() };
        let at = segment.p_vaddr as usize;
        if segment.p_type == PT_DYNAMIC {
            // SAFETY: that is where the segment lies.
            unsafe { follow(base, base.wrapping_add(at).cast()) };
        } else if segment.p_type == PT_GNU_RELRO {
            read_only = (at, at + segment.p_memsz as usize);
        }
    }
    let start = (base.addr() + read_only.0) & !(PAGE - 1);
    let end = (base.addr() + read_only.1) & !(PAGE - 1);
    let length = end.saturating_sub(start);
    let arguments = [start, length, PROT_READ as usize, 0, 0, 0];
    // SAFETY: these pages are the program's own, and nothing is to write to them any more.
    if length > 0 && unsafe { call(__NR_mprotect, arguments) }.is_err() {
        end::exit(NOT_LINKED);
    }
}

/// Follows the notes of the dynamic section: pairs of a tag and a value, the last with the tag 0.
///
/// # Safety
/// As for [`relocate`]; `section` is its dynamic section.
#[inline(always)]
unsafe fn follow(base: *mut u8, section: *const [u64; 2]) {
    let (mut notes, mut size) = (0, 0);
    let mut entry = section;
    loop {
        // SAFETY: the end of the section has not come yet.
        let [tag, value] = unsafe { entry.read() };
        if tag == 0 {
            break;
        } else if tag == u64::from(DT_RELA) {
            notes = value as usize;
        } else if tag == u64::from(DT_RELASZ) {
            size = value as usize;
        }
        // SAFETY: another entry follows this one.
        entry = unsafe { entry.add(1) };
    }
    // SAFETY: the section says where they are.
    let notes = unsafe { base.add(notes) }.cast::<elf64_rela>();
    for index in 0..size / size_of::<elf64_rela>() {
        // SAFETY: and how many bytes they take.
        let note = unsafe { notes.wrapping_add(index).read() };
        if note.r_info != RELATIVE {
            end::exit(NOT_LINKED);
        }
        // SAFETY: the linker has put the note there for this place, which is writable until relocation is over.
        let place = unsafe { base.add(note.r_offset as usize) }.cast::<usize>();
        let address = base.addr().wrapping_add(note.r_addend as usize);
        // SAFETY: the same.
        unsafe { place.write_unaligned(address) };
    }
}
