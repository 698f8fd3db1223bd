//! Asking name servers. Go: `net/dnsclient_unix.go`.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use domain::base::iana::Rtype;
use gopark_sched::context::{self, CancelOnDrop, Context, StopFunc};

use super::Inner;
use super::message::{Code, DATAGRAM_MAX, Question, Rejected, Response, Unreadable, datagram};
use super::names::is_domain_name;
use super::random::random_id;
use super::resolv_conf::ResolvConf;
use crate::error::{Cause, DnsError, OpError};
use crate::{Addr, Conn, ContextGuard, Dialer};

/// A connection to a name server, and how messages are marked off on it. For
/// [`ResolverBuilder::dial`](crate::ResolverBuilder::dial).
///
/// # Examples
///
/// ```no_run
/// use gopark_net::{Dialer, DnsConn, Resolver};
///
/// // Whatever server is asked for, ask this one.
/// let resolver = Resolver::builder()
///     .dial(|ctx, network, _server| {
///         let conn = Dialer::new().dial_context(ctx, network, "192.0.2.53:53")?;
///         Ok(if network == "udp" { DnsConn::Datagrams(conn) } else { DnsConn::Stream(conn) })
///     })
///     .build();
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DnsConn {
    /// Each read and write is a message: a connected UDP socket.
    Datagrams(Box<dyn Conn>),
    /// Each message has its length before it: TCP. Whatever network was asked for.
    Stream(Box<dyn Conn>),
}

/// What a resolver dials name servers with.
pub(super) type DialServer = Arc<dyn Fn(&Context, &str, &str) -> io::Result<DnsConn> + Send + Sync>;

/// A message that has what was asked for, and who sent it.
pub(super) struct Found {
    pub(super) response: Arc<Response>,
    pub(super) server: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    Protocol(&'static str),
    /// The server says that it cannot just now.
    Temporary(&'static str),
    /// There is no such name, or nothing of this type: no other server will say otherwise.
    NotFound,
}

pub(super) const NO_SUCH_HOST: &str = "no such host";
pub(super) const CANNOT_UNMARSHAL: &str = "cannot unmarshal DNS message";
const CANNOT_MARSHAL: &str = "cannot marshal DNS message";
const INVALID_RESPONSE: &str = "invalid DNS response";
const LAME_REFERRAL: &str = "lame referral";
const MISBEHAVING: &str = "server misbehaving";
const NO_ANSWER: &str = "no answer from DNS server";

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Failure {
        Failure::Io(e)
    }
}

impl From<Unreadable> for Failure {
    fn from(_: Unreadable) -> Failure {
        Failure::Protocol(CANNOT_UNMARSHAL)
    }
}

impl Failure {
    /// Go: net/net.go newDNSError
    #[doc(alias = "newDNSError")]
    pub(super) fn into_error(self, name: &str, server: &str) -> DnsError {
        let error = |text: &'static str| DnsError::new(text, name).on(server);
        match self {
            Failure::Io(e) => {
                // Go: mapErr
                let inner = e.get_ref().and_then(|inner| inner.downcast_ref::<context::Error>());
                let text = inner.map_or_else(|| e.to_string(), |&done| Cause::from(done).to_string());
                DnsError {
                    is_timeout: crate::is_timeout(&e),
                    // Also what was refused or unreachable: it may be another time.
                    is_temporary: OpError::of(&e).is_some() || crate::is_temporary(&e),
                    is_canceled: crate::is_canceled(&e),
                    ..DnsError::new(text, name).on(server)
                }
            }
            Failure::Protocol(text) => error(text),
            Failure::Temporary(text) => DnsError { is_temporary: true, ..error(text) },
            Failure::NotFound => DnsError { is_not_found: true, ..error(NO_SUCH_HOST) },
        }
    }
}

/// The calls on a connection end when a context does, for as long as this lives.
struct Attached {
    _guard: Option<ContextGuard>,
    hook: Option<StopFunc>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(hook) = &self.hook {
            hook.stop();
        }
    }
}

impl Inner {
    /// Asks for `name` and, where the settings say so, for it with suffixes.
    ///
    /// Go: net/dnsclient_unix.go Resolver.lookup
    pub(super) fn lookup(
        &self,
        ctx: &Context,
        conf: &Arc<ResolvConf>,
        name: &str,
        qtype: Rtype,
    ) -> Result<Found, DnsError> {
        let mut last = Failure::NotFound.into_error(name, "");
        if !is_domain_name(name) {
            return Err(last);
        }
        for fqdn in conf.name_list(name) {
            match self.try_one_name(ctx, conf, &fqdn, qtype) {
                Ok(found) => return Ok(found),
                Err(e) => last = e,
            }
            if self.stops_at(&last) {
                break;
            }
        }
        // The name that was asked for, and not one of those that were tried: golang/go#6324.
        last.name = name.to_owned();
        Err(last)
    }

