//! Backtraces: return addresses written down where they are wanted, names looked up elsewhere and later.
//!
//! Writing down needs some kilobytes of stack, no allocation and no lock of ours; it goes by the unwind tables, which
//! every build on these systems has, frame pointers or not. Names need debug information, files and a lot of both stack
//! and time.
//!
//! Ways not taken: walking frame pointers from the saved registers of a parked goroutine would touch nothing, but
//! Rust code has frame pointers only if the user builds it so, and what stands in the register otherwise is anything.
//! Reading the unwind tables ourselves from the saved registers (gimli, framehop) is a second unwinder beside the one
//! that is in the program anyway.
//!
//! # Safety
//! The unwinder reads its own thread's stack only. Who passes a range of addresses bounds the walk, nothing else.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::fmt;

/// The most frames that are written down. Go: tracebackInnerFrames and tracebackOuterFrames, 50 each.
const FRAMES_MAX: usize = 100;

/// The stack that writing down may take, in bytes: where less is left it is not done. The unwinder takes about 4 KiB,
/// and what the dynamic linker does at its first use as much again.
const ROOM: usize = 32 * 1024;

/// The return addresses of one stack, innermost first.
#[derive(Clone)]
#[repr(align(8))]
pub struct Frames {
    addresses: [usize; FRAMES_MAX],
    len: usize,
    /// There were more than [`FRAMES_MAX`].
    cut: bool,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames::new()
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.addresses()).finish()
    }
}

impl Frames {
    /// Room for the frames of a stack.
    pub const fn new() -> Frames {
        Frames { addresses: [0; FRAMES_MAX], len: 0, cut: false }
    }

    /// What was written down.
    pub fn addresses(&self) -> &[usize] {
        &self.addresses[..self.len]
    }

    /// Whether there were more.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Writes down the frames of the caller, whose stack is from `bottom` up to `base`; none if there is not enough of
    /// it left to do so.
    #[inline(never)]
    pub fn capture(&mut self, bottom: usize, base: usize) {
        (self.len, self.cut) = (0, false);
        let mark = 0_u8;
        let here = std::ptr::from_ref(&mark).addr();
        if here < bottom.saturating_add(ROOM) || here > base {
            return;
        }
        // SAFETY: what must be synchronized is Windows' library, which this crate has nothing to do with.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                // Elsewhere are the frames of whoever resumed us.
                if !(bottom..=base).contains(&frame.sp().addr()) {
                    return false;
                }
                if self.len == FRAMES_MAX {
                    self.cut = true;
                    return false;
                }
                self.addresses[self.len] = frame.ip().addr();
                self.len += 1;
                true
            });
        }
    }
}

/// What the debug information says of an address: one for each function that was inlined there, innermost first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Symbol {
    /// The function, demangled, without a hash.
    pub function: Option<String>,
    /// Its source file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
}

/// Looks up a return address. Needs up to a hundred kilobytes of stack, and the first time tens of milliseconds: not on
/// a goroutine.
pub fn resolve(address: usize) -> Vec<Symbol> {
    let mut found = Vec::new();
    backtrace::resolve(std::ptr::without_provenance_mut::<c_void>(address), |symbol| {
        found.push(Symbol {
            // The alternate form leaves the hash out.
            function: symbol.name().map(|name| format!("{name:#}")),
            file: symbol.filename().map(|path| path.display().to_string()),
            line: symbol.lineno(),
        });
    });
    found
}

/// The program or library that `address` is in, and how far from its beginning: what addr2line(1) wants.
pub fn module_of(address: usize) -> Option<(String, usize)> {
    // SAFETY: a zeroed Dl_info is null pointers.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: the address is looked up, not read; info is a valid place to write to.
    let found = unsafe { libc::dladdr(std::ptr::without_provenance(address), &mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr(3) gives the name of a loaded object, which ends in zero.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some((name.to_string_lossy().into_owned(), address.wrapping_sub(info.dli_fbase.addr())))
}
