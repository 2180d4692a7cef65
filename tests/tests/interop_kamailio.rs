//! Debian's Kamailio as registrar and proxy: it drives our relay with the NG protocol, and phones of
//! ours and baresip register there with passwords; and as application server of our S-CSCF.
#![cfg(feature = "interop")]

use rtp::likeness::{Verdict, compare};
use strowger_tests::interop::{
    Baresip, DOMAIN, HERE, Namespace, Peer, Process, Spec, assert_heard, peer_text, prompt,
    scenario,
};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

/// Kamailio with a configuration of `tests/peers`, once it listens at the port.
fn kamailio(namespace: &Namespace, config: &str, words: &[(&str, &str)], port: u16) -> Peer {
    let mut text = peer_text(&format!("kamailio/{config}"));
    for (word, value) in words {
        text = text.replace(word, value);
    }
    let config = namespace.folder().join(config);
    std::fs::write(&config, text).expect("a configuration");
    let folder = namespace.folder().display().to_string();
    let config = config.display().to_string();
    let args = ["-f", &config, "-DD", "-E", "-Y", &folder, "-w", &folder];
    let kamailio = Peer::start(namespace, "/usr/sbin/kamailio", args);
    namespace.bound(port);
    kamailio
}

/// The registrar, and what it wants of the relay beside the usual.
fn registrar(namespace: &Namespace, flags: &str) -> Peer {
    registrar_that(namespace, flags, "")
}

/// The same, and what it does with answers.
fn registrar_that(namespace: &Namespace, flags: &str, answered: &str) -> Peer {
    let words = [("{HERE}", HERE), ("{FLAGS}", flags), ("{ANSWERED}", answered)];
    kamailio(namespace, "kamailio.cfg", &words, 5060)
}

/// Our relay alone, and two phones with passwords; `bob` uses TCP.
fn relay_and_phones() -> Spec {
    let spec = Spec::default().here(&[("media", Some(2223))]);
    let mut spec = spec.password_phone("alice", 6060).password_phone("bob", 6062);
    spec.phones[1].tcp = true;
    spec
}

#[test]
fn kamailio_drives_our_relay_for_two_phones() {
    scenario("kamailio", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &relay_and_phones());
        let mut kamailio = registrar(namespace, "");
        network.register("alice");
        network.register("bob");
        kamailio.says("registered alice over udp");
        kamailio.says("registered bob over tcp");
        network.order("alice call sip:bob@ims.test");
        network.phone("alice", "answered");
        let media = network.phone("alice", "media");
        let text = media["text"].as_str().unwrap_or_default();
        let port = text.split_once(&format!("{HERE}:")).and_then(|(_, port)| port.get(..5));
        let port = port.and_then(|port| port.parse().ok());
        let ours = engine::RelayConfig::default().ports;
        assert!(port.is_some_and(|p| ours.contains(&p)), "the sound comes from our relay: {text}");
        network.talk();
        network.part("alice");
    });
}

#[test]
fn our_phone_and_baresip_call_through_kamailio() {
    scenario("kamailio and baresip", |namespace| {
        let mut network = Process::start(namespace, NETWORK, &relay_and_phones());
        let _kamailio = registrar(namespace, "");
        network.register("alice");
        let proxy = format!("sip:{HERE}:5060");
        let carol = Baresip::start(namespace, "carol", &proxy, 6200, "bob");
        network.order("alice call sip:carol@ims.test");
        network.phone("alice", "answered");
        network.talk();
        network.talk();
        network.order("alice hangup");
        assert_heard(&network.phone("alice", "ended"), "bob");
        let likeness = compare(&prompt("alice"), &carol.heard());
        assert_eq!(likeness.verdict(), Verdict::Same, "{:?}", likeness.heard);
    });
}

/// Baresips without a codec in common hear each other: the relay converts what Kamailio asks it to.
#[test]
fn baresips_without_a_common_codec_call_through_kamailio() {
    for (codec, flags, least) in [
        ("G722/16000/1", " codec-transcode-PCMA", 0.97),
        ("GSM/8000/1", " codec-transcode-PCMA", 0.85),
        ("L16/16000/1", " codec-mask-all codec-transcode-PCMA", 0.97),
        ("opus/48000/2", " codec-transcode-PCMA", 0.85),
        ("AMR/8000/1", " codec-transcode-PCMA", 0.65),
        ("AMR-WB/16000/1", " codec-transcode-PCMA", 0.75),
    ] {
        scenario(&format!("{codec} and PCMA through kamailio"), |namespace| {
            let spec = Spec::default().here(&[("media", Some(2223))]);
            let mut network = Process::start(namespace, NETWORK, &spec);
            let _kamailio = registrar(namespace, flags);
            let proxy = format!("sip:{HERE}:5060");
            let start = |user, port, codec: &str| {
                let account = format!(";audio_codecs={codec}");
                Baresip::start_with(namespace, user, &proxy, (port, user), &account)
            };
            let mut alice = start("alice", 6000, codec);
            let mut bob = start("bob", 6200, "PCMA");
            alice.talk_with(&mut bob, &mut network);
            let ends = [alice.both(), bob.both()];
            for (who, (said, _), (_, heard)) in
                [("bob", &ends[0], &ends[1]), ("alice", &ends[1], &ends[0])]
            {
                // The words are over within five seconds.
                let likeness = compare(&said[..40_000], heard);
                let numbers = (likeness.mean, likeness.worst, likeness.presence);
                assert!(
                    likeness.mean > least && likeness.presence > 0.98,
                    "{codec}: {who}: {numbers:?}"
                );
            }
        });
    }
}

