//! What can go wrong with a channel; names and meaning as in crossbeam-channel.

use std::error::Error;
use std::fmt;

/// The value could not be sent: the channel is closed. It is in here.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Nothing was received, and nothing will be: the channel is closed and empty.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct RecvError;

/// The value could not be sent at once. It is in here.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel is full; one without capacity: no receiver is waiting.
    Full(T),
    /// The channel is closed.
    Disconnected(T),
}

/// Nothing was received at once.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum TryRecvError {
    /// The channel is empty; one without capacity: no sender is waiting.
    Empty,
    /// The channel is closed and empty.
    Disconnected,
}

/// The value could not be sent in time. It is in here.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The time was up.
    Timeout(T),
    /// The channel is closed.
    Disconnected(T),
}

/// Nothing was received in time.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum RecvTimeoutError {
    /// The time was up.
    Timeout,
    /// The channel is closed and empty.
    Disconnected,
}

/// [`Select::try_select`](super::Select::try_select) found no case ready.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TrySelectError;

/// No case of a select was ready in time.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct SelectTimeoutError;

impl<T> SendError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(value) | TrySendError::Disconnected(value) => value,
        }
    }

    /// Whether the channel was full.
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Whether the channel was closed.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Disconnected(_))
    }
}

impl TryRecvError {
    /// Whether the channel was empty, but open.
    pub fn is_empty(&self) -> bool {
        matches!(self, TryRecvError::Empty)
    }

    /// Whether the channel was closed and empty.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TryRecvError::Disconnected)
    }
}

impl<T> SendTimeoutError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(value) | SendTimeoutError::Disconnected(value) => value,
        }
    }

    /// Whether the time was up.
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }

    /// Whether the channel was closed.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendTimeoutError::Disconnected(_))
    }
}

impl RecvTimeoutError {
    /// Whether the time was up.
    pub fn is_timeout(&self) -> bool {
        matches!(self, RecvTimeoutError::Timeout)
    }

    /// Whether the channel was closed and empty.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, RecvTimeoutError::Disconnected)
    }
}

const FULL: &str = "send: the channel is full";
const SEND_TIMEOUT: &str = "send: the time was up before a receiver or room came";
const SEND_CLOSED: &str = "send: the channel is closed";
const EMPTY: &str = "receive: the channel is empty";
const RECV_TIMEOUT: &str = "receive: the time was up before a value came";
const RECV_CLOSED: &str = "receive: the channel is closed and empty";
const NOT_READY: &str = "select: no case is ready";
const SELECT_TIMEOUT: &str = "select: the time was up before a case was ready";

/// Display by text, and Debug without the value, which need not have one.
macro_rules! texts {
    ($($name:ident $(<$t:ident>)? { $($pattern:pat => $text:ident,)* })*) => { $(
        impl $(<$t>)? fmt::Display for $name $(<$t>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($pattern => $text,)* })
            }
        }

        impl $(<$t>)? Error for $name $(<$t>)? {}
    )* };
}

texts! {
    SendError<T> { SendError(_) => SEND_CLOSED, }
    RecvError { RecvError => RECV_CLOSED, }
    TrySendError<T> {
        TrySendError::Full(_) => FULL,
        TrySendError::Disconnected(_) => SEND_CLOSED,
    }
    TryRecvError {
        TryRecvError::Empty => EMPTY,
        TryRecvError::Disconnected => RECV_CLOSED,
    }
    SendTimeoutError<T> {
        SendTimeoutError::Timeout(_) => SEND_TIMEOUT,
        SendTimeoutError::Disconnected(_) => SEND_CLOSED,
    }
    RecvTimeoutError {
        RecvTimeoutError::Timeout => RECV_TIMEOUT,
        RecvTimeoutError::Disconnected => RECV_CLOSED,
    }
    TrySelectError { TrySelectError => NOT_READY, }
    SelectTimeoutError { SelectTimeoutError => SELECT_TIMEOUT, }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full(..)" } else { "Disconnected(..)" })
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_timeout() { "Timeout(..)" } else { "Disconnected(..)" })
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(err: SendError<T>) -> TrySendError<T> {
        TrySendError::Disconnected(err.0)
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(err: SendError<T>) -> SendTimeoutError<T> {
        SendTimeoutError::Disconnected(err.0)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(_: RecvError) -> TryRecvError {
        TryRecvError::Disconnected
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(_: RecvError) -> RecvTimeoutError {
        RecvTimeoutError::Disconnected
    }
}
