/* Bad input, and what it gets: a clear error that names field and value. After each: nothing was stored, the broker lives, and what
 * runs beside it is not disturbed. */
import assert from 'node:assert/strict';
import net from 'node:net';
import test, { describe, it } from 'node:test';
import { limits, raw, Socket, socketTalk, tick, until, within } from './lib.mjs';

const S = { service_required: 'simulation' };
const deep = (n) => `{"service_required":"simulation","payload":${'{"a":'.repeat(n)}1${'}'.repeat(n)}}`;
const long = 'n'.repeat(257);
const unknown = '00000000-0000-4000-8000-000000000000';

/* What may be sent: [what, body, status, code, field, text]. Bodies that are texts or bytes go as they are. */
const submissions = [
    ['nothing', '', 400, 'invalid', 'service_required', /empty/],
    ['half a JSON', '{"service_required":', 400, 'malformed', undefined, /./],
    ['a bare word', 'hello', 400, 'malformed', undefined, /./],
    ['JSON and more', '{"service_required":"simulation"} x', 400, 'malformed', undefined, /./],
    ['a comma too many', '{"service_required":"simulation",}', 400, 'malformed', undefined, /./],
    ['a comment', '{"service_required":"simulation"/**/}', 400, 'malformed', undefined, /./],
    ['single quotes', "{'service_required':'simulation'}", 400, 'malformed', undefined, /./],
    ['a key twice', '{"service_required":"simulation","priority":1,"priority":2}', 400, 'malformed', undefined, /priority/],
    ['NaN', '{"service_required":"simulation","priority":NaN}', 400, 'malformed', undefined, /./],
    ['a number beyond all numbers', '{"service_required":"simulation","priority":1e999}', 400, 'malformed', undefined, /too large/],
    ['a NUL', '{"service_required":"simu\\u0000lation"}', 400, undefined, undefined, /./],
    ['broken UTF-8', Buffer.from([...Buffer.from('{"service_required":"simulation","customer_id":"'), 0xff, 0xfe, ...Buffer.from('"}')]), 400, 'malformed', undefined, /UTF-8/],
    ['a lone surrogate', '{"service_required":"simulation","customer_id":"\\ud800"}', 400, undefined, undefined, /./],
    ['an array', [S], 400, 'invalid', undefined, /array/],
    ['a text', '"simulation"', 400, 'invalid', undefined, /string/],
    ['null', 'null', 400, 'invalid', undefined, /null/],
    ['no service', {}, 400, 'invalid', 'service_required', /missing/],
    ['an empty service', { service_required: '' }, 400, 'invalid', 'service_required', /missing/],
    ['nesting of 65', deep(64), 400, undefined, undefined, /64/],
    ['nesting of 10,000', deep(10_000), 400, undefined, undefined, /64/],
    ['nesting in a batch of brackets', '['.repeat(100_000), 400, undefined, undefined, /./],
    ...['service_required', 'customer_id', 'workflow_id', 'pool', 'specialty', 'region', 'idempotency_key'].flatMap((field) => [
        [`${field} a number`, { ...S, [field]: 5 }, 400, 'invalid', field, /5/],
        [`${field} of 257 bytes`, { ...S, [field]: long }, 400, 'invalid', field, /256/],
        [`${field} with a control character`, { ...S, [field]: 'a\u0007b' }, 400, 'invalid', field, /control/],
    ]),
    ...[['priority', 'high'], ['priority', 1e300], ['priority', -1000001], ['priority', [1]], ['max_retries', '3'], ['max_retries', -1], ['max_retries', 1001], ['max_retries', 1.5], ['retry_count', -1], ['workflow_priority', 'x'], ['workflow_datetime', 'today'], ['workflow_datetime', -5], ['current_step', -1], ['total_steps', 'many'], ['estimated_duration_s', -1], ['estimated_duration_s', 1e12], ['estimated_duration_s', '5s'], ['timeout_s', 0], ['timeout_s', -1], ['timeout_s', 1e9], ['wait', 'yes'], ['wait', 1], ['user_tier', 'gold'], ['user_tier', 3], ['payload', 'text'], ['payload', [1]], ['payload', 7], ['ctx', []], ['requirements', 'text'], ['requirements', []], ['requirements', 5], ['models', 'm'], ['custom_nodes', {}], ['compliance', 'gdpr']].map(([field, value]) => [
        `${field} ${JSON.stringify(value)}`, { ...S, [field]: value }, 400, 'invalid', field, new RegExp(`^${field}`)]),
    ['a model that is a number', { ...S, models: ['a', 5] }, 400, 'invalid', 'models[1]', /5/],
    ['a model name of 257 bytes', { ...S, models: [long] }, 400, 'invalid', 'models[0]', /256/],
    ['65 models', { ...S, models: Array.from({ length: 65 }, (_, i) => `m${i}`) }, 400, 'invalid', 'models', /65.*64/],
    ['129 nodes', { ...S, custom_nodes: Array.from({ length: 129 }, (_, i) => `n${i}`) }, 400, 'invalid', 'custom_nodes', /129.*128/],
    ['hardware that is a text', { ...S, requirements: { hardware: { gpu_memory_gb: 'lots' } } }, 400, 'invalid', undefined, /gpu_memory_gb.*lots/],
    ['regions that contradict', { ...S, region: 'eu', requirements: { geographic_region: 'us' } }, 400, 'invalid', undefined, /us/],
    ['an unknown model', { ...S, models: ['sdxl-base.safetensor'] }, 422, 'unknown_model', 'models', /sdxl-base\.safetensor.*did you mean "sdxl-base\.safetensors"/],
    ['an unknown service', { service_required: 'simulatoin' }, 422, 'unknown_service', 'service_required', /simulatoin/],
    ['an unknown pool', { ...S, pool: 'fast-lanes' }, 422, 'unrunnable', 'pool', /"fast-lanes".*"fast-lane", "standard", "heavy"/],
    ['what no machine fulfils', { ...S, requirements: { hardware: { gpu_memory_gb: 4000 } } }, 422, 'unrunnable', undefined, /gpu_memory_gb|4000/],
    ['a body over the limit', { ...S, payload: { x: 'y'.repeat(200_000) } }, 413, 'too_large', undefined, /131072|128|131/],
];

