//! The servers of the configuration as the client library knows them.

use pointsman_core::config::{Name, StoreAccess, StoreEndpoint, StoreLayout, StoreLogin};
use pointsman_http_client::{CertificateAuthorities, ServerTrust};
use redis::{ConnectionAddr, ConnectionInfo};

use super::StoreError;
use super::connection::StoreServer;
use super::masters::SentinelGroup;

/// The servers of a store.
pub(super) enum StoreServers {
    /// One of them takes writes.
    Addresses(Vec<StoreServer>),
    /// Sentinels know the one that takes writes.
    Sentinels(Box<SentinelGroup>),
    /// Each has slots of its own.
    Cluster(ClusterSeeds),
}

/// Servers of a cluster to begin with.
pub(super) struct ClusterSeeds {
    /// The servers with their zones, those of the own zone first; at least one.
    pub(super) servers: Vec<(StoreServer, Option<Name>)>,
    /// The zone of this process.
    pub(super) zone: Option<Name>,
}

impl StoreServers {
    /// Reads the servers that `access` names; `authorities` are those to trust instead of the system's.
    ///
    /// # Errors
    /// When a URL is none, or none has a use for `authorities`. Never repeats a URL, which may hold a password.
    pub(super) fn of(access: &StoreAccess, authorities: Option<CertificateAuthorities>) -> Result<Self, StoreError> {
        let has_authorities = authorities.is_some();
        let trust = ServerTrust::in_authorities(authorities);
        let placed: Result<Vec<_>, StoreError> =
            access.own_zone_first().map(|endpoint| placed(endpoint, access.login.as_ref(), &trust)).collect();
        let servers = placed?;
        let is_tls = |server: &StoreServer| matches!(server.server.addr(), ConnectionAddr::TcpTls { .. });
        if has_authorities && !servers.iter().any(|(server, _)| is_tls(server)) {
            return Err(StoreError::Tls);
        }
        let (first, _) = servers.first().ok_or(StoreError::Url)?;
        Ok(match &access.layout {
            StoreLayout::Cluster => Self::Cluster(ClusterSeeds { servers, zone: access.zone.clone() }),
            StoreLayout::Master => Self::Addresses(servers.into_iter().map(|(server, _)| server).collect()),
            StoreLayout::Sentinel { master, login, database } => {
                let settings = redis::RedisConnectionInfo::default().set_db((*database).into()).set_skip_set_lib_name();
                let server = first.server.clone().set_redis_settings(settings);
                let server = StoreServer { server: with_login(server, login.as_ref()), trust };
                let sentinels = servers.into_iter().map(|(server, _)| server).collect();
                Self::Sentinels(Box::new(SentinelGroup { sentinels, master: master.clone(), server }))
            }
        })
    }
}

fn placed(
    endpoint: &StoreEndpoint,
    login: Option<&StoreLogin>,
    trust: &ServerTrust,
) -> Result<(StoreServer, Option<Name>), StoreError> {
    let server = redis::Client::open(endpoint.url.as_str()).map_err(|_| StoreError::Url)?.get_connection_info().clone();
    // What the library would say of itself is one more command that a user needs.
    let settings = server.redis_settings().clone().set_skip_set_lib_name();
    let server = server.set_redis_settings(settings);
    Ok((StoreServer { server: with_login(server, login), trust: trust.clone() }, endpoint.zone.clone()))
}

fn with_login(server: ConnectionInfo, login: Option<&StoreLogin>) -> ConnectionInfo {
    let Some(login) = login else { return server };
    let settings = server.redis_settings().clone().set_password(login.password.expose());
    let settings = match &login.username {
        Some(username) => settings.set_username(username),
        None => settings,
    };
    server.set_redis_settings(settings)
}
