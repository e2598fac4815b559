//! Connections that are encrypted by rustls.

use std::{fmt, io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    error::OpenError,
    tls::{Roots, Verification},
};

/// The protocol that PostgreSQL 17 expects of clients that start with TLS. Earlier versions ignore it.
const ALPN: &[u8] = b"postgresql";

/// Loads root certificates, and returns a connector that verifies the certificate of the server.
pub(super) fn connector(verification: Verification<'_>) -> Result<MakeRustlsConnect, OpenError> {
    // That of the process, such as one with a FIPS certificate.
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(rustls_graviola::default_provider()));
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(OpenError::Tls)?;
    let without_name = |roots| Arc::new(WithoutName { roots, provider });
    let config = match verification {
        Verification::Full(roots) => config.with_root_certificates(load(roots)?),
        Verification::Issuer(roots) => {
            let verifier = without_name(Some(load(roots)?));
            config.dangerous().with_custom_certificate_verifier(verifier)
        }
        Verification::None => {
            config.dangerous().with_custom_certificate_verifier(without_name(None))
        }
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn load(roots: &Roots) -> Result<RootCertStore, OpenError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            // Some files of a system are often unreadable or have certificates of an old form.
            let (added, _) =
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                return Err(OpenError::NoSystemRoots);
            }
        }
        Roots::File(file) => {
            let invalid = |reason: &dyn fmt::Display| invalid_file(file, reason);
            let certificates =
                CertificateDer::pem_file_iter(file).map_err(|error| invalid(&error))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| invalid(&error))?;
                store.add(certificate).map_err(|error| invalid(&error))?;
            }
            if store.is_empty() {
                return Err(invalid(&"it has no certificate in PEM form"));
            }
        }
    }
    Ok(store)
}

fn invalid_file(file: &Path, reason: &dyn fmt::Display) -> OpenError {
    OpenError::Roots { file: file.into(), reason: reason.to_string() }
}

/// Verifies that one of the roots has issued the certificate of the server, if there are roots, and that the server has
/// its key. Does not verify the host name.
#[derive(Debug)]
struct WithoutName {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for WithoutName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What to do about a certificate that was not accepted. `source` is that of the driver's error.
pub(super) fn advice(source: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let error = source.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Error>()?;
    let Error::InvalidCertificate(reason) = error else { return None };
    match reason {
        // A bad signature is that of another authority with the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(
            "set sslrootcert to the root certificate of the authority that issued the server's",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("use a host name of the certificate in the URL")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("renew the certificate of the server")
        }
        _ => None,
    }
}
