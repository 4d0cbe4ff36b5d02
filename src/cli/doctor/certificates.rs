//! Certificates: until when they are valid.

use std::path::Path;
use std::time::SystemTime;

use pointsman_core::config::{Config, RegularFile};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::finding::DoctorFinding;

/// The largest chain that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The days before its end from which on a certificate is worth a word.
const SOON: i64 = 14;
const DAY: i64 = 24 * 60 * 60;

/// Looks at the certificates of the listeners.
pub(super) fn of_listeners(config: &Config, base_dir: &Path) -> Vec<DoctorFinding> {
    let own =
        config.listen.iter().enumerate().filter_map(|(place, listener)| {
            Some((format!("listen[{place}].tls"), listener.tls.as_ref()?.cert.as_path()))
        });
    let ext_proc = config.ext_proc.as_ref().and_then(|section| section.tls.as_ref());
    let grpc = config.grpc.as_ref().and_then(|section| section.tls.as_ref());
    let others = [("admin", config.admin.tls.as_ref()), ("ext_proc", ext_proc), ("grpc", grpc)];
    let others = others.into_iter().filter_map(|(name, tls)| Some((format!("{name}.tls"), tls?.cert.as_path())));
    own.chain(others)
        .map(|(check, cert)| {
            let path = base_dir.join(cert);
            match RegularFile::open(&path, MAX_BYTES).and_then(RegularFile::bytes) {
                Ok(pem) => {
                    let leaf = Pem::iter_from_buffer(&pem).find_map(Result::ok);
                    of_leaf(check, leaf.as_ref().map(|leaf| &*leaf.contents))
                }
                Err(error) => {
                    DoctorFinding::fail(check, format!("cannot read `{}`: {error}", path.display()), "mend it")
                }
            }
        })
        .collect()
}

/// Says until when a certificate in DER is valid.
pub(super) fn of_leaf(check: String, der: Option<&[u8]>) -> DoctorFinding {
    const RENEW: &str = "renew the certificate; files that listeners name are read again by themselves";
    let Some((_, certificate)) = der.and_then(|der| X509Certificate::from_der(der).ok()) else {
        return DoctorFinding::warn(check, "the certificate cannot be read", RENEW);
    };
    let (begin, end) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let days = (end - now) / DAY;
    if now < begin {
        let finding = format!("the certificate becomes valid in {} s", begin - now);
        DoctorFinding::fail(check, finding, "look at this machine's clock, else wait")
    } else if now > end {
        DoctorFinding::fail(check, format!("the certificate ended {} days ago", -days), RENEW)
    } else if days < SOON {
        DoctorFinding::warn(check, format!("the certificate ends in {days} days"), RENEW)
    } else {
        DoctorFinding::ok(check, format!("the certificate is valid for {days} more days"))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::super::finding::FindingGrade;
    use super::*;

    fn grade(begin: i32, end: i32) -> FindingGrade {
        let mut params = CertificateParams::new(vec!["h".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(begin, 1, 1), date_time_ymd(end, 1, 1));
        let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        of_leaf("c".to_owned(), Some(certificate.der())).grade
    }

    #[test]
    fn a_certificate_that_ended_or_did_not_begin_fails() {
        assert_eq!(grade(2020, 2999), FindingGrade::Ok);
        assert_eq!(grade(2020, 2021), FindingGrade::Fail);
        assert_eq!(grade(2998, 2999), FindingGrade::Fail);
        assert_eq!(of_leaf("c".to_owned(), Some(b"no")).grade, FindingGrade::Warn);
    }
}
