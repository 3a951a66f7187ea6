// ./dev up: a broker, a model origin and six agents on this machine, and real work for them.
//
//   (nothing)      start, show what to try, keep running until Ctrl-C
//   --once         submit the sample set, show it, check the outputs, end; exit 0 only if every job succeeded
//   --json FILE    with --once: per job {job,pool,machine,status,waited_s,ran_s,bytes_fetched,outputs}
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startFleet, stopAll } from './fleet.mjs';
import { startOrigin } from './origin.mjs';
import { catalogue, sampleJobs } from './samples.mjs';
import { Table, megabytes } from './table.mjs';

const HELP = 'usage: ./dev up [--once] [--json FILE]';
const EMP = process.env.EMP_BINARY ?? join(dirname(fileURLToPath(import.meta.url)), '..', 'build', 'emp');
const GIVE_UP_MS = 240_000;

function parseArgs(argv) {
  const options = { once: false, json: null };
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--once') options.once = true;
    else if (argv[i] === '--json' && argv[i + 1]) options.json = argv[++i];
    else {
      console.error(argv[i] === '--help' ? HELP : `unknown or incomplete option: ${argv[i]}\n${HELP}`);
      process.exit(argv[i] === '--help' ? 0 : 2);
    }
  }
  return options;
}

async function api(broker, path, init) {
  const res = await fetch(broker + path, init);
  const body = await res.json();
  if (!res.ok) throw new Error(`${path}: ${body.error}`);
  return body;
}

const portIsFree = (port) => new Promise((resolve) => {
  const probe = createServer().once('error', () => resolve(false));
  probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
});

async function submitAll(broker, jobs) {
  const body = JSON.stringify({ jobs: jobs.map((j) => j.request) });
  const answer = await api(broker, '/api/jobs/batch', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  answer.jobs.forEach((a, i) => {
    if (!a.success) throw new Error(`${jobs[i].title}: ${a.error}`);
    jobs[i].id = a.job_id;
  });
}

const ENDED = new Set(['completed', 'failed', 'cancelled']);

/** Follows all jobs to their end; the table shows them as they go. */
async function follow(broker, jobs, table) {
  const deadline = Date.now() + GIVE_UP_MS;
  const open = new Set(jobs);
  while (open.size) {
    if (Date.now() > deadline) throw new Error(`${open.size} jobs did not end within ${GIVE_UP_MS / 1000} s`);
    for (const job of open) {
      job.seen = (await api(broker, `/api/jobs/${job.id}`)).job;
      if (ENDED.has(job.seen.status)) open.delete(job);
      table.update(job);
    }
    await new Promise((r) => setTimeout(r, 200));
  }
}

const since = (from, to) => (from && to ? Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000) : 0);

/** One row of --json. */
function row(job) {
  const s = job.seen;
  const last = s.attempts.at(-1) ?? {};
  return {
    job: job.id,
    pool: last.pool ?? null,
    machine: last.machine_id ?? null,
    status: s.status,
    waited_s: since(s.created_at, last.started_at),
    ran_s: since(last.started_at, last.ended_at),
    bytes_fetched: s.attempts.reduce((sum, a) => sum + (a.bytes_fetched ?? 0), 0),
    outputs: (s.outputs ?? []).map((o) => o.name),
  };
}

async function checkOutputs(broker, jobs, dir) {
  let wrong = 0;
  for (const job of jobs.filter((j) => j.seen.status === 'completed')) {
    const output = async (name) => {
      const res = await fetch(`${broker}/api/artifacts/${job.id}/${name}`);
      if (!res.ok) throw new Error(`output ${name} of ${job.title}: HTTP ${res.status}`);
      return Buffer.from(await res.arrayBuffer());
    };
    job.problem = await job.check(job, output, job.seen.result, dir).catch((e) => e.message);
    if (job.problem) {
      wrong++;
      console.log(`  WRONG  ${job.title}: ${job.problem}`);
    }
  }
  return wrong;
}

/** Models that were brought to a machine and are no longer there. */
async function countEvicted(broker, jobs) {
  const { machines } = await api(broker, '/api/machines');
  const holds = new Map(machines.map((m) => [m.machine_id, new Set((m.models ?? []).map((c) => c.name ?? c))]));
  const used = new Set(jobs.flatMap((j) => (j.request.models ?? []).map((model) => `${row(j).machine} ${model}`)));
  return [...used].filter((pair) => {
    const [machine, model] = pair.split(' ');
    return !holds.get(machine)?.has(model);
  }).length;
}

async function once(broker, dir, options) {
  console.log('Making the inputs: a clip, pages in four languages, pictures …');
  const jobs = sampleJobs(join(dir, 'inputs'));
  const table = new Table(jobs.length);
  await submitAll(broker, jobs);
  await follow(broker, jobs, table);
  table.end();
  const wrong = await checkOutputs(broker, jobs, dir);
  const rows = jobs.map(row);
  const good = rows.filter((r) => r.status === 'completed').length - wrong;
  const withModels = jobs.filter((j) => j.request.models);
  const fetched = withModels.filter((j) => row(j).bytes_fetched > 0);
  const evicted = await countEvicted(broker, jobs);
  const pools = [...new Set(rows.map((r) => r.pool))].sort().join(', ');
  console.log(`\n${good} of ${jobs.length} jobs succeeded, their outputs checked; pools at work: ${pools}.`);
  console.log(`Models: ${fetched.length} times fetched (${megabytes(rows.reduce((s, r) => s + r.bytes_fetched, 0))}), ` +
    `${withModels.length - fetched.length} times found, ${evicted} evicted.`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
  return good === jobs.length;
}

function invite(broker) {
  console.log(`
emp runs at ${broker}, with two agents in each of the pools fast-lane, standard and heavy.
The demo's pools are scaled to its short jobs: fast-lane below 0.5 s, standard below 5 s, heavy above.

Try, in another terminal (export EMP_BROKER=${broker}):

  build/emp machines                 who is there, and which models stand where
  build/emp submit ocr --help        how to submit
  build/emp jobs                     what has run
  build/emp explain JOB              why a job ran, or waits, where it does
  ./dev up --once                    the sample set: pictures, pages to read, clips to transcode

Ctrl-C ends everything.`);
}

async function main() {
  const options = parseArgs(process.argv.slice(2));
  const dir = mkdtempSync(join(tmpdir(), 'emp-demo-'));
  const ended = new Promise((resolve) => ['SIGINT', 'SIGTERM'].forEach((s) => process.once(s, () => resolve('signal'))));
  let origin;
  let ok = false;
  try {
    origin = await startOrigin(catalogue().files);
    const port = !options.once && await portIsFree(3331) ? 3331 : 0;
    const { broker } = await startFleet(EMP, dir, port, catalogue(origin.url).models);
    if (options.once) {
      console.log(`emp runs at ${broker}: six agents in three pools (scaled to short jobs: fast-lane < 0.5 s, standard < 5 s, heavy above).`);
      ok = (await Promise.race([once(broker, dir, options), ended])) === true;
    } else {
      invite(broker);
      await ended;
      ok = true;
    }
  } catch (e) {
    console.error(`demo: ${e.message}`);
  }
  await stopAll();
  origin?.close();
  if (ok) rmSync(dir, { recursive: true, force: true });
  else console.error(`demo: logs are kept in ${join(dir, 'logs')}`);
  process.exit(ok ? 0 : 1);
}

await main();
