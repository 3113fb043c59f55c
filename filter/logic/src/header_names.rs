//! What the name of a request's header means to the gateway, told at a glance: nearly every header of a
//! request is none of its business, and each is asked about on every request.

/// Headers of the client that never go upstream.
///
/// Credentials for the gateway, what speaks for the connection to the gateway, claims about the
/// client's address, and names that some servers read a path or a method from: an override would
/// undo what was decided on both. `referer` too: it may hold the address of a page with a code in it.
/// `origin` stays: it holds no secret.
const NEVER_LEAVE: [&[u8]; 34] = [
    b"authorization",
    b"cf-connecting-ip",
    b"client-ip",
    b"connection",
    b"cookie",
    b"fastly-client-ip",
    b"forwarded",
    b"host",
    b"http2-settings",
    b"keep-alive",
    b"proxy",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"referer",
    b"sid",
    b"trailer",
    b"transfer-encoding",
    b"true-client-ip",
    b"upgrade",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-host",
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-ib-gateway",
    b"x-ib-gateway-client",
    b"x-ib-gateway-user",
    b"x-originating-ip",
    b"x-real-ip",
    b"x-remote-addr",
    b"x-remote-ip",
    b"x-rewrite-url",
];

/// Names that begin so never leave either.
const NEVER_LEAVE_BEGINNINGS: [&[u8]; 3] = [b"x-envoy-", b"x-forwarded", b"x-original-"];

/// What a header is to the gateway, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// `:method`.
    Method,
    /// `:path`.
    Path,
    /// `:authority`.
    Authority,
    /// `:scheme`.
    Scheme,
    /// `:protocol`, of an extended CONNECT (RFC 8441).
    Protocol,
    /// `authorization`, which never leaves.
    Authorization,
    /// `accept-encoding`.
    AcceptEncoding,
    /// `connection`, which never leaves.
    Connection,
    /// `upgrade`, which never leaves.
    Upgrade,
    /// `content-type`.
    ContentType,
    /// Never goes upstream.
    Hidden,
    /// Goes upstream as it is, unless the session injects one of this name.
    Other,
}

impl Name {
    /// Reads a name in lower case.
    pub(crate) fn of(name: &[u8]) -> Self {
        match name.first_chunk() {
            None => Self::of_short(name),
            Some(start) if may_matter(fold(u64::from_le_bytes(*start))) => match name {
                b":authority" => Self::Authority,
                b"authorization" => Self::Authorization,
                b"accept-encoding" => Self::AcceptEncoding,
                _ => Self::of_long(name),
            },
            Some(_) => Self::Other,
        }
    }

    /// A name of less than eight bytes.
    fn of_short(name: &[u8]) -> Self {
        match name {
            b":path" => Self::Path,
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b"upgrade" => Self::Upgrade,
            b"cookie" | b"host" | b"proxy" | b"referer" | b"sid" | b"trailer" | b"x-host"
            | b"x_host" => Self::Hidden,
            _ => Self::Other,
        }
    }

    /// A name that begins like one that matters. (Apart, so that the usual way stays short.)
    #[inline(never)]
    fn of_long(name: &[u8]) -> Self {
        match name {
            b"content-type" => Self::ContentType,
            b"connection" => Self::Connection,
            b":protocol" => Self::Protocol,
            _ if is_left_to_the_route(name) || may_leave(name) => Self::Other,
            _ => Self::Hidden,
        }
    }
}

/// Whether a header stays that is Envoy's own, whatever the client sent: the route takes these off
/// (`request_headers_to_remove`) once the choice of a route is made, for which `x-forwarded-proto` is
/// needed. To take them off here would cost each request a call.
pub(crate) fn is_left_to_the_route(name: &[u8]) -> bool {
    matches!(name, b"x-forwarded-proto" | b"x-envoy-external-address")
}

/// Whether two names are the same to a server of the CGI family: those read `-` and `_` as one.
pub(crate) fn is_alike(one: &[u8], other: &[u8]) -> bool {
    let hyphenated = |byte: &u8| if *byte == b'_' { b'-' } else { *byte };
    one.len() == other.len() && one.iter().map(hyphenated).eq(other.iter().map(hyphenated))
}

fn may_leave(name: &[u8]) -> bool {
    let begins = |beginning: &&[u8]| {
        name.get(..beginning.len()).is_some_and(|start| is_alike(start, beginning))
    };
    !NEVER_LEAVE.iter().any(|other| is_alike(other, name))
        && !NEVER_LEAVE_BEGINNINGS.iter().any(begins)
}

/// The first eight bytes of a name as a number, with `-` for each `_`.
const fn fold(start: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const UNDERSCORES: u64 = ONES * (b'_' as u64);
    const DIFFERENCE: u64 = (b'_' ^ b'-') as u64;
    // A bit for each byte that is no underscore, at the byte's top; the carries stay within the bytes.
    let other = start ^ UNDERSCORES;
    let low = (other & (0x7F * ONES)).wrapping_add(0x7F * ONES);
    let is_other = (low | other) & (0x80 * ONES);
    let is_underscore = (is_other ^ (0x80 * ONES)) >> 7;
    start ^ is_underscore.wrapping_mul(DIFFERENCE)
}

const fn start_of(start: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*start)
}

