//! `goroutine_local!`: variables of which every goroutine has its own.
//!
//! What `thread_local!` is to threads. A thread-local must not be held across a call that may block, since the
//! goroutine may go on on another thread; one of these may: the value is in memory that belongs to the goroutine, and
//! no address of a thread-local is involved once it was found.
//!
//! A goroutine that uses one has a table, found through its header, with an entry for each variable that it has used,
//! by the number that the variable was given when it was first used by anybody. On a plain thread the table hangs on a
//! word of the thread (`gopark_sys::tls`).
//!
//! # Safety
//! A table belongs to one goroutine or thread, and only that touches it. A value is in an allocation of its own and
//! stays there until the owner ends; so a reference to it is good while the table grows.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::g::G;
use crate::newproc::{catch, discard};

/// Numbers that variables have been given. 0 means none yet.
static LAST: AtomicUsize = AtomicUsize::new(0);

/// A variable of which every goroutine, and every plain thread, has its own. Made by [`goroutine_local!`].
///
/// [`goroutine_local!`]: crate::goroutine_local
pub struct GoroutineLocal<T: 'static> {
    init: fn() -> T,
    /// Its number; 0: it has none yet. Set once.
    number: AtomicUsize,
    value: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for GoroutineLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GoroutineLocal { .. }")
    }
}

/// The goroutine or thread is ending, and the variable's value was dropped already.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the goroutine-local was dropped already: its goroutine is ending")
    }
}

impl std::error::Error for AccessError {}

/// Declares variables of which every goroutine has its own, as `std::thread_local!` does for threads.
///
/// A value is made when its goroutine first uses it, and dropped at the end of the goroutine, on the goroutine, in the
/// opposite order; a destructor may park. A value on a plain thread ends with the thread.
///
/// # Examples
/// ```no_run
/// use std::cell::Cell;
///
/// gopark_sched::goroutine_local! {
///     static DEPTH: Cell<u32> = Cell::new(0);
/// }
///
/// DEPTH.set(DEPTH.get() + 1);
/// gopark_sched::sleep(std::time::Duration::from_millis(1)); // perhaps on another thread now
/// assert_eq!(DEPTH.get(), 1);
/// ```
#[macro_export]
macro_rules! goroutine_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = const $init:block $(; $($rest:tt)*)?) => {
        $crate::goroutine_local!($(#[$attr])* $vis static $name: $t = $init $(; $($rest)*)?);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$attr])*
        $vis static $name: $crate::local::GoroutineLocal<$t> = {
            fn init() -> $t {
                $init
            }
            $crate::local::GoroutineLocal::new(init)
        };
        $($crate::goroutine_local!($($rest)*);)?
    };
}

/// What a table has for one variable.
#[derive(Copy, Clone)]
enum Entry {
    Absent,
    /// Its initialiser runs.
    Begun,
    Alive(NonNull<()>, unsafe fn(NonNull<()>)),
    Dropped,
}

/// The variables of one goroutine or thread.
struct Table {
    /// By number, less one.
    entries: Vec<Entry>,
    /// Those that are alive, in the order in which they were made.
    alive: Vec<usize>,
}

impl<T: 'static> GoroutineLocal<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> GoroutineLocal<T> {
        GoroutineLocal { init, number: AtomicUsize::new(0), value: PhantomData }
    }

    /// Calls `f` with the value, which is made first if this is the first use. `f` may block.
    ///
    /// # Panics
    /// If the goroutine is ending and the value was dropped already; if the initialiser uses the variable itself, or
    /// panics (the next use tries again).
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(err) => panic!("{err}"),
        }
    }

    /// [`GoroutineLocal::with`], for destructors.
    ///
    /// # Errors
    /// If the goroutine is ending and the value was dropped already.
    ///
    /// # Panics
    /// As [`GoroutineLocal::with`], but for that.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let value = self.value()?;
        // SAFETY: it is this goroutine's, and stays until the goroutine ends, which it does not before f has returned.
        Ok(f(unsafe { value.as_ref() }))
    }

    /// Finds or makes the caller's value.
    #[inline(never)]
    fn value(&'static self) -> Result<NonNull<T>, AccessError> {
        let (table, index) = (table()?, self.index());
        // SAFETY: the caller's own table; no reference into it lives across user code.
        let entry = unsafe { table.as_ref() }.entries.get(index).copied();
        match entry.unwrap_or(Entry::Absent) {
            Entry::Alive(value, _) => Ok(value.cast()),
            Entry::Dropped => Err(AccessError),
            Entry::Begun => panic!("the initialiser of a goroutine-local uses it itself"),
            Entry::Absent => Ok(self.make(table, index)),
        }
    }

    #[cold]
    fn make(&'static self, table: NonNull<Table>, index: usize) -> NonNull<T> {
        let undo = Begin::new(table, index);
        let value = Box::leak(Box::new((self.init)()));
        let value = NonNull::from(value);
        std::mem::forget(undo);
        // SAFETY: as in `value`. The initialiser may have parked: the table is the goroutine's, wherever it runs.
        let table = unsafe { &mut *table.as_ptr() };
        table.entries[index] = Entry::Alive(value.cast(), drop_value::<T>);
        table.alive.push(index);
        value
    }

    fn index(&self) -> usize {
        let number = self.number.load(Ordering::Relaxed);
        if number != 0 {
            return number - 1;
        }
        let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        // Who comes second leaves his number unused.
        match self.number.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => fresh - 1,
            Err(number) => number - 1,
        }
    }
}

