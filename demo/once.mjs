/* The sample set from its submission to the verdict. */
import { writeFileSync } from 'node:fs';
import { api, artifact } from './api.mjs';
import { Table, megabytes, seconds } from './table.mjs';

const POLL_MS = 200;
const STALLED_MS = 180_000; // no job changed for so long: something is wrong
const ENDED = new Set(['completed', 'failed', 'cancelled']);
const POOLS = ['fast-lane', 'standard', 'heavy'];

const between = (from, to) => (from && to ? Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000) : null);

/* What is shown and written of a job, out of the broker's view of it. */
function digest(job, view) {
    const attempts = view.attempts ?? [];
    const last = attempts.at(-1) ?? {};
    return Object.assign(job, {
        view,
        status: view.status,
        progress: view.progress ?? 0,
        wantsModels: (view.models ?? []).length > 0,
        pool: view.status === 'pending' ? null : last.pool ?? null,
        machine: view.status === 'pending' ? null : last.machine_id ?? null,
        waited: between(view.created_at, last.started_at),
        ran: between(last.started_at, last.ended_at ?? new Date().toISOString()),
        fetched: attempts.reduce((sum, a) => sum + (a.bytes_fetched ?? 0), 0),
    });
}

async function submit(broker, jobs) {
    const body = { jobs: jobs.map((j) => j.request) };
    const answer = await api(broker, '/api/jobs/batch', { body });
    answer.jobs.forEach((a, i) => {
        if (!a.success) throw new Error(`${jobs[i].title} was refused: ${a.error}`);
        Object.assign(jobs[i], { id: a.job_id, status: 'pending' });
    });
}

/* Looks at the open jobs until none is left. */
async function follow(broker, jobs, table, stopped) {
    let open = jobs;
    let changed = Date.now();
    while (open.length && !stopped()) {
        const before = JSON.stringify(open.map((j) => [j.status, j.progress]));
        await Promise.all(open.map(async (j) => digest(j, (await api(broker, `/api/jobs/${j.id}`)).job)));
        if (JSON.stringify(open.map((j) => [j.status, j.progress])) !== before) changed = Date.now();
        if (Date.now() - changed > STALLED_MS) throw new Error(`nothing happened for ${STALLED_MS / 1000} s`);

        const ended = open.filter((j) => ENDED.has(j.status));
        open = open.filter((j) => !ENDED.has(j.status));
        const running = open.filter((j) => j.status !== 'pending');
        table.show(ended, running, open.length - running.length);
        if (open.length) await new Promise((done) => setTimeout(done, POLL_MS));
    }
}

/* job.problem: why a job is no success; null where it is one. */
async function check(broker, job, dir) {
    if (job.status !== 'completed') {
        const { error, attempts = [] } = job.view ?? {};
        job.problem = `${job.status}: ${error ?? attempts.at(-1)?.error ?? 'no reason given'}`;
        return;
    }
    const output = async (name) => {
        const found = (job.view.outputs ?? []).find((o) => o.name === name);
        if (!found) throw new Error(`it has no output ${name}`);
        return artifact(broker, found.url);
    };
    job.problem = await job.check({ output, result: job.view.result, dir }).catch((e) => e.message);
}

/* ---------------------------------------------------------------- models */

/* Where copies stand: {model: [machine]}. */
async function copies(broker) {
    const { models } = await api(broker, '/api/models');
    return Object.fromEntries(models.map((m) => [m.name, m.machines]));
}

/* [model, machine] of each eviction: what stood there before, or was brought there, and is gone. Every
 * job of the sample set names at most one model. */
function evictions(jobs, before, after) {
    const balance = new Map();
    const add = (model, machine, n) => {
        const key = `${model} ${machine}`;
        balance.set(key, (balance.get(key) ?? 0) + n);
    };
    for (const [model, machines] of Object.entries(before)) machines.forEach((m) => add(model, m, 1));
    for (const [model, machines] of Object.entries(after)) machines.forEach((m) => add(model, m, -1));
    for (const { view } of jobs) {
        for (const a of view?.attempts ?? []) {
            if (a.bytes_fetched > 0) add(view.models[0], a.machine_id, 1);
        }
    }
    return [...balance].flatMap(([key, n]) => Array.from({ length: Math.max(n, 0) }, () => key.split(' ')));
}

/* ---------------------------------------------------------------- the verdict */

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

function poolLine(jobs, pool) {
    const here = jobs.filter((j) => j.pool === pool);
    const machines = [...new Set(here.map((j) => j.machine))].sort().join(', ');
    const count = `${here.length} job${here.length === 1 ? '' : 's'}`;
    return `  ${pool.padEnd(10)} ${count.padEnd(8)} on ${machines || 'none'}; median: waited ` +
        `${seconds(median(here.map((j) => j.waited ?? 0)))}, ran ${seconds(median(here.map((j) => j.ran ?? 0)))}`;
}

/* Prints what came of it, and says whether all is as it should be. */
function verdict(jobs, evicted, took) {
    const bad = jobs.filter((j) => j.problem !== null);
    const read = jobs.filter((j) => j.wantsModels && j.status === 'completed');
    const fetched = read.filter((j) => j.fetched > 0);
    const found = read.length - fetched.length;
    const bytes = jobs.reduce((sum, j) => sum + (j.fetched ?? 0), 0);

    console.log(`\n${jobs.length - bad.length} of ${jobs.length} jobs succeeded in ${seconds(took)}, their outputs checked.`);
    for (const pool of POOLS) console.log(poolLine(jobs, pool));
    console.log(`Models: ${fetched.length} times fetched (${megabytes(bytes)}), ${found} times found in place, ${evicted.length} times evicted.`);
    for (const [model, machine] of evicted) console.log(`  ${model} had to leave ${machine}`);
    for (const j of bad) console.log(`FAILED  ${j.title} (${j.id}): ${j.problem}`);

    const idle = POOLS.filter((pool) => !jobs.some((j) => j.pool === pool && j.status === 'completed'));
    const missing = [
        ...idle.map((pool) => `no job ran in the pool ${pool}`),
        ...(fetched.length ? [] : ['no model was fetched']),
        ...(found ? [] : ['no model was found in place']),
        ...(evicted.length ? [] : ['no model was evicted']),
    ];
    if (!bad.length) for (const m of missing) console.log(`FAILED  the sample set should show more: ${m}`);
    return !bad.length && !missing.length;
}

function row(job) {
    return {
        job: job.id ?? null,
        pool: job.pool ?? null,
        machine: job.machine ?? null,
        status: job.status ?? 'not submitted',
        waited_s: job.waited ?? null,
        ran_s: job.ran ?? null,
        bytes_fetched: job.fetched ?? 0,
        outputs: job.view?.outputs ?? [],
    };
}

/* Submits the jobs to the broker, follows and checks them; true: all succeeded. `json`: file for the
 * rows, written however it ends; `dir`: for outputs while they are checked; stopped(): asked to end. */
export async function runOnce(broker, jobs, { json, dir, stopped }) {
    try {
        const before = await copies(broker);
        const start = Date.now();
        await submit(broker, jobs);
        await follow(broker, jobs, new Table(), stopped);
        if (stopped()) return false;
        const took = (Date.now() - start) / 1000;
        for (const job of jobs) await check(broker, job, dir);
        return verdict(jobs, evictions(jobs, before, await copies(broker)), took);
    } finally {
        if (json) writeFileSync(json, `${JSON.stringify(jobs.map(row), null, 2)}\n`);
    }
}