/// Whether a name that begins so can be one of those that matter. `false` is sure.
///
/// One bit answers for nearly every name, without a branch for each that there is to compare with.
fn may_matter(start: u64) -> bool {
    let (word, bit) = place(start);
    let has_bit = BITS.get(word).is_some_and(|bits| bits & bit != 0);
    has_bit && STARTS.contains(&start)
}

/// How the names that matter begin.
const STARTS: [u64; 27] = [
    start_of(b":authori"),
    start_of(b":protoco"),
    start_of(b"accept-e"),
    start_of(b"authoriz"),
    start_of(b"cf-conne"),
    start_of(b"client-i"),
    start_of(b"connecti"),
    start_of(b"content-"),
    start_of(b"fastly-c"),
    start_of(b"forwarde"),
    start_of(b"http2-se"),
    start_of(b"keep-ali"),
    start_of(b"proxy-au"),
    start_of(b"proxy-co"),
    start_of(b"transfer"),
    start_of(b"true-cli"),
    start_of(b"x-client"),
    start_of(b"x-cluste"),
    start_of(b"x-envoy-"),
    start_of(b"x-forwar"),
    start_of(b"x-http-m"),
    start_of(b"x-ib-gat"),
    start_of(b"x-method"),
    start_of(b"x-origin"),
    start_of(b"x-real-i"),
    start_of(b"x-remote"),
    start_of(b"x-rewrit"),
];

/// A bit for each of them; others may have the same.
const BITS: [u64; 4] = {
    let mut bits = [0; 4];
    let mut rest = STARTS.as_slice();
    while let [start, after @ ..] = rest {
        let (word, bit) = place(*start);
        let mut number = 0;
        let mut places = bits.as_mut_slice();
        while let [first, others @ ..] = places {
            if number == word {
                *first |= bit;
            }
            number += 1;
            places = others;
        }
        rest = after;
    }
    bits
};

/// The word of a beginning in [`BITS`], and its bit there.
const fn place(start: u64) -> (usize, u64) {
    // The upper bits of the product hang on all bits of the beginning.
    let mixed = start.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    ((mixed >> 6) as usize, 1 << (mixed & 63))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::{NEVER_LEAVE, NEVER_LEAVE_BEGINNINGS, Name, fold, may_leave};

    #[test]
    fn each_name_that_matters_is_known_in_every_spelling_with_hyphens_and_underscores() {
        for name in NEVER_LEAVE {
            for bits in 0..1_u32 << name.iter().filter(|byte| **byte == b'-').count() {
                let mut number = 0;
                let spelled: Vec<u8> = name
                    .iter()
                    .map(|byte| {
                        let is_hyphen = *byte == b'-';
                        let is_underscore = is_hyphen && bits >> number & 1 == 1;
                        number += u32::from(is_hyphen);
                        if is_underscore { b'_' } else { *byte }
                    })
                    .collect();
                let expected = match spelled.as_slice() {
                    b"authorization" => Name::Authorization,
                    b"connection" => Name::Connection,
                    b"upgrade" => Name::Upgrade,
                    _ => Name::Hidden,
                };
                assert_eq!(Name::of(&spelled), expected, "{}", String::from_utf8_lossy(&spelled));
            }
        }
        for beginning in NEVER_LEAVE_BEGINNINGS {
            let hyphens = [beginning, b"anything"].concat();
            let underscores: Vec<u8> =
                hyphens.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect();
            assert_eq!([Name::of(&hyphens), Name::of(&underscores)], [Name::Hidden; 2]);
        }
    }

    #[test]
    fn names_that_are_read_are_known_exactly() {
        let read: [(&[u8], Name); 8] = [
            (b":method", Name::Method),
            (b":path", Name::Path),
            (b":authority", Name::Authority),
            (b":scheme", Name::Scheme),
            (b":protocol", Name::Protocol),
            (b"accept-encoding", Name::AcceptEncoding),
            (b"content-type", Name::ContentType),
            (b"accept_encoding", Name::Other),
        ];
        for (name, expected) in read {
            assert_eq!(Name::of(name), expected);
        }
        for name in ["x-forwarded-proto", "x-envoy-external-address"] {
            assert_eq!(Name::of(name.as_bytes()), Name::Other, "the route takes it off");
        }
        for name in ["x_forwarded_proto", "x-envoy-external_address"] {
            assert_eq!(Name::of(name.as_bytes()), Name::Hidden, "only a client sends it");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_name_that_must_not_leave_is_taken_for_another(
            base in select(NEVER_LEAVE.to_vec()),
            end in vec(select(b"-_ax".to_vec()), 0..3),
            cut in 0_usize..24,
        ) {
            let mut name = base.get(..cut.min(base.len())).unwrap_or_default().to_vec();
            name.extend(end);
            let leaves = matches!(
                Name::of(&name),
                Name::Other | Name::AcceptEncoding | Name::ContentType
            );
            prop_assert_eq!(leaves, may_leave(&name), "{}", String::from_utf8_lossy(&name));
        }

        #[test]
        fn folding_changes_underscores_and_nothing_else(start: [u8; 8]) {
            let expected = start.map(|byte| if byte == b'_' { b'-' } else { byte });
            prop_assert_eq!(fold(u64::from_le_bytes(start)), u64::from_le_bytes(expected));
        }
    }
}