const queries = ['limit=abc', 'limit=-1', 'limit=1001', 'limit=1.5', 'limit=', 'limit=99999999999999999999', 'offset=-1', 'offset=x', 'status=done', 'status=', 'status=pending,,failed', 'sort=size', 'order=up', 'created_after=yesterday', 'created_before=', 'customer_id=', `pool=${long}`, 'limit=1&limit=2', 'colour=red'];

const models = [
    ['nothing', '', undefined],
    ['no name', { bytes: 5 }, 'name'],
    ['no size', { name: 'm' }, 'bytes'],
    ['size 0', { name: 'm', bytes: 0 }, 'bytes'],
    ['a negative size', { name: 'm', bytes: -5 }, 'bytes'],
    ['a size of a pettabyte and more', { name: 'm', bytes: 2 ** 51 }, 'bytes'],
    ['a size as text', { name: 'm', bytes: '5gb' }, 'bytes'],
    ['a name of 257 bytes', { name: long, bytes: 5 }, 'name'],
    ['a short hash', { name: 'm', bytes: 5, sha256: 'abc' }, 'sha256'],
    ['a hash that is none', { name: 'm', bytes: 5, sha256: 'x'.repeat(64) }, 'sha256'],
    ['a file URL', { name: 'm', bytes: 5, urls: ['file:///etc/passwd'] }, 'urls[0]'],
    ['an ftp URL', { name: 'm', bytes: 5, urls: ['http://a/', 'ftp://a/'] }, 'urls[1]'],
    ['17 URLs', { name: 'm', bytes: 5, urls: Array(17).fill('http://a/b') }, 'urls'],
    ...['../m', '/etc/passwd', 'a/../../b', 'a//b', './a', 'a\\b', 'a/', 'a\u0001'].map((path) => [`the path ${JSON.stringify(path)}`, { name: 'm', bytes: 5, path }, 'path']),
    ['a name that is no path, and none given', { name: '../m', bytes: 5 }, 'path'],
    ['two of one name', { models: [{ name: 'm', bytes: 5 }, { name: 'm', bytes: 6, path: 'other' }] }, 'models[1]'],
    ['two of one path', { models: [{ name: 'm', bytes: 5, path: 'p' }, { name: 'k', bytes: 6, path: 'p' }] }, 'models[1]'],
    ['one bad among good ones', { models: [{ name: 'good', bytes: 5 }, { name: 'bad', bytes: -1 }] }, 'models[1].bytes'],
    ['a list that is none', { models: 'm' }, 'models'],
];

