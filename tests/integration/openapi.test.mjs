/* docs/openapi.yaml and the broker, held against each other: the same paths as src/broker/routes.def and the same error codes as
 * src/base/error.def; every answer that a broker gives to one walk through the whole API is as described; and the checker itself can
 * fail. (All other tests hold their answers against the file too: lib.mjs.) */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { limits, raw, root, sse, within } from './lib.mjs';
import { document, faults, operationOf, operations, resolve, schema, seen } from './openapi.mjs';
import { readYaml } from './yaml.mjs';

const source = (name) => readFileSync(path.join(root, name), 'utf8');

test('every reference leads somewhere, every component is used', () => {
    const used = new Set();
    const walk = (node) => {
        if (node === null || typeof node !== 'object') return;
        if (node.$ref) {
            resolve(node);
            used.add(node.$ref);
        }
        Object.values(node).forEach(walk);
    };
    walk(document);
    for (const kind of ['schemas', 'responses', 'parameters'])
        for (const name of Object.keys(document.components[kind])) assert.ok(used.has(`#/components/${kind}/${name}`), `${kind}/${name} is not used`);
    const ids = operations.map((o) => o.operationId);
    assert.equal(new Set(ids).size, ids.length, 'operationIds are unique');
    for (const o of operations)
        for (const name of o.template.matchAll(/\{(\w+)\}/g)) {
            const parameters = [...(document.paths[o.template].parameters ?? []), ...(o.parameters ?? [])].map(resolve);
            assert.ok(parameters.some((p) => p.in === 'path' && p.name === name[1] && p.required), `${o.operationId} describes ${name[1]}`);
        }
});

test('the same paths and methods as the table of routes', () => {
    const routes = [...source('src/broker/routes.def').matchAll(/^EMP_ROUTE\((\w+), "([^"]+)", (\w+), (\w+)/gm)].map((m) => ({
        key: `${m[1]} ${m[2].replace(/:(\w+)/g, '{$1}').replace(/\*$/, '{name}')}`,
        who: m[3],
        query: m[4],
    }));
    assert.ok(routes.length > 15, 'the table can be read');
    assert.deepEqual(operations.map((o) => `${o.method} ${o.template}`).sort(), routes.map((r) => r.key).sort());
    for (const r of routes) {
        const o = operations.find((x) => `${x.method} ${x.template}` === r.key);
        const security = JSON.stringify(o.security ?? document.security);
        const want = { OPEN: '[]', CLIENT: '[{"apiKey":[]}]', AGENT: '[{"agentToken":[]}]' }[r.who];
        assert.equal(security, want, `${r.key} wants ${r.who}`);
        const parameters = (o.parameters ?? []).map(resolve).filter((p) => p.in === 'query');
        assert.equal(parameters.length > 0, r.query === 'OWN', `${r.key} has query parameters`);
        assert.ok(r.query === 'ANY' || o.responses['400'], `${r.key} refuses others`);
    }
});

