use std::{collections::HashMap, num::NonZeroU32, time::SystemTime};

use serde_json::Value;
use uuid::Uuid;

use super::{
    delivery::{Health, Snapshot},
    object::{Clock, Group, Image, Run, RunOutcome},
    problem::Problem,
    request::{NewGroup, NewImage},
};
use crate::simulate::payloads::to_bytes;

/// The maximum number of groups, of images, and of images in one group, which bound the memory of the service.
const LIMITS: Limits = Limits { groups: 1000, images: 10_000, images_of_group: 500 };

#[derive(Clone, Copy, Debug)]
struct Limits {
    groups: usize,
    images: usize,
    images_of_group: usize,
}

/// The groups and images of an account, and the health of the servers of its webhooks.
#[derive(Debug)]
pub(super) struct Store {
    groups: HashMap<String, Group>,
    images: HashMap<String, Image>,
    clock: Clock,
    limits: Limits,
    pub(super) health: Health,
}

impl Store {
    /// Creates an empty account that gives up servers after this number of failures.
    pub(super) fn new(max_failures: NonZeroU32) -> Self {
        Self {
            groups: HashMap::new(),
            images: HashMap::new(),
            clock: Clock::default(),
            limits: LIMITS,
            health: Health::new(max_failures),
        }
    }

    /// Adds a group. Returns its id.
    pub(super) fn add_group(&mut self, new: NewGroup, now: SystemTime) -> Result<String, Problem> {
        let limit = self.limits.groups;
        if self.groups.len() >= limit {
            return Err(Problem::too_many(format!("There are already {limit} groups.")));
        }
        let (id, at) = (new_id(), self.clock.next(now));
        let group = Group {
            id: id.clone(),
            name: new.name,
            metadata: new.metadata,
            created_at: at,
            updated_at: at,
            image_ids: Vec::new(),
            webhook: new.webhook,
        };
        self.groups.insert(id.clone(), group);
        Ok(id)
    }

    /// Adds all of these images, or none. Returns their ids.
    pub(super) fn add_images(
        &mut self,
        new: Vec<NewImage>,
        now: SystemTime,
    ) -> Result<Vec<String>, Problem> {
        self.check_limits(&new)?;
        let at = self.clock.next(now);
        let mut ids = Vec::with_capacity(new.len());
        for image in new {
            let id = new_id();
            for group in &image.group_ids {
                if let Some(group) = self.groups.get_mut(group) {
                    group.image_ids.push(id.clone());
                    group.updated_at = at;
                }
            }
            let image = Image {
                id: id.clone(),
                url: image.url,
                name: image.name,
                tags: image.tags,
                created_at: at,
                updated_at: at,
                group_ids: image.group_ids,
                requested: image.models.len(),
                runs: Vec::new(),
                webhook: image.webhook,
            };
            self.images.insert(id.clone(), image);
            ids.push(id);
        }
        Ok(ids)
    }

    fn check_limits(&self, new: &[NewImage]) -> Result<(), Problem> {
        let limits = self.limits;
        if self.images.len() + new.len() > limits.images {
            let message = format!("There are at most {} images.", limits.images);
            return Err(Problem::too_many(message));
        }
        let mut added: HashMap<&str, usize> = HashMap::new();
        for id in new.iter().flat_map(|image| &image.group_ids) {
            let unknown = || format!("There is no image group '{}'.", id.escape_debug());
            let group = self.groups.get(id).ok_or_else(|| Problem::invalid(unknown()))?;
            let added = added.entry(id).or_default();
            *added += 1;
            if group.image_ids.len() + *added > limits.images_of_group {
                let message = format!("A group has at most {} images.", limits.images_of_group);
                return Err(Problem::too_many(message));
            }
        }
        Ok(())
    }

    /// Records the end of a model run. The image and its groups are updated at the same time.
    pub(super) fn end_run(
        &mut self,
        image_id: &str,
        model: &str,
        outcome: RunOutcome,
        now: SystemTime,
    ) {
        let Some(image) = self.images.get_mut(image_id) else { return };
        let at = self.clock.next(now);
        image.runs.push(Run { model: model.to_owned(), outcome });
        image.updated_at = at;
        for id in &image.group_ids {
            if let Some(group) = self.groups.get_mut(id) {
                group.updated_at = at;
            }
        }
    }

    /// Returns the snapshot of an image for its webhook, if it has one.
    pub(super) fn image_snapshot(&self, id: &str) -> Option<Snapshot> {
        let image = self.images.get(id)?;
        let webhook = image.webhook.clone()?;
        Some(Snapshot { webhook, body: to_bytes(&image.json()) })
    }

    /// Returns the snapshots of the groups of these images for their webhooks, each group once.
    pub(super) fn group_snapshots(&self, image_ids: &[String]) -> Vec<Snapshot> {
        let images = image_ids.iter().filter_map(|id| self.images.get(id));
        let mut ids: Vec<_> = images.flat_map(|image| &image.group_ids).collect();
        ids.sort();
        ids.dedup();
        let snapshot = |id: &String| {
            let webhook = self.groups.get(id)?.webhook.clone()?;
            Some(Snapshot { webhook, body: to_bytes(&self.group(id)?) })
        };
        ids.into_iter().filter_map(snapshot).collect()
    }

    /// Returns the group with this id as JSON.
    pub(super) fn group(&self, id: &str) -> Option<Value> {
        let group = self.groups.get(id)?;
        let images = group.image_ids.iter().filter_map(|id| self.images.get(id));
        Some(group.json(&images.collect::<Vec<_>>()))
    }

    /// Returns the image with this id as JSON.
    pub(super) fn image(&self, id: &str) -> Option<Value> {
        self.images.get(id).map(Image::json)
    }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(limits: Limits) -> Store {
        Store { limits, ..Store::new(NonZeroU32::MIN) }
    }

    fn images(number: usize, group_id: &str) -> Vec<NewImage> {
        let image = NewImage { group_ids: vec![group_id.to_owned()], ..NewImage::default() };
        vec![image; number]
    }

    #[test]
    fn numbers_of_groups_and_images_are_limited_and_a_batch_is_added_whole_or_not_at_all() {
        let now = SystemTime::now();
        let mut store = store(Limits { groups: 2, images: 5, images_of_group: 3 });
        let first = store.add_group(NewGroup::sample(), now).unwrap();
        let second = store.add_group(NewGroup::sample(), now).unwrap();
        assert_eq!(store.add_group(NewGroup::sample(), now).unwrap_err().status, 429);

        assert_eq!(store.add_images(images(4, &first), now).unwrap_err().status, 429);
        assert_eq!(store.add_images(images(2, &first), now).unwrap().len(), 2);
        assert_eq!(store.add_images(images(2, &first), now).unwrap_err().status, 429);
        assert_eq!(store.add_images(images(3, &second), now).unwrap().len(), 3);
        assert_eq!(store.add_images(images(1, &first), now).unwrap_err().status, 429);
        assert_eq!(store.images.len(), 5);
        assert_eq!(store.group(&first).unwrap()["images"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn image_of_an_unknown_group_is_rejected() {
        let mut store = Store::new(NonZeroU32::MIN);
        let problem = store.add_images(images(1, "g1"), SystemTime::now()).unwrap_err();
        assert_eq!(problem.status, 400);
        assert!(store.images.is_empty());
    }
}
