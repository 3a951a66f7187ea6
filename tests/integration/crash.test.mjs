/* kill -9 of the broker and of agents at random moments (seeded: EMP_TEST_SEED) while several hundred jobs run. Then: every job that was
 * acknowledged is there, in exactly one terminal state; none completed twice; attempts are numbered without gaps. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { limits, random, tick, until, within } from './lib.mjs';

const JOBS = Number(process.env.EMP_TEST_CRASH_JOBS ?? 400);
const SECONDS = 12; // of mayhem

/* Submits until all are acknowledged, as a careful client does: with a key of its own for each job, repeated when no answer came. */
async function submitAll(broker, count, acknowledged, rand) {
    let next = 0;
    const lane = async () => {
        for (;;) {
            const n = next++;
            if (n >= count) return;
            const job = {
                service_required: 'simulation',
                payload: { duration_ms: Math.floor(20 + rand() * 250), n },
                customer_id: `customer-${n % 5}`,
                priority: Math.floor(rand() * 100),
                max_retries: 100,
            };
            for (;;) {
                try {
                    const r = await broker.post('/api/jobs', job, { 'idempotency-key': `crash-${n}` });
                    if (r.status === 201) {
                        acknowledged.set(n, r.body.job_id);
                        break;
                    }
                    assert.ok(r.status >= 500, `submission ${n} answered ${r.status} ${r.text}`);
                } catch (e) {
                    if (e instanceof assert.AssertionError) throw e;
                }
                await tick(50);
            }
        }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
}

async function everyJob(broker, status) {
    const jobs = [];
    for (;;) {
        const r = await broker.get(`/api/jobs?status=${status}&sort=created_at&order=asc&limit=1000&offset=${jobs.length}`);
        assert.equal(r.status, 200, r.text);
        jobs.push(...r.body.jobs);
        if (jobs.length >= r.body.total) return jobs;
    }
}

test('no acknowledged job is lost and none completes twice, whatever is killed', { timeout: 3 * limits.timeout }, within(async (w, t) => {
    const seed = Number(process.env.EMP_TEST_SEED ?? 20261124);
    t.diagnostic(`EMP_TEST_SEED=${seed}`);
    const rand = random(seed);
    const broker = await w.broker();
    const agents = [];
    for (let i = 0; i < 4; i++) agents.push(await w.agent(broker, { slots: 3, pool: 'fast-lane', name: `agent-${i}` }).start());

    const acknowledged = new Map();
    const submitting = submitAll(broker, JOBS, acknowledged, random(seed + 1));

    const kills = { broker: 0, agents: 0 };
    const end = Date.now() + SECONDS * 1000;
    while (Date.now() < end) {
        await tick(150 + rand() * 900);
        if (rand() < 0.4) {
            kills.broker++;
            await broker.kill();
            await tick(rand() * 300);
            await broker.start();
        } else {
            const a = agents[Math.floor(rand() * agents.length)];
            kills.agents++;
            await a.kill();
            await tick(rand() * 300);
            a.launch();
        }
    }
    await submitting;
    t.diagnostic(`${kills.broker} kills of the broker, ${kills.agents} of agents, ${acknowledged.size} jobs acknowledged`);
    assert.equal(acknowledged.size, JOBS);

    const total = async (status) => (await broker.get(`/api/jobs?status=${status}&limit=0`)).body.total;
    await until(async () => (await total('pending,assigned,in_progress')) === 0, 'every job to end', 120_000);

    const completed = await everyJob(broker, 'completed');
    assert.equal(await total('failed'), 0, 'no job failed: none was at fault');
    assert.equal(await total('cancelled'), 0);
    assert.equal(completed.length, JOBS, 'as many jobs as were acknowledged: none lost, none doubled by a repeated key');
    assert.deepEqual(new Set(completed.map((j) => j.id)), new Set(acknowledged.values()));

    for (const [n, id] of acknowledged) {
        const job = await broker.job(id);
        assert.equal(job.status, 'completed');
        assert.equal(job.payload.n, n, 'the job is the one that was submitted');
        assert.equal(job.attempts.filter((a) => a.outcome === 'completed').length, 1, `job ${id} completed once`);
        assert.equal(job.attempts.at(-1).outcome, 'completed', 'nothing came after the completion');
        job.attempts.forEach((a, i) => assert.equal(a.attempt, i + 1, `attempts of ${id} are numbered without gaps`));
        assert.equal(job.attempts.filter((a) => a.counted).length, 1, 'a crash is not held against the job');
    }
}));
