/// How much a quarantine holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cap {
    pub(super) deliveries: usize,
    pub(super) bytes: usize,
}

impl Default for Cap {
    fn default() -> Self {
        Self { deliveries: 1000, bytes: 64 << 20 }
    }
}

impl Cap {
    pub(super) fn holds(self, deliveries: usize, bytes: usize) -> bool {
        deliveries <= self.deliveries && bytes <= self.bytes
    }

    /// To which the oldest are removed once there is too much: not one by one, since removing is dear.
    pub(super) fn low(self) -> Self {
        let less = |most: usize| most - most / 8;
        Self { deliveries: less(self.deliveries), bytes: less(self.bytes) }
    }
}
