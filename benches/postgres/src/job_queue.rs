//! A job queue on PostgreSQL: `underway`.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, Transaction, postgres::PgPoolOptions};
use underway::{Queue, Task, Worker, task::Result as TaskResult};

#[derive(Deserialize, Serialize)]
pub(crate) struct Input {
    body: String,
}

/// Does nothing.
pub(crate) struct Handle;

impl Task for Handle {
    type Input = Input;
    type Output = ();

    async fn execute(&self, _: Transaction<'_, Postgres>, _: Input) -> TaskResult<()> {
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct JobQueue {
    pool: PgPool,
    queue: Arc<Queue<Handle>>,
    worker: Arc<Worker<Handle>>,
}

impl JobQueue {
    pub(crate) async fn open(url: &str, connections: u32) -> Self {
        let pool = PgPoolOptions::new().max_connections(connections).connect(url).await.unwrap();
        underway::run_migrations(&pool).await.unwrap();
        let queue = Queue::builder().name("deliveries").pool(pool.clone()).build().await.unwrap();
        let queue = Arc::new(queue);
        let worker = Arc::new(Worker::new(Arc::clone(&queue), Handle));
        Self { pool, queue, worker }
    }

    pub(crate) async fn append(self, body: Bytes) {
        let input = Input { body: String::from_utf8(body.to_vec()).unwrap() };
        self.queue.enqueue(&self.pool, &Handle, &input).await.unwrap();
    }

    /// Claims, runs and settles one job. False if there is none.
    pub(crate) async fn handle(&self) -> bool {
        self.worker.process_next_task().await.unwrap().is_some()
    }

    pub(crate) async fn empty(&self) {
        sqlx::query("TRUNCATE underway.task CASCADE").execute(&self.pool).await.unwrap();
    }
}
