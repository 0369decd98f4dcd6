/** `mafat status`: what a running agent last said of itself on its retained topics. */
import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import type { NodeHealth, NodeInfo } from '../../shared/wire/index.js';
import { nodeTopics } from '../../shared/wire/index.js';
import type { ServerFlags } from './ask-agent.js';
import { askAgent, withServerOptions } from './ask-agent.js';
import { formatBytes, formatMs, formatTable, printJson, printLine } from './print.js';

export interface NodeStatus {
  readonly node: string;
  /** `online`, `stopped` or `offline`. */
  readonly status: string;
  readonly info: NodeInfo;
  readonly health: NodeHealth;
}

export function statusCommand(): Command {
  return withServerOptions(new Command('status'))
    .description('show plans, memory, cameras and processes of a running agent')
    .action(async (flags: ServerFlags) => {
      const topics = nodeTopics(flags.base, flags.node);
      const [status = '', info = '', health = ''] = await askAgent(flags, {
        client: `mafat-status-${randomUUID().slice(0, 8)}`,
        topics: [topics.status, topics.info, topics.health],
      });
      const node: NodeStatus = {
        node: flags.node,
        status,
        info: JSON.parse(info) as NodeInfo,
        health: JSON.parse(health) as NodeHealth,
      };
      if (flags.json) printJson(node);
      else printLine(describeStatus(node));
    });
}

/** A table for people, of the last report, however old it is. */
function describeStatus({ node, status, info, health }: NodeStatus): string {
  const { budget, executor, service, models, cameras, processes } = health;
  const working = formatBytes(Math.max(0, executor.privateBytes - executor.idleBytes));
  return [
    `${node}: ${status}, mafat ${info.version}, as of ${health.at}`,
    `budget ${formatBytes(budget.bytes)} (${budget.bound}), executor ${working} above idle, ${contractText(executor.contract)}`,
    serviceText(service),
    ...troubles(health),
    '',
    formatTable(
      ['model', 'memory', 'plan', 'promised', 'measured', 'margin', 'latency'],
      models.map(modelRow),
    ),
    ...(cameras.length === 0 ? [] : ['', cameraTable(cameras)]),
    '',
    formatTable(
      ['process', 'pid', 'cpu', 'resident'],
      processes.map(({ name, pid, cpuPercent, rssBytes }) => [
        name,
        String(pid),
        `${cpuPercent.toFixed(0)} %`,
        formatBytes(rssBytes),
      ]),
    ),
  ].join('\n');
}

function contractText({ kind, reason, limitBytes }: NodeHealth['executor']['contract']): string {
  if (kind === 'none') return `not limited by the kernel (${reason ?? 'unknown'})`;
  return limitBytes === undefined ? `in a ${kind}` : `limited to ${formatBytes(limitBytes)} by ${kind}`;
}

/** What a person has to know first. */
function troubles({
  configFault,
  executor: { ends },
  store: { problem },
  check,
  models,
}: NodeHealth): readonly string[] {
  const place = problem?.isMemory === true ? 'nothing is kept over a restart' : 'another file took its place';
  return [
    ...(configFault === null ? [] : [`NOT CONFIGURED: ${configFault}`]),
    ...(check.fault === null
      ? []
      : [`NOT READY: ${check.fault.model} by ${check.fault.notation}: ${check.fault.reason}`]),
    ...models.flatMap(({ name, failure }) => (failure === null ? [] : [`${name} failed: ${failure}`])),
    ...(problem === null ? [] : [`store ${problem.kind} (${problem.reason}); ${place}`]),
    ...(ends.last === null
      ? []
      : [`executor replaced ${ends.count} times, last at ${ends.last.at}: ${ends.last.text}`]),
  ];
}

function serviceText({ privateBytes, pssBytes, cgroup }: NodeHealth['service']): string {
  const pss = pssBytes === null ? [] : [`PSS ${formatBytes(pssBytes)}`];
  const limit = cgroup?.maxBytes == null ? '' : ` of ${formatBytes(cgroup.maxBytes)}`;
  const group = cgroup === null ? [] : [`cgroup ${cgroup.path} ${formatBytes(cgroup.currentBytes)}${limit}`];
  return [`service ${formatBytes(privateBytes)} private`, ...pss, ...group].join(', ');
}

function modelRow({ name, pressure, plan, memory }: NodeHealth['models'][number]): readonly string[] {
  const { promisedBytes = null, measuredBytes = null, latencyMs = null } = memory ?? {};
  const marginBytes = promisedBytes === null || measuredBytes === null ? null : promisedBytes - measuredBytes;
  const bytes = (value: number | null) => (value === null ? '-' : formatBytes(value));
  return [
    name,
    pressure,
    plan ?? 'none',
    bytes(promisedBytes),
    bytes(measuredBytes),
    bytes(marginBytes),
    latencyMs === null ? '-' : formatMs(latencyMs),
  ];
}

function cameraTable(cameras: NodeHealth['cameras']): string {
  const columns = [
    'state',
    'captured',
    'processed',
    'replaced',
    'skipped',
    'still',
    'failed',
    'broken',
  ] as const;
  return formatTable(
    ['camera', ...columns],
    cameras.map((camera) => [camera.name, ...columns.map((column) => String(camera[column]))]),
  );
}
