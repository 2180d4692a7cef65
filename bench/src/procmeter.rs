//! Memory and CPU use of a server.
//!   procmeter --cmd-name kamailio --seconds 10
//!       memory, and the CPU share over that time (with no load: the idle cost)
//!   procmeter --pid 123 --units 1000000 --run "redis-benchmark -n 1000000 ..."
//!       runs the command and divides the server's CPU time by the number of units
//!   procmeter --pid 123 --files
//!       size of the program and of every file it has mapped (shared libraries, modules)
use bench::{args::Args, now_ns, procs::Server, sleep_ms};

fn main() {
    let a = Args::parse();
    let s = Server::from_args(&a);
    if a.flag("files") {
        let mut files = std::collections::BTreeMap::new();
        for p in s.pids() {
            for l in std::fs::read_to_string(format!("/proc/{p}/maps")).unwrap_or_default().lines()
            {
                if let Some(f) = l
                    .split_whitespace()
                    .nth(5)
                    .filter(|f| f.starts_with('/') && !f.starts_with("/dev"))
                {
                    if let Ok(m) = std::fs::metadata(f) {
                        files.insert(f.to_string(), m.len());
                    }
                }
            }
        }
        let exe = s
            .pids()
            .iter()
            .filter_map(|p| std::fs::read_link(format!("/proc/{p}/exe")).ok())
            .next()
            .map(|p| p.display().to_string())
            .unwrap_or_default();
        let exe_len = files.get(&exe).copied().unwrap_or(0);
        let libc_like: u64 = files
            .iter()
            .filter(|(f, _)| {
                [
                    "/libc.so",
                    "/libm.so",
                    "/ld-linux",
                    "/libpthread",
                    "/libdl.",
                    "/librt.",
                    "/libresolv.",
                    "/libgcc_s",
                    "/libstdc++",
                ]
                .iter()
                .any(|x| f.contains(x))
            })
            .map(|x| *x.1)
            .sum();
        let total: u64 = files.values().sum();
        println!(
            "{{\"program\":\"{exe}\",\"program_kib\":{},\"files\":{},\"all_mapped_kib\":{},\"without_libc_kib\":{}}}",
            exe_len / 1024, files.len(), total / 1024, (total - libc_like) / 1024
        );
        return;
    }
    let run = a.text("run", "");
    let c0 = s.cpu_us();
    let t0 = now_ns();
    if run.is_empty() {
        sleep_ms(a.num("seconds", 5u64) * 1000);
    } else {
        let o = std::process::Command::new("sh").arg("-c").arg(&run).output().expect("run");
        eprint!("{}", String::from_utf8_lossy(&o.stdout));
        if !o.status.success() {
            eprint!("{}", String::from_utf8_lossy(&o.stderr));
        }
    }
    let wall = (now_ns() - t0) as f64 / 1e3;
    let c1 = s.cpu_us();
    let m = s.mem();
    let units: f64 = a.num("units", 0.0);
    let per = if units > 0.0 {
        format!(
            ",\"units\":{units},\"units_per_s\":{:.0},\"cpu_us_per_unit\":{:.3}",
            units / wall * 1e6,
            (c1 - c0) as f64 / units
        )
    } else {
        String::new()
    };
    println!(
        "{{\"processes\":{},\"pss_mib\":{:.1},\"rss_sum_mib\":{:.1},\"cpu_total_s\":{:.2},\"cpu_percent\":{:.2}{per}}}",
        m.processes,
        m.pss_kib as f64 / 1024.0,
        m.rss_kib as f64 / 1024.0,
        c1 as f64 / 1e6,
        (c1 - c0) as f64 / wall * 100.0
    );
}
