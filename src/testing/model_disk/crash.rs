use super::{ModelDisk, choice::Each, dice::Dice, image::Image};

/// The disks that are possible after a power failure, or the death of the program, at one moment.
#[derive(Clone, Debug)]
pub struct Crash(pub(super) Image);

impl Crash {
    /// Every disk that a power failure can leave, the barest first: each combination of the unsynced blocks, lengths
    /// and names. There are 2 to the number of unsynced blocks, and more.
    pub fn each(self) -> impl Iterator<Item = ModelDisk> {
        let mut each = Some(Each::default());
        std::iter::from_fn(move || {
            let choice = each.as_mut()?;
            let left = self.0.crashed(choice, 0);
            if !choice.advance() {
                each = None;
            }
            Some(ModelDisk::with(left))
        })
    }

    /// One of the disks that a power failure can leave. Where a file became longer and nothing was written, it may also
    /// hold something else than zeroes.
    pub fn any(&self, dice: &mut Dice) -> ModelDisk {
        let fill = if dice.below(2) == 0 { 0 } else { b'W' };
        ModelDisk::with(self.0.crashed(dice, fill))
    }

    /// What a power failure leaves for certain: nothing that was not synced.
    pub fn barest(&self) -> ModelDisk {
        ModelDisk::with(self.0.crashed(&mut Each::default(), 0))
    }

    /// The program dies and the machine does not: the next program sees all that was written, and a power failure may
    /// still take it.
    pub fn of_the_program(self) -> ModelDisk {
        ModelDisk::with(self.0)
    }
}