/// Kamailio has a sound played to who answered, whom it names in reply routes: he hears it, the caller does not.
#[test]
fn kamailio_plays_a_sound_to_who_answered() {
    scenario("kamailio plays a sound", |namespace| {
        let sounds = namespace.folder().join("sounds");
        std::fs::create_dir_all(&sounds).expect("a folder");
        let welcome = rtp::wav::write(8000, &prompt("bob")).expect("a WAV file");
        std::fs::write(sounds.join("welcome.wav"), welcome).expect("a file");
        let mut spec = Spec::default().here(&[("media", Some(2223))]);
        spec.sounds = Some(sounds);
        let mut network = Process::start(namespace, NETWORK, &spec);
        let play = r#"if (status == "200" && is_method("INVITE")) play_media("file=welcome");"#;
        let _kamailio = registrar_that(namespace, "", play);
        let proxy = format!("sip:{HERE}:5060");
        // Both say the same: what else one of them hears is played.
        let mut alice = Baresip::start(namespace, "alice", &proxy, 6000, "alice");
        let mut bob = Baresip::start(namespace, "bob", &proxy, 6200, "alice");
        alice.talk_with(&mut bob, &mut network);
        let played = compare(&prompt("bob"), &bob.heard());
        assert_eq!(played.verdict(), Verdict::Same, "{:?}", played.heard);
        let said = compare(&prompt("alice"), &alice.heard());
        assert_eq!(said.verdict(), Verdict::Same, "{:?}", said.heard);
    });
}

/// Kamailio has a key pressed for who answered, whom it names in reply routes: the caller's phone says which.
#[test]
fn kamailio_presses_a_key_for_who_answered() {
    scenario("kamailio presses a key", |namespace| {
        let spec = Spec::default().here(&[("media", Some(2223))]);
        let mut network = Process::start(namespace, NETWORK, &spec);
        let press =
            r#"if (status == "200" && is_method("INVITE")) play_dtmf("code=7 duration=300");"#;
        let _kamailio = registrar_that(namespace, "", press);
        let proxy = format!("sip:{HERE}:5060");
        let mut alice = Baresip::start(namespace, "alice", &proxy, 6000, "alice");
        let mut bob = Baresip::start(namespace, "bob", &proxy, 6200, "bob");
        alice.talk_with(&mut bob, &mut network);
        assert_eq!(alice.event("CALL_DTMF_START")["param"], "7");
    });
}

/// Kamailio has a call recorded whose ends have different codecs: each party is in its channel.
#[test]
fn kamailio_records_a_call() {
    scenario("kamailio records", |namespace| {
        let folder = namespace.folder().join("recordings");
        let mut spec = Spec::default().here(&[("media", Some(2223))]);
        spec.recordings = Some(folder.clone());
        let mut network = Process::start(namespace, NETWORK, &spec);
        let record = r#"if (status == "200" && is_method("INVITE")) start_recording();"#;
        let _kamailio = registrar_that(namespace, " codec-transcode-PCMA", record);
        let proxy = format!("sip:{HERE}:5060");
        let start = |user, port, says, codec: &str| {
            let account = format!(";audio_codecs={codec}");
            Baresip::start_with(namespace, user, &proxy, (port, says), &account)
        };
        let mut alice = start("alice", 6000, "alice", "G722/16000/1");
        let mut bob = start("bob", 6200, "bob", "PCMA");
        alice.talk_with(&mut bob, &mut network);
        network.stop();
        let file = std::fs::read_dir(&folder).expect("a folder").next();
        let file = std::fs::read(file.expect("a recording").expect("a file").path());
        let file = file.expect("its bytes");
        let (header, sound) = file.split_at(44);
        assert_eq!(
            (&header[22..24], &header[24..28]),
            (&[2, 0][..], &16_000_u32.to_le_bytes()[..])
        );
        let samples = sound.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        let samples: Vec<i16> = samples.collect();
        for (channel, (said, _)) in [alice.both(), bob.both()].iter().enumerate() {
            let side: Vec<i16> = samples.iter().skip(channel).step_by(2).copied().collect();
            let mut narrow = Vec::new();
            codec::resample::Resampler::new(16_000, 8000).resample(&side, &mut narrow);
            let likeness = compare(&said[..40_000], &narrow);
            let numbers = (likeness.mean, likeness.worst, likeness.presence);
            assert!(likeness.mean > 0.97 && likeness.presence > 0.98, "{channel}: {numbers:?}");
        }
    });
}

/// Filter criteria send a call to Kamailio, which sends it back and stays in the dialog; when it is gone
/// the call goes on without it.
#[test]
fn kamailio_is_an_application_server() {
    scenario("kamailio as application server", |namespace| {
        const SERVER: &str = "127.0.0.2";
        let place = format!("{SERVER}:7060");
        let functions = ["hss", "media", "icscf"].map(|role| (role, None));
        let listeners = [("pcscf", Some(5060)), ("scscf", Some(5070))];
        let mut spec = Spec::default()
            .here(&[&functions[..], &listeners].concat())
            .sim_phone("alice", "001010000000001", "491701", 6060)
            .sim_phone("bob", "001010000000002", "491702", 6062);
        spec.ifc = vec![format!("sip:{place} when method=INVITE and case=originating")];
        spec.trusted = vec![SERVER.parse().expect("an address")];
        let mut server =
            kamailio(namespace, "application-server.cfg", &[("{SERVER}", &place)], 7060);
        let mut network = Process::start(namespace, NETWORK, &spec);
        network.register("alice");
        network.register("bob");
        for is_up in [true, false] {
            network.order("alice call tel:+491702");
            network.phone("alice", "answered");
            network.talk();
            network.part("alice");
            if is_up {
                let served = format!("for <sip:+491701@{DOMAIN}>;sescase=orig");
                server.says(&format!("asked INVITE {served}"));
                server.says("later ACK");
                server.says("later BYE");
                server.stop();
            }
        }
    });
}
