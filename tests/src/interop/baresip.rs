//! Debian's baresip, ruled through its module `ctrl_tcp`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::spec::certificate;
use super::{HERE, Namespace, PATIENCE, Peer, Process, peer_text, prompt, until};

/// A running baresip. What it hears is recorded by its module `sndfile`.
#[derive(Debug)]
pub struct Baresip {
    /// The program.
    pub peer: Peer,
    control: TcpStream,
    pending: Vec<u8>,
    folder: PathBuf,
}

impl Baresip {
    /// Starts one that registers as `user` at `proxy`, says the prompt `says`, and answers calls by
    /// itself. It takes SIP ports from `port` on.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(ns: &Namespace, user: &str, proxy: &str, port: u16, says: &str) -> Baresip {
        Baresip::start_with(ns, user, proxy, (port, says), "")
    }

    /// The same with more parameters of its account, such as `;mediaenc=srtp-mand`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with(
        ns: &Namespace,
        user: &str,
        proxy: &str,
        (port, says): (u16, &str),
        more: &str,
    ) -> Baresip {
        let folder = ns.folder().join(format!("baresip-{user}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.join(name), bytes).expect("a configuration file");
        };
        // A second of silence first: the way must be open before the words come. Silence after them:
        // baresip hangs up at the end of the file.
        let mut samples = vec![0; 8000];
        samples.extend(prompt(says));
        samples.resize(samples.len() + 240_000, 0);
        write("says.wav", &rtp::wav::write(8000, &samples).expect("a WAV file"));
        write("silence.wav", &rtp::wav::write(8000, &[0; 8000]).expect("a WAV file"));
        let control = port + 100;
        // Only who asks for a codec has it.
        let module = |name: &str| match more.contains(name) {
            true => format!("module {}.so\n", name.to_lowercase()),
            false => String::new(),
        };
        let modules: String =
            ["G722", "GSM", "L16", "AMR", "opus"].into_iter().map(module).collect();
        let fill = |text: String| {
            text.replace("{HERE}", HERE)
                .replace("{MORE}", more)
                .replace("{MODULES}", &modules)
                .replace("{USER}", user)
                .replace("{PROXY}", proxy)
                .replace("{PORT}", &port.to_string())
                .replace("{CONTROL}", &control.to_string())
                .replace("{RTP}", &format!("{}-{}", port + 10_000, port + 10_050))
                .replace("{CA}", &certificate("authority.pem").display().to_string())
                .replace("{FOLDER}", &folder.display().to_string())
        };
        write("config", fill(peer_text("baresip/config")).as_bytes());
        write("accounts", fill(peer_text("baresip/accounts")).as_bytes());
        write("contacts", b"");
        let args = ["-f", folder.to_str().expect("UTF-8"), "-v"];
        let peer = Peer::start(ns, "/usr/bin/baresip", args);
        let control = until("baresip to take commands", || {
            ns.inside(|| TcpStream::connect((HERE, control))).ok()
        });
        control.set_read_timeout(Some(Duration::from_millis(50))).expect("a time above zero");
        let mut baresip = Baresip { peer, control, pending: Vec::new(), folder };
        baresip.peer.says("} 200 OK");
        baresip
    }

    /// Gives a command, such as `dial sip:bob@ims.test`.
    ///
    /// # Panics
    /// If it is gone.
    pub fn command(&mut self, command: &str, parameters: &str) {
        let text = json!({"command": command, "params": parameters, "token": "t"}).to_string();
        let netstring = format!("{}:{text},", text.len());
        self.control.write_all(netstring.as_bytes()).expect("baresip lives");
    }

    /// Waits for an event, such as `CALL_ESTABLISHED`.
    ///
    /// # Panics
    /// If it does not come in time.
    pub fn event(&mut self, kind: &str) -> Value {
        let what = format!("baresip's event {kind}");
        let mut seen = Vec::new();
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            while let Some(message) = self.message() {
                if message["type"] == kind {
                    return message;
                }
                seen.push(message);
            }
            assert!(std::time::Instant::now() < end, "waited for {what}: {seen:?}");
            let mut buffer = [0; 4096];
            match self.control.read(&mut buffer) {
                Ok(0) => panic!("baresip ended before {what}"),
                Ok(n) => self.pending.extend_from_slice(&buffer[..n]),
                Err(_) => {}
            }
        }
    }

    /// Calls `bob`, talks with him until all is said, and hangs up.
    ///
    /// # Panics
    /// If there is no call, or no end of it.
    pub fn talk_with(&mut self, bob: &mut Baresip, network: &mut Process) {
        self.command("dial", "sip:bob@ims.test");
        bob.event("CALL_ESTABLISHED");
        self.event("CALL_ESTABLISHED");
        // A second of silence comes before the words.
        network.talk();
        network.talk();
        self.command("hangup", "");
        bob.event("CALL_CLOSED");
    }

    /// Hangs up and ends it; returns what it heard, at 8000 Hz.
    ///
    /// # Panics
    /// If it recorded nothing.
    pub fn heard(self) -> Vec<i16> {
        self.both().1
    }

    /// Hangs up and ends it; returns what its encoder got to say, and what it heard, at 8000 Hz. baresip's own way from the
    /// rate of a file to that of a codec is a coarse one.
    ///
    /// # Panics
    /// If it recorded nothing.
    pub fn both(mut self) -> (Vec<i16>, Vec<i16>) {
        self.peer.stop();
        (self.recording("-enc.wav"), self.recording("-dec.wav"))
    }

    fn recording(&self, end: &str) -> Vec<i16> {
        let files = std::fs::read_dir(&self.folder).expect("its folder").flatten();
        let recording = files
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with(end))
            .expect("a recording");
        let bytes = std::fs::read(recording).expect("a file");
        let wav = rtp::wav::read(&bytes).expect("16 bit");
        let mut samples = Vec::new();
        codec::resample::Resampler::new(wav.rate, 8000).resample(&wav.samples, &mut samples);
        samples
    }

    /// The next netstring.
    fn message(&mut self) -> Option<Value> {
        let colon = self.pending.iter().position(|byte| *byte == b':')?;
        let length = std::str::from_utf8(&self.pending[..colon]).ok()?.parse::<usize>().ok()?;
        let end = colon + 1 + length;
        if self.pending.len() <= end {
            return None;
        }
        let value = serde_json::from_slice(&self.pending[colon + 1..end]).unwrap_or(Value::Null);
        self.pending.drain(..=end);
        Some(value)
    }
}