    /// Whether no other name is tried after this error.
    pub(super) fn stops_at(&self, e: &DnsError) -> bool {
        e.is_canceled || (self.strict_errors && (e.is_timeout || e.is_temporary))
    }

    /// Asks the servers for `fqdn`, one after the other, until one knows.
    ///
    /// Go: net/dnsclient_unix.go Resolver.tryOneName
    #[doc(alias = "tryOneName")]
    pub(super) fn try_one_name(
        &self,
        ctx: &Context,
        conf: &Arc<ResolvConf>,
        fqdn: &str,
        qtype: Rtype,
    ) -> Result<Found, DnsError> {
        let Some(question) = Question::new(fqdn, qtype) else {
            return Err(DnsError::new(CANNOT_MARSHAL, fqdn));
        };
        if let Some(cache) = &self.cache
            && let Some((response, server)) = cache.get(conf, fqdn, qtype, Instant::now())
        {
            return Ok(Found { response, server });
        }
        let servers = self.servers.as_ref().unwrap_or(&conf.servers);
        let offset = conf.server_offset();
        let mut last = Failure::Protocol(NO_ANSWER).into_error(fqdn, "");
        for i in 0..conf.attempts as usize * servers.len() {
            if let Some(done) = ctx.err() {
                return Err(DnsError::done(done, fqdn));
            }
            let server = &servers[offset.wrapping_add(i) % servers.len()];
            match self.ask(ctx, conf, server, &question) {
                Ok(response) => {
                    let response = Arc::new(response);
                    if let Some(cache) = &self.cache {
                        cache.put(conf, (fqdn, qtype), (&response, server), Instant::now());
                    }
                    return Ok(Found { response, server: server.clone() });
                }
                Err(Failure::NotFound) => return Err(Failure::NotFound.into_error(fqdn, server)),
                Err(failure) => last = failure.into_error(fqdn, server),
            }
        }
        match ctx.err() {
            Some(done) => Err(DnsError::done(done, fqdn)),
            None => Err(last),
        }
    }

    /// Asks one server, once.
    fn ask(
        &self,
        ctx: &Context,
        conf: &ResolvConf,
        server: &str,
        question: &Question,
    ) -> Result<Response, Failure> {
        let response = self.exchange(ctx, conf, server, question)?;
        check(&response)?;
        if response.has_answer(question.qtype)? { Ok(response) } else { Err(Failure::NotFound) }
    }

    /// Sends the query and waits for what answers it; once more by TCP if that did not fit into a datagram.
    ///
    /// Go: net/dnsclient_unix.go Resolver.exchange
    fn exchange(
        &self,
        ctx: &Context,
        conf: &ResolvConf,
        server: &str,
        question: &Question,
    ) -> Result<Response, Failure> {
        let id = random_id();
        let query = question.encode(id, conf.trust_ad, self.edns);
        let networks = if conf.use_tcp { &["tcp"][..] } else { &["udp", "tcp"] };
        for &network in networks {
            let deadline = Instant::now() + conf.timeout;
            let deadline = ctx.deadline().map_or(deadline, |at| at.min(deadline));
            let (dialed, _dial_ctx) = self.dial_server(ctx, network, server, deadline)?;
            let (conn, is_stream) = match dialed {
                DnsConn::Datagrams(conn) => (Arc::<dyn Conn>::from(conn), false),
                DnsConn::Stream(conn) => (Arc::<dyn Conn>::from(conn), true),
            };
            conn.set_deadline(Some(deadline))?;
            let attached = attach(ctx, &conn);
            let response = if is_stream {
                stream_round_trip(&*conn, id, question, &query)
            } else {
                datagram_round_trip(&*conn, id, question, datagram(&query))
            };
            drop(attached);
            let _ = conn.close(); // whatever it says, the answer is there or not
            let response = response?;
            // What does not fit into a stream either is taken as it is, as the C library does: golang/go#64896.
            if !response.is_truncated() || network == "tcp" {
                return Ok(response);
            }
        }
        Err(Failure::Protocol(NO_ANSWER))
    }

