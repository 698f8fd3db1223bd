//! Queries and answers on the wire. Go: `golang.org/x/net/dns/dnsmessage`.
//!
//! The wire format is the crate `domain`'s, which reads in place and record by record, as Go's does: a record that
//! nobody wants may be malformed. (`hickory-proto` takes a message apart as a whole, and brings some forty crates,
//! Unicode's tables among them, for names that are plain ASCII here.)
//!
//! What a hostile message can cost: a name's pointers all lead backwards, are followed 255 times at most, and give 255
//! bytes at most, so a message of 64 KiB, which has no more than 6,000 records, is read in a few milliseconds.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::name::{Name, NameBuilder, ParsedName};
use domain::base::record::ParsedRecord;
use domain::base::{Message, MessageBuilder, StreamTarget, ToName, Ttl};
use domain::rdata::{A, Aaaa, Cname, Mx as MxData, Ns as NsData, Ptr, Srv as SrvData, Txt};

/// The largest datagram that we say we take: what gets through everywhere (dnsflagday.net/2020).
pub(super) const DATAGRAM_MAX: usize = 1232;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    name: Name<Vec<u8>>,
    pub(super) qtype: Rtype,
}

impl Question {
    /// `None` if `fqdn`, which ends in a dot, has labels that are too long or empty.
    pub(super) fn new(fqdn: &str, qtype: Rtype) -> Option<Question> {
        let mut name = NameBuilder::new_vec();
        let labels = fqdn.strip_suffix('.')?;
        if !labels.is_empty() {
            for label in labels.split('.') {
                if label.is_empty() {
                    return None;
                }
                name.append_label(label.as_bytes()).ok()?;
            }
        }
        Some(Question { name: name.into_name().ok()?, qtype })
    }

    /// The message that asks, its length before it as TCP wants it: [`datagram`] is the same without.
    ///
    /// Go: net/dnsclient_unix.go newRequest
    #[doc(alias = "newRequest")]
    pub(super) fn encode(&self, id: u16, trust_ad: bool, edns: bool) -> Vec<u8> {
        let target = StreamTarget::new_vec();
        let mut builder = MessageBuilder::from_target(target).expect("an empty Vec has room for a header");
        let header = builder.header_mut();
        header.set_id(id);
        header.set_rd(true);
        header.set_ad(trust_ad);
        let mut builder = builder.question();
        builder.push((&self.name, self.qtype, Class::IN)).expect("a name is far shorter than a message");
        let mut builder = builder.additional();
        if edns {
            let opt = builder.opt(|opt| {
                opt.set_udp_payload_size(DATAGRAM_MAX as u16);
                Ok(())
            });
            opt.expect("an option is far shorter than a message");
        }
        builder.finish().as_stream_slice().to_vec()
    }
}

/// The part of [`Question::encode`]'s message that is sent as a datagram.
pub(super) fn datagram(framed: &[u8]) -> &[u8] {
    &framed[2..]
}

/// Why a message is not the answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Rejected {
    /// It is no message, or has no question.
    Malformed,
    /// It answers something else, or nothing: perhaps it is forged.
    NotOurs,
    /// It is ours, and has more than our question.
    Invalid,
}

/// What a server has answered.
#[derive(Debug)]
pub(super) struct Response {
    message: Message<Vec<u8>>,
}

/// The header's code, with the upper bits from EDNS.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Code {
    Success,
    NameError,
    ServerFailure,
    Other,
}

/// What a record says that somebody asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(String),
    Ns(String),
    Ptr(String),
    Mx { preference: u16, exchange: String },
    Srv { priority: u16, weight: u16, port: u16, target: String },
    Txt(Vec<u8>),
}

/// One record of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) owner: String,
    pub(super) data: Data,
}

/// A record cannot be read.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Unreadable;

impl<E: std::error::Error> From<E> for Unreadable {
    fn from(_: E) -> Unreadable {
        Unreadable
    }
}

impl Response {
    /// `octets`, if they answer the query `id` for `question`.
    ///
    /// Go: net/dnsclient_unix.go checkResponse
    #[doc(alias = "checkResponse")]
    pub(super) fn new(octets: Vec<u8>, id: u16, question: &Question) -> Result<Response, Rejected> {
        let message = Message::from_octets(octets).map_err(|_| Rejected::Malformed)?;
        let mut questions = message.question();
        let Some(Ok(asked)) = questions.next() else { return Err(Rejected::Malformed) };
        let header = message.header();
        let is_ours = header.qr()
            && header.id() == id
            && asked.qtype() == question.qtype
            && asked.qclass() == Class::IN
            // In whatever case: a server may write it as it likes.
            && asked.qname().name_eq(&question.name);
        if !is_ours {
            return Err(Rejected::NotOurs);
        }
        if message.header_counts().qdcount() != 1 {
            return Err(Rejected::Invalid);
        }
        Ok(Response { message })
    }

    /// It did not fit into the datagram.
    pub(super) fn is_truncated(&self) -> bool {
        self.message.header().tc()
    }

