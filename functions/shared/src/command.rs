//! What is said to the server.

use base::Bytes;
use base::store::Table;
use resp::{Value, command};

use crate::SharedConfig;

/// Changes that the stream keeps: a node that missed more reads all records anew.
const STREAM: &[u8] = b"10000";
/// Records that are asked for at once.
const PAGE: &[u8] = b"100";
/// Changes that are asked for at once.
const CHANGES: &[u8] = b"100";
/// How long the server waits for changes before it says that there are none, in milliseconds.
const BLOCK: &[u8] = b"1000";

/// Writes a record if its epoch is the one that the writer knows: the epoch that it has now, or else what
/// is there instead.
///
/// KEYS: epoch, stream, table. ARGV: key, known epoch, node, length of the stream, `1` to write or `0` to
/// delete, value, name of the table.
pub const SCRIPT: &str = "\
local held = redis.call('HGET', KEYS[3], ARGV[1])
local known = held and string.match(held, '^%d+') or '0'
if known ~= ARGV[2] then return held end
local epoch = string.format('%.0f', redis.call('INCR', KEYS[1]))
local entry = {'table', ARGV[7], 'key', ARGV[1], 'node', ARGV[3]}
if ARGV[5] == '1' then
  redis.call('HSET', KEYS[3], ARGV[1], epoch .. ' ' .. ARGV[3] .. '\\n' .. ARGV[6])
  entry[7] = 'value'
  entry[8] = ARGV[6]
else
  redis.call('HDEL', KEYS[3], ARGV[1])
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], epoch .. '-0', unpack(entry))
return tonumber(epoch)
";

/// A record as the server has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The change that wrote it.
    pub epoch: u64,
    /// Who wrote it.
    pub node: String,
    /// Its value.
    pub value: Bytes,
}

impl Held {
    /// Reads what the script wrote.
    pub fn parse(bytes: &Bytes) -> Option<Held> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (epoch, node) = std::str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
        let value = bytes.slice(end + 1..);
        Some(Held { epoch: epoch.parse().ok()?, node: node.to_owned(), value })
    }
}

/// A change of the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub(crate) epoch: u64,
    pub(crate) table: Bytes,
    pub(crate) key: Bytes,
    pub(crate) node: Bytes,
    /// `None` if the record was deleted.
    pub(crate) value: Option<Bytes>,
}

impl Change {
    /// Reads `[id, [name, value, …]]`.
    fn parse(entry: &Value) -> Option<Change> {
        let [id, fields] = entry.array()? else { return None };
        let id = std::str::from_utf8(id.bytes()?).ok()?;
        let fields = fields.array()?;
        let field = |name: &[u8]| {
            let mut pairs = fields.chunks_exact(2);
            pairs.find(|pair| pair[0].bytes().is_some_and(|n| n == name))?[1].bytes().cloned()
        };
        Some(Change {
            epoch: id.strip_suffix("-0")?.parse().ok()?,
            table: field(b"table")?,
            key: field(b"key")?,
            node: field(b"node")?,
            value: field(b"value"),
        })
    }

    /// The changes in an answer to [`Keys::follow`]; none if nobody changed anything.
    pub(crate) fn all(answer: &Value) -> Option<Vec<Change>> {
        if answer.is_nil() {
            return Some(Vec::new());
        }
        let [stream] = answer.array()? else { return None };
        let [_, entries] = stream.array()? else { return None };
        entries.array()?.iter().map(Change::parse).collect()
    }
}

/// A page of records in an answer to [`Keys::scan`], and where the next one begins; 0 is the end.
pub(crate) fn page(answer: &Value) -> Option<(u64, Vec<(Bytes, Held)>)> {
    let [cursor, fields] = answer.array()? else { return None };
    let record = |pair: &[Value]| Some((pair[0].bytes()?.clone(), Held::parse(pair[1].bytes()?)?));
    let records = fields.array()?.chunks_exact(2).map(record).collect::<Option<Vec<_>>>()?;
    Some((cursor.number()?, records))
}

/// The commands of one network's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
    node: String,
}

impl Keys {
    pub(crate) fn of(config: &SharedConfig) -> Keys {
        Keys { prefix: config.prefix.clone(), node: config.node.clone() }
    }

    fn key(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.prefix)
    }

    pub(crate) fn authenticate(password: &str) -> Bytes {
        command(&[b"AUTH", password.as_bytes()])
    }

    /// Writes the word of birth unless there is one.
    pub(crate) fn give_birth(&self, word: &str) -> Bytes {
        command(&[b"SET", self.key("birth").as_bytes(), word.as_bytes(), b"NX"])
    }

    pub(crate) fn birth(&self) -> Bytes {
        command(&[b"GET", self.key("birth").as_bytes()])
    }

    pub(crate) fn epoch(&self) -> Bytes {
        command(&[b"GET", self.key("epoch").as_bytes()])
    }

    pub(crate) fn scan(&self, table: Table, cursor: u64) -> Bytes {
        let cursor = cursor.to_string();
        let key = self.key(table.0);
        command(&[b"HSCAN", key.as_bytes(), cursor.as_bytes(), b"COUNT", PAGE])
    }

    pub(crate) fn write(
        &self,
        table: Table,
        key: &[u8],
        epoch: u64,
        value: Option<&Bytes>,
    ) -> Bytes {
        let put: &[u8] = if value.is_some() { b"1" } else { b"0" };
        command(&[
            b"EVAL",
            SCRIPT.as_bytes(),
            b"3",
            self.key("epoch").as_bytes(),
            self.key("changes").as_bytes(),
            self.key(table.0).as_bytes(),
            key,
            epoch.to_string().as_bytes(),
            self.node.as_bytes(),
            STREAM,
            put,
            value.map_or(&[][..], |value| value),
            table.0.as_bytes(),
        ])
    }

    /// Waits for changes after this one.
    pub(crate) fn follow(&self, epoch: u64) -> Bytes {
        let (stream, after) = (self.key("changes"), format!("{epoch}-0"));
        command(&[
            b"XREAD",
            b"COUNT",
            CHANGES,
            b"BLOCK",
            BLOCK,
            b"STREAMS",
            stream.as_bytes(),
            after.as_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_its_epoch_and_its_writer() {
        let read = |text: &'static str| Held::parse(&Bytes::from_static(text.as_bytes()));
        let held = read("17 a-1\nx\ny").expect("a record");
        assert_eq!((held.epoch, held.node.as_str(), &held.value[..]), (17, "a-1", &b"x\ny"[..]));
        assert!(["", "17", "17 a", "x a\n", "17\n"].into_iter().all(|bad| read(bad).is_none()));
    }

    #[test]
    fn garbage_is_no_change_and_no_page() {
        let array = |values: Vec<Value>| Value::Array(Some(values));
        let word = |text: &'static str| Value::bulk(text);
        for bad in [word("x"), array(vec![]), array(vec![word("s"), word("t")]), Value::Integer(1)]
        {
            assert_eq!(Change::all(&bad), None);
            assert_eq!(page(&bad), None);
        }
        assert_eq!(Change::all(&Value::Bulk(None)), Some(Vec::new()));
        let fields = array(["table", "t", "key", "k", "node", "n"].map(word).to_vec());
        let entry = |id| {
            array(vec![array(vec![word("s"), array(vec![array(vec![word(id), fields.clone()])])])])
        };
        let read = Change::all(&entry("7-0")).expect("a change");
        assert_eq!((read[0].epoch, read[0].value.as_ref()), (7, None));
        assert_eq!(Change::all(&entry("7-1")), None);
    }
}
