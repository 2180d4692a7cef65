//! What an interface's driver can do with XDP, as the kernel says by generic netlink (the family `netdev`, since Linux
//! 6.3).

use std::io::{self, Read, Write};

use socket2::{Domain, Protocol, Socket, Type};

/// NETLINK_GENERIC, and the family that knows the others (GENL_ID_CTRL).
const GENERIC: i32 = 16;
const CONTROL: u16 = 16;
/// CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_FAMILY_ID.
const GET_FAMILY: u8 = 3;
const FAMILY_NAME: u16 = 2;
const FAMILY_ID: u16 = 1;
/// NETDEV_CMD_DEV_GET, NETDEV_A_DEV_IFINDEX, NETDEV_A_DEV_XDP_FEATURES.
const DEV_GET: u8 = 1;
const IFINDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
/// NETDEV_XDP_ACT_NDO_XMIT: it takes what was redirected to it.
const NDO_XMIT: u64 = 4;
/// Octets of `struct nlmsghdr` and `struct genlmsghdr`.
const HEADER: usize = 20;

/// Whether an interface sends what the program of another one redirects to it. One that does not drops it, and tells
/// nobody: no where the kernel does not say.
pub(super) fn takes_redirected(interface: u32) -> bool {
    let features = || {
        let family = ask(CONTROL, GET_FAMILY, FAMILY_NAME, b"netdev\0", FAMILY_ID)?;
        let family = u16::from_ne_bytes(family.get(..2)?.try_into().ok()?);
        let features = ask(family, DEV_GET, IFINDEX, &interface.to_ne_bytes(), XDP_FEATURES)?;
        Some(u64::from_ne_bytes(features.get(..8)?.try_into().ok()?))
    };
    features().is_some_and(|features| features & NDO_XMIT != 0)
}

/// One question with one attribute, and the attribute of its answer.
fn ask(family: u16, command: u8, attribute: u16, value: &[u8], wanted: u16) -> Option<Vec<u8>> {
    let answer = exchange(&question(family, command, attribute, value)).ok()?;
    let (kind, body) = (answer.get(4..6)?, answer.get(HEADER..)?);
    if u16::from_ne_bytes(kind.try_into().ok()?) != family {
        return None;
    }
    let mut rest = body;
    loop {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        if kind & 0x3fff == wanted {
            return Some(value.to_vec());
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

fn question(family: u16, command: u8, attribute: u16, value: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 4];
    message.extend(family.to_ne_bytes());
    // NLM_F_REQUEST
    message.extend(1_u16.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend((4 + value.len() as u16).to_ne_bytes());
    message.extend(attribute.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message
}

fn exchange(question: &[u8]) -> io::Result<Vec<u8>> {
    let netlink = Protocol::from(GENERIC);
    let mut socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(netlink))?;
    socket.set_read_timeout(Some(std::time::Duration::from_millis(200)))?;
    socket.write_all(question)?;
    let mut answer = vec![0; 8192];
    let length = socket.read(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}
