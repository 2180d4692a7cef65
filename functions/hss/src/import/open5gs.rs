//! Subscribers of Open5GS, as its WebUI, `open5gs-dbctl` and `mongoexport` write them.

use serde_json::Value;

use super::{AMF, ImportError, Imported, amf, key, operator};
use crate::profile::{
    ApplicationServer, Condition, DefaultHandling, FilterCriteria, Form, SessionCase, Spt,
    TriggerPoint,
};
use crate::subscriber::Subscriber;

/// The subscriber of a document: `imsi`, `msisdn`, `security` with `k`, `opc` or `op`, `amf`, `sqn`,
/// and `ifc`. What it says about slices and sessions is not Cx's.
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
        number => Some(integer(number).ok_or(ImportError::Field("security.sqn"))?),
    };
    let subscriber = Subscriber::from_sim(imsi, &msisdns, k, operator, amf, home_domain)?;
    let entries = match &document["ifc"] {
        Value::Null => &[][..],
        Value::Array(entries) => entries,
        _ => return Err(ImportError::Field("ifc")),
    };
    let entries = entries.iter().map(criteria).collect::<Result<Vec<_>, _>>()?;
    let subscriber = subscriber.with_criteria(entries)?;
    Ok(Imported { subscriber, seq: sqn.map(|sqn| (sqn >> auth::sqn::IND_BITS) + 1) })
}

/// One entry of `ifc`, as the HSS of Open5GS reads it: `priority`, `application_server` with
/// `server_name` and `default_handling`, `trigger_point` with `condition_type_cnf` and `spt`.
fn criteria(entry: &Value) -> Result<FilterCriteria, ImportError> {
    let wrong = |name| move || ImportError::Field(name);
    let number = |value: &Value, name| match value {
        Value::Null => Ok(0),
        value => integer(value).and_then(|n| u32::try_from(n).ok()).ok_or_else(wrong(name)),
    };
    let server = &entry["application_server"];
    let name = server["server_name"].as_str();
    let mut server_of =
        ApplicationServer::new(name.ok_or_else(wrong("ifc.application_server.server_name"))?);
    if number(&server["default_handling"], "ifc.application_server.default_handling")? != 0 {
        server_of.default_handling = DefaultHandling::Terminated;
    }
    let point = &entry["trigger_point"];
    let cnf = number(&point["condition_type_cnf"], "ifc.trigger_point.condition_type_cnf")? != 0;
    let spts = point["spt"].as_array().map_or(&[][..], |spts| spts).iter().map(|spt| {
        Ok(Spt {
            negated: number(&spt["condition_negated"], "ifc.trigger_point.spt.condition_negated")?
                != 0,
            groups: vec![number(&spt["group"], "ifc.trigger_point.spt.group")?],
            condition: condition(spt).ok_or_else(wrong("ifc.trigger_point.spt"))?,
            registration_types: Vec::new(),
        })
    });
    let spts = spts.collect::<Result<Vec<_>, ImportError>>()?;
    let form = if cnf { Form::Cnf } else { Form::Dnf };
    Ok(FilterCriteria {
        priority: number(&entry["priority"], "ifc.priority")?,
        trigger: (!spts.is_empty()).then_some(TriggerPoint { form, spts }),
        server: server_of,
        part: None,
    })
}

/// The one condition of a service point trigger.
fn condition(spt: &Value) -> Option<Condition> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(method) = text(&spt["method"]) {
        return Some(Condition::Method(method));
    }
    if let Some(uri) = text(&spt["request_uri"]) {
        return Some(Condition::RequestUri(uri));
    }
    let (header, line) = (&spt["sip_header"], &spt["sdp_line"]);
    if header.is_object() {
        let content = text(&header["content"]);
        return Some(Condition::Header { header: text(&header["header"])?, content });
    }
    if line.is_object() {
        let content = text(&line["content"]);
        return Some(Condition::SessionDescription { line: text(&line["line"])?, content });
    }
    let case = match integer(&spt["session_case"])? {
        0 => SessionCase::Originating,
        1 => SessionCase::TerminatingRegistered,
        2 => SessionCase::TerminatingUnregistered,
        3 => SessionCase::OriginatingUnregistered,
        _ => return None,
    };
    Some(Condition::SessionCase(case))
}

/// A number. mongoexport may write it as text in an object that tells its width.
fn integer(value: &Value) -> Option<u64> {
    let text = value.get("$numberLong").or_else(|| value.get("$numberInt"));
    match text {
        Some(text) => text.as_str()?.parse().ok(),
        None => value.as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use auth::hex;

    use super::*;
    use crate::subscriber::{Credential, SubscriberError};

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
    fn filter_criteria_of_open5gs() {
        let spts = r#"{"condition_negated":0,"group":0,"method":"INVITE"},
            {"condition_negated":1,"group":{"$numberInt":"0"},"session_case":1},
            {"group":1,"sip_header":{"header":"P-X","content":"a b"}},
            {"group":1,"sdp_line":{"line":"m","content":"video"}},
            {"group":2,"request_uri":"conf"}"#;
        let document = format!(
            r#"{{"imsi":"001010000000001","security":{{"k":"{K}","opc":"{K}"}},"ifc":[{{
                "priority":3,"application_server":{{"server_name":"sip:as.ex.org:5090",
                "default_handling":1}},"trigger_point":{{"condition_type_cnf":1,
                "spt":[{spts}]}}}},{{"application_server":{{"server_name":"sip:b"}}}}]}}"#
        );
        let shown = |document: &str| -> Result<Vec<String>, ImportError> {
            let subscriber = open5gs(document, "ex.org")?.subscriber;
            Ok(subscriber.sets[0].criteria.iter().map(ToString::to_string).collect())
        };
        assert_eq!(
            shown(&document).unwrap(),
            [
                "sip:as.ex.org:5090 priority=3 default=terminated when (method=INVITE or not \
                 case=terminating) and (header:P-X=\"a b\" or sdp:m=video) and uri=conf",
                "sip:b priority=0",
            ]
        );
        for (from, to, field) in [
            (r#""server_name":"sip:b""#, r#""name":"b""#, "ifc.application_server.server_name"),
            (r#""session_case":1"#, r#""session_case":9"#, "ifc.trigger_point.spt"),
            (r#""priority":3"#, r#""priority":"x""#, "ifc.priority"),
        ] {
            let document = document.replace(from, to);
            assert_eq!(shown(&document), Err(ImportError::Field(field)), "{to}");
        }
        let document = document.replace(r#""priority":3"#, r#""priority":0"#);
        assert!(matches!(shown(&document), Err(ImportError::Subscriber(_))));
    }
}
