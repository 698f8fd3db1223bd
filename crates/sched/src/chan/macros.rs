//! The macro `select!`.

/// Waits for the first of several channel operations that can go on, and does that one.
///
/// | case | is chosen when |
/// | --- | --- |
/// | `recv(rx) -> msg => ...` | there is a value, or the channel is closed |
/// | `send(tx, value) -> res => ...` | a receiver waits, or there is room, or the channel is closed |
/// | `send_from(tx, &mut slot) -> res => ...` | as `send`; never while the slot, an `Option<T>`, is empty |
/// | `default => ...` | no other is ready |
/// | `after(duration) => ...` | no other was ready in that time |
///
/// `msg` is a pattern for the `Result<T, RecvError>` that `recv` would have returned, `res` for the
/// `Result<(), SendError<T>>` of `send`.
///
/// If several are ready, one is drawn by lot, each with the same chance. Channels, values and the duration are
/// evaluated once, in the order in which they stand, before anything else happens. A pattern must be irrefutable, so
/// bind the result and match it. The branches are expressions of the same type; after a block no comma is needed. They
/// are outside of whatever the macro does: `return`, `break`, `continue` and `?` work in them, and the channels are not
/// borrowed any more.
///
/// The value of a `send` that is not chosen is dropped, as in Go. `send_from` leaves it where it is; a slot that is
/// empty leaves out its case, which is what one uses a nil channel for in Go. To leave out a receive use
/// [`chan::never`](crate::chan::never).
///
/// The same channel may stand in several cases, also in a send and a receive: a select does not meet itself. Without
/// any case, `select! {}` waits for ever. At most one `default` or `after`; `default(duration)` is `after(duration)`,
/// as crossbeam-channel writes it.
///
/// Some sixty cases are the most that the compiler's limit of recursion allows; for more, and for a number that is
/// known at run time only, there is [`chan::Select`](crate::chan::Select).
///
/// May block: see the contract of [`Runtime::start`](crate::Runtime::start).
///
/// # Panics
/// With `after`, before the runtime is started.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use gopark_sched::{chan, go, select};
///
/// let _rt = unsafe { gopark_sched::Runtime::start().expect("start") };
/// let (tx, rx) = chan::bounded(0);
/// let (quit, stop) = chan::bounded::<()>(0);
/// go(move || {
///     for i in 0..3 {
///         let _ = tx.send(i);
///     }
///     drop(quit);
/// });
/// loop {
///     select! {
///         recv(rx) -> msg => match msg {
///             Ok(i) => println!("{i}"),
///             Err(_) => break,
///         },
///         recv(stop) -> _ => break,
///         after(Duration::from_secs(1)) => println!("nothing for a second"),
///     }
/// }
/// ```
///
/// Go: the statement `select`
#[macro_export]
macro_rules! select {
    () => { $crate::chan::__select::forever() };

    (@cases [] [($wait:expr) ($none:expr)]) => {{
        $crate::chan::__select::run([], $wait);
        $none
    }};
    // All cases are read: [type arguments variable result pattern body]..., how long, and what if none. The arguments
    // are evaluated where nothing is expected of their types; a reference to a reference to a channel will do.
    (@cases [$([$New:ident ($args:expr) $c:ident $r:ident ($p:pat) ($body:expr)])*] [($wait:expr) ($none:expr)]) => {{
        let ($($r,)*) = match ($($args,)* $wait,) {
            ($($c,)* wait,) => {
                $(let mut $c = $crate::chan::__select::$New::new($c.0, $c.1);)*
                $crate::chan::__select::run([$($c.case()),*], wait);
                ($($c.finish(),)*)
            }
        };
        $(if let ::std::option::Option::Some(result) = $r { let $p = result; $body } else)* { $none }
    }};
    (@cases $done:tt []) => {
        $crate::select!(@cases $done
            [($crate::chan::__select::always()) ($crate::chan::__select::none_chosen())])
    };

    // One more case: what it is made from comes first, then its pattern and body are split off.
    (@cases $done:tt $wait:tt recv($rx:expr $(,)?) -> $($rest:tt)*) => {
        $crate::select!(@body $done $wait Receiving (&$rx, ()) $($rest)*)
    };
    (@cases $done:tt $wait:tt send($tx:expr, $value:expr $(,)?) -> $($rest:tt)*) => {
        $crate::select!(@body $done $wait Sending (&$tx, $value) $($rest)*)
    };
    (@cases $done:tt $wait:tt send_from($tx:expr, $slot:expr $(,)?) -> $($rest:tt)*) => {
        $crate::select!(@body $done $wait SendingFrom (&$tx, $slot) $($rest)*)
    };
    (@body [$($done:tt)*] $wait:tt $New:ident $args:tt $p:pat => $body:expr, $($rest:tt)*) => {
        $crate::select!(@cases [$($done)* [$New ($args) case result ($p) ($body)]] $wait $($rest)*)
    };
    (@body [$($done:tt)*] $wait:tt $New:ident $args:tt $p:pat => $body:expr) => {
        $crate::select!(@cases [$($done)* [$New ($args) case result ($p) ($body)]] $wait)
    };
    (@body [$($done:tt)*] $wait:tt $New:ident $args:tt $p:pat => $body:block $($rest:tt)*) => {
        $crate::select!(@cases [$($done)* [$New ($args) case result ($p) ($body)]] $wait $($rest)*)
    };

    (@cases $done:tt [] default => $($rest:tt)*) => {
        $crate::select!(@none $done ($crate::chan::__select::now()) $($rest)*)
    };
    (@cases $done:tt [] default() => $($rest:tt)*) => {
        $crate::select!(@none $done ($crate::chan::__select::now()) $($rest)*)
    };
    (@cases $done:tt [] default($d:expr $(,)?) => $($rest:tt)*) => {
        $crate::select!(@none $done ($crate::chan::__select::after($d)) $($rest)*)
    };
    (@cases $done:tt [] after($d:expr $(,)?) => $($rest:tt)*) => {
        $crate::select!(@none $done ($crate::chan::__select::after($d)) $($rest)*)
    };
    (@none $done:tt ($wait:expr) $body:expr, $($rest:tt)*) => {
        $crate::select!(@cases $done [($wait) ($body)] $($rest)*)
    };
    (@none $done:tt ($wait:expr) $body:expr) => {
        $crate::select!(@cases $done [($wait) ($body)])
    };
    (@none $done:tt ($wait:expr) $body:block $($rest:tt)*) => {
        $crate::select!(@cases $done [($wait) ($body)] $($rest)*)
    };

    (@cases $done:tt [$($wait:tt)+] default $($rest:tt)*) => {
        ::std::compile_error!("select!: more than one `default` or `after`")
    };
    (@cases $done:tt [$($wait:tt)+] after $($rest:tt)*) => {
        ::std::compile_error!("select!: more than one `default` or `after`")
    };
    (@$state:ident $($rest:tt)*) => {
        ::std::compile_error!(
            "select!: expected `recv(rx) -> msg => ..`, `send(tx, value) -> res => ..`, \
             `send_from(tx, &mut slot) -> res => ..`, `default => ..` or `after(duration) => ..`, \
             with a comma after each that is not a block"
        )
    };

    ($($cases:tt)+) => { $crate::select!(@cases [] [] $($cases)+) };
}
