//! CSV rows, RFC 4180: one subscriber each, in and out.

use auth::digest::Hash;
use auth::hex;
use base::redact::Secret;

use super::{AMF, ImportError, amf, key, operator};
use crate::password::Hashes;
use crate::profile::FilterCriteria;
use crate::subscriber::{Credential, Subscriber, SubscriberError};

/// The columns of CSV, in the order in which they are exported.
pub const COLUMNS: [&str; 11] =
    ["name", "imsi", "msisdn", "k", "op", "opc", "amf", "password", "ha1", "domain", "ifc"];

/// The header of a CSV file: which column stands where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CsvHeader(Vec<&'static str>);

/// The header row; names are taken in any case and order.
pub fn csv_header(row: &str) -> Result<CsvHeader, ImportError> {
    let fields = split(row)?;
    let known = |field: &String| {
        let name = field.trim();
        let found = COLUMNS.iter().find(|column| column.eq_ignore_ascii_case(name));
        found.copied().ok_or_else(|| ImportError::Column(field.clone()))
    };
    fields.iter().map(known).collect::<Result<_, _>>().map(CsvHeader)
}

/// One row: a SIM if there is an IMSI, else a name with a password or an H(A1). Several numbers are
/// separated by spaces or semicolons, several filter criteria by a semicolon between blanks. An empty
/// domain means `home_domain`.
pub fn csv_row(
    header: &CsvHeader,
    row: &str,
    home_domain: &str,
) -> Result<Subscriber, ImportError> {
    let fields = split(row)?;
    if fields.len() > header.0.len() {
        return Err(ImportError::Width);
    }
    let get = |name: &str| {
        let at = header.0.iter().position(|column| *column == name)?;
        fields.get(at).map(|field| field.trim()).filter(|field| !field.is_empty())
    };
    let criteria = FilterCriteria::parse_all(get("ifc"))?;
    Ok(row_subscriber(get, home_domain)?.with_criteria(criteria)?)
}

fn row_subscriber<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
    home_domain: &'a str,
) -> Result<Subscriber, ImportError> {
    let domain = get("domain").unwrap_or(home_domain);
    let numbers = get("msisdn").unwrap_or_default().split([' ', ';']);
    let numbers: Vec<String> = numbers.filter(|n| !n.is_empty()).map(str::to_owned).collect();
    if let Some(imsi) = get("imsi") {
        let k = key(get("k").ok_or(SubscriberError::NoCredential)?, "K")?;
        let operator = operator(get("opc"), get("op"))?;
        let amf = get("amf").map_or(Ok(AMF), amf)?;
        return Ok(Subscriber::from_sim(imsi, &numbers, k, operator, amf, domain)?);
    }
    let name = get("name").ok_or(ImportError::Field("imsi or name"))?;
    let password = Secret::new(get("password").unwrap_or_default().to_owned());
    let mut subscriber = Subscriber::with_password(name, &password, &numbers, domain)?;
    if let (Some(given), Credential::Digest { md5, sha256, .. }) =
        (get("ha1"), &mut subscriber.credential)
    {
        *md5 = hashes(given, Hash::Md5).ok_or(SubscriberError::Ha1)?;
        *sha256 = hashes(given, Hash::Sha256);
        let known = md5.iter().count() + sha256.iter().flat_map(Hashes::iter).count();
        if known != given.split_whitespace().count() {
            return Err(SubscriberError::Ha1.into());
        }
        subscriber.validate()?;
    } else if get("password").is_none() {
        return Err(SubscriberError::NoCredential.into());
    }
    Ok(subscriber)
}

/// The H(A1) of one hash function, told by their length: over the IMPI, and, after a blank, over the
/// name alone.
fn hashes(given: &str, hash: Hash) -> Option<Hashes> {
    let digits = hash.hex(&[]).len();
    let mut found = given
        .split_whitespace()
        .filter(|text| text.len() == digits)
        .map(|text| Secret::new(text.to_ascii_lowercase()));
    Some(Hashes { ha1: found.next()?, name_ha1: found.next() })
}

/// The header row of an export.
pub fn csv_export_header() -> String {
    COLUMNS.join(",")
}

