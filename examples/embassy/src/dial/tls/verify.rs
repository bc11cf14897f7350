//! What is checked of a broker's certificate.
//!
//! | checked | |
//! |---|---|
//! | the authority | it has signed the broker's certificate directly, by ECDSA over P-256 with SHA-256 |
//! | the key | the broker has the key of that certificate: the signature over the handshake |
//! | the name | a DNS name of the certificate, or its common name, is that of the broker |
//! | the dates | if the device has a clock |
//!
//! Not checked: revocation, and what the certificate may be used for. So the authority has to be the operator's own, and
//! sign certificates of servers only. If it signs those of devices as well, a device whose certificate names the broker
//! passes for it.
//!
//! embedded-tls 0.19 alone checks less, and that is why this file exists. It takes a handshake without a certificate,
//! and one without the proof of the key; it takes the certificate of any device for that of an authority in between; and
//! it panics if the proof comes first.

use embedded_tls::{
    Certificate, CertificateRef, CertificateVerifyRef, TlsClock, TlsError, TlsVerifier,
    pki::CertVerifier,
};

use super::Cipher;

/// The longest certificate of a broker, in bytes.
const CERTIFICATE: usize = 1_536;

type Hash = <Cipher as embedded_tls::TlsCipherSuite>::Hash;

/// Checks the certificate of a broker in one handshake.
pub(super) struct Verifier<'v, C: TlsClock> {
    checks: CertVerifier<'v, Cipher, C, CERTIFICATE>,
    progress: Progress,
}

/// How far the broker has proved who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Not at all.
    Nothing,
    /// It has shown a certificate that is good.
    Certificate,
    /// It has the key of that certificate.
    Key,
}

impl<'v, C: TlsClock> Verifier<'v, C> {
    /// `authority`: its certificate in DER.
    pub(super) fn new(authority: &'v [u8]) -> Self {
        let checks = CertVerifier::new(Certificate::X509(authority));
        Self { checks, progress: Progress::Nothing }
    }

    /// Whether the broker has proved who it is.
    pub(super) fn has_proof(&self) -> bool {
        self.progress == Progress::Key
    }
}

impl<C: TlsClock> TlsVerifier<Cipher> for Verifier<'_, C> {
    fn set_hostname_verification(&mut self, name: &str) -> Result<(), TlsError> {
        self.checks.set_hostname_verification(name)
    }

    fn verify_certificate(&mut self, hash: &Hash, shown: CertificateRef) -> Result<(), TlsError> {
        // One certificate, shown once: nobody looks whether another one may sign.
        if self.progress != Progress::Nothing || shown.entries.len() != 1 {
            return Err(TlsError::InvalidCertificate);
        }
        self.checks.verify_certificate(hash, shown)?;
        self.progress = Progress::Certificate;
        Ok(())
    }

    fn verify_signature(&mut self, proof: CertificateVerifyRef) -> Result<(), TlsError> {
        if self.progress != Progress::Certificate {
            return Err(TlsError::InvalidSignature);
        }
        self.checks.verify_signature(proof)?;
        self.progress = Progress::Key;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embedded_tls::{NoClock, SignatureScheme};

    use super::*;

    /// By a peer in the middle that has no certificate: embedded-tls alone takes such a handshake.
    #[test]
    fn a_handshake_without_a_certificate_is_no_proof() {
        assert!(!Verifier::<NoClock>::new(&[]).has_proof());
    }

    /// embedded-tls alone panics here.
    #[test]
    fn a_proof_without_a_certificate_is_refused() {
        let mut verifier = Verifier::<NoClock>::new(&[]);
        let signature_scheme = SignatureScheme::EcdsaSecp256r1Sha256;
        let proof = CertificateVerifyRef { signature_scheme, signature: &[] };
        assert!(verifier.verify_signature(proof).is_err());
        assert!(!verifier.has_proof());
    }

    #[test]
    fn an_empty_list_of_certificates_is_refused() {
        let mut verifier = Verifier::<NoClock>::new(&[]);
        let shown = CertificateRef::with_context(&[]);
        assert!(verifier.verify_certificate(&Hash::default(), shown).is_err());
        assert!(!verifier.has_proof());
    }
}
