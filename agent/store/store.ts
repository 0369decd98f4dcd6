/**
 * The agent's memory over restarts, in one SQLite file: plans, measurements, events. The only file that
 * touches better-sqlite3. Calls are synchronous and short; nothing here is on the way of a frame.
 *
 * Journal: WAL, `synchronous=NORMAL`: a power cut may lose the last rows, never the file. Plans change rarely;
 * measurements are few by the caller's choice, for the sake of SD cards.
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import type { Level, WeightsPolicy } from '../../shared/index.js';
import { MIGRATIONS } from './migrations.js';

/** What a plan was made for, budget apart. */
export interface PlanKey {
  readonly modelDigest: string;
  readonly width: number;
  readonly height: number;
  readonly threads: number;
  readonly level: Level;
  readonly strategy: string;
  readonly weights: WeightsPolicy;
}

export interface StoredPlan {
  /** Budget it was searched for. */
  readonly budgetBytes: number;
  readonly notation: string;
  readonly workingBytes: number;
  readonly weightsBytes: number;
}

export interface Measurement {
  readonly model: string;
  readonly notation: string;
  readonly predictedBytes: number;
  readonly measuredBytes: number;
  readonly latencyMs: number;
}

export interface AgentEvent {
  readonly kind: string;
  readonly detail: string;
}

/** Milliseconds that a writer waits for another process's lock. */
const BUSY_MS = 5000;

const KEY_COLUMNS = `model_digest = @modelDigest AND width = @width AND height = @height AND threads = @threads
  AND level = @level AND strategy = @strategy AND weights = @weights`;

export class Store {
  readonly #path: string;
  readonly #migrations: readonly string[];
  #database: Database.Database | undefined;

  constructor(path: string, migrations: readonly string[] = MIGRATIONS) {
    this.#path = path;
    this.#migrations = migrations;
  }

  /** Opens the file and brings it up to date. @throws {RangeError} if a newer version of mafat wrote it. */
  start(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const isNew = !existsSync(this.#path);
    const database = new Database(this.#path, { timeout: BUSY_MS });
    try {
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = NORMAL');
      this.#migrate(database, { isNew });
    } catch (error) {
      database.close();
      throw error;
    }
    this.#database = database;
  }

  stop(): void {
    this.#database?.close();
    this.#database = undefined;
  }

  /** The plan made for the largest budget in [leastBytes, budgetBytes]. */
  findPlan(key: PlanKey, { leastBytes, budgetBytes }: BudgetBand): StoredPlan | undefined {
    return this.#open
      .prepare<[PlanKey & BudgetBand], StoredPlan>(
        `SELECT budget_bytes AS budgetBytes, notation, working_bytes AS workingBytes, weights_bytes AS weightsBytes
         FROM plans WHERE ${KEY_COLUMNS} AND budget_bytes BETWEEN @leastBytes AND @budgetBytes
         ORDER BY budget_bytes DESC LIMIT 1`,
      )
      .get({ ...key, leastBytes, budgetBytes });
  }

  savePlan(key: PlanKey, plan: StoredPlan, nowMs: number): void {
    this.#open
      .prepare(
        `INSERT OR REPLACE INTO plans VALUES (@modelDigest, @width, @height, @threads, @level, @strategy, @weights,
         @budgetBytes, @notation, @workingBytes, @weightsBytes, @nowMs)`,
      )
      .run({ ...key, ...plan, nowMs });
  }

  addMeasurement(measurement: Measurement, nowMs: number): void {
    this.#open
      .prepare(
        `INSERT INTO measurements (at_ms, model, notation, predicted_bytes, measured_bytes, latency_ms)
         VALUES (@nowMs, @model, @notation, @predictedBytes, @measuredBytes, @latencyMs)`,
      )
      .run({ ...measurement, nowMs });
  }

  addEvent(event: AgentEvent, nowMs: number): void {
    this.#open
      .prepare('INSERT INTO events (at_ms, kind, detail) VALUES (@nowMs, @kind, @detail)')
      .run({ ...event, nowMs });
  }

  /** Events, newest first. */
  events(limit: number): readonly (AgentEvent & { readonly atMs: number })[] {
    return this.#open
      .prepare<[number], AgentEvent & { atMs: number }>(
        'SELECT at_ms AS atMs, kind, detail FROM events ORDER BY id DESC LIMIT ?',
      )
      .all(limit);
  }

  /** Drops measurements and events from before a time. @returns how many rows went. */
  dropBefore(beforeMs: number): number {
    const drop = this.#open.transaction(() =>
      ['measurements', 'events']
        .map((table) => this.#open.prepare(`DELETE FROM ${table} WHERE at_ms < ?`).run(beforeMs).changes)
        .reduce((sum, changes) => sum + changes, 0),
    );
    return drop();
  }

  get #open(): Database.Database {
    if (this.#database === undefined)
      throw new RangeError(`Cannot use store ${this.#path}: it isn't started`);
    return this.#database;
  }

  /** One transaction for all steps; the file as it was before is kept beside it. */
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
