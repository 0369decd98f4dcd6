/**
 * Keeps plans, measurements, events and costs over restarts, in one SQLite file. The only file that touches
 * better-sqlite3. Calls are synchronous and short, and no frame waits for them.
 *
 * A read or write that fails while the agent runs (disk full, card removed) is reported and given up. It
 * costs a search or a row of statistics, not the service.
 *
 * The journal is WAL with `synchronous=NORMAL`: a power cut may lose the last rows, never the file. Callers
 * write few measurements, to spare SD cards.
 */

import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import type { RunSettings } from '../../shared/predict/index.js';
import type { WeightsPolicy } from '../../shared/search/index.js';
import { MIGRATIONS } from './migrations.js';

/** Everything that a plan depends on, except the budget. */
export interface PlanKey {
  /** Version of search and predictor. */
  readonly planner: string;
  readonly modelDigest: string;
  readonly width: number;
  readonly height: number;
  /** Settings that were asked for, as text. */
  readonly choice: string;
  readonly strategy: string;
  readonly weights: WeightsPolicy;
  /** Source of the costs. */
  readonly profile: string;
  readonly allocator: string;
}

export interface StoredPlan extends RunSettings {
  /** Budget of the plan's search. */
  readonly budgetBytes: number;
  readonly notation: string;
  readonly workingBytes: number;
  readonly weightsBytes: number;
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

/** Time in ms that a writer waits for another process's lock. The agent stands still meanwhile. */
const BUSY_MS = 200;

const KEY_COLUMNS = `planner = @planner AND model_digest = @modelDigest AND width = @width AND height = @height
  AND choice = @choice AND strategy = @strategy AND weights = @weights AND profile = @profile AND allocator = @allocator`;

export interface StoreOptions {
  /** Called with each read or write that failed. */
  readonly onError?: (error: Error) => void;
  /** Migrations of the file. Tests give their own. */
  readonly migrations?: readonly string[];
}

export class Store {
  readonly #path: string;
  readonly #migrations: readonly string[];
  readonly #onError: (error: Error) => void;
  #database: Database.Database | undefined;

  constructor(path: string, { migrations = MIGRATIONS, onError = () => undefined }: StoreOptions = {}) {
    this.#path = path;
    this.#migrations = migrations;
    this.#onError = onError;
  }

  /** Opens the file and brings it up to date. @throws {RangeError} if a newer version of mafat wrote it. */
  start(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const isNew = !existsSync(this.#path);
    let database: Database.Database | undefined;
    try {
      database = new Database(this.#path, { timeout: BUSY_MS });
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = NORMAL');
      this.#migrate(database, { isNew });
    } catch (error) {
      database?.close();
      if (!(error instanceof Database.SqliteError)) throw error;
      throw new Error(
        `Cannot open store ${this.#path}: ${error.message}; it holds only plans and statistics and may be moved away`,
      );
    }
    this.#database = database;
  }

  stop(): void {
    this.#database?.close();
    this.#database = undefined;
  }

  /** The plan with the largest budget in [leastBytes, budgetBytes]; undefined if there is none. */
  findPlan(key: PlanKey, { leastBytes, budgetBytes }: BudgetBand): StoredPlan | undefined {
    return this.#try('read a plan', (database) =>
      database
        .prepare<[PlanKey & BudgetBand], StoredPlan>(
          `SELECT budget_bytes AS budgetBytes, notation, level, allocator, threads, working_bytes AS workingBytes, weights_bytes AS weightsBytes
           FROM plans WHERE ${KEY_COLUMNS} AND budget_bytes BETWEEN @leastBytes AND @budgetBytes
           ORDER BY budget_bytes DESC LIMIT 1`,
        )
        .get({ ...key, leastBytes, budgetBytes }),
    );
  }

  savePlan(key: PlanKey, plan: StoredPlan, nowMs: number): void {
    this.#try('save a plan', (database) =>
      database
        .prepare(
          `INSERT OR REPLACE INTO plans VALUES (@planner, @modelDigest, @width, @height, @choice, @strategy, @weights, @profile, @allocator,
           @budgetBytes, @notation, @level, @threads, @workingBytes, @weightsBytes, @nowMs)`,
        )
        .run({ ...key, ...plan, nowMs }),
    );
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

  /** Drops measurements and events from before a time. @returns the number of rows dropped. */
  dropBefore(beforeMs: number): number {
    const dropped = this.#try('drop old rows', (database) =>
      database.transaction(() =>
        ['measurements', 'events']
          .map((table) => database.prepare(`DELETE FROM ${table} WHERE at_ms < ?`).run(beforeMs).changes)
          .reduce((sum, changes) => sum + changes, 0),
      )(),
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
      throw new RangeError(
        `Cannot use store ${this.#path}: its version is ${version}, this mafat knows up to ${newest}; use a newer one`,
      );
    }
    if (version === newest) return;
    if (!isNew) {
      database.pragma('wal_checkpoint(TRUNCATE)');
      copyFileSync(this.#path, `${this.#path}.v${version}`);
    }
    const upgrade = database.transaction(() => {
      for (const step of this.#migrations.slice(version)) database.exec(step);
      database.pragma(`user_version = ${newest}`);
    });
    upgrade();
  }
}

export interface BudgetBand {
  readonly leastBytes: number;
  readonly budgetBytes: number;
}
