/**
 * Keeps plans, measurements, events and costs over restarts, in one SQLite file. Calls are synchronous and short, and no frame waits for them.
 *
 * A read or write that fails while the agent runs (disk full, card removed) is reported and given up. It
 * costs a search or a row of statistics, not the service.
 *
 * The journal is WAL with `synchronous=NORMAL`: a power cut may lose the last rows, never the file. Callers
 * write few measurements, to spare SD cards.
 */

import { copyFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { RunSettings } from '../../shared/predict/index.js';
import type { PlanPrediction, WeightsPolicy } from '../../shared/search/index.js';
import type { StoreProblem } from '../../shared/wire/index.js';
import { MIGRATIONS } from './migrations.js';
import type { Upgrade } from './open-database.js';
import { BUSY_MS, backupPath, NewerStoreError, openAnyhow, openFile } from './open-database.js';

/** Everything that the plans of a model depend on. */
export interface FrontKey {
  /** Version of search and predictor. */
  readonly planner: string;
  readonly modelDigest: string;
  readonly width: number;
  readonly height: number;
  /** Settings that were asked for, and facts of the folder, as text. */
  readonly choice: string;
  readonly weights: WeightsPolicy;
  /** Source of the costs. */
  readonly profile: string;
  readonly allocator: string;
}

/** One plan of a front, and what was predicted for it. */
export interface StoredPlan {
  readonly notation: string;
  readonly settings: RunSettings;
  readonly predicted: PlanPrediction;
}

export interface StoredFront {
  readonly points: readonly StoredPlan[];
  /** Whether the search came to its end. */
  readonly complete: boolean;
}

/** What running a plan has taught, by the model's digest and input size. */
export interface StoredExperience {
  /** Notation and settings as text. */
  readonly plan: string;
  /** Factor from the predicted to the measured working memory. */
  readonly correction: number;
  /** Largest budget, in bytes, at which the plan got its executor killed; 0 if it never did. */
  readonly barredBytes: number;
}

export interface ExperienceKey {
  readonly modelDigest: string;
  readonly width: number;
  readonly height: number;
}

/** What the answer of a model to the self-check's picture depends on. */
export interface AnswerKey {
  readonly modelDigest: string;
  readonly width: number;
  readonly height: number;
  readonly level: string;
  readonly threads: number;
  /** ONNX Runtime's version and the processor. */
  readonly device: string;
}

export interface StoredAnswer {
  readonly answer: { readonly digest: string; readonly samples: Float32Array };
  /** Notation of the plan that gave it. */
  readonly source: string;
}

/** A message that waits for the broker. */
export interface SpooledMessage {
  readonly id: number;
  /** When it was made. */
  readonly atMs: number;
  readonly topic: string;
  readonly payload: string;
}

export interface Measurement extends RunSettings {
  readonly model: string;
  readonly notation: string;
  readonly predictedBytes: number;
  readonly measuredBytes: number;
  readonly predictedMs: number;
  readonly latencyMs: number;
}

/** Measured costs of a device for one kind of kernels and one number of threads, as JSON. */
export interface StoredCosts {
  readonly threads: number;
  readonly kernels: string;
  readonly costs: string;
  readonly measuredMs: number;
}

export interface AgentEvent {
  readonly kind: string;
  readonly detail: string;
}

const FRONT_KEY = `planner = @planner AND model_digest = @modelDigest AND width = @width AND height = @height
  AND choice = @choice AND weights = @weights AND profile = @profile AND allocator = @allocator`;

const ANSWER_KEY = `model_digest = @modelDigest AND width = @width AND height = @height AND level = @level
  AND threads = @threads AND device = @device`;

const MODEL_KEY = 'model_digest = @modelDigest AND width = @width AND height = @height';

/** Rows that are kept at most, so that neither a file nor a store in memory grows for months. */
const MOST_ROWS = [
  { table: 'measurements', age: 'at_ms', most: 5000 },
  { table: 'events', age: 'at_ms', most: 20_000 },
  { table: 'fronts', age: 'created_ms', most: 200 },
  { table: 'answers', age: 'created_ms', most: 500 },
  { table: 'experiences', age: 'updated_ms', most: 5000 },
] as const;

export interface StoreOptions {
  /** Called with each read or write that failed. */
  readonly onError?: (error: Error) => void;
  /** Whether a file that can't be used is replaced by another one or by memory; else `start` throws. */
  readonly replaces?: boolean;
  /** Migrations of the file. Tests give their own. */
  readonly migrations?: readonly string[];
}

export class Store {
  readonly #path: string;
  readonly #migrations: readonly string[];
  readonly #onError: (error: Error) => void;
  readonly #replaces: boolean;
  #database: Database.Database | undefined;
  #problem: StoreProblem | undefined;

  constructor(path: string, options: StoreOptions = {}) {
    const { migrations = MIGRATIONS, onError = () => undefined, replaces = false } = options;
    this.#path = path;
    this.#migrations = migrations;
    this.#onError = onError;
    this.#replaces = replaces;
  }

  get path(): string {
    return this.#path;
  }

  /** What was wrong with the file when it was opened. */
  get problem(): StoreProblem | undefined {
    return this.#problem;
  }

  /**
   * Opens the file and brings it up to date.
   * @throws {Error} if it can't be used, unless the store `replaces` it.
   */
  start(): void {
    const upgrade: Upgrade = (database, { isNew }) => this.#migrate(database, { isNew });
    if (this.#replaces) {
      const { database, problem } = openAnyhow(this.#path, upgrade, this.#migrations.length);
      this.#database = database;
      this.#problem = problem;
      return;
    }
    try {
      this.#database = openFile(this.#path, upgrade);
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error;
      throw new Error(
        `Cannot open store ${this.#path}: ${error.message}; it holds only plans and statistics and may be moved away`,
      );
    }
  }

  stop(): void {
    this.#database?.close();
    this.#database = undefined;
  }

  /** Undefined if there is none, or it can't be read. */
  findFront(key: FrontKey): StoredFront | undefined {
    const row = this.#try('read a front', (database) =>
      database
        .prepare<[FrontKey], { points: string; complete: number }>(
          `SELECT points, complete FROM fronts WHERE ${FRONT_KEY}`,
        )
        .get(key),
    );
    const points = row === undefined ? undefined : parseArray<StoredPlan>(row.points);
    return points === undefined ? undefined : { points, complete: row?.complete === 1 };
  }

  /** Fronts of other planners and allocators than this one's are dropped with it. */
  saveFront(key: FrontKey, { points, complete }: StoredFront, nowMs: number): void {
    this.#try('save a front', (database) =>
      database.transaction(() => {
        database
          .prepare(`DELETE FROM fronts WHERE ${MODEL_KEY} AND (planner <> @planner OR profile <> @profile)`)
          .run(key);
        database
          .prepare(
            `INSERT OR REPLACE INTO fronts VALUES (@planner, @modelDigest, @width, @height, @choice, @weights, @profile,
             @allocator, @points, @complete, @nowMs)`,
          )
          .run({ ...key, points: JSON.stringify(points), complete: complete ? 1 : 0, nowMs });
      })(),
    );
  }

  /** All that is known of the plans of a model. */
  experiencesOf(key: ExperienceKey): readonly StoredExperience[] {
    const rows = this.#try('read experiences', (database) =>
      database
        .prepare<[ExperienceKey], StoredExperience>(
          `SELECT plan, correction, barred_bytes AS barredBytes FROM experiences WHERE ${MODEL_KEY}`,
        )
        .all(key),
    );
    return rows ?? [];
  }

  saveExperience(key: ExperienceKey, experience: StoredExperience, nowMs: number): void {
    this.#try('save an experience', (database) =>
      database
        .prepare(
          `INSERT OR REPLACE INTO experiences
           VALUES (@modelDigest, @width, @height, @plan, @correction, @barredBytes, @nowMs)`,
        )
        .run({ ...key, ...experience, nowMs }),
    );
  }

  /** Undefined if there is none, or it can't be read. */
  findAnswer(key: AnswerKey): StoredAnswer | undefined {
    const row = this.#try('read an answer', (database) =>
      database
        .prepare<[AnswerKey], { digest: string; samples: Buffer; source: string }>(
          `SELECT digest, samples, source FROM answers WHERE ${ANSWER_KEY}`,
        )
        .get(key),
    );
    if (row === undefined) return undefined;
    const samples = new Float32Array(new Uint8Array(row.samples).buffer);
    return { answer: { digest: row.digest, samples }, source: row.source };
  }

  saveAnswer(key: AnswerKey, { answer: { digest, samples }, source }: StoredAnswer, nowMs: number): void {
    const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
    this.#try('save an answer', (database) =>
      database
        .prepare(
          `INSERT OR REPLACE INTO answers
           VALUES (@modelDigest, @width, @height, @level, @threads, @device, @digest, @bytes, @source, @nowMs)`,
        )
        .run({ ...key, digest, bytes, source, nowMs }),
    );
  }

  /** @returns whether they were written; all or none. */
  addSpooled(messages: readonly Omit<SpooledMessage, 'id'>[]): boolean {
    const done = this.#try('keep messages', (database) => {
      const insert = database.prepare(
        'INSERT INTO spool (at_ms, topic, payload) VALUES (@atMs, @topic, @payload)',
      );
      database.transaction(() => {
        for (const message of messages) insert.run(message);
      })();
      return true;
    });
    return done === true;
  }

  oldestSpooled(limit: number): readonly SpooledMessage[] {
    const rows = this.#try('read messages', (database) =>
      database
        .prepare<[number], SpooledMessage>(
          'SELECT id, at_ms AS atMs, topic, payload FROM spool ORDER BY id LIMIT ?',
        )
        .all(limit),
    );
    return rows ?? [];
  }

  dropSpooled(ids: readonly number[]): void {
    this.#try('drop messages', (database) => {
      const drop = database.prepare('DELETE FROM spool WHERE id = ?');
      database.transaction(() => {
        for (const id of ids) drop.run(id);
      })();
    });
  }

  spooledSize(): { readonly count: number; readonly bytes: number } {
    const size = this.#try('count messages', (database) =>
      database
        .prepare<[], { count: number; bytes: number }>(
          'SELECT count(*) AS count, coalesce(sum(length(payload)), 0) AS bytes FROM spool',
        )
        .get(),
    );
    return size ?? { count: 0, bytes: 0 };
  }

  addMeasurement(measurement: Measurement, nowMs: number): void {
    this.#try('save a measurement', (database) =>
      database
        .prepare(
          `INSERT INTO measurements (at_ms, model, notation, predicted_bytes, measured_bytes, predicted_ms, latency_ms,
             level, allocator, threads)
           VALUES (@nowMs, @model, @notation, @predictedBytes, @measuredBytes, @predictedMs, @latencyMs,
             @level, @allocator, @threads)`,
        )
        .run({ ...measurement, nowMs }),
    );
  }

  addEvent(event: AgentEvent, nowMs: number): void {
    this.#try('save an event', (database) =>
      database
        .prepare('INSERT INTO events (at_ms, kind, detail) VALUES (@nowMs, @kind, @detail)')
        .run({ ...event, nowMs }),
    );
  }

  /** Events, newest first. */
  events(limit: number): readonly (AgentEvent & { readonly atMs: number })[] {
    const rows = this.#try('read events', (database) =>
      database
        .prepare<[number], AgentEvent & { atMs: number }>(
          'SELECT at_ms AS atMs, kind, detail FROM events ORDER BY id DESC LIMIT ?',
        )
        .all(limit),
    );
    return rows ?? [];
  }

  /** Measurements, newest first. */
  measurements(limit: number): readonly (Measurement & { readonly atMs: number })[] {
    const rows = this.#try('read measurements', (database) =>
      database
        .prepare<[number], Measurement & { atMs: number }>(
          `SELECT at_ms AS atMs, model, notation, predicted_bytes AS predictedBytes,
           measured_bytes AS measuredBytes, predicted_ms AS predictedMs, latency_ms AS latencyMs, level, allocator, threads
           FROM measurements WHERE predicted_ms IS NOT NULL ORDER BY id DESC LIMIT ?`,
        )
        .all(limit),
    );
    return rows ?? [];
  }

  /** Costs of a device; none if it wasn't measured. */
  costsOf(device: string): readonly StoredCosts[] {
    const rows = this.#try('read costs', (database) =>
      database
        .prepare<[string], StoredCosts>(
          'SELECT threads, kernels, costs, measured_ms AS measuredMs FROM profiles WHERE device = ? ORDER BY threads, kernels',
        )
        .all(device),
    );
    return rows ?? [];
  }

  /**
   * Replaces all costs of a device.
   * @throws {Error} if they can't be kept, since measuring them took a minute.
   */
  saveCosts(device: string, costs: readonly StoredCosts[]): void {
    const saved = this.#try('save costs', (database) => {
      const insert = database.prepare(
        'INSERT INTO profiles VALUES (@device, @threads, @kernels, @costs, @measuredMs)',
      );
      database.transaction(() => {
        database.prepare('DELETE FROM profiles WHERE device = ?').run(device);
        for (const entry of costs) insert.run({ device, ...entry });
      })();
      return true;
    });
    if (saved === undefined) throw new Error(`Cannot save costs in ${this.#path}`);
  }

  /**
   * Drops measurements and events from before a time, and the oldest rows of tables that are too long.
   * @returns the number of rows dropped.
   */
  dropBefore(beforeMs: number): number {
    const dropped = this.#try('drop old rows', (database) =>
      database.transaction(() => {
        const old = ['measurements', 'events'].map(
          (table) => database.prepare(`DELETE FROM ${table} WHERE at_ms < ?`).run(beforeMs).changes,
        );
        const surplus = MOST_ROWS.map(
          ({ table, age, most }) =>
            database
              .prepare(
                `DELETE FROM ${table} WHERE ${age} < (SELECT ${age} FROM ${table} ORDER BY ${age} DESC LIMIT 1 OFFSET ?)`,
              )
              .run(most - 1).changes,
        );
        return [...old, ...surplus].reduce((sum, changes) => sum + changes, 0);
      })(),
    );
    return dropped ?? 0;
  }

  /** @returns undefined if SQLite refused. */
  #try<T>(what: string, work: (database: Database.Database) => T): T | undefined {
    if (this.#database === undefined)
      throw new RangeError(`Cannot use store ${this.#path}: it isn't started`);
    try {
      return work(this.#database);
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error;
      this.#onError(new Error(`Cannot ${what} in ${this.#path}: ${error.message} (${error.code})`));
      return undefined;
    }
  }

  /** Runs the missing migrations in one transaction. A copy of the old file is kept next to it. */
  #migrate(database: Database.Database, { isNew }: { readonly isNew: boolean }): void {
    const version = database.pragma('user_version', { simple: true }) as number;
    const newest = this.#migrations.length;
    if (version > newest) {
      throw new NewerStoreError(
        `Cannot use store ${this.#path}: its version is ${version}, this mafat knows up to ${newest}; use a newer one`,
      );
    }
    if (version === newest) return;
    // Version and tables come in one transaction, so tables without a version are another program's.
    const isForeign =
      version === 0 && database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined;
    if (isForeign) throw new Database.SqliteError("another program's database", 'SQLITE_NOTADB');
    if (!isNew) {
      database.pragma('wal_checkpoint(TRUNCATE)');
      copyFileSync(this.#path, backupPath(this.#path, version));
    }
    const upgrade = database.transaction(() => {
      for (const step of this.#migrations.slice(version)) database.exec(step);
      database.pragma(`user_version = ${newest}`);
    });
    upgrade();
  }
}

/** Digests of the models whose fronts a store has; undefined if it can't be read. The file stays as it is. */
export function readFrontDigests(path: string): readonly string[] | undefined {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
    return database.prepare<[], string>('SELECT DISTINCT model_digest FROM fronts').pluck().all();
  } catch {
    // SQLite's errors; and a TypeError where the folder isn't there.
    return undefined;
  } finally {
    database?.close();
  }
}

/** Undefined if it isn't an array in JSON. */
function parseArray<T>(json: string): readonly T[] | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
