//! A certificate made on the spot, and the configurations of both ends that know it.

#![allow(dead_code)]

use std::sync::{Arc, OnceLock};

use gopark_net::TcpConn;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};

pub(crate) type TlsClient = StreamOwned<ClientConnection, TcpConn>;
pub(crate) type TlsServer = StreamOwned<ServerConnection, TcpConn>;

/// What both ends are made of. One certificate a process: each costs a key.
struct Identity {
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key and a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("PKCS#8");
        Identity { cert: made.cert.into(), key }
    })
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn server_config() -> Arc<ServerConfig> {
    let id = identity();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has what they need")
        .with_no_client_auth()
        .with_single_cert(vec![id.cert.clone()], id.key.clone_key())
        .expect("the key belongs to the certificate");
    Arc::new(config)
}

/// A client that trusts the certificate and speaks these versions.
pub(crate) fn client_config(versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(identity().cert.clone()).expect("a certificate");
    client_config_with(roots, versions)
}

/// A client that trusts nobody.
pub(crate) fn distrustful_client_config() -> Arc<ClientConfig> {
    client_config_with(RootCertStore::empty(), rustls::DEFAULT_VERSIONS)
}

fn client_config_with(
    roots: RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("ring has what they need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

pub(crate) fn client(config: &Arc<ClientConfig>, conn: TcpConn) -> TlsClient {
    let tls = ClientConnection::new(Arc::clone(config), server_name()).expect("a configuration");
    StreamOwned::new(tls, conn)
}

pub(crate) fn server(config: &Arc<ServerConfig>, conn: TcpConn) -> TlsServer {
    let tls = ServerConnection::new(Arc::clone(config)).expect("a configuration");
    StreamOwned::new(tls, conn)
}
