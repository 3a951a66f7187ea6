/* Keys: clients with EMP_API_KEY, agents with EMP_AGENT_TOKEN, where the broker has any; beyond loopback it wants both. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits, raw, Socket, until, within } from './lib.mjs';
import { operations } from './openapi.mjs';

const keys = { EMP_API_KEYS: 'first-key,second-key', EMP_AGENT_TOKENS: 'agent-token' };

describe('keys', { concurrency: 4 }, () => {
    it('every operation asks for its own kind of key, before anything else', limits, within(async (w) => {
        const broker = await w.broker({ env: keys, key: 'first-key' });
        for (const o of operations) {
            const path = o.template.replace(/\{\w+\}/g, '1');
            const open = o.security?.length === 0;
            const agent = o.security?.some((s) => s.agentToken);
            const ask = (authorization) => raw(broker.port, { method: o.method, path, headers: authorization ? { authorization } : {} });
            for (const wrong of [undefined, 'Bearer ', 'Bearer nope', 'Basic Zmlyc3Qta2V5', 'first-key', `Bearer ${agent ? 'first-key' : 'agent-token'}`, 'Bearer first-key,second-key', 'Bearer first-ke', 'Bearer first-keyy']) {
                const answer = await ask(wrong);
                if (open) {
                    assert.equal(answer.status, 200, `${path} is open`);
                    continue;
                }
                assert.equal(answer.status, 401, `${o.method} ${path} with ${wrong}: ${answer.status}`);
                assert.equal(answer.body.code, 'unauthorized');
                assert.ok(answer.headers['www-authenticate']);
                assert.ok(!answer.text.includes('first-key') && !answer.text.includes('agent-token'), 'no key is told');
            }
            if (o.operationId === 'jobEvents') continue;
            const right = await ask(`Bearer ${agent ? 'agent-token' : 'second-key'}`);
            assert.notEqual(right.status, 401, `${o.method} ${path} with its key`);
        }
    }));

    it('jobs run through keyed clients and agents; outputs are uploaded with the token', limits, within(async (w) => {
        const broker = await w.broker({ env: keys, key: 'second-key' });
        await w.agent(broker, { token: 'agent-token' }).start();
        const id = await broker.simulate({ output_bytes: 1000 });
        const job = await broker.state(id, 'completed');
        assert.equal((await broker.get(job.outputs[0].url)).bytes.length, 1000);
        const cli = await w.run(['job', id, '--broker', broker.url, '--json'], { EMP_API_KEY: 'first-key' });
        assert.equal(cli.status, 0, cli.stderr);
        const without = await w.run(['job', id, '--broker', broker.url]);
        assert.equal(without.status, 4, 'the exit status of unauthorized');
        assert.match(without.stderr, /EMP_API_KEY|API key/);
    }));

    it('an agent whose first connection has a wrong token is told, ends with the status that says so, and never joins', limits, within(async (w) => {
        const broker = await w.broker({ env: keys, key: 'first-key' });
        const agent = w.agent(broker, { token: 'wrong' });
        agent.launch();
        await agent.process.line(/refuses this agent \(EMP_AGENT_TOKEN\?\)/);
        assert.equal(await agent.process.ended, 4, 'the exit status of unauthorized');
        assert.deepEqual(await broker.machines(), []);
        await assert.rejects(new Socket(broker.port, '/ws/agent', { authorization: 'Bearer first-key' }).opened, /answered 401/);
        await assert.rejects(new Socket(broker.port, '/ws/agent').opened, /answered 401/);
    }));

    it('an agent that was in before keeps trying when its token is no longer taken', limits, within(async (w) => {
        const broker = await w.broker({ env: keys, key: 'first-key' });
        const agent = await w.agent(broker, { token: 'agent-token' }).start();
        broker.env = { ...keys, EMP_AGENT_TOKENS: 'new-token' };
        await broker.restart();
        await agent.process.line(/cannot connect to the broker: .*(token|401).*trying again/i);
        assert.equal((await agent.machine()).status, 'away');
        broker.env = { ...keys, EMP_AGENT_TOKENS: 'new-token,agent-token' };
        await broker.restart();
        await until(async () => (await agent.machine()).status === 'connected', 'the agent to be back');
        assert.ok(agent.process.alive);
    }));

    it('keys do not show in the process list, the log, or a dump', limits, within(async (w) => {
        const broker = await w.broker({ config: { auth: { api_keys: ['secret-one'], agent_tokens: ['secret-two'] }, log: { level: 'debug' } }, key: 'secret-one' });
        await w.agent(broker, { token: 'secret-two' }).start();
        await broker.state(await broker.simulate(), 'completed');
        const dump = await w.run(['config', '--dump', w.file('c.yaml', { auth: { api_keys: ['secret-one'] }, agent: { token: 'secret-two' } })]);
        assert.equal(dump.status, 0, dump.stderr);
        const said = broker.process.output + dump.output;
        assert.ok(!said.includes('secret-one') && !said.includes('secret-two'));
        assert.match(dump.stdout, /\*\*\*/);
    }));
});

describe('listening', { concurrency: 4 }, () => {
    it('beyond loopback without keys: refuses to start, and says how to set them', limits, within(async (w) => {
        for (const [listen, env] of [['0.0.0.0:0', {}], ['[::]:0', {}], ['0.0.0.0:0', { EMP_API_KEYS: 'k' }], ['0.0.0.0:0', { EMP_AGENT_TOKENS: 't' }]]) {
            const p = await w.run(['serve', '--listen', listen, '--data', w.path('d')], env);
            assert.notEqual(p.status, 0);
            assert.match(p.stderr, /EMP_API_KEYS/);
            assert.match(p.stderr, /auth\.api_keys/);
        }
    }));

    it('with keys it does; loopback needs none', limits, within(async (w) => {
        const wide = await w.broker({ listen: '0.0.0.0:0', env: keys, key: 'first-key' });
        assert.equal((await raw(wide.port, { path: '/health' })).status, 200);
        const local = await w.broker({ listen: 'localhost:0', data: 'local' });
        assert.equal((await local.get('/api/jobs')).status, 200);
    }));

    it('a port that is taken, a data directory that is in use, an address that is none: errors that say so', limits, within(async (w) => {
        const broker = await w.broker();
        for (const [args, text] of [
            [['--listen', `127.0.0.1:${broker.port}`, '--data', w.path('other')], new RegExp(`${broker.port}`)],
            [['--listen', '127.0.0.1:0', '--data', broker.data], /in use|another|locked/i],
            [['--listen', '127.0.0.1:99999', '--data', w.path('other')], /99999/],
            [['--listen', 'no.such.host.example:80', '--data', w.path('other')], /no\.such\.host/],
            [['--listen', '127.0.0.1', '--data', w.path('other')], /HOST:PORT/],
            [['--listen', '127.0.0.1:0', '--data', '/proc/none/data'], /\/proc\/none/],
        ]) {
            const p = w.start('serve', ['serve', ...args]);
            await until(() => !p.alive, `emp serve ${args.join(' ')} to end; it said: ${p.output}`);
            assert.notEqual(p.status, 0);
            assert.match(p.stderr, text);
        }
        assert.equal((await broker.get('/ready')).status, 200, 'the one that runs is not disturbed');
    }));
});
