/* The HTTP API as clients see it: every field of a submission comes back, defaults and zeros are kept apart, lists are filtered, sorted and
 * cut, batches and repeated keys do what they promise. (Every answer is also held against docs/openapi.yaml: lib.mjs.) */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits, until, within } from './lib.mjs';

const unknown = '00000000-0000-4000-8000-000000000000';

describe('submissions', { concurrency: 4 }, () => {
    it('every field comes back as it was given', limits, within(async (w) => {
        const broker = await w.broker({ config: { models: [{ name: 'm1', bytes: 10 }, { name: 'm2', bytes: 10 }] } });
        const job = {
            service_required: 'simulation',
            payload: { text: 'Grüße, 🌍', nested: { list: [1, 2.5, null, true] }, duration_ms: 5 },
            customer_id: 'customer-1',
            user_tier: 'enterprise',
            priority: 77.5,
            max_retries: 5,
            retry_count: 2,
            workflow_id: 'workflow-1',
            workflow_priority: 60,
            workflow_datetime: 1700000000000,
            current_step: 2,
            total_steps: 3,
            requirements: { service_type: 'simulation', hardware: { cpu_cores: 1 } },
            ctx: { prefix: 'x/' },
            models: ['m1', 'm2'],
            custom_nodes: ['node-a'],
            compliance: ['hipaa'],
            estimated_duration_s: 12.5,
            timeout_s: 33.25,
            pool: 'standard',
            specialty: 'art',
            region: 'eu-west',
            idempotency_key: 'key-1',
            wait: true,
        };
        const before = Date.now();
        const answer = await broker.post('/api/jobs', job);
        assert.equal(answer.status, 201, answer.text);
        assert.equal(answer.body.message, 'Job submitted successfully');
        const shown = await broker.job(answer.body.job_id);
        const { ctx, ...visible } = job;
        for (const [name, value] of Object.entries(visible)) assert.deepEqual(shown[name], value, name);
        assert.equal(shown.id, answer.body.job_id);
        assert.equal(shown.status, 'pending');
        assert.ok(Math.abs(Date.parse(shown.created_at) - before) < 60_000);
        assert.deepEqual(shown.attempts, []);
        assert.equal(ctx.prefix, 'x/', 'ctx is taken, and not shown');
        const list = (await broker.get('/api/jobs')).body;
        assert.equal(list.total, 1);
        const { attempts, waiting_reason: why, ...inList } = shown;
        assert.equal(why, 'no machine is connected');
        assert.deepEqual(list.jobs, [inList], 'a list shows the same, without attempts and times');
        assert.equal(attempts.length, 0);
    }));

    it('absent fields get their defaults, an explicit zero is a zero, null is absent', limits, within(async (w) => {
        const broker = await w.broker();
        const plain = await broker.job(await broker.submit({ service_required: 'simulation' }));
        assert.equal(plain.priority, 50);
        assert.equal(plain.max_retries, 3);
        assert.equal(plain.retry_count, 0);
        assert.equal(plain.user_tier, 'free');
        assert.deepEqual(plain.payload, {});
        for (const absent of ['workflow_id', 'models', 'timeout_s', 'requirements', 'customer_id', 'result', 'error', 'worker_id', 'assigned_at'])
            assert.ok(!(absent in plain), `${absent} is left out`);
        const zero = await broker.job(await broker.submit({ service_required: 'simulation', priority: 0, max_retries: 0 }));
        assert.equal(zero.priority, 0);
        assert.equal(zero.max_retries, 0);
        const nulls = await broker.job(await broker.submit({ service_required: 'simulation', priority: null, payload: null, models: null, customer_id: null, wait: null }));
        assert.equal(nulls.priority, 50);
        assert.deepEqual(nulls.payload, {});
    }));

    it('job_type and type stand in for service_required; unknown members are ignored', limits, within(async (w) => {
        const broker = await w.broker();
        for (const job of [{ job_type: 'simulation' }, { type: 'simulation' }, { service_required: '', type: 'simulation' }, { service_required: 'simulation', job_type: 'x', type: 'y' }, { service_required: 'simulation', id: 'mine', whatever: [1] }]) {
            const shown = await broker.job(await broker.submit(job));
            assert.equal(shown.service_required, 'simulation');
            assert.notEqual(shown.id, 'mine');
        }
    }));

    it('payloads and results keep the text of their numbers', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker).start();
        const text = '{"service_required":"simulation","payload":{"seed":18446744073709551615,"x":0.10000000000000000001,"result":{"big":12345678901234567890123,"f":1.50}}}';
        const answer = await broker.post('/api/jobs', text);
        assert.equal(answer.status, 201, answer.text);
        await broker.state(answer.body.job_id, 'completed');
        const shown = (await broker.get(`/api/jobs/${answer.body.job_id}`)).text;
        for (const piece of ['18446744073709551615', '0.10000000000000000001', '{"big":12345678901234567890123,"f":1.50}']) assert.ok(shown.includes(piece), piece);
    }));

    it('a completed job shows result, outputs, times and its attempt', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 300, output_bytes: 70_000, result: { answer: 42 } });
        const job = await broker.state(id, 'completed');
        assert.deepEqual(job.result, { answer: 42 });
        assert.equal(job.progress, 100);
        assert.equal(job.worker_id, agent.id);
        assert.equal(job.machine_id, agent.id);
        assert.equal(job.pool, 'fast-lane');
        assert.ok(job.processing_time >= 290, `processing_time is ${job.processing_time}`);
        for (const [a, b] of [['created_at', 'assigned_at'], ['assigned_at', 'started_at'], ['started_at', 'completed_at']])
            assert.ok(Date.parse(job[a]) <= Date.parse(job[b]), `${a} ≤ ${b}`);
        assert.equal(job.attempts.length, 1);
        const [a] = job.attempts;
        assert.deepEqual([a.attempt, a.machine_id, a.pool, a.outcome, a.counted], [1, agent.id, 'fast-lane', 'completed', true]);
        assert.equal(a.started_at, job.started_at);
        assert.ok(a.ended_at && !a.error);
        const [o] = job.outputs;
        assert.deepEqual([job.outputs.length, o.name, o.bytes, o.url], [1, 'output.bin', 70_000, `/api/artifacts/${id}/output.bin`]);
        const file = await broker.get(o.url);
        assert.equal(file.status, 200);
        assert.deepEqual(file.bytes, Buffer.alloc(70_000));
        const part = await broker.get(o.url, { range: 'bytes=69990-' });
        assert.equal(part.status, 206);
        assert.equal(part.bytes.length, 10);
        assert.equal(part.headers['content-range'], 'bytes 69990-69999/70000');
        assert.equal((await broker.get(o.url, { range: 'bytes=90000-' })).status, 416);
        const again = await broker.get(o.url, { 'if-none-match': file.headers.etag });
        assert.equal(again.status, 304);
        const head = await broker.request('HEAD', o.url);
        assert.equal(head.headers['content-length'], '70000');
    }));

    it('progress of a running job is shown', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 60_000, steps: 1000 }, { estimated_duration_s: 60 });
        const job = await broker.jobUntil(id, (j) => j.progress > 0, 'under way');
        assert.equal(job.status, 'in_progress');
        assert.ok(job.progress > 0 && job.progress < 50);
        assert.ok(Date.parse(job.estimated_completion) > Date.parse(job.started_at));
    }));
});

