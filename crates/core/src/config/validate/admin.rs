//! The admin plane: who may reach it, and callers that can be told apart.

use std::collections::BTreeMap;

use super::{ConfigChecker, KeyPath, root};
use crate::config::{AdminAuth, AdminCertificate, KeyHash, MutualTls, Name};

impl ConfigChecker<'_> {
    /// Other machines reach the admin plane only where callers say who they are, or the operator says that they need not.
    pub(super) fn admin(&mut self) {
        let (path, admin) = (root("admin"), &self.config.admin);
        if admin.is_open() && admin.auth.is_none() && !admin.allow_open {
            let message = format!(
                "other machines may reach {}, and the admin plane asks nobody who they are (allowed: a loopback \
                 address such as 127.0.0.1:{}; any other with `auth`, or with `allow_open: true` where the network keeps \
                 others out)",
                admin.address,
                admin.address.port()
            );
            self.wrong(&path.key("address"), message);
        }
        if let Some(auth) = &admin.auth {
            self.admin_auth(&path.key("auth"), auth);
        }
        if let Some(tls) = &admin.tls {
            self.admin_tls(&path.key("tls"), tls);
        }
    }

    fn admin_auth(&mut self, path: &KeyPath, auth: &AdminAuth) {
        if auth.tokens.is_empty() && auth.certificates.is_empty() {
            self.wrong(path, "must name at least one caller (allowed: `tokens`, `certificates`)");
        }
        let mut owners: BTreeMap<KeyHash, usize> = BTreeMap::new();
        for (index, token) in auth.tokens.iter().enumerate() {
            let place = path.key("tokens").index(index);
            if let Some(before) = owners.insert(token.sha256, index) {
                self.wrong(&place.key("sha256"), format!("is the token of tokens[{before}] already"));
            }
            let other = auth.tokens[..index].iter().position(|own| own.name == token.name && own.role != token.role);
            if let Some(before) = other {
                let message = format!("`{}` has another role in tokens[{before}] (allowed: the same)", token.name);
                self.wrong(&place.key("role"), message);
            }
        }
        for (index, certificate) in auth.certificates.iter().enumerate() {
            self.admin_certificate(&path.key("certificates").index(index), auth, index, certificate);
        }
        let has_authorities = self.config.admin.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if !auth.certificates.is_empty() && !has_authorities {
            self.wrong(&path.key("certificates"), "nobody vouches for them: set `admin.tls.client_ca`");
        }
    }

    fn admin_certificate(&mut self, path: &KeyPath, auth: &AdminAuth, index: usize, own: &AdminCertificate) {
        if own.common_name.is_some() == own.san.is_some() {
            self.wrong(path, "must say by one name which certificate is meant (allowed: `common_name` or `san`)");
        }
        for (key, name) in [("common_name", &own.common_name), ("san", &own.san)] {
            if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
                self.wrong(&path.key(key), "must not be empty");
            }
        }
        let is_same = |other: &AdminCertificate| (&other.common_name, &other.san) == (&own.common_name, &own.san);
        if let Some(before) = auth.certificates[..index].iter().position(is_same) {
            self.wrong(path, format!("is the certificate of certificates[{before}] already"));
        }
        let of_token = |name: &Name| auth.tokens.iter().any(|token| token.name == *name);
        if of_token(&own.name) || auth.certificates[..index].iter().any(|other| other.name == own.name) {
            self.wrong(&path.key("name"), format!("`{}` is the name of another caller already", own.name));
        }
    }

    fn admin_tls(&mut self, path: &KeyPath, tls: &MutualTls) {
        self.mutual_tls(path, tls);
        let has_certificates = self.config.admin.auth.as_ref().is_some_and(|auth| !auth.certificates.is_empty());
        if tls.client_ca.is_some() && !has_certificates {
            self.wrong(&path.key("client_ca"), "no certificate is a caller's: name some in `admin.auth.certificates`");
        }
    }
}
