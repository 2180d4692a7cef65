//! Asks the servers that nodes share registrations by: AUTH and PING, as a node does.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use base::Bytes;
use resp::{Reader, Value, command, unit};

use crate::doctor::facts::{SharedAnswer, SharedServer};
use crate::plan::Plan;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks all servers of a plan, one after the other.
pub(super) fn ask(plan: &Plan) -> Vec<SharedServer> {
    let Some(shared) = &plan.shared else { return Vec::new() };
    let password = match shared.password() {
        Ok(password) => password,
        Err(error) => {
            let answer = SharedAnswer::Denied(error.to_string());
            return vec![SharedServer { name: "the servers".to_owned(), answer }];
        }
    };
    let password = password.as_ref().map(|password| password.reveal().as_str());
    let one = |(host, port): &(String, Option<u16>)| {
        let port = port.unwrap_or(6379);
        let answer = talk(host, port, password)
            .unwrap_or_else(|error| SharedAnswer::Away(error.to_string()));
        SharedServer { name: format!("{host}:{port}"), answer }
    };
    shared.servers.iter().map(one).collect()
}

fn talk(host: &str, port: u16, password: Option<&str>) -> io::Result<SharedAnswer> {
    let address = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("its name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    if let Some(password) = password {
        stream.write_all(&command(&[b"AUTH", password.as_bytes()]))?;
        if let Some(Value::Error(text)) = answer(&mut stream)? {
            return Ok(SharedAnswer::Denied(String::from_utf8_lossy(&text).into_owned()));
        }
    }
    stream.write_all(&command(&[b"PING"]))?;
    Ok(match answer(&mut stream)? {
        Some(Value::Simple(_)) => SharedAnswer::Well,
        Some(Value::Error(text)) if text.starts_with(b"NOAUTH") => {
            SharedAnswer::Denied(String::from_utf8_lossy(&text).into_owned())
        }
        Some(Value::Error(text)) => SharedAnswer::Away(String::from_utf8_lossy(&text).into_owned()),
        _ => SharedAnswer::Foreign,
    })
}

/// One short answer; `None` if it is no RESP.
fn answer(stream: &mut TcpStream) -> io::Result<Option<Value>> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 512];
        let length = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..length]);
        match unit(&bytes) {
            Ok(Some(whole)) => {
                let value = Reader::default().push(&Bytes::copy_from_slice(&bytes[..whole]));
                return Ok(value.ok().flatten());
            }
            Ok(None) if length > 0 && bytes.len() < 4096 => {}
            _ => return Ok(None),
        }
    }
}