/// One row of an export. It holds secrets. Further implicit sets have no column.
pub fn csv_export(subscriber: &Subscriber) -> String {
    let (name, domain) = subscriber.impi.split_once('@').unwrap_or((&subscriber.impi, ""));
    let numbers: Vec<&str> = subscriber.msisdns.iter().map(|number| number.as_str()).collect();
    let mut fields = [const { String::new() }; COLUMNS.len()];
    fields[2] = numbers.join(" ");
    fields[9] = domain.to_owned();
    let criteria = subscriber.sets.first().map_or(&[][..], |set| &set.criteria);
    fields[10] = criteria.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ; ");
    if let Some(imsi) = &subscriber.imsi {
        fields[1] = imsi.to_string();
    } else {
        fields[0] = name.to_owned();
    }
    match &subscriber.credential {
        Credential::Aka { k, opc, amf } => {
            fields[3] = hex::encode(k.reveal());
            fields[5] = hex::encode(opc.reveal());
            fields[6] = hex::encode(amf);
        }
        Credential::Digest { md5, sha256, .. } => {
            let hashes = md5.iter().chain(sha256.iter().flat_map(Hashes::iter));
            let hashes: Vec<_> = hashes.map(|hash| hash.reveal().as_str()).collect();
            fields[8] = hashes.join(" ");
        }
    }
    fields.map(|field| quote(&field)).join(",")
}

/// The fields of one row, RFC 4180.
fn split(row: &str) -> Result<Vec<String>, ImportError> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = row.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(c) = chars.next() {
        let field = fields.last_mut().expect("there is always a last field");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted { Err(ImportError::Quote) } else { Ok(fields) }
}

fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const K: &str = "465B5CE8 B199B49F AA5F0A2E E238A6BC";

    #[test]
    fn csv_there_and_back() {
        let header = csv_header("IMSI,msisdn,k,opc,name,password,ifc").unwrap();
        let opc = "cd63cb71954a9f4e48a5994e37a02baf";
        let sim = csv_row(&header, &format!("001010000000001,491 +492,{K},{opc}\r\n"), "ex.org");
        let sim = sim.unwrap();
        assert_eq!(sim.msisdns.len(), 2);
        let alice = ",491703,,,alice,\"a\"\"b,c\",\"sip:a when header:X=\"\"1, 2\"\" ; sip:b\"";
        let alice = csv_row(&header, alice, "ex.org").unwrap();
        assert_eq!(alice.sets[0].criteria.len(), 2);
        let export = csv_header(&csv_export_header()).unwrap();
        for subscriber in [sim, alice] {
            let row = csv_export(&subscriber);
            assert_eq!(csv_row(&export, &row, "other.org").unwrap(), subscriber);
        }
        // What another network kept: MD5 alone, or with SHA-256 after it.
        let hashes = csv_header("name,ha1").unwrap();
        let (md5, sha256) = ("0A".repeat(16), "0b".repeat(32));
        let read = |ha1: &str| csv_row(&hashes, &format!("alice,{ha1}"), "ex.org");
        let has_sha256 = |ha1: &str| match read(ha1).unwrap().credential {
            Credential::Digest { sha256, .. } => sha256.is_some(),
            Credential::Aka { .. } => false,
        };
        assert!(!has_sha256(&md5) && !has_sha256(&format!("{md5} {md5}")));
        assert!(has_sha256(&format!("{md5} {sha256}")));
        for wrong in [&sha256, "00", &format!("{md5} x"), &format!("{md5} {md5} {md5}")] {
            assert_eq!(read(wrong), Err(SubscriberError::Ha1.into()), "{wrong}");
        }
        assert_eq!(csv_header("imsi,what"), Err(ImportError::Column("what".to_owned())));
        assert_eq!(csv_row(&header, "\"", "x.org"), Err(ImportError::Quote));
        assert_eq!(csv_row(&header, ",,,,a", "x.org"), Err(SubscriberError::NoCredential.into()));
        assert!(matches!(csv_row(&header, ",,,,a,b,as", "x.org"), Err(ImportError::Criteria(_))));
        assert_eq!(csv_row(&header, ",,,,,,,,", "x.org"), Err(ImportError::Width));
    }

    proptest! {
        #[test]
        fn fields_survive_quoting(fields in proptest::collection::vec("[a-z\",; ]{0,8}", 1..5)) {
            let row = fields.iter().map(|f| quote(f)).collect::<Vec<_>>().join(",");
            prop_assert_eq!(split(&row).unwrap(), fields);
        }
    }
}
