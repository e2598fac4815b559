use crate::delivery::Delivery;

/// The headers that hold the id of a message, in the order in which they are read where no id was proved: the name in
/// the specification, and the older one of senders that Svix hosts.
const ID: [&str; 2] = ["webhook-id", "svix-id"];

/// The longest id that is taken from a header that nobody signed, in bytes.
const LONGEST: usize = 256;

/// Returns the id of the message, which is the same in every attempt to deliver it: the one that was proved, so that
/// nobody between sender and receiver chooses the key by adding a header; without one, that in a header.
pub(in crate::provider) fn message_id(delivery: &Delivery) -> Option<&str> {
    delivery.proof().message_id().or_else(|| in_headers(delivery))
}

fn in_headers(delivery: &Delivery) -> Option<&str> {
    let headers = delivery.head().headers();
    let name = ID.into_iter().find(|name| headers.contains_key(*name))?;
    let mut values = headers.get_all(name).iter();
    let id = values.next()?.to_str().ok()?;
    let is_id = values.next().is_none() && (1..=LONGEST).contains(&id.len());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Request;

    use super::*;
    use crate::{
        delivery::{DeliveryId, Redaction},
        signature::Proof,
    };

    fn id_in(headers: &[(&str, &str)], proof: Proof) -> Option<String> {
        let (mut parts, body) = Request::post("/").body("{}".into()).unwrap().into_parts();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            parts.headers.append(name, value.parse().unwrap());
        }
        let (id, model, at) = (DeliveryId::new(), "m".parse().unwrap(), SystemTime::UNIX_EPOCH);
        let delivery =
            Delivery::received(id, model, &parts, body, at, proof, &Redaction::default());
        message_id(&delivery).map(str::to_owned)
    }

    fn token() -> Proof {
        Proof::new("header-token", "main", "raw")
    }

    #[test]
    fn one_id_of_a_sane_length_is_taken() {
        let id_in = |headers| id_in(headers, token());
        assert_eq!(id_in(&[("webhook-id", "msg_1")]).unwrap(), "msg_1");
        assert_eq!(id_in(&[("svix-id", "msg_1")]).unwrap(), "msg_1");
        assert_eq!(id_in(&[("svix-id", "b"), ("webhook-id", "a")]).unwrap(), "a");
        assert_eq!(id_in(&[]), None);
        assert_eq!(id_in(&[("webhook-id", "")]), None);
        assert_eq!(id_in(&[("webhook-id", "a"), ("webhook-id", "b")]), None);
        assert_eq!(id_in(&[("webhook-id", &"a".repeat(257))]), None);
    }

    #[test]
    fn the_proved_id_is_taken_before_any_header() {
        let both = [("webhook-id", "by a stranger"), ("svix-id", "by svix")];
        let proved = token().with_message_id("by svix");
        assert_eq!(id_in(&both, proved).unwrap(), "by svix");
        assert_eq!(id_in(&both, token()).unwrap(), "by a stranger");
    }
}