test('bad requests are refused by name, and nothing is left of them', limits, within(async (w, t) => {
    const broker = await w.broker({ config: { http: { body_max: '128kib', batch_max: '1mb' }, models: [{ name: 'sdxl-base.safetensors', bytes: 100 }] } });
    const agent = await w.agent(broker, { slots: 2 }).start();
    const running = await broker.simulate({ duration_ms: 600_000 });
    await broker.state(running, 'in_progress');

    const state = async () => {
        const [jobs, catalogue, machines] = await Promise.all([broker.get('/api/jobs'), broker.get('/api/models'), broker.get('/api/machines')]);
        return JSON.stringify([jobs.body.total, catalogue.body.models.map((m) => m.name), machines.body.machines.map((m) => [m.machine_id, m.status, m.jobs])]);
    };
    const before = await state();
    const refused = (answer, what, status, code, field, text) => {
        assert.equal(answer.status, status, `${what}: ${answer.status} ${answer.text.slice(0, 300)}`);
        if (code) assert.equal(answer.body.code, code, `${what}: ${answer.text}`);
        if (field) assert.equal(answer.body.field, field, `${what}: ${answer.text}`);
        if (text) assert.match(answer.body.error, text, what);
        named(answer, what);
    };
    const named = ({ status, body }, what) => status === 400 && body.field && assert.ok(body.error.includes(body.field.split('.').at(-1)) || body.field === 'idempotency_key', `${what}: ${body.field} is named in "${body.error}"`);
    const untouched = async (what) => assert.equal(await state(), before, `${what} left something behind`);

    await t.test('submissions', async () => {
        for (const [what, body, status, code, field, text] of submissions) {
            refused(await broker.post('/api/jobs', body), what, status, code, field, text);
            await untouched(what);
        }
    });
    await t.test('the same inside a batch', async () => {
        const good = submissions.filter(([, body]) => typeof body === 'object' && !(body instanceof Uint8Array) && !Array.isArray(body));
        for (const [what, body, , code] of good) {
            if (code === 'too_large') continue;
            const answer = await broker.post('/api/jobs/batch', { jobs: [body] });
            assert.equal(answer.status, 200, `${what}: ${answer.text}`);
            assert.equal(answer.body.jobs[0].success, false, what);
            assert.equal(answer.body.jobs[0].code, code, what);
        }
        await untouched('a batch');
    });
    await t.test('batches as a whole', async () => {
        for (const [what, body, status, text] of [
            ['no jobs', {}, 400, /jobs/],
            ['jobs that are none', { jobs: 'x' }, 400, /jobs/],
            ['an empty list', { jobs: [] }, 400, /0.*10000/],
            ['an array', [S], 400, /jobs/],
            ['broken', '{"jobs":[{"service_required":"simulation"},', 400, /./],
            ['one broken element', '{"jobs":[{"service_required":"simulation"},{"a":}]}', 400, /./],
            ['a nested one', `{"jobs":[${deep(64)}]}`, 400, /64/],
            ['too large', { jobs: Array.from({ length: 100 }, () => ({ ...S, payload: { x: 'y'.repeat(20_000) } })) }, 413, /./],
        ]) {
            refused(await broker.post('/api/jobs/batch', body), what, status, undefined, undefined, text);
            await untouched(what);
        }
    });
    await t.test('idempotency keys', async () => {
        for (const key of ['k'.repeat(257), 'a\tb']) {
            refused(await broker.post('/api/jobs', S, { 'idempotency-key': key }), 'a bad key', 400, 'invalid', 'idempotency_key', /Idempotency-Key/);
            await untouched('a bad key');
        }
    });
    await t.test('query parameters', async () => {
        for (const q of queries) {
            const answer = await broker.get(`/api/jobs?${q}`);
            assert.equal(answer.status, 400, `${q}: ${answer.text.slice(0, 200)}`);
            assert.match(answer.body.error, new RegExp(q.split('=')[0]), `${q} is named`);
        }
        for (const target of ['machines', 'models', 'pools'])
            refused(await broker.get(`/api/${target}?pool=heavy&limit=5`), `parameters of ${target}`, 400, 'invalid', undefined, new RegExp(`"pool" is no parameter of GET /api/${target}`));
        refused(await broker.post('/api/jobs?wait=true', S), 'a parameter of a submission', 400, 'invalid', undefined, /"wait" is no parameter/);
        await untouched('a parameter of a submission');
        for (const target of ['/health', '/ready', '/version', '/metrics']) assert.equal((await broker.get(`${target}?_=1`)).status, 200, `${target} of a probe`);
    });
    await t.test('models', async () => {
        for (const [what, body, field] of models) {
            const answer = await broker.post('/api/models', body);
            assert.equal(answer.status, 400, `${what}: ${answer.text}`);
            if (field) assert.equal(answer.body.field, field, `${what}: ${answer.text}`);
            named(answer, what);
            await untouched(what);
        }
    });
    await t.test('a model in the place of another', async () => {
        const path = 'sdxl-base.safetensors';
        for (const body of [{ name: 'other', bytes: 5, path }, { models: [{ name: 'good', bytes: 5 }, { name: 'other', bytes: 5, path }] }]) {
            refused(await broker.post('/api/models', body), 'a path that is taken', 409, 'conflict', 'path', /sdxl-base\.safetensors/);
            await untouched('a path that is taken');
        }
    });
    await t.test('paths, methods, ids', async () => {
        for (const [method, path, status] of [
            ['GET', '/', 404], ['GET', '/api', 404], ['GET', '/api/job', 404], ['GET', '/api/jobs/x/y', 404], ['GET', '/api/jobs//events', 404],
            ['PATCH', '/api/jobs', 405], ['PUT', '/api/jobs', 405], ['DELETE', '/api/jobs', 405], ['POST', '/health', 405], ['DELETE', '/api/pools', 405],
            ['GET', '/api/jobs/1', 404], ['GET', `/api/jobs/${unknown}`, 404], ['GET', `/api/jobs/${'x'.repeat(5000)}`, 404], ['GET', '/api/jobs/%00', 400],
            ['GET', `/api/jobs/${unknown.toUpperCase()}`, 404], ['DELETE', '/api/jobs/..%2f..', 400], ['GET', '/api/jobs?limit=%zz', 400], ['GET', '/api/machines/%ff%fe', 400], ['GET', '/%2e%2e/%2e%2e/etc/passwd', 400], ['GET', '/../../etc/passwd', 400],
            ['DELETE', '/api/machines/nobody', 404], ['POST', '/api/machines/nobody/drain', 404],
        ]) {
            const answer = await broker.request(method, path);
            assert.equal(answer.status, status, `${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`);
            if (status === 405) assert.ok(answer.headers.allow, `${method} ${path} says what is allowed`);
        }
        await untouched('an unknown path');
    });
    await t.test('drain', async () => {
        for (const body of ['{"drain":1}', '{"drain":"no"}', '[]', '{', 'true']) {
            const answer = await broker.post(`/api/machines/${agent.id}/drain`, body);
            assert.equal(answer.status, 400, `${body}: ${answer.text}`);
            named(answer, body);
        }
        await untouched('a bad drain');
    });
    await t.test('artifacts: names that lead elsewhere', async () => {
        for (const name of ['..%2f..%2femp.db', '%2e%2e/x', 'a/%2e%2e/%2e%2e/x', 'a//b', '.', '%2fetc%2fpasswd', 'a%5cb', 'a%01b', 'x'.repeat(1100), `${'d/'.repeat(600)}x`, 'a%00b']) {
            const got = await broker.get(`/api/artifacts/${running}/${name}`);
            assert.ok([400, 404].includes(got.status), `GET ${name}: ${got.status}`);
            const put = await broker.request('PUT', `/api/artifacts/${running}/1/${name}`, 'content');
            assert.equal(put.status, 400, `PUT ${name}: ${put.status} ${put.text}`);
        }
        for (const [id, attempt, status] of [[running, '0', [400, 404]], [running, 'x', [400, 404]], [running, '99999999999', [400, 404, 409]], [running, '2', [409]], [unknown, '1', [404]]]) {
            const put = await broker.request('PUT', `/api/artifacts/${id}/${attempt}/f`, 'content');
            assert.ok(status.includes(put.status), `attempt ${attempt}: ${put.status} ${put.text}`);
        }
        await untouched('a bad artifact');
    });
    await t.test('bytes that are no HTTP, or stop in the middle', async () => {
        for (const bytes of [
            'hello\r\n\r\n',
            '\0\0\0\0\0\0',
            'GET\r\n\r\n',
            'GET /health HTTP/9.9\r\n\r\n',
            `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
            `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`,
            'POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
            'POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n',
            'POST /api/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
        ]) {
            const text = await Promise.race([socketTalk(broker.port, bytes, { until: /\r\n\r\n/ }), tick(3000).then(() => '')]);
            assert.doesNotMatch(text, /^HTTP\/1\.[01] 20/, `${JSON.stringify(bytes.slice(0, 60))} → ${text.slice(0, 80)}`);
        }
        const half = net.connect(broker.port, '127.0.0.1', () => half.write(`POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n{"service_required":"simulation"}`));
        half.on('error', () => {});
        await tick(100);
        half.destroy();
        await untouched('broken HTTP');
    });
    await t.test('and the work goes on', async () => {
        assert.equal((await broker.job(running)).status, 'in_progress');
        assert.equal((await broker.job(running)).attempts.length, 1);
        await broker.state(await broker.simulate(), 'completed');
        assert.ok(broker.process.alive && agent.process.alive);
    });
}));

const hello = (more = {}) => ({
    type: 'hello',
    protocol: 1,
    machine: { id: `machine-${Math.random()}`, boot: 'boot-1', services: ['simulation'], slots: 1, cpu_cores: 4, ram_bytes: 8e9, ...more },
});

describe('bad agents', { concurrency: 2 }, () => {
    it('whatever is wrong on the WebSocket is told and closed, and disturbs nobody', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker, { slots: 2 }).start();
        const running = await broker.simulate({ duration_ms: 600_000 });
        await broker.state(running, 'in_progress');
        const open = () => new Socket(broker.port, '/ws/agent').opened;

        for (const [what, message, text, lasting] of [
            ['no JSON', 'garbage', /./],
            ['no object', '[1,2]', /./],
            ['an unknown type', { type: 'hallo' }, /hallo/],
            ['no type', {}, /type/],
            ['another message first', { type: 'beat', disk_free_bytes: 5 }, /hello/],
            ['another protocol', { ...hello(), protocol: 999 }, /999/, 'lasting'],
            ['no machine', { type: 'hello', protocol: 1 }, /machine/, 'lasting'],
            ['a slot count of the wrong type', hello({ slots: 'many' }), /slots/, 'lasting'],
            ['more slots than allowed', hello({ slots: 5000 }), /slots.*5000/, 'lasting'],
            ['a machine id of 257 bytes', hello({ id: long }), /id/, 'lasting'],
            ['an id that is missing', hello({ id: undefined }), /id/, 'lasting'],
            ['nesting', `{"type":"hello","protocol":1,"machine":${'['.repeat(1000)}`, /./],
        ]) {
            const s = await open();
            s.send(message);
            const m = await s.message('refused');
            assert.match(m.reason, text, what);
            assert.ok(m.code, what);
            assert.equal(m.retry === true, !lasting, `${what}: may the agent try again?`);
            assert.equal((await s.ended()).code, 1008, what);
        }
        for (const [what, act, codes] of [
            ['a binary message', (s) => s.frame(2, 'x'), [1003]],
            ['text that is no UTF-8', (s) => s.frame(1, Buffer.from([0xff, 0xfe])), [1007]],
            ['a frame without a mask', (s) => s.frame(1, JSON.stringify(hello()), { mask: false }), [1002]],
            ['a reserved opcode', (s) => s.frame(5, 'x'), [1002]],
            ['noise instead of frames', (s) => s.socket.write(Buffer.from('ffffffffffffffffffffffffffff', 'hex')), [1002]],
            ['a message of 5 GB announced', (s) => s.socket.write(Buffer.from([0x81, 0xff, 0, 0, 0, 1, 0x40, 0, 0, 0, 1, 2, 3, 4])), [1009]],
        ]) {
            const s = await open();
            act(s);
            const end = await s.ended();
            assert.ok(codes.includes(end.code), `${what} is closed with ${end.code}, not ${codes}`);
        }
        const cut = await open(); // a message cut off in the middle
        cut.send(hello({ id: 'cut-off' }));
        await cut.message('welcome');
        cut.socket.write(Buffer.from([0x81, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5, 6]));
        cut.destroy();
        await until(async () => (await broker.machines()).find((m) => m.machine_id === 'cut-off')?.status === 'away', 'the one cut off to be away');

        const greeted = await open(); // nonsense after a proper greeting: its own connection alone suffers
        greeted.send(hello({ id: 'greeted' }));
        await greeted.message('welcome');
        greeted.send({ type: 'completed', job: 'one', attempt: 1, ended_at: 1 });
        assert.match((await greeted.message('refused')).reason, /job/);
        await greeted.ended();
        assert.deepEqual((await broker.machines()).map((m) => m.machine_id).sort(), [agent.id, 'cut-off', 'greeted'].sort(), 'refused ones are not remembered');

        const job = await broker.job(running);
        assert.deepEqual([job.status, job.attempts.length], ['in_progress', 1]);
        await broker.state(await broker.simulate(), 'completed');
    }));

    it('reports of jobs that are not theirs change nothing', limits, within(async (w) => {
        const broker = await w.broker();
        const agent = await w.agent(broker).start();
        const id = await broker.simulate({ duration_ms: 600_000 });
        await broker.state(id, 'in_progress');
        const s = await new Socket(broker.port, '/ws/agent').opened;
        s.send(hello({ id: 'thief' }));
        await s.message('welcome');
        for (let job = 1; job < 20; job++)
            for (const m of [{ type: 'started', at: Date.now() }, { type: 'progress', percent: 99 }, { type: 'completed', ended_at: Date.now(), result: { stolen: true } }, { type: 'failed', ended_at: Date.now(), code: 'job_failed' }, { type: 'returned', ended_at: Date.now() }])
                s.send({ job, attempt: 1, ...m });
        await until(() => s.messages.filter((m) => m.type === 'ack').length >= 19 * 3, 'every report to be acknowledged');
        const job = await broker.job(id);
        assert.deepEqual([job.status, job.worker_id, job.attempts.length], ['in_progress', agent.id, 1]);
        assert.ok(!('result' in job));
        s.destroy();
    }));

    it('who does not greet within ten seconds is closed', limits, within(async (w) => {
        const broker = await w.broker();
        const s = await new Socket(broker.port, '/ws/agent').opened;
        const start = Date.now();
        const refused = await s.message('refused');
        assert.match(refused.reason, /hello/);
        assert.equal(refused.retry, true, 'an agent that was slow once may come back');
        await s.ended();
        assert.ok(Date.now() - start > 5_000);
    }));

    it('a path without an upgrade, and an upgrade on another path', limits, within(async (w) => {
        const broker = await w.broker();
        assert.equal((await broker.get('/ws/agent')).status, 400);
        await assert.rejects(new Socket(broker.port, '/api/jobs').opened, /answered (200|400|426)/);
        await assert.rejects(new Socket(broker.port, '/ws/other').opened, /answered 404/);
        assert.equal((await raw(broker.port, { path: '/ws/agent', headers: { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '8', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' } })).status, 400);
    }));
});
