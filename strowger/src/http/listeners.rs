//! Listeners that answer alike, as many as the configuration names, and other ones after a reload.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use base::Transport;
use engine::net::ListenError;

use super::{Handler, Server};

/// Open listeners, by the address that was asked for.
#[derive(Debug, Default)]
pub struct Listeners(BTreeMap<SocketAddr, Server>);

impl Listeners {
    /// Listens at these addresses from now on, and nowhere else any more. Errors call the listener
    /// `name`.
    ///
    /// # Errors
    /// The first listener that cannot be opened; then everything is as before.
    pub fn listen(
        &mut self,
        name: &str,
        addresses: &[SocketAddr],
        handler: &Handler,
    ) -> Result<(), ListenError> {
        let mut new = BTreeMap::new();
        for address in addresses.iter().filter(|address| !self.0.contains_key(address)) {
            let refused = |error| refused(name, *address, error);
            let server = Server::bind(*address).map_err(refused)?;
            server.serve(handler.clone()).map_err(refused)?;
            new.insert(*address, server);
        }
        self.0.retain(|address, _| addresses.contains(address));
        self.0.append(&mut new);
        Ok(())
    }

    /// Where they are, with the real ports.
    pub fn local(&self) -> Vec<SocketAddr> {
        self.0.values().map(Server::local).collect()
    }
}

fn refused(name: &str, addr: SocketAddr, error: io::Error) -> ListenError {
    let (name, transport) = (name.to_owned(), Transport::Tcp);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = engine::net::holder(transport, addr);
            ListenError::InUse { name, transport, addr, holder }
        }
        _ => ListenError::Refused { name, transport, addr, error },
    }
}
