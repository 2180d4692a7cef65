//! How records are shared.

use base::machine::Name;
use base::redact::Secret;
use base::store::Table;

/// Where records are shared, and who we are.
#[derive(Clone, Debug)]
pub struct SharedConfig {
    /// The servers, the preferred one first: the next is tried when one does not answer.
    pub servers: Vec<Name>,
    /// What the servers ask for, if anything.
    pub password: Option<Secret<String>>,
    /// What all keys begin with: several networks may share a server.
    pub prefix: String,
    /// Our name, which no other node has: letters, digits, `-` and `.`.
    pub node: String,
    /// The tables that are shared.
    pub tables: Vec<Table>,
}
