use auth::digest::{Hash, response};
use base::time::Duration;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;

const IMPI: &str = "alice@ims.test";
const REALM: &str = "ims.test";
const BOTH: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

/// What the HSS gives for `alice`: for each algorithm H(A1) over the IMPI, then over the name.
fn items(password: &str, algorithms: &[Algorithm]) -> Vec<AuthData> {
    let users = algorithms.iter().flat_map(|a| [(a, IMPI), (a, "alice")]);
    let item = |(algorithm, user): (&Algorithm, &str)| AuthData {
        scheme: Some("SIP Digest".to_owned()),
        digest: Some(DigestAuthenticate {
            realm: REALM.to_owned(),
            algorithm: Some(algorithm.name().to_owned()),
            qop: "auth".to_owned(),
            ha1: ha1(algorithm.hash(), user, REALM, password.as_bytes()),
        }),
        ..AuthData::default()
    };
    users.map(item).collect()
}

fn register() -> Message {
    Message::request(Method::Register, "sip:ims.test")
}

/// The answer of a phone that computes with `algorithm` and writes `written`.
fn answer<'a>(
    user: &'a str,
    password: &str,
    challenge: &'a Challenge,
    as_what: (Algorithm, &'a str),
) -> Credentials<'a> {
    let (algorithm, written) = as_what;
    let covered = Covered {
        algorithm,
        nonce: &challenge.nonce,
        nc: "00000001",
        cnonce: "c",
        qop: Qop::Auth,
        method: "REGISTER",
        uri: "sip:ims.test",
    };
    let ha1 = ha1(algorithm.hash(), user, &challenge.realm, password.as_bytes());
    Credentials {
        username: user.into(),
        realm: challenge.realm.as_str().into(),
        nonce: challenge.nonce.as_str().into(),
        uri: "sip:ims.test".into(),
        response: response(&ha1, &covered).into(),
        algorithm: written.into(),
        qop: "auth".into(),
        nc: "00000001".into(),
        cnonce: "c".into(),
        ..Credentials::default()
    }
}

fn issue(items: &[AuthData], wanted: &[Algorithm]) -> (Challenges, Vec<Challenge>) {
    let mut challenges = Challenges::default();
    let until = Instant::EPOCH + Duration::from_secs(240);
    let mut random = Random::new([7; 32]);
    let issued = challenges.issue(until, IMPI, REALM, items, wanted, &mut random);
    (challenges, issued)
}

fn names(issued: &[Challenge]) -> Vec<&str> {
    issued.iter().map(|challenge| challenge.algorithm.as_str()).collect()
}

#[test]
fn the_preferred_algorithm_comes_first_and_none_that_is_not_wanted() {
    let both = items("p", &[Algorithm::Md5, Algorithm::Sha256]);
    assert_eq!(names(&issue(&both, &BOTH).1), ["SHA-256", "MD5"]);
    assert_eq!(names(&issue(&both, &[Algorithm::Md5, Algorithm::Sha256]).1), ["MD5", "SHA-256"]);
    assert_eq!(names(&issue(&both, &[Algorithm::Sha256]).1), ["SHA-256"]);
    let md5 = items("p", &[Algorithm::Md5]);
    assert_eq!(names(&issue(&md5, &BOTH).1), ["MD5"]);
    assert_eq!(names(&issue(&md5, &[Algorithm::Sha256]).1), [""; 0]);
}

/// A phone from before RFC 7616: it takes the first nonce and knows nothing but MD5.
#[test]
fn a_phone_that_reads_no_algorithm_is_understood() {
    let (mut challenges, issued) = issue(&items("p", &BOTH), &BOTH);
    let credentials = answer("alice", "p", &issued[0], (Algorithm::Md5, ""));
    let verdict = challenges.check(IMPI, &register(), &credentials);
    assert_eq!(verdict, Verdict::Authenticated);
}

#[test]
fn what_was_not_offered_is_refused() {
    let (mut challenges, issued) = issue(&items("p", &BOTH), &[Algorithm::Sha256]);
    let credentials = answer("alice", "p", &issued[0], (Algorithm::Md5, "MD5"));
    assert_eq!(challenges.check(IMPI, &register(), &credentials), Verdict::Wrong);
}

proptest! {
    /// Whatever is stored and wanted: each offer can be answered, with either user name, once for
    /// each count; with another password or another hash function it cannot.
    #[test]
    fn every_offer_is_good(
        password in "[ -~]{1,20}",
        stored in subsequence(BOTH.to_vec(), 1..=2),
        wanted in subsequence(BOTH.to_vec(), 1..=2),
        short in any::<bool>(),
    ) {
        let user = if short { "alice" } else { IMPI };
        let stored = items(&password, &stored);
        for at in 0..issue(&stored, &wanted).1.len() {
            let try_with = |password: &str, hash: Option<Hash>| {
                let (mut challenges, issued) = issue(&stored, &wanted);
                let challenge = &issued[at];
                let algorithm = Algorithm::parse(&challenge.algorithm).unwrap();
                let with = BOTH.into_iter().find(|a| Some(a.hash()) == hash).unwrap_or(algorithm);
                let credentials = answer(user, password, challenge, (with, algorithm.name()));
                let first = challenges.check(IMPI, &register(), &credentials);
                (first, challenges.check(IMPI, &register(), &credentials))
            };
            prop_assert_eq!(try_with(&password, None), (Verdict::Authenticated, Verdict::Stale));
            prop_assert_eq!(try_with("~ other", None).0, Verdict::Wrong);
            let other = |a: &Algorithm| a.name() != issue(&stored, &wanted).1[at].algorithm;
            let other = BOTH.into_iter().find(other).unwrap();
            prop_assert_eq!(try_with(&password, Some(other.hash())).0, Verdict::Wrong);
        }
    }

    /// No credentials that were not made from the password are ever right.
    #[test]
    fn made_up_credentials_are_wrong(
        algorithm in "(MD5|SHA-256|sha-256|MD5-sess|AKAv1-MD5|[a-z]{0,3})",
        response in "[0-9a-f]{0,64}",
        qop in "(auth|auth-int|)",
        nc in "[0-9a-f]{0,8}",
    ) {
        let (mut challenges, issued) = issue(&items("p", &BOTH), &BOTH);
        let right = answer("alice", "p", &issued[0], (Algorithm::Sha256, "SHA-256"));
        let [algorithm, response, qop, nc] = [algorithm, response, qop, nc].map(Into::into);
        let credentials = Credentials { algorithm, response, qop, nc, ..right };
        let verdict = challenges.check(IMPI, &register(), &credentials);
        prop_assert_eq!(verdict, Verdict::Wrong);
    }
}