describe('batches', { concurrency: 2 }, () => {
    it('10,000 jobs at once are all there, in order', limits, within(async (w) => {
        const broker = await w.broker();
        const jobs = Array.from({ length: 10_000 }, (_, n) => ({ service_required: 'simulation', payload: { n } }));
        const answer = await broker.post('/api/jobs/batch', { jobs });
        assert.equal(answer.status, 200, answer.text.slice(0, 300));
        assert.equal(answer.body.jobs.length, 10_000);
        assert.ok(answer.body.jobs.every((j) => j.success));
        const ids = answer.body.jobs.map((j) => j.job_id);
        assert.equal(new Set(ids).size, 10_000);
        const page = (await broker.get('/api/jobs?sort=created_at&order=asc&limit=1000&offset=5000')).body;
        assert.equal(page.total, 10_000);
        assert.deepEqual(page.jobs.map((j) => j.id), ids.slice(5000, 6000));
        assert.deepEqual(page.jobs.map((j) => j.payload.n), jobs.slice(5000, 6000).map((j) => j.payload.n));
        const more = await broker.post('/api/jobs/batch', { jobs: [...jobs, { service_required: 'simulation' }] });
        assert.equal(more.status, 400);
        assert.match(more.body.error, /10001.*10000/);
        assert.equal((await broker.get('/api/jobs?limit=0')).body.total, 10_000, 'nothing of a batch that is too large is taken');
    }));

    it('each element is taken or refused by itself', limits, within(async (w) => {
        const broker = await w.broker();
        const answer = await broker.post('/api/jobs/batch', {
            jobs: [
                { service_required: 'simulation', payload: { n: 0 } },
                { service_required: 'simulation', priority: 'high' },
                'no job',
                { service_required: 'simulation', models: ['missing'] },
                { service_required: 'simulation', payload: { n: 4 }, idempotency_key: 'k' },
                { service_required: 'simulation', payload: { n: 4 }, idempotency_key: 'k' },
                { service_required: 'simulation', payload: { n: 5 }, idempotency_key: 'k' },
                { service_required: 'nobody-offers-this' },
            ],
        });
        assert.equal(answer.status, 200);
        const j = answer.body.jobs;
        assert.deepEqual(j.map((x) => x.code ?? 'taken'), ['taken', 'invalid', 'invalid', 'unknown_model', 'taken', 'taken', 'idempotency_key_reused', 'unknown_service']);
        assert.equal(j[1].field, 'priority');
        assert.match(j[1].error, /priority.*high/);
        assert.equal(j[4].job_id, j[5].job_id, 'the same key and body inside one batch: one job');
        const list = (await broker.get('/api/jobs?sort=created_at&order=asc')).body;
        assert.deepEqual(list.jobs.map((x) => x.payload.n), [0, 4]);
    }));
});

