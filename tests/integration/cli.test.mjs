/* Every command of `emp` against a live broker: what it prints, as text and as JSON, and how it exits. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { emp, limits, root, until, within } from './lib.mjs';

const unknown = '00000000-0000-4000-8000-000000000000';

async function live(w, options = {}) {
    const broker = await w.broker({ config: { models: [{ name: 'known', bytes: 1000, urls: ['http://127.0.0.1:9/known'] }], retry: { base: '50ms' }, intelligence: { interval: '300ms' } }, ...options });
    const agent = await w.agent(broker, { slots: 2 }).start();
    const run = (...args) => w.run(args, { EMP_BROKER: broker.url });
    const good = async (...args) => {
        const p = await run(...args);
        assert.equal(p.status, 0, `emp ${args.join(' ')}: ${p.output}`);
        assert.equal(p.stderr, '', `emp ${args.join(' ')} says nothing on stderr`);
        return p.stdout;
    };
    const json = async (...args) => JSON.parse(await good(...args, '--json'));
    return { broker, agent, run, good, json };
}

describe('commands', { concurrency: 4 }, () => {
    it('submit: options, watching, exit status', limits, within(async (w) => {
        const { broker, run, good, json } = await live(w);
        const id = (await good('submit', 'simulation', '--payload', '{"duration_ms":5}', '--priority', '80', '--customer', 'c', '--tier', 'premium', '--estimate', '5s', '--timeout', '1m', '--max-retries', '2', '--workflow', 'wf')).trim();
        const job = await broker.state(id, 'completed');
        assert.deepEqual([job.priority, job.customer_id, job.user_tier, job.estimated_duration_s, job.timeout_s, job.max_retries, job.workflow_id, job.payload], [80, 'c', 'premium', 5, 60, 2, 'wf', { duration_ms: 5 }]);
        assert.match((await json('submit', 'simulation')).job_id, /^[0-9a-f-]{36}$/);

        const watched = await run('submit', 'simulation', '--payload', '{"duration_ms":300,"result":{"x":1}}', '--watch');
        assert.equal(watched.status, 0, watched.output);
        assert.match(watched.output, /completed/);
        const failed = await run('submit', 'simulation', '--payload', '{"fail":"permanent"}', '--watch');
        assert.equal(failed.status, 1, failed.output);
        assert.match(failed.output, /failed/);

        const key = ['submit', 'simulation', '--idempotency-key', 'k'];
        assert.equal(await good(...key), await good(...key));
        const file = w.file('jobs.json', { jobs: [{ service_required: 'simulation', payload: { duration_ms: 1 } }, { service_required: 'simulation' }] });
        assert.equal((await good('submit', '--file', file)).trim().split('\n').length, 2);
        const part = await run('submit', '--file', w.file('part.json', [{ service_required: 'simulation' }, { service_required: 5 }]));
        assert.equal(part.status, 1, 'part of it was refused');
        assert.match(part.stderr, /service_required/);
        assert.equal((await run('submit', '--file', w.file('bad.json', '{"jobs":'))).status, 2);
        const wait = (await good('submit', 'simulation', '--region', 'mars', '--wait')).trim();
        assert.equal((await broker.job(wait)).status, 'pending');
    }));

    it('submit: errors have the exit status of their code', limits, within(async (w) => {
        const { run } = await live(w);
        for (const [args, status, text] of [
            [['submit'], 2, /a service or --file/],
            [['submit', 'simulation', '--payload', '{"a":'], 2, /payload/],
            [['submit', 'simulation', '--priority', 'high'], 2, /priority high/],
            [['submit', 'simulation', '--tier', 'gold'], 2, /gold/],
            [['submit', 'simulation', '--model', 'knowm'], 2, /did you mean "known"/],
            [['submit', 'nonsense'], 2, /nonsense/],
            [['submit', 'simulation', '--region', 'mars'], 6, /mars/],
            [['submit', 'simulation', '--colour', 'red'], 2, /--colour/],
            [['submit', 'simulation', '--payload', '@/no/such/file'], 74, /\/no\/such\/file/],
        ]) {
            const p = await run(...args);
            assert.equal(p.status, status, `emp ${args.join(' ')}: ${p.status} ${p.output}`);
            assert.match(p.stderr, text);
            assert.equal(p.stdout, '');
        }
        await run('submit', 'simulation', '--payload', '{"n":1}', '--idempotency-key', 'k');
        assert.equal((await run('submit', 'simulation', '--payload', '{"n":2}', '--idempotency-key', 'k')).status, 5);
        const refused = await run('submit', 'simulation', '--model', 'knowm', '--json');
        assert.equal(refused.status, 2);
        assert.equal(JSON.parse(refused.stdout || refused.stderr).code, 'unknown_model', 'errors are JSON where JSON is asked for');
    }));

    it('jobs, job, cancel, retry, explain', limits, within(async (w) => {
        const { broker, agent, run, good, json } = await live(w);
        const done = await broker.simulate({ duration_ms: 5, output_bytes: 10, result: { x: 'résumé' } }, { customer_id: 'c' });
        await broker.state(done, 'completed');
        const running = await broker.simulate({ duration_ms: 600_000 });
        await broker.state(running, 'in_progress');

        const table = await good('jobs');
        for (const word of [done, running, 'completed', 'in_progress', 'simulation', agent.id]) assert.ok(table.includes(word), `${word} in\n${table}`);
        assert.ok(!(await good('jobs', '--status', 'completed')).includes(running));
        assert.ok((await good('jobs', '--customer', 'c', '--sort', 'priority', '--order', 'asc', '--limit', '5')).includes(done));
        assert.equal((await json('jobs', '--limit', '1')).total, 2);
        assert.equal((await run('jobs', '--limit', 'x')).status, 2);
        assert.equal((await run('jobs', '--status', 'done')).status, 2);

        const one = await good('job', done);
        for (const word of ['completed', 'output.bin', 'résumé', agent.id]) assert.ok(one.includes(word), `${word} in\n${one}`);
        assert.deepEqual((await json('job', done)).job, await broker.job(done));
        const none = await run('job', unknown);
        assert.deepEqual([none.status, none.stdout], [3, '']);
        assert.match(none.stderr, /not found/i);

        const explained = await good('explain', running);
        for (const word of [agent.id, 'fast-lane', 'reason']) assert.ok(explained.includes(word), `${word} in\n${explained}`);
        assert.equal((await json('explain', running)).chosen, agent.id);
        assert.equal((await run('explain', unknown)).status, 3);

        await good('cancel', running);
        assert.equal((await broker.job(running)).status, 'cancelled');
        assert.equal((await run('cancel', running)).status, 5);
        const both = await run('cancel', done, unknown);
        assert.notEqual(both.status, 0);
        assert.equal(both.stderr.trim().split('\n').length, 2, 'each failure is told');
        assert.equal((await json('retry', running)).status, 'pending');
        assert.equal((await run('retry', done)).status, 5);
    }));

    it('machines, drain, models, pools', limits, within(async (w) => {
        const { broker, agent, run, good, json } = await live(w);
        for (const word of [agent.id, 'connected', 'fast-lane', 'simulation']) assert.ok((await good('machines')).includes(word), word);
        assert.equal((await json('machines')).machines[0].machine_id, agent.id);
        assert.ok((await good('machines', agent.id)).includes('hardware'));
        assert.equal((await json('machines', agent.id)).machine.slots, 2);
        assert.equal((await run('machines', 'nobody')).status, 3);

        await good('models', 'add', 'new-model', '--bytes', '1.5gb', '--url', 'https://example.org/a', '--url', 'https://example.org/b', '--kind', 'lora', '--category', 'art', '--sha256', 'ab'.repeat(32), '--path', 'loras/new');
        const added = (await broker.get('/api/models')).body.models.find((m) => m.name === 'new-model');
        assert.deepEqual([added.bytes, added.urls.length, added.kind, added.category, added.path], [1.5e9, 2, 'lora', 'art', 'loras/new']);
        for (const word of ['known', 'new-model']) assert.ok((await good('models')).includes(word) && (await good('models', 'list')).includes(word));
        assert.equal((await json('models')).models.length, 2);
        assert.equal((await run('models', 'add', 'x')).status, 2, 'bytes are wanted');
        assert.equal((await run('models', 'add', '../x', '--bytes', '5')).status, 2);
        assert.equal((await run('models', 'remove', 'x')).status, 3);
        assert.equal((await run('models', 'remove', 'new-model', '--bytes', '5')).status, 2);
        assert.match(await good('models', 'remove', 'new-model'), /new-model/);
        assert.equal((await json('models')).models.length, 1);

        for (const word of ['fast-lane', 'standard', 'heavy']) assert.ok((await good('pools')).includes(word));
        assert.equal((await json('pools')).pools.length, 3);

        await broker.state((await good('submit', 'simulation', '--payload', '{"duration_ms":5}')).trim(), 'completed');
        await until(async () => (await json('plan')).planned_at !== null, 'a plan');
        assert.match(await good('plan'), /^MACHINE +MODEL|^$/);
        assert.match(await good('plan', '--explain', 'known'), /^known: no copy of it stands anywhere/);
        assert.match(await good('models', '--forecast'), /^MODEL/);
        assert.deepEqual((await json('models', '--forecast')).models, [], 'no job named one');
        for (const bad of [['--limit', '0'], ['--limit', '1001'], ['--explain', 'known', '--model', 'known'], ['known']]) assert.equal((await run('plan', ...bad)).status, 2, bad.join(' '));
        for (const bad of [['models', 'remove', 'known', '--forecast'], ['models', '--forecast', '--kind', 'lora']]) assert.equal((await run(...bad)).status, 2, bad.join(' '));

        await good('drain', agent.id);
        assert.equal((await agent.machine()).drained, true);
        await good('drain', agent.id, '--off');
        assert.equal((await agent.machine()).drained, false);
        assert.equal((await run('drain', 'nobody')).status, 3);
        assert.equal((await run('drain', agent.id, '--off', '--leave')).status, 2);
    }));

    it('no broker there, a broker that is none, a wrong address', limits, within(async (w) => {
        for (const [url, status, text] of [['http://127.0.0.1:9', 69, /127\.0\.0\.1.*9/], ['ftp://x', 2, /ftp:\/\/x/], ['http://no.such.host.invalid', 69, /no\.such\.host/]]) {
            const p = await w.run(['jobs', '--broker', url]);
            assert.equal(p.status, status, p.output);
            assert.match(p.stderr, text);
        }
        assert.notEqual((await w.run(['jobs', '--broker'])).status, 0);
    }));

    it('help, version, unknown commands with the nearest known', limits, within(async (w) => {
        const help = await w.run(['help']);
        assert.equal(help.status, 0);
        for (const name of ['serve', 'agent', 'submit', 'jobs', 'job', 'cancel', 'retry', 'explain', 'machines', 'drain', 'models', 'pools', 'config']) {
            assert.match(help.stdout, new RegExp(`^ +${name} `, 'm'));
            const own = await w.run([name, '--help']);
            assert.equal(own.status, 0, name);
            assert.match(own.stdout, new RegExp(`^usage: emp ${name}`, 'm'));
        }
        assert.equal((await w.run(['version'])).status, 0);
        const typo = await w.run(['submti']);
        assert.equal(typo.status, 2);
        assert.match(typo.stderr, /submit/);
        assert.equal((await w.run([])).status, 2);
    }));

    it('a pipe that closes early, and no colours where nobody sees them', limits, within(async (w) => {
        const { broker, good } = await live(w);
        await broker.post('/api/jobs/batch', { jobs: Array.from({ length: 500 }, () => ({ service_required: 'simulation', payload: { duration_ms: 1 } })) });
        assert.ok(!(await good('jobs')).includes('\u001b'));
        const p = spawn('/bin/sh', ['-c', '"$0" jobs --limit 500 --broker "$1" | head -1', emp, broker.url], { stdio: ['ignore', 'pipe', 'pipe'] });
        let err = '';
        p.stderr.on('data', (d) => (err += d));
        assert.equal(await new Promise((done) => p.on('close', done)), 0);
        assert.equal(err, '');
    }));
});

describe('configuration', { concurrency: 4 }, () => {
    it('config --check names every fault with file, line and nearest key', limits, within(async (w) => {
        const file = w.file('bad.yaml', ['listn: 127.0.0.1:1', 'http:', '  body_mx: 5mb', 'retention:', '  jobs: soon', 'queue: {pending_max: -5}', 'listen: 127.0.0.1:2', 'pools:', '  fast-lane: {run_mx: 5s}'].join('\n'));
        const p = await w.run(['config', '--check', file]);
        assert.equal(p.status, 2, p.output);
        for (const text of [/listn.*listen/, /body_mx.*body_max/, /retention\.jobs.*soon/, /pending_max.*-5/, /run_mx.*run_max/]) assert.match(p.stderr, text);
        assert.match(p.stderr, /bad\.yaml:1/);
        assert.match(p.stderr, /:5/);
        const good = await w.run(['config', '--check', w.file('good.yaml', 'listen: 127.0.0.1:0\n')]);
        assert.deepEqual([good.status, good.stderr], [0, '']);
        assert.equal((await w.run(['config', '--check', '/no/such/file'])).status, 74);
        for (const text of ['a: [', '\t', 'listen: [1]', 'listen: {a: 1}', '- x', 'http: 5', 'listen: a\nlisten: b\n', 'x: &a [*a]'])
            assert.notEqual((await w.run(['config', '--check', w.file('odd.yaml', text)])).status, 0, text);
    }));

    it('serve and agent refuse a configuration with faults, and store nothing', limits, within(async (w) => {
        const file = w.file('bad.yaml', 'quue:\n  pending_max: 5\n');
        for (const args of [['serve', '--listen', '127.0.0.1:0', '--data', w.path('d'), '--config', file], ['agent', '--broker', 'ws://127.0.0.1:9', '--data', w.path('d'), '--config', file]]) {
            const p = await w.run(args);
            assert.equal(p.status, 2, p.output);
            assert.match(p.stderr, /quue.*queue/);
        }
        const bad = [['--slots', '-1'], ['--slots', 'many'], ['--slots', '5000'], ['--connector', 'telepathy'], ['--disk-budget', 'big'], ['--broker', 'telnet://x'], ['--pool', 'x'.repeat(300)]];
        for (const more of bad) {
            const p = await w.run(['agent', '--data', w.path('d'), ...more]);
            assert.notEqual(p.status, 0, more.join(' '));
            assert.match(p.stderr, new RegExp(more[1].slice(0, 20).replace(/[/]/g, '.')), more.join(' '));
        }
    }));

    it('config --dump shows what counts and where it came from; the last word is the command line', limits, within(async (w) => {
        const file = w.file('c.yaml', 'retry:\n  base: 7s\nlog: {level: warn}\n');
        const dump = await w.run(['config', '--dump', file], { EMP_LOG_LEVEL: 'error' });
        assert.equal(dump.status, 0, dump.stderr);
        assert.match(dump.stdout, /base: 7s.*file|base: 7s +#.*c\.yaml/i);
        assert.match(dump.stdout, /level: error.*environment|level: error.*EMP_LOG_LEVEL/i);
        assert.match(dump.stdout, /max_retries: 3.*default/);
        const again = await w.run(['config', '--check', w.file('again.yaml', dump.stdout)]);
        assert.equal(again.status, 0, `a dump is a configuration: ${again.stderr}`);
    }));

    it('the manuals are what the program prints', limits, within(async (w) => {
        for (const [args, file] of [[['config', '--doc'], 'docs/configuration.md'], [['help', '--doc'], 'docs/cli.md']])
            assert.equal((await w.run(args)).stdout, readFileSync(path.join(root, file), 'utf8'), file);
    }));

    it('values of the file take effect', limits, within(async (w) => {
        const broker = await w.broker({ config: { retry: { max_retries: 1, timeout: '1s' }, default_pools: false, pools: { only: { run_max: '1h' } } } });
        assert.deepEqual((await broker.get('/api/pools')).body.pools.map((p) => p.name), ['only']);
        await w.agent(broker, { pool: 'only', config: { agent: { simulation: { duration: '10ms' } } } }).start();
        const job = await broker.state(await broker.submit({ service_required: 'simulation' }), 'completed');
        assert.ok(job.processing_time < 500);
        const slow = await broker.state(await broker.simulate({ duration_ms: 600_000 }), 'failed');
        assert.deepEqual([slow.code, slow.attempts.length, slow.max_retries], ['timeout', 1, 1]);
    }));
});