    pub(super) fn len(&self) -> usize {
        self.message.as_slice().len()
    }

    /// Go: net/dnsclient_unix.go extractExtendedRCode
    #[doc(alias = "extractExtendedRCode")]
    pub(super) fn code(&self) -> Code {
        match self.message.opt_rcode().to_int() {
            code if code == Rcode::NOERROR.to_int().into() => Code::Success,
            code if code == Rcode::NXDOMAIN.to_int().into() => Code::NameError,
            code if code == Rcode::SERVFAIL.to_int().into() => Code::ServerFailure,
            _ => Code::Other,
        }
    }

    /// Whether it says nothing and sends nobody anywhere: no answer, no authority, no recursion, nothing beside it.
    pub(super) fn is_lame(&self) -> Result<bool, Unreadable> {
        let header = self.message.header();
        let has_answer = match self.message.answer()?.next() {
            Some(Err(_)) => return Err(Unreadable),
            answer => answer.is_some(),
        };
        let has_additional =
            self.message.additional().is_ok_and(|mut section| matches!(section.next(), Some(Ok(_))));
        Ok(!has_answer && !header.aa() && !header.ra() && !has_additional)
    }

    /// Whether there is an answer of type `wanted`.
    ///
    /// Go: net/dnsclient_unix.go skipToAnswer
    #[doc(alias = "skipToAnswer")]
    pub(super) fn has_answer(&self, wanted: Rtype) -> Result<bool, Unreadable> {
        for record in self.message.answer()? {
            if record?.rtype() == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The answers of the types in `wanted`, up to one that cannot be read.
    pub(super) fn answers(&self, wanted: &[Rtype]) -> (Vec<Answer>, Result<(), Unreadable>) {
        let mut answers = Vec::new();
        let result = self.read_answers(wanted, &mut answers);
        (answers, result)
    }

    fn read_answers(&self, wanted: &[Rtype], answers: &mut Vec<Answer>) -> Result<(), Unreadable> {
        for record in self.message.answer()? {
            let record = record?;
            if wanted.contains(&record.rtype()) {
                let data = data(&record)?.ok_or(Unreadable)?;
                answers.push(Answer { owner: text(&record.owner())?, data });
            }
        }
        Ok(())
    }

    /// For how long it may be remembered: as long as all of its answers. Zero if there is none.
    pub(super) fn ttl(&self) -> Duration {
        let Ok(section) = self.message.answer() else { return Duration::ZERO };
        let ttls = section.map(|record| record.map_or(Ttl::ZERO, |record| record.ttl()));
        Duration::from_secs(ttls.min().unwrap_or(Ttl::ZERO).as_secs().into())
    }
}

/// `None` for a type that nobody asks for.
fn data(record: &ParsedRecord<'_, Vec<u8>>) -> Result<Option<Data>, Unreadable> {
    Ok(match record.rtype() {
        Rtype::A => record.to_record::<A>()?.map(|record| Data::A(record.data().addr())),
        Rtype::AAAA => record.to_record::<Aaaa>()?.map(|record| Data::Aaaa(record.data().addr())),
        Rtype::CNAME => match record.to_record::<Cname<_>>()? {
            Some(record) => Some(Data::Cname(text(record.data().cname())?)),
            None => None,
        },
        Rtype::NS => match record.to_record::<NsData<_>>()? {
            Some(record) => Some(Data::Ns(text(record.data().nsdname())?)),
            None => None,
        },
        Rtype::PTR => match record.to_record::<Ptr<_>>()? {
            Some(record) => Some(Data::Ptr(text(record.data().ptrdname())?)),
            None => None,
        },
        Rtype::MX => match record.to_record::<MxData<_>>()? {
            Some(record) => {
                let mx = record.data();
                Some(Data::Mx { preference: mx.preference(), exchange: text(mx.exchange())? })
            }
            None => None,
        },
        Rtype::SRV => match record.to_record::<SrvData<_>>()? {
            Some(record) => {
                let srv = record.data();
                let target = text(srv.target())?;
                let (priority, weight, port) = (srv.priority(), srv.weight(), srv.port());
                Some(Data::Srv { priority, weight, port, target })
            }
            None => None,
        },
        // One text, however many pieces it is in: golang/go#27763.
        Rtype::TXT => record.to_record::<Txt<_>>()?.map(|record| Data::Txt(record.data().text())),
        _ => None,
    })
}

/// The name with its dot at the end; as it is, nothing is escaped. A dot within a label is an error: nobody could tell
/// it from the dot between two (golang/go#56246). Bytes that are not UTF-8 are replaced: no host has such a name.
fn text(name: &ParsedName<impl AsRef<[u8]>>) -> Result<String, Unreadable> {
    let mut text = Vec::with_capacity(64);
    for label in name.iter().filter(|label| !label.is_root()) {
        if label.as_slice().contains(&b'.') {
            return Err(Unreadable);
        }
        text.extend_from_slice(label.as_slice());
        text.push(b'.');
    }
    if text.is_empty() {
        text.push(b'.');
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