describe('idempotency keys', { concurrency: 4 }, () => {
    const job = (n) => ({ service_required: 'simulation', payload: { n } });

    it('same key and body: the first job again, also at once, and after a restart', limits, within(async (w) => {
        const broker = await w.broker();
        const all = await Promise.all(Array.from({ length: 30 }, () => broker.post('/api/jobs', job(1), { 'idempotency-key': 'a' })));
        assert.deepEqual([...new Set(all.map((r) => r.status))], [201]);
        assert.equal(new Set(all.map((r) => r.body.job_id)).size, 1);
        await broker.kill();
        await broker.start();
        const later = await broker.post('/api/jobs', job(1), { 'idempotency-key': 'a' });
        assert.equal(later.body.job_id, all[0].body.job_id);
        assert.equal((await broker.get('/api/jobs')).body.total, 1);
    }));

    it('another body: 409, and the first job is left alone', limits, within(async (w) => {
        const broker = await w.broker();
        await broker.post('/api/jobs', job(1), { 'idempotency-key': 'a' });
        const other = await broker.post('/api/jobs', job(2), { 'idempotency-key': 'a' });
        assert.equal(other.status, 409);
        assert.equal(other.body.code, 'idempotency_key_reused');
        assert.match(other.body.error, /"a"/);
        const { jobs } = (await broker.get('/api/jobs')).body;
        assert.deepEqual(jobs.map((j) => j.payload.n), [1]);
    }));

    it('keys belong to a customer; body and header say the same or are refused', limits, within(async (w) => {
        const broker = await w.broker();
        const of = (customer_id, headers, more) => broker.post('/api/jobs', { ...job(1), customer_id, ...more }, headers);
        const one = await of('c1', { 'idempotency-key': 'a' });
        const two = await of('c2', { 'idempotency-key': 'a' });
        assert.notEqual(one.body.job_id, two.body.job_id);
        const both = await of('c1', { 'idempotency-key': 'b' }, { idempotency_key: 'b' });
        assert.equal(both.status, 201);
        const differ = await of('c1', { 'idempotency-key': 'b' }, { idempotency_key: 'c' });
        assert.equal(differ.status, 400);
        assert.match(differ.body.error, /"c".*"b"/);
        assert.equal((await broker.get('/api/jobs')).body.total, 3);
    }));

    it('a refused submission does not use its key up', limits, within(async (w) => {
        const broker = await w.broker();
        const refused = await broker.post('/api/jobs', { ...job(1), models: ['later'] }, { 'idempotency-key': 'a' });
        assert.equal(refused.status, 422);
        await broker.post('/api/models', { name: 'later', bytes: 10, urls: ['http://127.0.0.1:1/x'] });
        assert.equal((await broker.post('/api/jobs', { ...job(1), models: ['later'], wait: true }, { 'idempotency-key': 'a' })).status, 201);
    }));
});