test('the same error codes as the table of errors', () => {
    const codes = [...source('src/base/error.def').matchAll(/^EMP_ERROR\(\w+, "(\w+)"/gm)].map((m) => m[1]);
    assert.deepEqual([...document.components.schemas.Code.enum].sort(), codes.sort());
});

test('the same query parameters as the list knows', () => {
    const names = [...source('src/broker/query.c').matchAll(/^ {4}\{"(\w+)", emp_query_/gm)].map((m) => m[1]);
    assert.ok(names.length > 10, 'the table can be read');
    const described = operationOf('GET', '/api/jobs').parameters.map((p) => p.name);
    assert.deepEqual(described.sort(), names.sort());
});

test('the checker finds what is wrong, and the reader refuses what it does not know', () => {
    const good = { success: true, job_id: '01234567-89ab-cdef-0123-456789abcdef', message: 'x', timestamp: '2026-01-02T03:04:05.678Z' };
    assert.deepEqual(faults(good, schema('Submitted')), []);
    for (const [change, pattern] of [
        [{ success: false }, /^\.success is false/],
        [{ job_id: '1' }, /^\.job_id "1" does not match/],
        [{ timestamp: 'now' }, /^\.timestamp "now" is no time/],
        [{ message: 5 }, /^\.message is number/],
        [{ more: 1 }, /^\.more is not described/],
    ])
        assert.match(faults({ ...good, ...change }, schema('Submitted'))[0], pattern);
    assert.match(faults({ success: true }, schema('Submitted'))[0], /is missing/);
    assert.equal(faults({ success: true, job_id: good.job_id, code: 'io' }, schema('BatchElement')).length, 1);
    assert.throws(() => faults(1, { minimun: 2 }), /not known/);
    for (const text of ['a: &x 1', 'a: [1', 'a: {b 1}', 'a: 1\na: 2', 'a: 1\n   b: 2', 'a: |\n  x', "a: 'x'"]) assert.throws(() => readYaml(text), text);
    assert.deepEqual(readYaml('a:\n  - b: 1 # c\n    d: "x # y"\n  - [e, {f: null}]\ng: >-\n  two\n  lines\n'), {
        a: [{ b: 1, d: 'x # y' }, ['e', { f: null }]],
        g: 'two lines',
    });
});

/* What one walk can hardly provoke: a full disk, a damaged file; those have tests of their own. */
const ELSEWHERE = new Set(['ready 503', 'agentLink 101', 'agentLink 400']);

test('one walk through everything: each operation answers as described', limits, within(async (w) => {
    const broker = await w.broker({ config: { http: { body_max: '64kb', batch_max: '64kb', artifact_max: '10kb' } } });
    const agent = await w.agent(broker, { slots: 2 }).start();
    const unknown = '00000000-0000-4000-8000-000000000000';
    const expect = async (status, method, target, body, headers) => {
        const answer = await broker.request(method, target, body, headers);
        assert.equal(answer.status, status, `${method} ${target}: ${answer.text.slice(0, 300)}`);
        return answer;
    };

    await expect(200, 'GET', '/health');
    await expect(200, 'GET', '/ready');
    await expect(200, 'GET', '/version');
    await expect(200, 'GET', '/metrics');

    const done = await broker.simulate({ duration_ms: 10, output_bytes: 100, result: { a: [1, null] } }, { customer_id: 'c', requirements: { service_type: 'x' } });
    await broker.state(done, 'completed');
    const failed = await broker.simulate({ fail: 'permanent' });
    await broker.state(failed, 'failed');
    const running = await broker.simulate({ duration_ms: 60_000 });
    await broker.state(running, 'in_progress');
    const waiting = await broker.simulate({}, { pool: 'heavy', region: 'nowhere', wait: true });
    await expect(201, 'POST', '/api/jobs', { service_required: 'simulation', payload: { n: 1 } }, { 'idempotency-key': 'once' });
    await expect(409, 'POST', '/api/jobs', { service_required: 'simulation', payload: { n: 2 } }, { 'idempotency-key': 'once' });
    await expect(400, 'POST', '/api/jobs', {});
    await expect(413, 'POST', '/api/jobs', { service_required: 'simulation', payload: { x: 'y'.repeat(70_000) } });
    await expect(422, 'POST', '/api/jobs', { service_required: 'simulation', models: ['nothing'] });
    await expect(200, 'POST', '/api/jobs/batch', { jobs: [{ service_required: 'simulation' }, { service_required: 5 }] });
    await expect(400, 'POST', '/api/jobs/batch', { jobs: [] });
    await expect(413, 'POST', '/api/jobs/batch', { jobs: [{ service_required: 'simulation', payload: { x: 'y'.repeat(70_000) } }] });

    await expect(200, 'GET', '/api/jobs?status=completed,failed&sort=finished_at&order=asc&limit=10');
    await expect(400, 'GET', '/api/jobs?limit=many');
    for (const id of [done, failed, running, waiting]) {
        await expect(200, 'GET', `/api/jobs/${id}`);
        await expect(200, 'GET', `/api/jobs/${id}/decision`);
    }
    await expect(404, 'GET', `/api/jobs/${unknown}`);
    await expect(404, 'GET', `/api/jobs/${unknown}/decision`);
    await expect(404, 'GET', `/api/jobs/${unknown}/events`);
    for await (const e of sse(broker, `/api/jobs/${done}/events`)) assert.equal(e.event, 'end');
    seen.add('jobEvents 200');

    await expect(404, 'DELETE', `/api/jobs/${unknown}`);
    await expect(404, 'POST', `/api/jobs/${unknown}/cancel`);
    await expect(404, 'POST', `/api/jobs/${unknown}/retry`);
    await expect(200, 'DELETE', `/api/jobs/${waiting}`);
    await expect(409, 'DELETE', `/api/jobs/${waiting}`);
    await expect(200, 'POST', `/api/jobs/${running}/cancel`);
    await expect(409, 'POST', `/api/jobs/${running}/cancel`);
    await expect(200, 'POST', `/api/jobs/${failed}/retry`);
    await expect(409, 'POST', `/api/jobs/${done}/retry`);

    const [output] = (await broker.job(done)).outputs;
    const { headers } = await expect(200, 'GET', output.url);
    await expect(206, 'GET', output.url, undefined, { range: 'bytes=50-' });
    await expect(416, 'GET', output.url, undefined, { range: 'bytes=100-' });
    await expect(304, 'GET', output.url, undefined, { 'if-none-match': headers.etag });
    await expect(404, 'GET', `/api/artifacts/${done}/other.bin`);
    await expect(404, 'GET', `/api/artifacts/${unknown}/output.bin`);
    await expect(400, 'GET', `/api/artifacts/${done}/..%2fx`);

    const long = await broker.simulate({ duration_ms: 60_000 });
    await broker.state(long, 'in_progress');
    await expect(201, 'PUT', `/api/artifacts/${long}/1/some/file.txt`, 'text');
    await expect(404, 'PUT', `/api/artifacts/${unknown}/1/file.txt`, 'text');
    await expect(409, 'PUT', `/api/artifacts/${long}/7/file.txt`, 'text');
    await expect(400, 'PUT', `/api/artifacts/${long}/1/..%2ffile.txt`, 'text');
    await expect(413, 'PUT', `/api/artifacts/${long}/1/large`, 'x'.repeat(10_001));

    for (const target of ['machines', 'models', 'pools', `machines/${agent.id}`, `jobs/${done}`, `jobs/${done}/decision`]) await expect(400, 'GET', `/api/${target}?limit=5`);
    for (const target of [`jobs/${running}`, `machines/${agent.id}`]) await expect(400, 'DELETE', `/api/${target}?force=true`);
    for (const action of ['cancel', 'retry']) await expect(400, 'POST', `/api/jobs/${failed}/${action}?force=true`);

    await expect(200, 'GET', '/api/machines');
    await expect(200, 'GET', `/api/machines/${agent.id}`);
    await expect(404, 'GET', '/api/machines/nobody');
    await expect(404, 'POST', '/api/machines/nobody/drain');
    await expect(400, 'POST', `/api/machines/${agent.id}/drain`, { drain: 'yes' });
    await expect(201, 'POST', '/api/models', { name: 'm', bytes: 5, urls: ['http://127.0.0.1:1/m'], kind: 'lora', category: 'art', owner: 'c', pinned: true });
    await expect(201, 'POST', '/api/models', { models: [{ name: 'n1', bytes: 5 }, { name: 'n2', bytes: 6 }] });
    await expect(400, 'POST', '/api/models', { name: 'm' });
    await expect(409, 'POST', '/api/models', { name: 'other', bytes: 5, path: 'm' });
    await expect(413, 'POST', '/api/models', { name: 'm', bytes: 5, kind: 'x'.repeat(70_000) });
    await expect(200, 'GET', '/api/models');
    await expect(200, 'DELETE', '/api/models/n1');
    await expect(404, 'DELETE', '/api/models/n1');
    await expect(400, 'DELETE', '/api/models/n%00');
    await broker.post('/api/jobs', { service_required: 'simulation', models: ['n2'], region: 'nowhere', wait: true });
    await expect(409, 'DELETE', '/api/models/n2');
    await expect(200, 'GET', '/api/pools');
    for (const list of ['forecast', 'patterns', 'affinity', 'placement', 'predictions']) {
        await expect(200, 'GET', `/api/intelligence/${list}?limit=1000`);
        for (const query of ['limit=0', 'limit=1001', 'limit=5&limit=5', 'nonsense=1', ...(list === 'placement' ? [] : ['machine=m'])]) await expect(400, 'GET', `/api/intelligence/${list}?${query}`);
    }
    await expect(200, 'POST', `/api/machines/${agent.id}/drain`, { drain: true });
    await expect(404, 'DELETE', '/api/machines/nobody');
    await expect(200, 'DELETE', `/api/machines/${agent.id}`);
    await expect(404, 'GET', '/api/no/such/path');
    await expect(405, 'PUT', '/api/jobs');
    await expect(200, 'HEAD', '/health');
    const upgrade = await raw(broker.port, { path: '/ws/agent' });
    assert.equal(upgrade.status, 400, upgrade.text);

    const promised = operations.flatMap((o) => Object.keys(o.responses).filter((s) => s !== 'default').map((s) => `${o.operationId} ${s}`));
    const general = (s) => /(401|500|503|507)$/.test(s); // tests of their own: auth, store
    const missing = promised.filter((s) => !seen.has(s) && !general(s) && !ELSEWHERE.has(s));
    assert.deepEqual(missing, [], 'described, and never seen');
}));
