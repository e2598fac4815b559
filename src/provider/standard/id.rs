use http::HeaderMap;

use crate::{delivery::Delivery, signature::Proof};

/// Where the id of a message stands, in the order in which it is looked for where none was signed, and how a proof by the
/// headers of this name begins: the name in the specification, and the older one of senders that Svix hosts.
const ID: [(&str, &str); 2] = [("webhook-id", "standard-webhooks-"), ("svix-id", "svix-")];

/// The longest id that is taken for one, in bytes. Ids are a stranger's text until a scheme has signed them.
const LONGEST: usize = 256;

/// The id of the message, which is the same in every try of it: the one that was signed, so that nobody between sender and
/// receiver chooses the key by adding a header.
pub(in crate::provider) fn message_id(delivery: &Delivery) -> Option<&str> {
    id_in(delivery.head().headers(), delivery.proof())
}

fn id_in<'h>(headers: &'h HeaderMap, proof: &Proof) -> Option<&'h str> {
    let signed = ID.iter().find(|(_, scheme)| proof.scheme().starts_with(scheme));
    let (name, _) = signed.or_else(|| ID.iter().find(|(name, _)| headers.contains_key(*name)))?;
    let mut values = headers.get_all(*name).iter();
    let id = values.next()?.to_str().ok()?;
    let is_id = values.next().is_none() && (1..=LONGEST).contains(&id.len());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(scheme: &'static str, headers: &[(&'static str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        id_in(&map, &Proof::new(scheme, "main", "raw")).map(str::to_owned)
    }

    #[test]
    fn one_id_of_a_sane_length_is_taken() {
        let id_in = |headers: &[(&'static str, &str)]| signed("header-token", headers);
        assert_eq!(id_in(&[("webhook-id", "msg_1")]).unwrap(), "msg_1");
        assert_eq!(id_in(&[("svix-id", "msg_1")]).unwrap(), "msg_1");
        assert_eq!(id_in(&[("svix-id", "b"), ("webhook-id", "a")]).unwrap(), "a");
        assert_eq!(id_in(&[]), None);
        assert_eq!(id_in(&[("webhook-id", "")]), None);
        assert_eq!(id_in(&[("webhook-id", "a"), ("webhook-id", "b")]), None);
        assert_eq!(id_in(&[("webhook-id", &"a".repeat(257))]), None);
    }

    #[test]
    fn of_two_names_the_signed_one_is_taken() {
        let both = [("svix-id", "by svix"), ("webhook-id", "by the specification")];
        for (scheme, id) in [
            ("standard-webhooks-v1", "by the specification"),
            ("standard-webhooks-v1a", "by the specification"),
            ("svix-v1", "by svix"),
            ("svix-v1a", "by svix"),
        ] {
            assert_eq!(signed(scheme, &both).unwrap(), id, "{scheme}");
        }
    }
}
