use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::BufReader;

/// All commands in `bytes`, read in pieces of `piece`, and how they end: None at a clean end.
fn commands(bytes: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Option<Error>) {
    let mut from = BufReader::with_capacity(piece, bytes);
    let mut command = Command::default();
    let mut all = Vec::new();
    loop {
        match command.read(&mut from) {
            Ok(true) => all.push(command.words().map(<[u8]>::to_vec).collect()),
            Ok(false) => return (all, None),
            Err(e) => return (all, Some(e)),
        }
    }
}

/// A command as clients send it.
fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    array(&mut out, words.len());
    words.iter().for_each(|word| bulk(&mut out, Some(word)));
    out
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn arrays_and_lines_are_commands() {
    let (found, end) =
        commands(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nSET  a b\r\nping\n\r\n*0\r\n*-1\r\n*1\r\n$0\r\n\r\n", 4);
    assert_eq!(found, [words(&["GET", "k"]), words(&["SET", "a", "b"]), words(&["ping"]), words(&[""])]);
    assert!(end.is_none(), "{end:?}");
}

#[test]
fn a_word_that_is_not_there_is_none() {
    let mut command = Command::default();
    assert!(command.read(&mut &b"GET key\r\n"[..]).unwrap());
    assert_eq!((command.word(0), command.word(1)), (Some(&b"GET"[..]), Some(&b"key"[..])));
    assert_eq!(command.word(2), None);
}

#[test]
fn hostile_lengths_are_errors() {
    for (bytes, expected) in [
        (&b"*1025\r\n"[..], "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*1\r\n$8388609\r\n", "invalid bulk length"),
        (b"*1\r\n$9223372036854775807\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$1 \r\n", "invalid bulk length"),
        (b"*1\r\n:1\r\n", "expected '$'"),
        (b"*1\r\n\r\n", "expected '$'"),
        (b"*1\r\n$1\r\nabc", "expected a line end after a bulk string"),
    ] {
        let (found, end) = commands(bytes, 16);
        assert!(found.is_empty());
        match end {
            Some(Error::Protocol(what)) => assert_eq!(what, expected),
            other => panic!("{}: {other:?}", bytes.escape_ascii()),
        }
    }
}

/// Each word is within its bound, all of them are not.
#[test]
fn the_sum_of_the_words_is_bounded() {
    let mut bytes = b"*3\r\n".to_vec();
    bulk(&mut bytes, Some(&vec![b'x'; BYTES_MAX / 2]));
    bulk(&mut bytes, Some(&vec![b'x'; BYTES_MAX / 2]));
    bytes.extend_from_slice(b"$1\r\nx\r\n");
    assert!(matches!(commands(&bytes, 4096).1, Some(Error::Protocol("invalid bulk length"))));
}

#[test]
fn a_line_without_an_end_is_an_error() {
    let long = vec![b'x'; LINE_MAX + 1];
    assert!(matches!(commands(&long, 4096).1, Some(Error::Protocol("too big inline request"))));
    let many = "a ".repeat(WORDS_MAX + 1) + "\r\n";
    assert!(matches!(commands(many.as_bytes(), 4096).1, Some(Error::Protocol("too many words"))));
}

/// Three bytes announce megabytes: nothing is set aside for them.
#[test]
fn what_is_announced_costs_nothing() {
    let mut command = Command::default();
    let Err(Error::Io(e)) = command.read(&mut &b"*1000\r\n$8388608\r\nabc"[..]) else { panic!("cut off") };
    assert_eq!(e.kind(), ErrorKind::UnexpectedEof);
    assert!(command.bytes.capacity() < 1024, "{}", command.bytes.capacity());
}

#[test]
fn the_room_of_a_large_command_is_given_back() {
    let mut bytes = encode(&[vec![b'x'; BYTES_MAX]]);
    bytes.extend_from_slice(b"PING\r\n");
    let (mut from, mut command) = (&bytes[..], Command::default());
    assert!(command.read(&mut from).unwrap());
    assert!(command.read(&mut from).unwrap());
    assert!(command.bytes.capacity() <= KEEP, "{}", command.bytes.capacity());
}

#[test]
fn replies_are_written_as_redis_does() {
    let mut out = Vec::new();
    simple(&mut out, "OK");
    error(&mut out, "ERR two\r\nlines");
    integer(&mut out, 42);
    bulk(&mut out, Some(b"a\r\nb"));
    bulk(&mut out, None);
    array(&mut out, 0);
    assert_eq!(
        out.escape_ascii().to_string(),
        r"+OK\r\n-ERR two  lines\r\n:42\r\n$4\r\na\r\nb\r\n$-1\r\n*0\r\n"
    );
}

proptest! {
    /// Whatever the words hold and wherever the pieces end, what is sent is what is found.
    #[test]
    fn what_is_written_is_read_back(
        all in vec(vec(vec(any::<u8>(), 0..40), 1..6), 0..6),
        piece in 1_usize..40,
    ) {
        let bytes: Vec<u8> = all.iter().flat_map(|command| encode(command)).collect();
        let (found, end) = commands(&bytes, piece);
        prop_assert!(end.is_none(), "{end:?}");
        prop_assert_eq!(found, all);
    }

    /// A stream that is cut off anywhere gives the commands before the cut, and then says what is missing.
    #[test]
    fn a_cut_is_noticed(all in vec(vec(vec(any::<u8>(), 0..20), 1..4), 1..4), cut in any::<prop::sample::Index>()) {
        let encoded: Vec<Vec<u8>> = all.iter().map(|command| encode(command)).collect();
        let bytes = encoded.concat();
        let cut = cut.index(bytes.len());
        let (mut whole, mut before) = (0, 0);
        while before + encoded[whole].len() <= cut {
            before += encoded[whole].len();
            whole += 1;
        }
        let (found, end) = commands(&bytes[..cut], 7);
        prop_assert_eq!(&found, &all[..whole]);
        let at_a_boundary = before == cut;
        prop_assert_eq!(end.is_none(), at_a_boundary, "{:?}", end);
    }

    /// Anything at all: no panic, no more memory than came, and the same whatever the pieces.
    #[test]
    fn noise_does_no_harm(
        bytes in vec(prop_oneof![any::<u8>(), prop::sample::select(b"*$\r\n0123 ".to_vec())], 0..300),
    ) {
        let whole = commands(&bytes, 1000);
        let pieces = commands(&bytes, 1);
        prop_assert_eq!(&whole.0, &pieces.0);
        prop_assert_eq!(format!("{:?}", whole.1), format!("{:?}", pieces.1));
        prop_assert!(whole.0.iter().flatten().map(Vec::len).sum::<usize>() <= bytes.len());
    }
}
