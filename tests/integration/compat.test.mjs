/* Clients of the older system keep working: its shapes, fields and statuses; and each line of docs/compatibility.md, on both sides. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits, until, within } from './lib.mjs';

describe('compatibility', { concurrency: 4 }, () => {
    it('the three calls that existing clients make', limits, within(async (w) => {
        const broker = await w.broker();
        const posted = await broker.post('/api/jobs', { service_required: 'simulation', priority: 70, customer_id: 'c1', payload: { a: 1 } });
        assert.equal(posted.status, 201);
        /* What is new stands behind what these clients read: times, or, without a machine, why there are none. */
        assert.deepEqual(Object.keys(posted.body), ['success', 'job_id', 'message', 'timestamp', 'waiting_reason']);
        assert.equal(posted.body.message, 'Job submitted successfully');
        const got = await broker.get(`/api/jobs/${posted.body.job_id}`);
        assert.deepEqual(Object.keys(got.body), ['success', 'job', 'timestamp']);
        assert.equal(typeof got.body.job.priority, 'number');
        const missing = await broker.get('/api/jobs/123');
        assert.deepEqual([missing.status, missing.body.success, missing.body.error], [404, false, 'Job not found']);
        const list = await broker.get('/api/jobs?status=pending&limit=50&offset=0');
        assert.deepEqual(Object.keys(list.body), ['success', 'jobs', 'total', 'timestamp']);
    }));

    it('the oldest collection’s body: two names of the service, requirements of its own', limits, within(async (w) => {
        const broker = await w.broker();
        const answer = await broker.post('/api/jobs', { service_required: 'simulation', job_type: 'simulation', type: 'simulation', priority: 3, payload: {}, requirements: { service_type: 'simulation' }, customer_id: 'c', workflow_id: 'w', step_number: 1, timeout_minutes: 5, id: 'mine', message_id: 'mine' });
        assert.equal(answer.status, 201, answer.text);
        const job = await broker.job(answer.body.job_id);
        assert.notEqual(job.id, 'mine');
        assert.ok(!('timeout_s' in job), 'timeout_minutes counts inside requirements alone, as before');
    }));

    it('three executions, as before, and the retry count that clients read', limits, within(async (w) => {
        const broker = await w.broker({ config: { retry: { base: '10ms', max: '20ms' } } });
        await w.agent(broker).start();
        const job = await broker.state(await broker.simulate({ fail: true }, { max_retries: 3 }), 'failed');
        assert.equal(job.attempts.length, 3);
        assert.equal(job.retry_count, 3);
        assert.ok(job.failed_at && job.last_failed_worker);
        const counted = await broker.job(await broker.submit({ service_required: 'simulation', retry_count: 4, payload: { duration_ms: 600_000 } }));
        assert.equal(counted.retry_count, 4);
        const ctx = await broker.job(await broker.submit({ service_required: 'simulation', ctx: { workflow_context: { retry_attempt: 2 } }, payload: { duration_ms: 600_000 } }));
        assert.equal(ctx.retry_count, 2);
    }));

    it('requirements mean what they say: timeout_minutes, geographic_region, quality_level, component', limits, within(async (w) => {
        const broker = await w.broker({ config: { retry: { base: '10ms' } } });
        const fine = await w.agent(broker, { slots: 4, args: ['--region', 'eu'], config: { agent: { capabilities: { quality_level: 'high' } } } }).start();
        await w.agent(broker, { slots: 4, args: ['--region', 'us'] }).start();
        for (const requirements of [{ geographic_region: 'eu' }, { quality_level: 'high' }, { component: 'all', quality_level: 'high' }, { positive_requirements: { quality_level: 'high' }, negative_requirements: { quality_level: 'low' } }])
            assert.equal((await broker.state(await broker.simulate({ duration_ms: 5 }, { requirements }), 'completed')).machine_id, fine.id, JSON.stringify(requirements));
        await broker.state(await broker.simulate({ duration_ms: 5 }, { requirements: { models: 'sdxl' } }), 'completed'); // no list: never asked for anything
        const job = await broker.state(await broker.simulate({ duration_ms: 600_000 }, { requirements: { timeout_minutes: 0.005 }, max_retries: 1 }), 'failed');
        assert.equal(job.code, 'timeout');
    }));

    it('no job hides behind a hundred that nobody can run', limits, within(async (w) => {
        const broker = await w.broker();
        await broker.post('/api/jobs/batch', { jobs: Array.from({ length: 300 }, () => ({ service_required: 'simulation', region: 'nowhere', priority: 99, wait: true })) });
        const id = await broker.simulate({ duration_ms: 5 }, { priority: 1 });
        await w.agent(broker).start();
        await broker.state(id, 'completed');
    }));

    it('exact order within one customer, also in the same millisecond', limits, within(async (w) => {
        const broker = await w.broker();
        const { jobs } = (await broker.post('/api/jobs/batch', { jobs: Array.from({ length: 40 }, (_, n) => ({ service_required: 'simulation', payload: { duration_ms: 1, n } })) })).body;
        await w.agent(broker).start();
        await until(async () => (await broker.get('/api/jobs?status=completed&limit=0')).body.total === 40, 'all to complete');
        const all = [];
        for (const { job_id } of jobs) all.push(await broker.job(job_id));
        const order = all.sort((a, b) => Date.parse(a.started_at) - Date.parse(b.started_at) || a.payload.n - b.payload.n).map((j) => j.payload.n);
        assert.deepEqual(order, [...Array(40).keys()]);
    }));

    it('paths of what comes later are 404 as JSON, not something else', limits, within(async (w) => {
        const broker = await w.broker();
        for (const path of ['/ws/client/x', '/ws/monitor/x', '/webhooks', '/submit-job', '/api/workers']) {
            const answer = await broker.get(path);
            assert.deepEqual([answer.status, answer.body.code], [404, 'not_found'], path);
        }
    }));
});
