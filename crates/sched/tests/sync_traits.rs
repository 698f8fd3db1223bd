//! What of `sync` may go to another thread, or be used from several: checked by the compiler, and by asking.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;

use gopark_sched::sync::*;

/// An inherent constant is found before the trait's, where it applies.
trait No {
    const SEND: bool = false;
    const SYNC: bool = false;
}

struct AskSend<T: ?Sized>(PhantomData<T>);
impl<T: ?Sized> No for AskSend<T> {}
impl<T: ?Sized + Send> AskSend<T> {
    const SEND: bool = true;
}

struct AskSync<T: ?Sized>(PhantomData<T>);
impl<T: ?Sized> No for AskSync<T> {}
impl<T: ?Sized + Sync> AskSync<T> {
    const SYNC: bool = true;
}

macro_rules! assert_auto {
    ($($ty:ty: $send:literal $sync:literal;)*) => { $(
        const _: () = assert!(<AskSend<$ty>>::SEND == $send, "Send");
        const _: () = assert!(<AskSync<$ty>>::SYNC == $sync, "Sync");
    )* };
}

/// `Send`, not `Sync`.
type Local = Cell<u8>;
/// Neither.
type Bound = Rc<u8>;

assert_auto! {
    Mutex<u8>: true true;
    Mutex<Local>: true true;
    Mutex<Bound>: false false;
    MutexGuard<'static, u8>: true true;
    MutexGuard<'static, Local>: true false;
    MutexGuard<'static, Bound>: false false;
    MappedMutexGuard<'static, u8>: true true;
    ArcMutexGuard<u8>: true true;
    ArcMutexGuard<Local>: true false;
    RwLock<u8>: true true;
    RwLock<Local>: true false;
    RwLock<Bound>: false false;
    RwLockReadGuard<'static, u8>: true true;
    RwLockReadGuard<'static, Local>: false false;
    RwLockWriteGuard<'static, u8>: true true;
    RwLockUpgradableReadGuard<'static, u8>: true true;
    ArcRwLockReadGuard<u8>: true true;
    Condvar: true true;
    WaitGroup: true true;
    WaitGroupTask: true true;
    Once: true true;
    OnceLock<u8>: true true;
    OnceLock<Local>: true false;
    OnceLock<Bound>: false false;
    LazyLock<u8>: true true;
    LazyLock<Local>: true false;
    Semaphore: true true;
    SemaphorePermit<'static>: true true;
    ArcSemaphorePermit: true true;
    Barrier: true true;
    Pool<u8>: true true;
    Pool<Local>: true true;
    Pool<Bound>: false false;
    Pooled<'static, u8>: true true;
    Pooled<'static, Local>: true false;
}

#[test]
fn all_can_be_statics() {
    static MUTEX: Mutex<u8> = Mutex::new(1);
    static RWLOCK: RwLock<u8> = RwLock::new(1);
    static CONDVAR: Condvar = Condvar::new();
    static ONCE: Once = Once::new();
    static CELL: OnceLock<u8> = OnceLock::new();
    static LAZY: LazyLock<u8> = LazyLock::new(|| 1);
    static SEMAPHORE: Semaphore = Semaphore::new(1);
    static BARRIER: Barrier = Barrier::new(1);
    static POOL: Pool<u8> = Pool::new(|| 1);
    static BUFFERS: Pool<Vec<u8>> = Pool::buffers(16);
    ONCE.call_once(|| {});
    let sum = *MUTEX.lock() + *RWLOCK.read() + *CELL.get_or_init(|| 1) + *LAZY + POOL.take();
    assert_eq!(sum, 5);
    assert!(!CONDVAR.notify_one() && BARRIER.wait().is_leader() && BUFFERS.get().is_empty());
    assert_eq!(SEMAPHORE.acquire(1).count(), 1);
}

#[test]
fn sizes_are_known() {
    use std::mem::size_of;
    assert_eq!((size_of::<RawMutex>(), size_of::<RawRwLock>()), (32, 120));
}
