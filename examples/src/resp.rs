//! RESP, the protocol of Redis: commands in, replies out. What a peer announces is never believed: memory grows with
//! what has arrived, up to a bound.
//!
//! A command is an array of strings (`*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`), or, from a person with a terminal, a line of
//! words (`GET k\r\n`).

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};

/// The longest line: an inline command, or the head of an array or a string. Redis has the same bound.
pub const LINE_MAX: usize = 64 << 10;
/// The most words of a command.
pub const WORDS_MAX: usize = 1 << 10;
/// The most bytes in the words of a command.
pub const BYTES_MAX: usize = 8 << 20;
/// Room that a command keeps for the next one; what a larger one took is given back.
const KEEP: usize = 64 << 10;

/// Why there is no next command.
#[derive(Debug)]
pub enum Error {
    /// What came is not RESP, or more than the bounds allow. The text is for the peer.
    Protocol(&'static str),
    /// The connection failed, or ended in the middle of a command.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Protocol(what) => write!(f, "Protocol error: {what}"),
            Error::Io(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Error {
        Error::Io(e)
    }
}

/// The words of a command, one after the other in one buffer that the next command uses again.
#[derive(Debug, Default)]
pub struct Command {
    bytes: Vec<u8>,
    /// Where each word ends in `bytes`.
    ends: Vec<usize>,
    /// Where a line is put while it is read.
    line: Vec<u8>,
}

impl Command {
    /// The words.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.ends.iter().enumerate().map(|(i, &end)| &self.bytes[self.start(i)..end])
    }

    /// Word `i`, if there are so many.
    pub fn word(&self, i: usize) -> Option<&[u8]> {
        let end = *self.ends.get(i)?;
        Some(&self.bytes[self.start(i)..end])
    }

    fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.ends[i - 1] }
    }

    /// Reads the next command. False at the end of the connection, if that is where a command would begin. Empty
    /// lines and empty arrays are passed over, as Redis does.
    ///
    /// # Errors
    /// It is not RESP, or too long; or `from` fails, or ends in the middle.
    pub fn read(&mut self, from: &mut impl BufRead) -> Result<bool, Error> {
        loop {
            self.bytes.clear();
            self.bytes.shrink_to(KEEP);
            self.ends.clear();
            if !self.read_line(from)? {
                return Ok(false);
            }
            match self.line.first() {
                None => {}
                Some(b'*') => self.read_array(from)?,
                Some(_) => self.split_line()?,
            }
            if !self.ends.is_empty() {
                return Ok(true);
            }
        }
    }

    fn read_array(&mut self, from: &mut impl BufRead) -> Result<(), Error> {
        const LENGTH: Error = Error::Protocol("invalid multibulk length");
        let count = number(&self.line[1..]).ok_or(LENGTH)?;
        if count > WORDS_MAX as i64 {
            return Err(LENGTH);
        }
        for _ in 0..count {
            if !self.read_line(from)? {
                return Err(Error::Io(ErrorKind::UnexpectedEof.into()));
            }
            let Some((b'$', digits)) = self.line.split_first() else {
                return Err(Error::Protocol("expected '$'"));
            };
            let length = number(digits).and_then(|n| usize::try_from(n).ok());
            match length {
                Some(length) if length <= BYTES_MAX - self.bytes.len() => self.read_string(from, length)?,
                _ => return Err(Error::Protocol("invalid bulk length")),
            }
        }
        Ok(())
    }

    /// The buffer grows with what comes, not by what was announced: that is `read_to_end`'s way with `take`.
    fn read_string(&mut self, from: &mut impl BufRead, length: usize) -> Result<(), Error> {
        let read = from.take(length as u64).read_to_end(&mut self.bytes)?;
        let mut end = [0; 2];
        if read < length {
            return Err(Error::Io(ErrorKind::UnexpectedEof.into()));
        }
        from.read_exact(&mut end)?;
        if end != *b"\r\n" {
            return Err(Error::Protocol("expected a line end after a bulk string"));
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Words between blanks. Redis knows quotes as well; here a value with blanks needs an array.
    fn split_line(&mut self) -> Result<(), Error> {
        for word in self.line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            if self.ends.len() == WORDS_MAX {
                return Err(Error::Protocol("too many words"));
            }
            self.bytes.extend_from_slice(word);
            self.ends.push(self.bytes.len());
        }
        Ok(())
    }

    /// Reads a line without its end. False at the end of the connection.
    fn read_line(&mut self, from: &mut impl BufRead) -> Result<bool, Error> {
        self.line.clear();
        self.line.shrink_to(KEEP);
        from.take(LINE_MAX as u64).read_until(b'\n', &mut self.line)?;
        if self.line.pop_if(|last| *last == b'\n').is_none() {
            return match self.line.len() {
                0 => Ok(false),
                LINE_MAX => Err(Error::Protocol("too big inline request")),
                _ => Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            };
        }
        self.line.pop_if(|last| *last == b'\r');
        Ok(true)
    }
}

/// A decimal number, all of `digits`.
fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Appends a short text, such as `OK`, which has no line end in it.
pub fn simple(out: &mut Vec<u8>, text: &str) {
    line(out, b'+', text.as_bytes());
}

/// Appends an error; line ends in it become blanks.
pub fn error(out: &mut Vec<u8>, text: &str) {
    let text: Vec<u8> = text.bytes().map(|b| if b == b'\r' || b == b'\n' { b' ' } else { b }).collect();
    line(out, b'-', &text);
}

/// Appends a number.
pub fn integer(out: &mut Vec<u8>, n: u64) {
    line(out, b':', n.to_string().as_bytes());
}

/// Appends a string of any bytes, or Redis's nil.
pub fn bulk(out: &mut Vec<u8>, string: Option<&[u8]>) {
    match string {
        None => line(out, b'$', b"-1"),
        Some(string) => {
            line(out, b'$', string.len().to_string().as_bytes());
            out.extend_from_slice(string);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends the head of an array of `n` replies, which are to follow.
pub fn array(out: &mut Vec<u8>, n: usize) {
    line(out, b'*', n.to_string().as_bytes());
}

fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
