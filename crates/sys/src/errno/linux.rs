//! The errors that only Linux has.

use std::fmt;

use super::{Entry, Errno};

/// Of a number that no table has: as Go prints it.
pub(super) fn display(errno: Errno, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "errno {}", errno.raw())
}

errnos! {
    ENOSTR "device not a stream"
    ENODATA "no data available"
    ETIME "timer expired"
    ENOSR "out of streams resources"
    ECHRNG "channel number out of range"
    EL2NSYNC "level 2 not synchronized"
    EL3HLT "level 3 halted"
    EL3RST "level 3 reset"
    ELNRNG "link number out of range"
    EUNATCH "protocol driver not attached"
    ENOCSI "no CSI structure available"
    EL2HLT "level 2 halted"
    EBADE "invalid exchange"
    EBADR "invalid request descriptor"
    EXFULL "exchange full"
    ENOANO "no anode"
    EBADRQC "invalid request code"
    EBADSLT "invalid slot"
    EBFONT "bad font file format"
    ENONET "machine is not on the network"
    ENOPKG "package not installed"
    EADV "advertise error"
    ESRMNT "srmount error"
    ECOMM "communication error on send"
    EDOTDOT "RFS specific error"
    ENOTUNIQ "name not unique on network"
    EBADFD "file descriptor in bad state"
    EREMCHG "remote address changed"
    ELIBACC "can not access a needed shared library"
    ELIBBAD "accessing a corrupted shared library"
    ELIBSCN ".lib section in a.out corrupted"
    ELIBMAX "attempting to link in too many shared libraries"
    ELIBEXEC "cannot exec a shared library directly"
    ERESTART "interrupted system call should be restarted"
    ESTRPIPE "streams pipe error"
    EUCLEAN "structure needs cleaning"
    ENOTNAM "not a XENIX named type file"
    ENAVAIL "no XENIX semaphores available"
    EISNAM "is a named type file"
    EREMOTEIO "remote I/O error"
    ENOMEDIUM "no medium found"
    EMEDIUMTYPE "wrong medium type"
    ENOKEY "required key not available"
    EKEYEXPIRED "key has expired"
    EKEYREVOKED "key has been revoked"
    EKEYREJECTED "key was rejected by service"
    ERFKILL "operation not possible due to RF-kill"
}
