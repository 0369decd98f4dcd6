/**
 * The versions of the database, oldest first. A released migration is never changed; a new one is added at
 * the end. `PRAGMA user_version` counts the migrations that a file has had.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE plans (
    model_digest TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    level TEXT NOT NULL,
    strategy TEXT NOT NULL,
    weights TEXT NOT NULL,
    budget_bytes INTEGER NOT NULL,
    notation TEXT NOT NULL,
    working_bytes INTEGER NOT NULL,
    weights_bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (model_digest, width, height, threads, level, strategy, weights, budget_bytes)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE measurements (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    model TEXT NOT NULL,
    notation TEXT NOT NULL,
    predicted_bytes INTEGER NOT NULL,
    measured_bytes INTEGER NOT NULL,
    latency_ms REAL NOT NULL
  ) STRICT;
  CREATE INDEX measurements_at ON measurements (at_ms);

  CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_at ON events (at_ms);
  `,
  // Plans get the version of their planner. Old plans had none; they are dropped and searched again.
  `
  DROP TABLE plans;
  CREATE TABLE plans (
    planner TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    level TEXT NOT NULL,
    strategy TEXT NOT NULL,
    weights TEXT NOT NULL,
    budget_bytes INTEGER NOT NULL,
    notation TEXT NOT NULL,
    working_bytes INTEGER NOT NULL,
    weights_bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (planner, model_digest, width, height, threads, level, strategy, weights, budget_bytes)
  ) STRICT, WITHOUT ROWID;
  `,
  // Plans get the settings asked for, the settings chosen, and the source of the costs. Costs of devices are kept.
  `
  DROP TABLE plans;
  CREATE TABLE plans (
    planner TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    choice TEXT NOT NULL,
    strategy TEXT NOT NULL,
    weights TEXT NOT NULL,
    profile TEXT NOT NULL,
    budget_bytes INTEGER NOT NULL,
    notation TEXT NOT NULL,
    level TEXT NOT NULL,
    malloc TEXT NOT NULL,
    threads INTEGER NOT NULL,
    working_bytes INTEGER NOT NULL,
    weights_bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (planner, model_digest, width, height, choice, strategy, weights, profile, budget_bytes)
  ) STRICT, WITHOUT ROWID;

  ALTER TABLE measurements ADD COLUMN predicted_ms REAL;
  ALTER TABLE measurements ADD COLUMN level TEXT;
  ALTER TABLE measurements ADD COLUMN malloc TEXT;
  ALTER TABLE measurements ADD COLUMN threads INTEGER;

  CREATE TABLE profiles (
    device TEXT NOT NULL,
    threads INTEGER NOT NULL,
    kernels TEXT NOT NULL,
    costs TEXT NOT NULL,
    measured_ms INTEGER NOT NULL,
    PRIMARY KEY (device, threads, kernels)
  ) STRICT, WITHOUT ROWID;
  `,
  // The board decides the allocator; plans and measurements of retained memory say nothing any more.
  `
  DROP TABLE plans;
  CREATE TABLE plans (
    planner TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    choice TEXT NOT NULL,
    strategy TEXT NOT NULL,
    weights TEXT NOT NULL,
    profile TEXT NOT NULL,
    allocator TEXT NOT NULL,
    budget_bytes INTEGER NOT NULL,
    notation TEXT NOT NULL,
    level TEXT NOT NULL,
    threads INTEGER NOT NULL,
    working_bytes INTEGER NOT NULL,
    weights_bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (planner, model_digest, width, height, choice, strategy, weights, profile, allocator, budget_bytes)
  ) STRICT, WITHOUT ROWID;

  DELETE FROM measurements WHERE malloc = 'retained';
  UPDATE measurements SET malloc = 'glibc';
  ALTER TABLE measurements RENAME COLUMN malloc TO allocator;
  `,
  // A model has one front of plans instead of a plan for each budget. What plans needed, and at which budget they got
  // their executor killed, is kept.
  `
  DROP TABLE plans;
  CREATE TABLE fronts (
    planner TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    choice TEXT NOT NULL,
    weights TEXT NOT NULL,
    profile TEXT NOT NULL,
    allocator TEXT NOT NULL,
    points TEXT NOT NULL,
    complete INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (planner, model_digest, width, height, choice, weights, profile, allocator)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE experiences (
    model_digest TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    plan TEXT NOT NULL,
    correction REAL NOT NULL,
    barred_bytes INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (model_digest, width, height, plan)
  ) STRICT, WITHOUT ROWID;
  `,
  // The right answers of models to the self-check's picture, and messages that wait for the broker.
  `
  CREATE TABLE answers (
    model_digest TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    level TEXT NOT NULL,
    threads INTEGER NOT NULL,
    device TEXT NOT NULL,
    digest TEXT NOT NULL,
    samples BLOB NOT NULL,
    source TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (model_digest, width, height, level, threads, device)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE spool (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL
  ) STRICT;
  `,
];