/// # Safety
/// `value` came from a `Box<T>`, and nobody has it any more.
unsafe fn drop_value<T>(value: NonNull<()>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(value.cast::<T>().as_ptr()) });
}

/// While an initialiser runs. Dropped if it panics.
struct Begin {
    table: NonNull<Table>,
    index: usize,
}

impl Begin {
    fn new(table: NonNull<Table>, index: usize) -> Begin {
        // SAFETY: the caller's own table.
        let entries = unsafe { &mut (*table.as_ptr()).entries };
        if entries.len() <= index {
            entries.resize(index + 1, Entry::Absent);
        }
        entries[index] = Entry::Begun;
        Begin { table, index }
    }
}

impl Drop for Begin {
    fn drop(&mut self) {
        // SAFETY: the caller's own table.
        unsafe { (&mut (*self.table.as_ptr()).entries)[self.index] = Entry::Absent };
    }
}

/// The caller's table, made if need be.
fn table() -> Result<NonNull<Table>, AccessError> {
    if let Some(gp) = crate::m::getg() {
        let table = gp.locals();
        if table.get().is_null() {
            table.set(new_table().cast());
        }
        return NonNull::new(table.get().cast()).ok_or(AccessError);
    }
    if let Some(table) = NonNull::new(gopark_sys::tls::locals().cast()) {
        return Ok(table);
    }
    let table: *mut Table = new_table();
    if gopark_sys::tls::set_locals(table.cast(), end_of_thread) {
        return NonNull::new(table).ok_or(AccessError);
    }
    // SAFETY: made above, and empty.
    drop(unsafe { Box::from_raw(table) });
    Err(AccessError)
}

fn new_table() -> *mut Table {
    Box::into_raw(Box::new(Table { entries: Vec::new(), alive: Vec::new() }))
}

/// Drops the variables of a goroutine that is about to end; on that goroutine.
#[cold]
#[inline(never)]
pub(crate) fn end_of_goroutine(gp: &'static G) {
    let table = gp.locals().get();
    // SAFETY: the goroutine's own.
    unsafe { drop_all(table.cast()) };
    gp.locals().set(ptr::null_mut());
}

/// The same for a thread; what is left by then finds that it comes too late.
fn end_of_thread(table: *mut ()) {
    // SAFETY: `table` put it there; called once.
    unsafe { drop_all(table.cast()) };
}

/// Drops all values, the last made first, those included that destructors make; and the table.
///
/// # Safety
/// The caller's table, which nobody uses afterwards.
unsafe fn drop_all(table: *mut Table) {
    loop {
        // SAFETY: no reference into the table lives across a destructor.
        let table = unsafe { &mut *table };
        let Some(index) = table.alive.pop() else { break };
        let entry = std::mem::replace(&mut table.entries[index], Entry::Dropped);
        if let Entry::Alive(value, drop_value) = entry {
            // SAFETY: the value's own drop function; nobody finds the value any more.
            if let Err(payload) = catch(|| unsafe { drop_value(value) }) {
                discard(payload);
            }
        }
    }
    // SAFETY: from `new_table`.
    drop(unsafe { Box::from_raw(table) });
}

impl<T: 'static> GoroutineLocal<Cell<T>> {
    /// Sets the value. (The initialiser runs first if this is the first use.)
    ///
    /// # Panics
    /// As [`GoroutineLocal::with`].
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// A copy of the value.
    ///
    /// # Panics
    /// As [`GoroutineLocal::with`].
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    /// As [`GoroutineLocal::with`].
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets the value and returns the old one.
    ///
    /// # Panics
    /// As [`GoroutineLocal::with`].
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> GoroutineLocal<RefCell<T>> {
    /// Calls `f` with a reference to the content.
    ///
    /// # Panics
    /// If it is borrowed mutably; as [`GoroutineLocal::with`].
    #[track_caller]
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with a mutable reference to the content.
    ///
    /// # Panics
    /// If it is borrowed; as [`GoroutineLocal::with`].
    #[track_caller]
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the content.
    ///
    /// # Panics
    /// As [`GoroutineLocal::with_borrow_mut`].
    #[track_caller]
    pub fn set(&'static self, value: T) {
        drop(self.replace(value));
    }

    /// Takes the content and leaves the default.
    ///
    /// # Panics
    /// As [`GoroutineLocal::with_borrow_mut`].
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Sets the content and returns the old one.
    ///
    /// # Panics
    /// As [`GoroutineLocal::with_borrow_mut`].
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}
