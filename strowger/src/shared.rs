//! What several nodes share: which tables, and the function that keeps them on a Valkey or Redis server.

use std::net::IpAddr;
use std::path::PathBuf;

use base::machine::Name;
use base::redact::Secret;
use base::store::Table;
use base::{Random, Service, Transport};
use engine::FunctionSpec;
use shared::{Shared, SharedConfig};

use crate::password::{self, PasswordError};
use crate::plan::{Plan, Role};

/// The name of the function that keeps what is shared.
pub const NAME: &str = "shared";

/// What the configuration says of sharing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SharedPlan {
    /// The servers, the preferred one first: host and port.
    pub servers: Vec<(String, Option<u16>)>,
    /// Our name, which no other node has.
    pub node: String,
    /// The file with the servers' password.
    pub password: Option<PathBuf>,
    /// Addresses to listen on that may be at another node now.
    pub floating: Vec<IpAddr>,
}

impl SharedPlan {
    /// The servers' password.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn password(&self) -> Result<Option<Secret<String>>, PasswordError> {
        password::read("shared", self.password.as_deref())
    }
}

/// The tables of a function that nodes share. Subscribers and accepted texts stay in the store of one: they
/// must not be lost with a server's memory.
pub fn tables(role: Role) -> &'static [Table] {
    match role {
        Role::Pcscf => &[cscf::pcscf::TABLE, cscf::pcscf::EMERGENCY_TABLE],
        Role::Scscf => &[cscf::scscf::TABLE, cscf::scscf::WATCHERS, cscf::scscf::GRUU_TABLE],
        Role::Bgcf => &[cscf::bgcf::TABLE],
        Role::Media => &[media::CALLS, media::RELAYS, media::CERTIFICATES],
        _ => &[],
    }
}

/// The function that keeps what is shared, if anything of a plan is.
pub fn keeper(
    plan: &Plan,
    password: Option<Secret<String>>,
    random: Random,
) -> Option<FunctionSpec> {
    let shared = plan.shared.as_ref()?;
    let tables: Vec<Table> = plan.here.keys().flat_map(|role| tables(*role)).copied().collect();
    if tables.is_empty() {
        return None;
    }
    let server = |(host, port): &(String, Option<u16>)| Name {
        service: Service::Resp,
        host: host.clone(),
        port: *port,
        transport: Some(Transport::Tcp),
    };
    let config = SharedConfig {
        servers: shared.servers.iter().map(server).collect(),
        password,
        prefix: plan.domain.clone(),
        node: shared.node.clone(),
        tables,
    };
    Some(FunctionSpec {
        name: NAME.to_owned(),
        hosts: Vec::new(),
        function: Box::new(Shared::new(config, random)),
        listeners: Vec::new(),
        tables: &[],
    })
}
