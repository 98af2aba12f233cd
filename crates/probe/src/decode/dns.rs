//! DNS messages, which come from the network: every byte is doubted.
//!
//! Parsed lazily by `domain`, so what precedes a cut or a fault is still read.

use domain::base::Message;
use domain::base::iana::Rtype;
use domain::rdata::{A, Aaaa, Cname};
use std::fmt::{Display, Write};
use std::net::IpAddr;

/// No honest answer has more addresses; the rest is left out.
const ADDRESSES: usize = 64;
/// RFC 1035 3.1; the text is about as long.
const NAME_MAX: usize = 255;
/// How many aliases an answer's addresses may stand behind.
const ALIASES: usize = 16;

/// The first question's name and QTYPE; `None` if there is none to be read.
///
/// Names are given in lower case: DNS does not tell cases apart, and resolvers
/// that mix them on purpose must not escape a rule.
pub(super) fn question(message: &[u8]) -> Option<(Box<str>, u16)> {
    let message = Message::from_octets(message).ok()?;
    let question = message.question().next()?.ok()?;
    Some((name(question.qname()), question.qtype().to_int()))
}

/// The name that was asked for, and its addresses, through CNAMEs.
pub(super) fn answer(message: &[u8]) -> Result<(Box<str>, Vec<IpAddr>), &'static str> {
    let message = Message::from_octets(message).map_err(|_| "it is shorter than a DNS header")?;
    if !message.header().qr() {
        return Err("it is a question");
    }
    let question = message
        .question()
        .next()
        .ok_or("it repeats no question")?
        .map_err(|_| "its question is malformed")?;
    let asked = name(question.qname());
    let mut names = vec![asked.clone()];
    let mut addresses = Vec::new();
    if let Ok(records) = message.answer() {
        // A fault ends the iteration; what came before it stands.
        for record in records.map_while(Result::ok) {
            if !names.contains(&name(&record.owner())) {
                continue;
            }
            let address = match record.rtype() {
                Rtype::A => record
                    .to_record::<A>()
                    .ok()
                    .flatten()
                    .map(|a| IpAddr::from(a.data().addr().octets())),
                Rtype::AAAA => record
                    .to_record::<Aaaa>()
                    .ok()
                    .flatten()
                    .map(|aaaa| IpAddr::from(aaaa.data().addr().octets())),
                Rtype::CNAME => {
                    if let Ok(Some(alias)) = record.to_record::<Cname<_>>() {
                        if names.len() < ALIASES {
                            names.push(name(alias.data().cname()));
                        }
                    }
                    None
                }
                _ => None,
            };
            if addresses.len() < ADDRESSES {
                addresses.extend(address);
            }
        }
    }
    Ok((asked, addresses))
}

/// The name without its final dot, bytes that are not printable as `\DDD`; the
/// root is `.`.
fn name(name: &impl Display) -> Box<str> {
    let mut text = String::with_capacity(NAME_MAX);
    // Writing to a String does not fail.
    let _ = write!(text, "{name}");
    if text.is_empty() {
        text.push('.');
    }
    text.make_ascii_lowercase();
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn header(flags: u16, questions: u16, answers: u16) -> Vec<u8> {
        [0x1234, flags, questions, answers, 0, 0]
            .into_iter()
            .flat_map(u16::to_be_bytes)
            .collect()
    }

    fn labels(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes
    }

    fn ask(name: &str, qtype: u16) -> Vec<u8> {
        [labels(name), qtype.to_be_bytes().to_vec(), vec![0, 1]].concat()
    }

    fn record(owner: &[u8], rtype: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = owner.to_vec();
        bytes.extend(rtype.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn a_question_gives_its_name_in_lower_case() {
        let message = [header(0x0100, 1, 0), ask("eVil.ExAmple", 16)].concat();
        assert_eq!(question(&message), Some(("evil.example".into(), 16)));
    }

    #[test]
    fn what_follows_a_question_may_be_cut() {
        let mut message = [header(0x0100, 1, 0), ask("a.example", 1), vec![0, 0, 41]].concat();
        message[11] = 1; // an additional record that is not whole
        assert_eq!(question(&message), Some(("a.example".into(), 1)));
    }

    #[test]
    fn bad_questions_give_nothing() {
        let whole = [header(0x0100, 1, 0), ask("a.example", 1)].concat();
        for len in 0..whole.len() {
            assert_eq!(question(&whole[..len]), None, "{len} bytes");
        }
        // A name that points at itself.
        assert_eq!(
            question(&[header(0, 1, 0), vec![0xc0, 12, 0, 1, 0, 1]].concat()),
            None
        );
    }

    #[test]
    fn unprintable_bytes_are_escaped_and_the_root_is_a_dot() {
        let strange = [header(0, 1, 0), vec![3, b'a', 0, 0xff, 0, 0, 1, 0, 1]].concat();
        assert_eq!(
            question(&strange).map(|(name, _)| name),
            Some(r"a\000\255".into())
        );
        let root = [header(0, 1, 0), ask("", 2)].concat();
        assert_eq!(question(&root), Some((".".into(), 2)));
    }

    #[test]
    fn an_answer_is_followed_through_aliases_and_no_further() {
        let message = [
            header(0x8180, 1, 4),
            ask("www.example", 1),
            record(&[0xc0, 12], 5, &labels("cdn.example")),
            record(&labels("cdn.example"), 1, &[192, 0, 2, 7]),
            record(&labels("CDN.example"), 28, &Ipv6Addr::LOCALHOST.octets()),
            record(&labels("other.example"), 1, &[192, 0, 2, 8]),
        ]
        .concat();
        let (name, addresses) = answer(&message).expect("an answer");
        assert_eq!(&*name, "www.example");
        assert_eq!(
            addresses,
            [
                IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
                IpAddr::V6(Ipv6Addr::LOCALHOST)
            ]
        );
    }

    #[test]
    fn a_cut_answer_gives_what_it_holds() {
        let message = [
            header(0x8180, 1, 2),
            ask("www.example", 1),
            record(&[0xc0, 12], 1, &[192, 0, 2, 7]),
            record(&[0xc0, 12], 1, &[192, 0, 2, 8]),
        ]
        .concat();
        let (_, addresses) = answer(&message[..message.len() - 2]).expect("an answer");
        assert_eq!(addresses, [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))]);
        assert!(answer(&message[..11]).is_err());
        assert!(answer(&[header(0x0100, 1, 0), ask("a", 1)].concat()).is_err());
    }
}
