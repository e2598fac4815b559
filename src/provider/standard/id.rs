use http::HeaderMap;

/// Where the id of a message stands: the name in the specification, and the older one of senders that Svix hosts.
const ID: [&str; 2] = ["webhook-id", "svix-id"];

/// The longest id that is taken for one, in bytes. Ids are a stranger's text until a scheme has signed them.
const LONGEST: usize = 256;

/// The id of the message, which is the same in every try of it.
pub(in crate::provider) fn message_id(headers: &HeaderMap) -> Option<&str> {
    let name = ID.into_iter().find(|name| headers.contains_key(*name))?;
    let mut values = headers.get_all(name).iter();
    let id = values.next()?.to_str().ok()?;
    let is_id = values.next().is_none() && (1..=LONGEST).contains(&id.len());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_in(headers: &[(&'static str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        message_id(&map).map(str::to_owned)
    }

    #[test]
    fn one_id_of_a_sane_length_is_taken() {
        assert_eq!(id_in(&[("webhook-id", "msg_1")]).unwrap(), "msg_1");
        assert_eq!(id_in(&[("svix-id", "msg_1")]).unwrap(), "msg_1");
        assert_eq!(id_in(&[("svix-id", "b"), ("webhook-id", "a")]).unwrap(), "a");
        assert_eq!(id_in(&[]), None);
        assert_eq!(id_in(&[("webhook-id", "")]), None);
        assert_eq!(id_in(&[("webhook-id", "a"), ("webhook-id", "b")]), None);
        assert_eq!(id_in(&[("webhook-id", &"a".repeat(257))]), None);
    }
}
