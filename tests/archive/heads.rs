//! Heads of unusual size.

use super::{Short, all_in, delivery};
use tower_inbox::{
    archive::{Archive, DiskArchive, Query},
    delivery::Delivery,
    testing::Sample,
};

fn with_lines(lines: usize, name: impl Fn(usize) -> String) -> Delivery {
    let add = |sample: Sample, line| sample.header(&name(line), b"y");
    (0..lines).fold(Sample::of("/m").body("many"), add).delivery()
}

#[tokio::test]
async fn delivery_with_more_header_lines_than_a_map_can_reserve_is_read_back() {
    let one_name = with_lines(25_000, |_| "x".to_owned());
    let many_names = with_lines(20_000, |line| format!("x{line}"));
    for many in [one_name, many_names] {
        let dir = tempfile::tempdir().unwrap();
        let archive = DiskArchive::open(dir.path()).await.unwrap();
        let (before, behind) = (delivery("/m", b"before"), delivery("/m", b"behind"));
        for one in [&before, &many, &behind] {
            let _ = archive.put(one.clone()).await.unwrap();
        }
        assert_eq!(archive.get(many.id()).await.unwrap().unwrap().delivery, many);
        let found = all_in(archive).await;
        let found: Vec<_> = found.into_iter().map(|one| one.delivery).collect();
        assert!(found == [before, many, behind], "{} found", found.len());
        assert!(DiskArchive::verify(dir.path(), |_, _| {}).await.unwrap().is_sound());
        let reading = DiskArchive::read_only(dir.path()).await.unwrap();
        assert!(reading.scan(Query::all()).next().await.unwrap().is_ok());
    }
}
