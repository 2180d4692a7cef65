//! New sockets, and the system's errors in the functions' terms.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use base::FlowError;
use socket2::{Domain, Protocol, Socket, Type};

pub(in crate::net) fn new_socket(addr: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub(super) fn any_like(addr: SocketAddr) -> SocketAddr {
    if addr.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    }
}

pub(super) fn blame(error: &io::Error) -> FlowError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => FlowError::Refused,
        io::ErrorKind::TimedOut => FlowError::TimedOut,
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => FlowError::NoPort,
        _ => FlowError::Unreachable,
    }
}
