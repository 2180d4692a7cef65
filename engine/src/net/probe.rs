//! Would a listener open?

use std::io;
use std::net::SocketAddr;

use base::Transport;
use socket2::Type;

use super::sockets::new_socket;
use super::{ListenError, holder};

/// Opens a listener as the loop does, and closes it again.
///
/// # Errors
/// What [`Live::add`](super::Live::add) would say.
pub fn probe(name: &str, transport: Transport, addr: SocketAddr) -> Result<(), ListenError> {
    open(transport, addr).map_err(|error| {
        let name = name.to_owned();
        if error.kind() == io::ErrorKind::AddrInUse {
            let holder = holder::holder(transport, addr);
            ListenError::InUse { name, transport, addr, holder }
        } else {
            ListenError::Refused { name, transport, addr, error }
        }
    })
}

fn open(transport: Transport, addr: SocketAddr) -> io::Result<()> {
    if transport == Transport::Udp {
        return new_socket(addr, Type::DGRAM)?.bind(&addr.into());
    }
    let socket = new_socket(addr, Type::STREAM)?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_or_held_by_somebody() {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = udp.local_addr().unwrap();
        let Err(ListenError::InUse { holder: Some(holder), .. }) = probe("x", Transport::Udp, addr)
        else {
            panic!("the port is held");
        };
        assert_eq!(holder.pid, std::process::id());
        drop(udp);
        assert!(probe("x", Transport::Udp, addr).is_ok());
        assert!(probe("x", Transport::Udp, addr).is_ok(), "it does not stay open");
        let foreign = probe("x", Transport::Tcp, "192.0.2.254:9".parse().unwrap());
        assert!(matches!(foreign, Err(ListenError::Refused { .. })));
    }
}
