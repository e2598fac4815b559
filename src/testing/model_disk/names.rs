use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::choice::Choice;

/// Maps file names to file numbers. Changes of names reach the disk in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) now: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

impl Names {
    pub(super) fn durable(names: BTreeMap<PathBuf, usize>) -> Self {
        Self { now: names.clone(), durable: names, pending: Vec::new() }
    }

    pub(super) fn link(&mut self, path: &Path, file: usize) {
        self.change(Change::Link(path.to_owned(), file));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
    }

    pub(super) fn unlink(&mut self, path: &Path) {
        self.change(Change::Unlink(path.to_owned()));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.pending.push(change);
    }

    /// Makes all changes in one directory durable.
    pub(super) fn sync(&mut self, dir: &Path) {
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let elsewhere = change.path().parent() != Some(dir);
            if !elsewhere {
                change.apply(durable);
            }
            elsewhere
        });
    }

    /// Returns the names after a crash: the durable ones with the first pending changes, up to a chosen moment.
    pub(super) fn crashed(&self, choice: &mut dyn Choice) -> BTreeMap<PathBuf, usize> {
        let mut left = self.durable.clone();
        let made = choice.pick(self.pending.len() + 1);
        self.pending.iter().take(made).for_each(|change| change.apply(&mut left));
        left
    }
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Self::Link(path, _) | Self::Rename(path, _) | Self::Unlink(path) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::choice::Each, *};

    #[test]
    fn names_are_kept_in_order_and_for_certain_once_their_directory_is_synced() {
        let (dir, a, b) = (Path::new("d"), Path::new("d/a"), Path::new("d/b"));
        let mut names = Names::default();
        names.link(a, 0);
        names.rename(a, b);
        let left = |names: &Names| {
            let (mut each, mut found) = (Each::default(), Vec::new());
            loop {
                found.push(names.crashed(&mut each).into_keys().collect::<Vec<_>>());
                if !each.advance() {
                    return found;
                }
            }
        };
        assert_eq!(left(&names), [vec![], vec![a.to_owned()], vec![b.to_owned()]]);
        names.sync(dir);
        assert_eq!(left(&names), [[b.to_owned()]]);
        names.unlink(b);
        names.sync(Path::new("e"));
        assert_eq!(left(&names).len(), 2);
    }
}
