//! The read-only door into the store for `redis-cli` and what else speaks RESP2.

use std::net::SocketAddr;
use std::path::PathBuf;

use base::redact::Secret;
use base::store::Table;
use base::{Bytes, Service, Transport};
use engine::{FunctionSpec, Listener};
use shared::{Door, DoorConfig};

use crate::archive::TABLES;
use crate::password::{self, PasswordError};

/// What the configuration says of the door.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RespPlan {
    /// Where it is; nowhere, and there is none.
    pub listen: Vec<SocketAddr>,
    /// The file with the password that clients have to say.
    pub password: Option<PathBuf>,
}

/// A value as it is shown: nobody learns keys here.
fn shown(table: Table, value: &Bytes) -> Bytes {
    match table {
        hss::records::SUBSCRIBER => hss::records::without_secrets(value).into(),
        cscf::scscf::GRUU_TABLE | cscf::bgcf::TABLE | media::CALLS | media::CERTIFICATES => {
            vec![b'*'; value.len()].into()
        }
        _ => value.clone(),
    }
}

/// The function behind the door, if there is one.
///
/// # Errors
/// If the password's file cannot be read.
pub fn function(plan: &RespPlan) -> Result<Option<FunctionSpec>, PasswordError> {
    if plan.listen.is_empty() {
        return Ok(None);
    }
    let password = password::read("resp", plan.password.as_deref())?;
    Ok(Some(spec(plan, password)))
}

fn spec(plan: &RespPlan, password: Option<Secret<String>>) -> FunctionSpec {
    let (service, transport) = (Service::Resp, Transport::Tcp);
    let listeners = plan.listen.iter().map(|addr| Listener { service, transport, addr: *addr });
    FunctionSpec {
        name: "resp".to_owned(),
        hosts: Vec::new(),
        function: Box::new(Door::new(DoorConfig { tables: TABLES.into(), password, shown })),
        listeners: listeners.collect(),
        tables: &[],
    }
}
