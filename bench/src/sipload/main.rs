//! SIP load generator. It is the phones of both sides and sends everything to one server, so any
//! registrar, proxy or IMS can be measured the same way.
//!
//!   sipload options  --server 127.0.0.1:5060 --count 100000 --cmd-name kamailio
//!   sipload register --server 127.0.0.1:5060 --users 10000 --count 100000 ...
//!   sipload call     --server 127.0.0.1:5060 --users 1000  --count 50000 ...
//!
//! - `options`: one OPTIONS to the server, one 200.
//! - `register`: REGISTER, 401, REGISTER with digest, 200; one unit is the pair. The phones are
//!   u0, u1, …
//! - `churn`: the same, but each phone registers, refreshes twice, leaves and begins again.
//! - `call`: INVITE, 180, 200, ACK, BYE, 200 through the server. Callers (u0 …) and called phones
//!   (as many, after them) register first, which is not measured. A caller sends its INVITE along
//!   the Service-Route that its registrar gave; requests of the call follow Record-Route.
//!
//! Options (defaults):
//!   --transport udp|tcp (udp)
//!   --ip ADDRESS of all phones; without it each socket has its own, from 127.1.0.1 on
//!   --domain NAME (example.test) --password TEXT (secret)
//!   --window N   work units in flight at once (64)
//!   --rate N     start at most N units per second, 0 = as fast as the window allows (0)
//!   --count N    units to do (20000)   --seconds N  stop starting after this time (60)
//!   --users N    phones that register, or that call (1000)
//!   --sockets N  sockets of these phones, and as many of those that are called
//!                (options: 4, others: one for each phone)
//!   --hold-ms N  talk time between ACK and BYE (0)
//!   --settle-ms N  wait before the last CPU reading, so late timers of the server count (1000)
//!   --pid / --cmd-name  the server's processes, for CPU and memory figures
//!   --cpu N      pin the generator
//!   --first N    units of `register` before those that are measured (0)
//!   --pause-ms N  wait between these registrations and the calls (1000)
//!   --base N     the first phone is uN (0)   --expires N  seconds of a registration (3600)
//!   --no-register  the phones of `call` are known to the server already
use bench::{
    args::Args,
    now_ns,
    procs::{Machine, Server},
    self_cpu_ns, sleep_ms,
};
use std::net::{Ipv4Addr, SocketAddrV4};

mod message;
mod net;
mod phones;
mod run;

use net::Net;
use phones::{Phones, Registration, Work};
use run::{run, Limits};

fn main() {
    let a = Args::parse();
    let work = match a.free.first().map(|s| s.as_str()) {
        Some("options") => Work::Options,
        Some("register") => Work::Register,
        Some("churn") => Work::Churn,
        Some("call") => Work::Call,
        _ => {
            eprintln!("usage: sipload options|register|churn|call [--option value]...  (see the head of src/sipload/main.rs)");
            std::process::exit(2);
        }
    };
    if a.flag("cpu") {
        bench::pin_to(a.num("cpu", 0));
    }
    let server: SocketAddrV4 =
        a.text("server", "127.0.0.1:5060").parse().expect("--server ip:port");
    let tcp = a.text("transport", "udp") == "tcp";
    let users: usize = a.num("users", 1000);
    let sockets: usize = a.num("sockets", if work == Work::Options { 4 } else { users });
    let sides = if work == Work::Call { 2 } else { 1 };
    let fixed: Option<Ipv4Addr> =
        a.flag("ip").then(|| a.text("ip", "").parse().expect("--ip address"));
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    let ip = |i: usize| fixed.unwrap_or(Ipv4Addr::from(first + i as u32));
    let srv = Server::from_args(&a);
    let idle = srv.mem();
    let mut net = Net::new(sockets * sides, ip, server, tcp);
    let mut phones = Phones {
        domain: a.text("domain", "example.test"),
        password: a.text("password", "secret"),
        users,
        sockets,
        registrations: vec![Registration::default(); users * sides],
        base: a.num("base", 0),
        expires: a.num("expires", 3600),
        rounds: vec![0; users * sides],
    };
    let limits = Limits {
        count: a.num("count", 20000),
        window: a.num("window", 64),
        phones: users,
        rate: a.num("rate", 0.0),
        seconds: a.num("seconds", 60),
        hold_ns: a.num("hold-ms", 0u64) * 1_000_000,
        run: now_ns(),
    };
    let first: u64 = match work {
        Work::Call if !a.flag("no-register") => (users * sides) as u64,
        Work::Register => a.num("first", 0),
        _ => 0,
    };
    if first > 0 {
        let before = Limits {
            count: first,
            window: 64,
            phones: users * sides,
            rate: 0.0,
            seconds: 300,
            hold_ns: 0,
            run: limits.run + 1,
        };
        let r = run(&mut net, &mut phones, Work::Register, &before);
        if r.done != first {
            eprintln!("only {} of {first} registrations went through", r.done);
        }
        // What the registrations set off is not the calls' work.
        sleep_ms(a.num("pause-ms", 1000));
    }
    let mem0 = srv.mem();
    let user0 = srv.user_us();
    let cpu0 = srv.cpu_us();
    let own0 = self_cpu_ns();
    let machine = Machine::now(&srv);
    let r = run(&mut net, &mut phones, work, &limits);
    let others = machine.others_since(&srv);
    let own = self_cpu_ns() - own0;
    let mem1 = srv.mem();
    sleep_ms(a.num("settle-ms", 1000));
    let cpu = srv.cpu_us() - cpu0;
    let user = srv.user_us() - user0;
    let mem2 = srv.mem();
    let done = r.done.max(1);
    let secs = r.wall_ns as f64 * 1e-9;
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!(
        "{{\"work\":\"{}\",\"phones\":{},\"transport\":\"{}\",\"done\":{},\"failed\":{},\"retrans\":{},\"bad_status\":{},\"stray\":{},\"seconds\":{:.2},\"per_s\":{:.0},\"peak_per_s\":{},\"first_p50_us\":{:.0},\"first_p99_us\":{:.0},\"total_p50_us\":{:.0},\"total_p99_us\":{:.0},\"bye_p50_us\":{:.0},\"bye_p99_us\":{:.0},\"peak_in_flight\":{},\"server_cpu_us_per_unit\":{:.2},\"server_cpu_s\":{:.2},\"generator_cpu_us_per_unit\":{:.2},\"pss_idle_mib\":{:.1},\"pss_before_mib\":{:.1},\"pss_after_mib\":{:.1},\"pss_settled_mib\":{:.1},\"processes\":{},\"others_cpu_percent\":{:.0},\"steal_percent\":{:.0},\"server_user_percent\":{:.0}}}",
        a.free[0], users * sides, net.proto(), r.done, r.failed, r.retrans, r.bad_status, r.stray,
        secs, r.done as f64 / secs, r.peak_per_s,
        r.first.us(0.5), r.first.us(0.99), r.total.us(0.5), r.total.us(0.99), r.bye.us(0.5), r.bye.us(0.99),
        r.peak_in_flight,
        cpu as f64 / done as f64, cpu as f64 / 1e6, own as f64 / 1000.0 / done as f64,
        mib(idle.pss_kib), mib(mem0.pss_kib), mib(mem1.pss_kib), mib(mem2.pss_kib), mem1.processes, others.0, others.1,
        user as f64 / cpu.max(1) as f64 * 100.0
    );
    if r.done == 0 {
        std::process::exit(1);
    }
}
