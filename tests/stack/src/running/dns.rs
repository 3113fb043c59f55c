//! A small DNS server on loopback: IntelligenceBank's names lead to the simulator, nothing else exists.

use std::net::{IpAddr, UdpSocket};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::StackError;

/// The hosts that the simulator answers for.
pub const SIMULATED_HOSTS: [&str; 4] = [
    "company.intelligencebank.com",
    "apiv3.intelligencebank.com",
    "other.intelligencebank.com",
    "remax-cca.com",
];

const TIME_TO_LIVE_SECONDS: u32 = 60;
/// Queries come without EDNS payloads worth mentioning; what is longer is cut and then not answered.
const LONGEST_QUERY: usize = 1232;

/// Answers queries on `socket` until the returned task is aborted.
///
/// # Errors
///
/// When the socket cannot be used by the runtime.
pub fn serve(
    socket: UdpSocket,
    simulator: IpAddr,
) -> Result<tokio::task::JoinHandle<()>, StackError> {
    let refuse = || StackError::io("the DNS stub's socket");
    socket.set_nonblocking(true).map_err(refuse())?;
    let socket = tokio::net::UdpSocket::from_std(socket).map_err(refuse())?;
    Ok(tokio::spawn(async move {
        let mut buffer = [0; LONGEST_QUERY];
        loop {
            // An error here is one datagram's (a client that is gone), not the socket's.
            let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
            if let Some(answer) = buffer.get(..length).and_then(|query| answer(query, simulator)) {
                let _ = socket.send_to(&answer, client).await;
            }
        }
    }))
}

/// The answer to a query, or nothing for what is no query.
fn answer(query: &[u8], simulator: IpAddr) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    if query.op_code != OpCode::Query {
        return None;
    }
    let mut answer = Message::response(query.id, OpCode::Query);
    answer.metadata.authoritative = true;
    answer.metadata.recursion_desired = query.recursion_desired;
    answer.metadata.recursion_available = true;
    for question in &query.queries {
        answer.add_query(question.clone());
        if !is_simulated(&question.name) {
            answer.metadata.response_code = ResponseCode::NXDomain;
            continue;
        }
        // A name that exists without an address of the asked family: an answer without records.
        let data = match (question.query_type, simulator) {
            (RecordType::A, IpAddr::V4(address)) => RData::A(A(address)),
            (RecordType::AAAA, IpAddr::V6(address)) => RData::AAAA(AAAA(address)),
            _ => continue,
        };
        answer.add_answer(Record::from_rdata(question.name.clone(), TIME_TO_LIVE_SECONDS, data));
    }
    answer.to_vec().ok()
}

fn is_simulated(name: &Name) -> bool {
    let name = name.to_ascii();
    let name = name.strip_suffix('.').unwrap_or(&name);
    SIMULATED_HOSTS.iter().any(|host| host.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::Query;

    use super::*;

    const SIMULATOR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 77, 1, 2));

    fn ask(name: &str, query_type: RecordType) -> Message {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), query_type));
        let answer = answer(&query.to_vec().unwrap(), SIMULATOR).unwrap();
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!(answer.id, query.id);
        answer
    }

    #[test]
    fn simulated_hosts_lead_to_the_simulator_in_any_letter_case() {
        for name in ["company.intelligencebank.com.", "APIv3.IntelligenceBank.com."] {
            let answer = ask(name, RecordType::A);
            assert_eq!(answer.response_code, ResponseCode::NoError);
            let addresses: Vec<_> =
                answer.answers.iter().map(|record| record.data.clone()).collect();
            assert_eq!(addresses, [RData::A(A(Ipv4Addr::new(127, 77, 1, 2)))]);
        }
    }

    #[test]
    fn a_simulated_host_has_no_ipv6_address_but_exists() {
        let answer = ask("company.intelligencebank.com.", RecordType::AAAA);
        assert_eq!(answer.response_code, ResponseCode::NoError);
        assert!(answer.answers.is_empty());
    }

    #[test]
    fn other_names_do_not_exist() {
        for name in ["unknown.intelligencebank.com.", "example.com.", "com."] {
            assert_eq!(ask(name, RecordType::A).response_code, ResponseCode::NXDomain, "{name}");
        }
    }

    #[test]
    fn what_is_no_query_gets_no_answer() {
        assert!(answer(b"", SIMULATOR).is_none());
        assert!(answer(&[0xff; 40], SIMULATOR).is_none());
    }
}
