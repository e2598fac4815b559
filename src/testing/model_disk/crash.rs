use super::{
    ModelDisk,
    choice::{Dice, Each},
    content::Image,
};

/// The possible disks after a power failure or the death of the process, at one moment.
#[derive(Clone, Debug)]
pub struct Crash(pub(super) Image);

impl Crash {
    /// Returns every disk that a power failure can leave, starting with only synced data: each combination of the
    /// unsynced blocks, lengths and names. With `n` unsynced blocks, there are at least 2 to the power of `n`.
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

    /// Returns a random disk that a power failure can leave. Where a file grew without a write, it can contain bytes
    /// other than zero.
    pub fn any(&self, dice: &mut Dice) -> ModelDisk {
        let fill = if dice.below(2) == 0 { 0 } else { b'W' };
        ModelDisk::with(self.0.crashed(dice, fill))
    }

    /// Returns the disk with only synced data, the least that a power failure can leave.
    pub fn barest(&self) -> ModelDisk {
        ModelDisk::with(self.0.crashed(&mut Each::default(), 0))
    }

    /// Returns the disk after the process dies and the machine keeps running: the next process reads everything that
    /// was written, and a later power failure can still lose unsynced data.
    pub fn of_the_program(self) -> ModelDisk {
        ModelDisk::with(self.0)
    }
}
