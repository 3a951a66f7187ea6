/* Times that jobs are told: at submission, when asked later, and after the broker was killed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits, slow, until, within } from './lib.mjs';

const RUN_MS = 400;
const names = ['estimated_start', 'estimated_start_p90', 'estimated_completion', 'estimated_completion_p90'];
/* ms from the answer's time, by name */
const times = (told, now) => Object.fromEntries(names.filter((n) => told[n]).map((n) => [n, Date.parse(told[n]) - now]));

const submit = async (broker, more = {}) => {
    const { status, body } = await broker.post('/api/jobs', { service_required: 'simulation', payload: { duration_ms: RUN_MS }, ...more });
    assert.equal(status, 201, JSON.stringify(body));
    return { id: body.job_id, body, ...times(body, Date.parse(body.timestamp)) };
};
const taught = async (broker, jobs) => {
    for (let i = 0; i < jobs; i++) await broker.state((await submit(broker)).id, 'completed');
};
const orderly = (t) => {
    assert.deepEqual(names.filter((n) => t[n] === undefined), [], JSON.stringify(t));
    assert.ok(t.estimated_start >= 0 && t.estimated_start <= t.estimated_start_p90, JSON.stringify(t));
    assert.ok(t.estimated_completion <= t.estimated_completion_p90 && t.estimated_start <= t.estimated_completion, JSON.stringify(t));
};

describe('times that jobs are told', { concurrency: 3 }, () => {
    it('why it cannot run now, until a machine comes', limits, within(async (w) => {
        const broker = await w.broker();
        const job = await submit(broker);
        assert.equal(job.body.waiting_reason, 'no machine is connected');
        assert.equal(job.body.estimated_start, undefined);
        const shown = await broker.job(job.id);
        assert.equal(shown.waiting_reason, 'no machine is connected');
        const { stdout } = await w.run(['job', job.id], { EMP_BROKER: broker.url });
        assert.match(stdout, /^waits +no machine is connected$/m);
        await w.agent(broker, { slots: 1 }).start();
        const done = await broker.state(job.id, 'completed');
        for (const name of ['waiting_reason', ...names]) assert.equal(done[name], undefined, name);
    }));

    it('at once where a machine is free, one behind the other where they queue', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker, { slots: 1 }).start();
        await taught(broker, 12);
        const first = await submit(broker);
        orderly(first);
        assert.ok(first.estimated_completion > RUN_MS / 2 && first.estimated_completion < 4 * RUN_MS * slow, JSON.stringify(first));
        const behind = [];
        for (let i = 0; i < 20; i++) behind.push(await submit(broker));
        behind.forEach(orderly);
        const last = behind.at(-1), near = behind[1];
        assert.ok(last.estimated_start > near.estimated_start + 5 * RUN_MS, `${near.estimated_start} … ${last.estimated_start}`);
        const job = await broker.job(last.id);
        assert.equal(job.status, 'pending');
        orderly(times(job, Date.now()));
        const batch = (await broker.post('/api/jobs/batch', { jobs: [{ service_required: 'simulation' }, {}] })).body.jobs;
        orderly(times(batch[0], 0));
        assert.equal(batch[1].estimated_start, undefined);
        /* What runs has no start any more. */
        const running = await until(async () => (await broker.get('/api/jobs?status=in_progress')).body.jobs[0], 'a job that runs');
        const seen = await broker.job(running.id);
        if (seen.status === 'in_progress') assert.deepEqual(Object.keys(times(seen, 0)), names.slice(2));
        const { stdout } = await w.run(['job', last.id], { EMP_BROKER: broker.url });
        assert.match(stdout, /^starts by +20/m);
        assert.match(stdout, /^ends by +20/m);
    }));

    it('a repeated key gets its job, and no times', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker, { slots: 1 }).start();
        const first = await submit(broker, { idempotency_key: 'k' }), again = await submit(broker, { idempotency_key: 'k' });
        orderly(first);
        assert.equal(again.id, first.id);
        assert.deepEqual(Object.keys(again.body), ['success', 'job_id', 'message', 'timestamp']);
    }));

    it('what was learned of them survives a kill -9 of the broker', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker, { slots: 1 }).start();
        const naive = await submit(broker);
        await taught(broker, 25);
        await sleep(6000); // what was learned is written every five seconds
        const before = await submit(broker);
        await broker.state(before.id, 'completed');
        await broker.kill();
        await broker.start();
        await until(async () => (await broker.get('/api/machines')).body.machines.some((m) => m.status === 'connected'), 'the agent to return');
        const after = await submit(broker);
        orderly(after);
        assert.ok(naive.estimated_completion > 8000, `nobody knew: ${naive.estimated_completion}`);
        for (const name of names.slice(2)) {
            const ratio = after[name] / before[name];
            assert.ok(ratio > 0.8 && ratio < 1.25, `${name}: ${before[name]} before, ${after[name]} after`);
        }
    }));
});
