//! What an answer says: the records asked for, at the end of any chain of aliases, or why there are none.

use std::net::IpAddr;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::EdnsCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType as WireType};
use hickory_resolver::proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::model::attempt::DnsReply;
use crate::model::dependency::RecordType;
use crate::net::sanitize::foreign_text;

use super::names::printed;

/// Values kept of one answer, and characters of each.
const VALUES_KEPT: usize = 64;
const VALUE_LENGTH: usize = 255;
/// Aliases followed within one answer. More are a loop or a nuisance.
const MAX_ALIASES: usize = 16;
/// Extended DNS Error (RFC 8914), and characters kept of its text.
const OPTION_EDE: u16 = 15;
const EXTENDED_LENGTH: usize = 200;

/// What one message said.
#[derive(Debug)]
pub struct Said {
    pub reply: DnsReply,
    pub addresses: Vec<IpAddr>,
    pub extended: Vec<(u16, Box<str>)>,
}

impl From<DnsReply> for Said {
    fn from(reply: DnsReply) -> Said {
        Said {
            reply,
            addresses: Vec::new(),
            extended: Vec::new(),
        }
    }
}

/// Reads an answer to the question for `name` and `record`.
pub fn read(message: &Message, name: &Name, record: RecordType) -> Said {
    let (reply, addresses) = reply(message, name, record);
    Said {
        reply,
        addresses,
        extended: extended_errors(message),
    }
}

fn reply(message: &Message, name: &Name, record: RecordType) -> (DnsReply, Vec<IpAddr>) {
    let owner_of_soa = |record: &&Record| matches!(record.data, RData::SOA(_));
    let soa = message.authorities.iter().find(owner_of_soa);
    let soa = soa.map(|record| printed(&record.name));
    let code = message.metadata.response_code;
    if code != ResponseCode::NoError {
        let rcode = u16::from(code);
        return (DnsReply::Code { rcode, soa }, Vec::new());
    }
    let Answers { found, ttl } = answers(message, name, WireType::from(record.0));
    if found.is_empty() {
        if soa.is_none() && is_referral(message) {
            let why = "a referral to other nameservers: this one does not look names up";
            return (DnsReply::Malformed(why.into()), Vec::new());
        }
        return (DnsReply::NoData { soa }, Vec::new());
    }
    let addresses = found.iter().filter_map(|record| record.data.ip_addr()).collect();
    let values = found.iter().take(VALUES_KEPT);
    let values = values.map(|record| value(&record.data)).collect();
    (DnsReply::Records { values, ttl }, addresses)
}

struct Answers<'m> {
    found: Vec<&'m Record>,
    /// The smallest, aliases included: the answer lives no longer than its way.
    ttl: u32,
}

/// The records of that type which belong to the name or to what it is an alias of. Others are not ours to believe.
fn answers<'m>(message: &'m Message, name: &Name, wanted: WireType) -> Answers<'m> {
    let mut owner = name;
    let mut ttl = u32::MAX;
    for _ in 0..=MAX_ALIASES {
        let of_owner = |record: &&Record| record.name.eq_ignore_root(owner);
        let is_wanted = |record: &&Record| wanted.is_any() || record.record_type() == wanted;
        let found: Vec<&Record> = message
            .answers
            .iter()
            .filter(of_owner)
            .filter(is_wanted)
            .collect();
        if !found.is_empty() {
            let least = found.iter().map(|record| record.ttl).min();
            let ttl = least.map_or(ttl, |least| least.min(ttl));
            return Answers { found, ttl };
        }
        let alias = message
            .answers
            .iter()
            .filter(of_owner)
            .find_map(|record| match &record.data {
                RData::CNAME(target) => Some((&target.0, record.ttl)),
                _ => None,
            });
        let Some((target, alias_ttl)) = alias else { break };
        owner = target;
        ttl = ttl.min(alias_ttl);
    }
    Answers {
        found: Vec::new(),
        ttl,
    }
}

/// Names of other servers instead of an answer, from a server that has none itself and does not ask them.
fn is_referral(message: &Message) -> bool {
    message.answers.is_empty()
        && !message.metadata.authoritative
        && !message.metadata.recursion_available
        && message
            .authorities
            .iter()
            .any(|record| record.record_type() == WireType::NS)
}