describe('lists', { concurrency: 2 }, () => {
    it('filter, sort, then cut; total is the true number', limits, within(async (w) => {
        const broker = await w.broker();
        const ids = [];
        for (let n = 0; n < 30; n++)
            ids.push(await broker.submit({ service_required: 'simulation', payload: { n }, priority: (n * 7) % 10, customer_id: `c${n % 3}`, ...(n % 5 === 0 ? { pool: 'heavy' } : {}) }));
        const ask = async (query) => (await broker.get(`/api/jobs?${query}`)).body;
        const numbers = (r) => r.jobs.map((j) => j.payload.n);
        const all = [...Array(30).keys()];

        assert.deepEqual(numbers(await ask('')), [...all].reverse(), 'newest first');
        assert.deepEqual(numbers(await ask('sort=created_at&order=asc')), all);
        const byPriority = numbers(await ask('sort=priority&order=desc'));
        assert.deepEqual(byPriority.map((n) => (n * 7) % 10), all.map((n) => (n * 7) % 10).sort((a, b) => b - a));
        const pages = [];
        for (let offset = 0; offset < 30; offset += 7) {
            const r = await ask(`sort=created_at&order=asc&limit=7&offset=${offset}`);
            assert.equal(r.total, 30);
            pages.push(...numbers(r));
        }
        assert.deepEqual(pages, all, 'pages fit together');
        const c1 = await ask('customer_id=c1&sort=created_at&order=asc&limit=4');
        assert.equal(c1.total, 10);
        assert.deepEqual(numbers(c1), [1, 4, 7, 10]);
        assert.equal((await ask('service_required=simulation')).total, 30);
        assert.equal((await ask('service_required=other')).total, 0);
        assert.deepEqual((await ask('limit=0')).jobs, []);
        assert.deepEqual((await ask('offset=1000')).jobs, []);

        await broker.delete(`/api/jobs/${ids[3]}`);
        await broker.delete(`/api/jobs/${ids[1]}`);
        assert.deepEqual(numbers(await ask('status=cancelled&sort=finished_at&order=asc')), [3, 1]);
        assert.deepEqual(numbers(await ask('status=cancelled&sort=finished_at&order=desc')), [1, 3]);
        assert.equal((await ask('status=pending')).total, 28);
        assert.equal((await ask('status=pending,cancelled')).total, 30);
        assert.equal((await ask('status=pending%2Ccancelled')).total, 30);
        assert.equal((await ask('status=completed,failed,in_progress,assigned')).total, 0);

        const middle = (await broker.job(ids[15])).created_at;
        const [after, before] = [await ask(`created_after=${middle}`), await ask(`created_before=${middle}`)];
        assert.equal(after.total + before.total, 30, 'after includes, before excludes');
        assert.equal((await ask(`created_after=${Date.parse(middle)}`)).total, after.total, 'milliseconds do as well');
    }));

    it('by workflow; its steps are ordered by the priority of the first', limits, within(async (w) => {
        const broker = await w.broker();
        for (const [workflow_id, priority] of [['w', 70], ['v', 60], ['w', 10], ['w', 90]]) await broker.simulate({ priority }, { workflow_id, priority });
        const ask = async (query) => (await broker.get(`/api/jobs?${query}`)).body.jobs.map((j) => j.priority);
        assert.deepEqual(await ask('workflow_id=w&sort=created_at&order=asc'), [70, 10, 90]);
        assert.deepEqual(await ask('workflow_id=none'), []);
        assert.equal((await ask('sort=priority')).at(-1), 60);
    }));

    it('by pool and by machine', limits, within(async (w) => {
        const broker = await w.broker();
        const [a, b] = await Promise.all([w.agent(broker, { pool: 'fast-lane', slots: 4 }).start(), w.agent(broker, { pool: 'heavy', slots: 4 }).launch()]);
        await until(async () => (await broker.machines()).length === 2, 'both agents');
        const ids = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => broker.simulate({ duration_ms: 10 }, { pool: n % 2 ? 'fast-lane' : 'heavy' })));
        for (const id of ids) await broker.state(id, 'completed');
        for (const name of ['fast-lane', 'heavy']) {
            const r = (await broker.get(`/api/jobs?pool=${name}`)).body;
            assert.equal(r.total, 3, name);
            assert.ok(r.jobs.every((j) => j.pool === name));
        }
        const onA = (await broker.get(`/api/jobs?machine_id=${a.id}`)).body;
        assert.equal(onA.total, 3);
        assert.ok(onA.jobs.every((j) => j.machine_id === a.id));
        assert.equal((await broker.get(`/api/jobs?worker_id=${a.id}`)).body.total, 3, 'by its older name');
        assert.ok(b.process.alive);
    }));
});

