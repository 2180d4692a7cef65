//! Subscribers from elsewhere: Open5GS documents and CSV rows.

use auth::hex;
use auth::milenage::{Amf, Key};
use base::redact::Secret;
use base::store::Change;
use serde_json::Value;

use crate::records::{records, sqn_record};
use crate::subscriber::{Credential, OperatorKey, Subscriber, SubscriberError};

/// The AMF when none is given: the separation bit of TS 33.102 Annex H.
const AMF: Amf = [0x80, 0];

/// A subscriber from elsewhere, and where his sequence numbers go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The subscriber.
    pub subscriber: Subscriber,
    /// The first SEQ that was not used yet, if that was told.
    pub seq: Option<u64>,
}

/// Why a document or row was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON.
    #[error("not a JSON document: {0}")]
    Json(String),
    /// A field is missing or of a wrong kind.
    #[error("the field {0} is missing or not what it should be")]
    Field(&'static str),
    /// A column of the header is unknown.
    #[error("unknown column {0:?}; known are {columns}", columns = COLUMNS.join(", "))]
    Column(String),
    /// A row has more fields than the header.
    #[error("the row has more fields than the header")]
    Width,
    /// A quote is not closed.
    #[error("a quote is not closed")]
    Quote,
    /// What it says cannot be a subscriber.
    #[error(transparent)]
    Subscriber(#[from] SubscriberError),
}

impl Imported {
    /// The changes that write the subscriber.
    pub fn records(&self) -> Vec<Change> {
        let mut changes = records(&self.subscriber);
        changes.extend(self.seq.map(|seq| sqn_record(&self.subscriber.impi, seq)));
        changes
    }
}

/// A subscriber of an Open5GS document (`imsi`, `msisdn`, `security` with `k`, `opc` or `op`, `amf`,
/// `sqn`), as its WebUI, `open5gs-dbctl` and `mongoexport` write it. What it says about slices and
/// sessions is not Cx's.
pub fn open5gs(document: &str, home_domain: &str) -> Result<Imported, ImportError> {
    let document: Value =
        serde_json::from_str(document).map_err(|error| ImportError::Json(error.to_string()))?;
    let imsi = document["imsi"].as_str().ok_or(ImportError::Field("imsi"))?;
    let msisdns = match &document["msisdn"] {
        Value::Null => Vec::new(),
        Value::Array(list) => list
            .iter()
            .map(|number| number.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or(ImportError::Field("msisdn"))?,
        _ => return Err(ImportError::Field("msisdn")),
    };
    let security = &document["security"];
    let text = |name| security[name].as_str().filter(|text| !text.trim().is_empty());
    let k = key(text("k").ok_or(ImportError::Field("security.k"))?, "K")?;
    let operator = operator(text("opc"), text("op"))?;
    let amf = text("amf").map_or(Ok(AMF), amf)?;
    let sqn = match &security["sqn"] {
        Value::Null => None,
        // mongoexport writes 64-bit numbers as text in an object.
        Value::Object(long) => Some(long.get("$numberLong").and_then(Value::as_str))
            .map(|text| text.and_then(|text| text.parse().ok()))
            .map(|number: Option<u64>| number.ok_or(ImportError::Field("security.sqn")))
            .transpose()?,
        number => Some(number.as_u64().ok_or(ImportError::Field("security.sqn"))?),
    };
    let subscriber = Subscriber::from_sim(imsi, &msisdns, k, operator, amf, home_domain)?;
    Ok(Imported { subscriber, seq: sqn.map(|sqn| (sqn >> auth::sqn::IND_BITS) + 1) })
}

/// The columns of CSV, in the order in which they are exported.
pub const COLUMNS: [&str; 10] =
    ["name", "imsi", "msisdn", "k", "op", "opc", "amf", "password", "ha1", "domain"];

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
/// separated by spaces or semicolons. An empty domain means `home_domain`.
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
    if let (Some(given), Credential::Digest { ha1, name_ha1, .. }) =
        (get("ha1"), &mut subscriber.credential)
    {
        // Over the IMPI, and, after a blank, over the name alone.
        let mut hashes = given.split(' ').map(|hash| Secret::new(hash.to_ascii_lowercase()));
        *ha1 = hashes.next().unwrap_or_default();
        *name_ha1 = hashes.next();
        subscriber.validate()?;
    } else if get("password").is_none() {
        return Err(SubscriberError::NoCredential.into());
    }
    Ok(subscriber)
}

/// The header row of an export.
pub fn csv_export_header() -> String {
    COLUMNS.join(",")
}

/// One row of an export. It holds secrets. Filter criteria and further implicit sets have no column.
pub fn csv_export(subscriber: &Subscriber) -> String {
    let (name, domain) = subscriber.impi.split_once('@').unwrap_or((&subscriber.impi, ""));
    let numbers: Vec<&str> = subscriber.msisdns.iter().map(|number| number.as_str()).collect();
    let mut fields = [const { String::new() }; COLUMNS.len()];
    fields[2] = numbers.join(" ");
    fields[9] = domain.to_owned();
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
        Credential::Digest { ha1, name_ha1, .. } => {
            let hashes = [Some(ha1), name_ha1.as_ref()];
            let hashes: Vec<_> =
                hashes.into_iter().flatten().map(|h| h.reveal().as_str()).collect();
            fields[8] = hashes.join(" ");
        }
    }
    fields.map(|field| quote(&field)).join(",")
}

