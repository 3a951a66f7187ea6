/* Intelligence: what is used is brought to machines before jobs ask for it there; it survives the broker; it can be switched off. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits, until, within } from './lib.mjs';

const MB = 1_000_000;
/* A link so slow that a copy of 2 MB is worth its fetch: 5 s. */
const slow = { agent: { models: { link_max: '400kb/s' } } };
const config = (models, more) => ({ intelligence: { interval: '300ms', ...more }, routing: { link_rate: '400kb/s' }, models });

/* One agent that has fetched the model and run a good many jobs with it. */
async function used(w, more) {
    const origin = await w.origin();
    const models = [origin.add('base', 2 * MB), origin.add('never', 2 * MB)];
    const broker = await w.broker({ config: config(models, more) });
    const first = await w.agent(broker, { slots: 4, config: slow }).start();
    const ids = await Promise.all(Array.from({ length: 40 }, () => broker.simulate({ duration_ms: 20 }, { models: ['base'] })));
    for (const id of ids) await broker.state(id, 'completed');
    return { origin, broker, first };
}
const held = async (agent) => (await agent.machine()).models.filter((m) => m.residency !== 'fetching').map((m) => m.model);

describe('the plan', { concurrency: 3 }, () => {
    it('when the machine that has it leaves, another fetches what is wanted before any job asks, and nothing else', limits, within(async (w) => {
        const { origin, broker, first } = await used(w);
        const second = await w.agent(broker, { slots: 4, config: slow }).start();
        await first.stop();
        await until(async () => (await held(second)).includes('base'), 'the copy on the second machine');
        assert.equal((await second.machine()).jobs_completed, 0);
        assert.equal(origin.count('base'), 2);
        assert.equal(origin.count('never'), 0);
        const job = await broker.state(await broker.simulate({ duration_ms: 20 }, { models: ['base'] }), 'completed');
        assert.equal(job.attempts[0].bytes_fetched ?? 0, 0, 'it was there');
    }));

    it('what was learned survives a kill -9 of the broker', limits, within(async (w) => {
        const { broker, first } = await used(w);
        await sleep(1500); // more than a plan: its rows are durable
        await first.stop();
        await broker.kill();
        await broker.start();
        const second = await w.agent(broker, { slots: 4, config: slow }).start();
        await until(async () => (await held(second)).includes('base'), 'the copy on the second machine');
    }));

    it('switched off, models come when jobs ask', limits, within(async (w) => {
        const { origin, broker, first } = await used(w, { enabled: false });
        await w.agent(broker, { slots: 4, config: slow }).start();
        await first.stop();
        await sleep(4000);
        assert.equal(origin.count('base'), 1);
    }));
});