describe('the rest', { concurrency: 4 }, () => {
    it('cancel and retry by hand', limits, within(async (w) => {
        const broker = await w.broker();
        const id = await broker.simulate({ duration_ms: 10 });
        const cancelled = await broker.post(`/api/jobs/${id}/cancel`);
        assert.deepEqual([cancelled.status, cancelled.body.status, cancelled.body.job_id], [200, 'cancelled', id]);
        const job = await broker.job(id);
        assert.equal(job.status, 'cancelled');
        assert.ok(job.cancelled_at);
        const twice = await broker.delete(`/api/jobs/${id}`);
        assert.deepEqual([twice.status, twice.body.code], [409, 'conflict']);
        assert.match(twice.body.error, /cancelled/);
        const again = await broker.post(`/api/jobs/${id}/retry`);
        assert.deepEqual([again.status, again.body.status], [200, 'pending']);
        assert.equal((await broker.post(`/api/jobs/${id}/retry`)).status, 409);
        await w.agent(broker).start();
        await broker.state(id, 'completed');
        const over = await broker.post(`/api/jobs/${id}/retry`);
        assert.deepEqual([over.status, over.body.code], [409, 'conflict']);
        assert.equal((await broker.delete(`/api/jobs/${unknown}`)).status, 404);
        assert.equal((await broker.post('/api/jobs/no-id/retry')).status, 404);
    }));

    it('a job that failed runs again after a retry, with the next attempt number', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker).start();
        const id = await broker.simulate({ fail_attempts: 1 }, { max_retries: 1 });
        const failed = await broker.state(id, 'failed');
        assert.ok(failed.error && failed.code === 'job_failed', JSON.stringify(failed));
        await broker.post(`/api/jobs/${id}/retry`);
        const job = await broker.state(id, 'completed');
        assert.deepEqual(job.attempts.map((a) => [a.attempt, a.outcome]), [[1, 'failed'], [2, 'completed']]);
        assert.ok(!('error' in job), 'the error of the first run is history');
    }));

    it('machines, pools and models tell what there is', limits, within(async (w) => {
        const broker = await w.broker({ config: { models: [{ name: 'm', bytes: 1000, urls: ['http://127.0.0.1:1/m'], category: 'art' }], pools: { extra: { parent: 'fast-lane', specialty: 'art', penalty: '5s' } } } });
        const agent = await w.agent(broker, { slots: 3, args: ['--region', 'eu', '--disk-budget', '5gb'] }).start();
        const m = await agent.machine();
        assert.deepEqual([m.machine_id, m.status, m.pool, m.region, m.slots, m.busy, m.drained], [agent.id, 'connected', 'fast-lane', 'eu', 3, 0, false]);
        assert.deepEqual(m.services, ['simulation']);
        assert.equal(m.disk.budget_bytes, 5e9);
        assert.ok(m.hardware.cpu_cores >= 1 && m.hardware.ram_gb > 0);
        const id = await broker.simulate({ duration_ms: 60_000 });
        await broker.state(id, 'in_progress');
        assert.deepEqual((await agent.machine()).jobs, [id]);
        const pools = (await broker.get('/api/pools')).body.pools;
        assert.deepEqual(pools.map((p) => p.name), ['fast-lane', 'standard', 'heavy', 'extra']);
        assert.deepEqual([pools[0].machines, pools[0].slots, pools[0].busy, pools[0].running], [1, 3, 1, 1]);
        assert.deepEqual([pools[0].run_s_min, pools[0].run_s_max, pools[1].run_s_max, pools[2].run_s_max], [0, 30, 180, null]);
        assert.deepEqual([pools[3].parent, pools[3].specialty, pools[3].penalty_s], ['fast-lane', 'art', 5]);
        const added = await broker.post('/api/models', { name: 'n', bytes: 5, url: 'https://example.org/n', sha256: 'A'.repeat(64) });
        assert.equal(added.status, 201, added.text);
        const models = (await broker.get('/api/models')).body.models;
        assert.deepEqual(models.map((x) => x.name), ['m', 'n']);
        assert.deepEqual([models[1].urls, models[1].sha256, models[1].path], [['https://example.org/n'], 'a'.repeat(64), 'n']);
        await broker.kill();
        await broker.start();
        assert.deepEqual((await broker.get('/api/models')).body.models.map((x) => x.name), ['m', 'n'], 'what was added is remembered');
    }));

    it('health, readiness, version, metrics', limits, within(async (w) => {
        const broker = await w.broker();
        await w.agent(broker).start();
        await broker.state(await broker.simulate({ duration_ms: 5 }), 'completed');
        assert.equal((await broker.get('/health')).body.status, 'ok');
        assert.equal((await broker.get('/ready')).status, 200);
        assert.equal((await broker.get('/version')).status, 200);
        const metrics = await broker.get('/metrics');
        assert.match(metrics.headers['content-type'], /^text\/plain; version=0\.0\.4/);
        for (const line of metrics.text.trim().split('\n'))
            assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+)$/);
        assert.match(metrics.text, /completed[^\n]* 1\n/);
    }));

    it('browsers may call: CORS, OPTIONS, HEAD', limits, within(async (w) => {
        const broker = await w.broker();
        const options = await broker.request('OPTIONS', '/api/jobs');
        assert.deepEqual([options.status, options.text], [200, 'OK']);
        assert.equal(options.headers['access-control-allow-origin'], '*');
        const picky = await w.broker({ config: { http: { cors_origins: ['https://app.example'] } }, data: 'picky' });
        const from = async (origin) => (await picky.get('/health', { origin })).headers['access-control-allow-origin'];
        assert.equal(await from('https://app.example'), 'https://app.example');
        assert.equal(await from('http://localhost:3000'), 'http://localhost:3000');
        assert.equal(await from('https://evil.example'), undefined);
        const head = await broker.request('HEAD', '/api/jobs');
        assert.deepEqual([head.status, head.text], [200, '']);
        assert.ok(Number(head.headers['content-length']) > 0);
    }));

    it('a queue at its limit answers 503 with Retry-After, and takes jobs again', limits, within(async (w) => {
        const broker = await w.broker({ config: { queue: { pending_max: 3 } } });
        for (let n = 0; n < 3; n++) await broker.simulate();
        const full = await broker.post('/api/jobs', { service_required: 'simulation' });
        assert.deepEqual([full.status, full.body.code], [503, 'queue_full']);
        assert.ok(Number(full.headers['retry-after']) >= 1);
        const [first] = (await broker.get('/api/jobs?limit=1')).body.jobs;
        await broker.delete(`/api/jobs/${first.id}`);
        await broker.simulate();
    }));
});