fn key(text: &str, name: &'static str) -> Result<Key, SubscriberError> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    hex::decode_array(&digits).map(Secret::new).ok_or(SubscriberError::Key(name))
}

fn amf(text: &str) -> Result<Amf, SubscriberError> {
    hex::decode_array(text).ok_or(SubscriberError::Amf)
}

fn operator(opc: Option<&str>, op: Option<&str>) -> Result<OperatorKey, SubscriberError> {
    match (opc, op) {
        (Some(opc), _) => key(opc, "OPc").map(OperatorKey::Opc),
        (None, Some(op)) => key(op, "OP").map(OperatorKey::Op),
        (None, None) => Err(SubscriberError::NoOperatorKey),
    }
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
    fn open5gs_documents() {
        let document = format!(
            r#"{{"imsi":"001010000000001","msisdn":["491701"],"slice":[],
                "security":{{"k":"{K}","opc":null,"op":"cdc202d5123e20f62b6d676ac72cb318",
                "amf":"8000","sqn":{{"$numberLong":"97"}}}}}}"#
        );
        let imported = open5gs(&document, "ex.org").unwrap();
        assert_eq!(imported.seq, Some(4));
        assert_eq!(imported.records().len(), 5);
        // OPc of TS 35.208 §4.3.1.
        let Credential::Aka { opc, .. } = &imported.subscriber.credential else { panic!() };
        assert_eq!(hex::encode(opc.reveal()), "cd63cb71954a9f4e48a5994e37a02baf");
        let wrong = document.replace("465B", "46");
        assert_eq!(open5gs(&wrong, "ex.org"), Err(SubscriberError::Key("K").into()));
        assert_eq!(open5gs("{}", "ex.org"), Err(ImportError::Field("imsi")));
    }

    #[test]
    fn csv_there_and_back() {
        let header = csv_header("IMSI,msisdn,k,opc,name,password").unwrap();
        let opc = "cd63cb71954a9f4e48a5994e37a02baf";
        let sim = csv_row(&header, &format!("001010000000001,491 +492,{K},{opc}\r\n"), "ex.org");
        let sim = sim.unwrap();
        assert_eq!(sim.msisdns.len(), 2);
        let alice = csv_row(&header, ",491703,,,alice,\"a\"\"b,c\"", "ex.org").unwrap();
        let export = csv_header(&csv_export_header()).unwrap();
        for subscriber in [sim, alice] {
            let row = csv_export(&subscriber);
            assert_eq!(csv_row(&export, &row, "other.org").unwrap(), subscriber);
        }
        assert_eq!(csv_header("imsi,what"), Err(ImportError::Column("what".to_owned())));
        assert_eq!(csv_row(&header, "\"", "x.org"), Err(ImportError::Quote));
        assert_eq!(csv_row(&header, ",,,,a", "x.org"), Err(SubscriberError::NoCredential.into()));
        assert_eq!(csv_row(&header, ",,,,,,,", "x.org"), Err(ImportError::Width));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,60}") {
            let header = csv_header("imsi,msisdn,k,opc,name,password").unwrap();
            let _ = csv_header(&text);
            let _ = csv_row(&header, &text, "ex.org");
            let _ = open5gs(&text, "ex.org");
        }

        #[test]
        fn fields_survive_quoting(fields in proptest::collection::vec("[a-z\",; ]{0,8}", 1..5)) {
            let row = fields.iter().map(|f| quote(f)).collect::<Vec<_>>().join(",");
            prop_assert_eq!(split(&row).unwrap(), fields);
        }
    }
}
