//! Looks at this machine: what `/proc` and `/sys` say.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::doctor::facts::{Interface, Machine};

pub(super) fn look() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let v6 = v6(&read("/proc/net/if_inet6"));
    let mut interfaces = interfaces(Path::new("/sys/class/net"));
    let behind = v6.iter().map(|(name, ip, bits)| (name.clone(), IpAddr::V6(*ip), *bits));
    for (name, ip, bits) in routes(&read("/proc/net/route")).into_iter().chain(behind) {
        if let Some(interface) = interfaces.iter_mut().find(|interface| interface.name == name) {
            interface.networks.push((ip, bits));
        }
    }
    let own6 = v6.iter().map(|(_, ip, _)| *ip).filter(|ip| !ip.is_unicast_link_local());
    let addresses = locals(&read("/proc/net/fib_trie")).into_iter().map(IpAddr::V4);
    let number = |path: &str| read(path).trim().parse().ok();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let program = std::env::current_exe().ok();
    let written = program.and_then(|program| {
        let at = fs::metadata(&program).ok()?.mtime();
        Some((u64::try_from(at).ok()?, program))
    });
    Machine {
        addresses: addresses.chain(own6.map(IpAddr::V6)).collect(),
        interfaces,
        ipv6: !v6.is_empty(),
        unprivileged_from: number("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or(1024)
            as u16,
        files: open_files(&read("/proc/self/limits")),
        receive_buffer: number("/proc/sys/net/core/rmem_max"),
        memory: memory(&read("/proc/meminfo"), &read("/sys/fs/cgroup/memory.max")),
        ephemeral: ranges(
            &read("/proc/sys/net/ipv4/ip_local_port_range").trim().replace(['\t', ' '], "-"),
        )
        .pop(),
        reserved: ranges(read("/proc/sys/net/ipv4/ip_local_reserved_ports").trim()),
        sip_modules: modules(&read("/proc/modules")),
        clock,
        written,
        synchronised: engine::host::clock_synchronised(),
    }
}

fn interfaces(folder: &Path) -> Vec<Interface> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mtu = fs::read_to_string(entry.path().join("mtu")).ok();
        if let Some(mtu) = mtu.and_then(|mtu| mtu.trim().parse().ok()).filter(|_| name != "lo") {
            found.push(Interface { name, mtu, networks: Vec::new() });
        }
    }
    found.sort_by(|a: &Interface, b| a.name.cmp(&b.name));
    found
}

/// The networks that are directly behind interfaces: routes without a gateway.
fn routes(table: &str) -> Vec<(String, IpAddr, u8)> {
    let number = |word: &str| u32::from_str_radix(word, 16).ok().map(u32::swap_bytes);
    let route = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, network, gateway, .., mask] = *words.get(..8)? else { return None };
        let (network, gateway, mask) = (number(network)?, number(gateway)?, number(mask)?);
        let direct = gateway == 0 && mask != 0;
        direct.then(|| (name.to_owned(), Ipv4Addr::from(network).into(), mask.leading_ones() as u8))
    };
    table.lines().skip(1).filter_map(route).collect()
}

/// The IPv4 addresses of this machine: host routes to ourselves.
fn locals(trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.take());
        }
    }
    found.sort_unstable_by_key(|ip| (ip.is_loopback(), *ip));
    found.dedup();
    found
}

/// Interfaces, IPv6 addresses and the lengths of their prefixes.
fn v6(table: &str) -> Vec<(String, Ipv6Addr, u8)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let ip = u128::from_str_radix(words.next()?, 16).ok()?;
        let bits = u8::from_str_radix(words.nth(1)?, 16).ok()?;
        Some((words.last()?.to_owned(), Ipv6Addr::from(ip), bits))
    };
    table.lines().filter_map(line).collect()
}

fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn memory(meminfo: &str, group: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = total.and_then(|total| total.split_whitespace().next()?.parse().ok());
    let bytes = kib.map(|kib| kib << 10);
    let group = group.trim().parse().ok();
    bytes.into_iter().chain(group).min()
}

/// Ports such as `3-5,9`.
fn ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((first.trim().parse().ok()?, last.trim_matches(['-', ' ']).parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}

fn modules(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| matches!(*name, "nf_nat_sip" | "ip_nat_sip")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_read() {
        let route = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
                     eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\n\
                     eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n";
        assert_eq!(routes(route), [("eth0".to_owned(), IpAddr::from([192, 0, 2, 0]), 24)]);
        let v6 = v6("20010db8000000000000000000000001 04 40 00 82     eth0\n");
        assert_eq!(v6, [("eth0".to_owned(), "2001:db8::1".parse().unwrap(), 64)]);
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    \x20    |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.2\n        /32 host LOCAL\n";
        assert_eq!(locals(trie), [Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::LOCALHOST]);
        assert_eq!(open_files("Max open files            1024    524288   files\n"), Some(1024));
        assert_eq!(ranges("32768-60999"), [(32768, 60999)]);
        assert_eq!(ranges("3,7-9"), [(3, 3), (7, 9)]);
        assert_eq!(ranges(""), []);
        assert_eq!(memory("MemTotal:  2048 kB\n", "max\n"), Some(2 << 20));
        assert_eq!(memory("MemTotal:  2048 kB\n", "1024\n"), Some(1024));
        assert_eq!(modules("nf_nat_sip 16384 0 - Live\nnf_nat 1 2 - Live\n"), ["nf_nat_sip"]);
    }

    #[test]
    fn this_machine_has_a_loopback() {
        let machine = look();
        assert!(machine.addresses.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{machine:?}");
        assert!(machine.files.is_some() && machine.memory.is_some() && machine.clock > 0);
    }
}