/// A record's value as it prints, without the root's dot of names and the quotes of texts.
fn value(data: &RData) -> Box<str> {
    let text = match data {
        RData::TXT(text) => {
            let parts: Vec<u8> = text
                .txt_data
                .iter()
                .flat_map(|part| part.iter().copied())
                .collect();
            return foreign_text(&parts, VALUE_LENGTH);
        }
        other => other.to_string(),
    };
    let bare = match text.strip_suffix('.') {
        Some(bare) if !bare.is_empty() && !bare.ends_with(' ') => bare,
        _ => &text,
    };
    foreign_text(bare.as_bytes(), VALUE_LENGTH)
}

fn extended_errors(message: &Message) -> Vec<(u16, Box<str>)> {
    let Some(edns) = &message.edns else {
        return Vec::new();
    };
    let options = edns.options().get_all(EdnsCode::from(OPTION_EDE));
    let errors = options.into_iter().filter_map(|option| {
        // Through its encoding: this codec has no type for the option, a later one may.
        let mut data = Vec::with_capacity(usize::from(option.len()));
        option.emit(&mut BinEncoder::new(&mut data)).ok()?;
        let (code, text) = data.split_first_chunk::<2>()?;
        Some((u16::from_be_bytes(*code), foreign_text(text, EXTENDED_LENGTH)))
    });
    errors.collect()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{MessageType, OpCode};
    use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, NS, TXT};

    use super::super::names::absolute;
    use super::*;

    fn name(text: &str) -> Name {
        absolute(text).unwrap()
    }

    fn message(answers: impl IntoIterator<Item = (&'static str, u32, RData)>) -> Message {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        for (owner, ttl, data) in answers {
            message.add_answer(Record::from_rdata(name(owner), ttl, data));
        }
        message
    }

    fn a(last: u8) -> RData {
        RData::A(A([192, 0, 2, last].into()))
    }

    fn alias(target: &str) -> RData {
        RData::CNAME(CNAME(name(target)))
    }

    #[test]
    fn aliases_are_followed_in_any_order_and_strays_are_not_believed() {
        let message = message([
            ("c.test", 300, a(1)),
            ("B.test", 20, alias("c.test")),
            ("evil.test", 300, a(66)),
            ("a.test", 60, alias("b.test")),
        ]);
        let said = read(&message, &name("a.test"), RecordType::A);
        let values = vec!["192.0.2.1".into()];
        assert_eq!(said.reply, DnsReply::Records { values, ttl: 20 });
        assert_eq!(said.addresses, [IpAddr::from([192, 0, 2, 1])]);
        let cname = RecordType::from_name("CNAME").unwrap();
        let said = read(&message, &name("a.test"), cname);
        let values = vec!["b.test".into()];
        assert_eq!(said.reply, DnsReply::Records { values, ttl: 60 });
        let said = read(&message, &name("other.test"), RecordType::A);
        assert_eq!(said.reply, DnsReply::NoData { soa: None });
    }

    #[test]
    fn a_loop_of_aliases_ends() {
        let message = message([("a.test", 60, alias("b.test")), ("b.test", 60, alias("a.test"))]);
        let said = read(&message, &name("a.test"), RecordType::A);
        assert_eq!(said.reply, DnsReply::NoData { soa: None });
    }

    #[test]
    fn a_referral_is_not_the_absence_of_data() {
        let mut message = message([]);
        let ns = RData::NS(NS(name("ns.test")));
        message.add_authority(Record::from_rdata(name("test"), 60, ns));
        let said = read(&message, &name("a.test"), RecordType::A);
        assert!(matches!(said.reply, DnsReply::Malformed(_)), "{said:?}");
        message.metadata.authoritative = true;
        let said = read(&message, &name("a.test"), RecordType::A);
        assert_eq!(said.reply, DnsReply::NoData { soa: None });
    }

    #[test]
    fn values_print_plainly_and_foreign_text_is_sanitised() {
        let text = RData::TXT(TXT::new(vec!["v=spf1 ".into(), "\u{1b}[31m-all".into()]));
        assert_eq!(&*value(&text), "v=spf1 [31m-all");
        assert_eq!(
            &*value(&RData::MX(MX::new(10, name("mail.test")))),
            "10 mail.test"
        );
        assert_eq!(&*value(&RData::MX(MX::new(0, Name::root()))), "0 .");
    }
}
