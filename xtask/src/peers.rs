//! The foreign programs that the interop tests drive.

use std::path::Path;
use std::process::Command;

use crate::run::{root, step};

/// Debian packages and a program of each that shows that it is there.
const PACKAGES: &[(&str, &str)] = &[
    ("sip-tester", "/usr/bin/sipp"),
    ("baresip", "/usr/bin/baresip"),
    ("iproute2", "/sbin/ip"),
    ("rtpengine-daemon", "/usr/bin/rtpengine"),
    ("rtpengine-utils", "/usr/bin/rtpengine-ctl"),
    ("kamailio", "/usr/sbin/kamailio"),
    ("kamailio-ims-modules", "/usr/share/doc/kamailio-ims-modules"),
    ("kamailio-presence-modules", "/usr/share/doc/kamailio-presence-modules"),
    ("kamailio-websocket-modules", "/usr/share/doc/kamailio-websocket-modules"),
    ("redis-server", "/usr/bin/redis-server"),
    ("redis-tools", "/usr/bin/redis-cli"),
    ("tshark", "/usr/bin/tshark"),
    ("tcpdump", "/usr/bin/tcpdump"),
    ("sngrep", "/usr/bin/sngrep"),
    ("prometheus", "/usr/bin/prometheus"),
    ("curl", "/usr/bin/curl"),
    ("ethtool", "/usr/sbin/ethtool"),
    ("python3-venv", "/usr/share/doc/python3-venv"),
];

/// PyPI packages, in an environment of their own below `target`.
const PYPI: &[&str] = &[
    "aioice==0.13.0",
    "aiortc==1.16.0",
    "python-diameter==0.9.0",
    "schemathesis==4.32.5",
    "openapi-spec-validator==0.9.0",
    "websockets==17.4",
];

/// npm packages, in a folder below `target`.
const NPM: &[&str] =
    &["jssip@3.13.8", "@roamhq/wrtc@0.10.0", "ws@8.23.0", "rtpengine-client@0.4.12", "debug@4.4.3"];

/// Installs what is missing; without root it says what is missing and fails.
pub(crate) fn install() -> Result<(), String> {
    packages(|_| true)?;
    python()?;
    node()
}

/// Installs what is measured beside us, if it is missing.
pub(crate) fn install_incumbents() -> Result<(), String> {
    packages(|package| ["kamailio", "rtpengine-daemon"].contains(&package))
}

fn packages(wanted: impl Fn(&str) -> bool) -> Result<(), String> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(package, program)| wanted(package) && !Path::new(program).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if !root {
        return Err(format!("the tests need these Debian packages: apt-get install {list}"));
    }
    step("package lists", Command::new("apt-get").args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    step("peers", install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing))
}

/// Installs the PyPI packages, unless these very ones are there.
fn python() -> Result<(), String> {
    let environment = root().join("target/peers");
    let list = environment.join("packages.txt");
    let wanted = PYPI.join("\n");
    if std::fs::read_to_string(&list).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    step("python", Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/pip"));
    step("python peers", pip.args(["install", "--quiet"]).args(PYPI))?;
    std::fs::write(&list, wanted).map_err(|e| format!("{}: {e}", list.display()))
}

/// Installs the npm packages, unless these very ones are there.
fn node() -> Result<(), String> {
    let folder = root().join("target/peers/node");
    let list = folder.join("packages.txt");
    let wanted = NPM.join("\n");
    if std::fs::read_to_string(&list).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-save", "--no-audit", "--no-fund", "--prefix"])
        .arg(&folder);
    step("node peers", npm.args(NPM))?;
    std::fs::write(&list, wanted).map_err(|e| format!("{}: {e}", list.display()))
}