    /// What comes with the connection ends the context that the program's hook was given. It is to live as long as the
    /// exchange, as Go's does: the hook may have bound the connection to it.
    ///
    /// Go: net/lookup.go Resolver.dial
    fn dial_server(
        &self,
        ctx: &Context,
        network: &str,
        server: &str,
        deadline: Instant,
    ) -> io::Result<(DnsConn, Option<CancelOnDrop>)> {
        if let Some(dial) = &self.dial {
            let (ctx, cancel) = ctx.with_deadline(deadline);
            let cancel = cancel.on_drop();
            return Ok((dial(&ctx, network, server)?, Some(cancel)));
        }
        // Connected, so that the kernel drops what others than the server send.
        let conn = Dialer::new().deadline(deadline).dial_context(ctx, network, server)?;
        let dialed = if network == "udp" { DnsConn::Datagrams(conn) } else { DnsConn::Stream(conn) };
        Ok((dialed, None))
    }
}

/// Ends the calls on `conn` when `ctx` is done.
fn attach(ctx: &Context, conn: &Arc<dyn Conn>) -> Option<Attached> {
    if ctx.never_done() {
        return None;
    }
    if let Ok(guard) = (**conn).attach_context(ctx) {
        return Some(Attached { _guard: Some(guard), hook: None });
    }
    // One of the program's own that cannot: its deadline is moved, as one does in Go.
    let conn = Arc::clone(conn);
    let hook = ctx.after_func(move || {
        let _ = conn.set_deadline(Some(Instant::now())); // an error: it is closed
    });
    Some(Attached { _guard: None, hook: Some(hook) })
}

/// Waits for a datagram that answers the query. Others are ignored and not an error: anybody can send one who knows
/// our port, and he must not be able to end the lookup (golang/go#13281). The deadline ends it.
///
/// Go: net/dnsclient_unix.go dnsPacketRoundTrip
#[doc(alias = "dnsPacketRoundTrip")]
fn datagram_round_trip(
    conn: &dyn Conn,
    id: u16,
    question: &Question,
    query: &[u8],
) -> Result<Response, Failure> {
    conn.write(query)?;
    let mut buf = vec![0; DATAGRAM_MAX];
    loop {
        let len = conn.read(&mut buf)?;
        if len == 0 && !has_empty_datagrams(&conn.local_addr()) {
            return Err(eof("EOF").into());
        }
        match Response::new(buf[..len].to_vec(), id, question) {
            Ok(response) => return Ok(response),
            Err(Rejected::Malformed | Rejected::NotOurs) => {}
            Err(Rejected::Invalid) => return Err(Failure::Protocol(INVALID_RESPONSE)),
        }
    }
}

/// Whether nothing read is a datagram with nothing in it. Elsewhere (a pipe, a Unix socket of packets, a stream) it is
/// the end, and to read again would bring nothing again, at once and for ever.
fn has_empty_datagrams(local: &Addr) -> bool {
    match local {
        Addr::Udp(_) | Addr::Ip(_) => true,
        Addr::Unix(addr) => addr.network() == "unixgram",
        Addr::Tcp(_) | Addr::Pipe => false,
    }
}

fn eof(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

/// Go: net/dnsclient_unix.go dnsStreamRoundTrip
#[doc(alias = "dnsStreamRoundTrip")]
fn stream_round_trip(
    conn: &dyn Conn,
    id: u16,
    question: &Question,
    query: &[u8],
) -> Result<Response, Failure> {
    conn.write_all(query)?;
    let mut len = [0; 2];
    read_full(conn, &mut len)?;
    let mut octets = vec![0; u16::from_be_bytes(len).into()];
    read_full(conn, &mut octets)?;
    Response::new(octets, id, question).map_err(|rejected| {
        Failure::Protocol(match rejected {
            Rejected::Malformed => CANNOT_UNMARSHAL,
            Rejected::NotOurs | Rejected::Invalid => INVALID_RESPONSE,
        })
    })
}

/// Go: io.ReadFull, with its errors
fn read_full(conn: &dyn Conn, buf: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match conn.read(&mut buf[done..])? {
            0 => {
                return Err(eof(if done == 0 { "EOF" } else { "unexpected EOF" }));
            }
            n => done += n,
        }
    }
    Ok(())
}

/// Whether the answer says anything at all.
///
/// Go: net/dnsclient_unix.go checkHeader
#[doc(alias = "checkHeader")]
fn check(response: &Response) -> Result<(), Failure> {
    let code = response.code();
    if code == Code::NameError {
        return Err(Failure::NotFound);
    }
    let is_lame = response.is_lame()?;
    match code {
        // The C library asks the next server then: golang/go#15434.
        Code::Success if is_lame => Err(Failure::Protocol(LAME_REFERRAL)),
        Code::Success | Code::NameError => Ok(()),
        Code::ServerFailure => Err(Failure::Temporary(MISBEHAVING)),
        Code::Other => Err(Failure::Protocol(MISBEHAVING)),
    }
}
