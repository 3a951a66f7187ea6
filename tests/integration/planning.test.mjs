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

    it('tells what it expects, what it wants where, and why', limits, within(async (w) => {
        const { broker, first } = await used(w);
        const look = async (list, query = '') => {
            const { status, body } = await broker.get(`/api/intelligence/${list}${query}`);
            assert.equal(status, 200, JSON.stringify(body));
            assert.equal(body.enabled, true);
            return body;
        };
        const starts = (m) => m.first_uses.count + m.repeated_uses.count;
        await until(async () => (await look('patterns')).models.some((m) => m.uses === 40 && starts(m) === 40), 'a plan that knows all uses and starts');

        const [forecast, ...others] = (await look('forecast')).models;
        assert.equal(forecast.modelId, 'base', 'the used one is first');
        assert.deepEqual(others, [], 'what was never used has no forecast');
        assert.ok(forecast.predictedUsage['1h'] > 1, JSON.stringify(forecast.predictedUsage));
        assert.ok(forecast.predictedUsage['10m'] <= forecast.predictedUsage['24h']);
        assert.ok(forecast.interval['1h'].low <= forecast.predictedUsage['1h'] && forecast.interval['1h'].high > 0, JSON.stringify(forecast));
        assert.deepEqual(forecast.recommendedPlacement, [first.id]);
        assert.equal(forecast.lifecycle.stage, 'new');

        const [pattern] = (await look('patterns', '?model=base')).models;
        assert.equal(pattern.uses, 40);
        assert.ok(pattern.first_uses.count >= 1 && pattern.first_uses.count <= 4, 'those that the download was for');
        assert.deepEqual([pattern.downloads.count, pattern.downloads.failed, pattern.downloads.bytes], [1, 0, 2 * MB]);
        assert.equal((await look('patterns', '?model=never')).total, 0);

        const { predictions, planned_at, until: end } = await look('predictions');
        assert.equal(predictions[0].modelId, 'base');
        assert.ok(predictions[0].probability > 0.5, JSON.stringify(predictions[0]));
        assert.equal(Date.parse(end) - Date.parse(planned_at), 3_600_000);

        const { scorecard } = await look('predictions');
        assert.deepEqual(scorecard.prewarm, { jobs: 40, coverage: 0, planned: 0, precision: null }, 'all were submitted before the model was there');
        assert.equal(scorecard.forecast.hours <= 1, true);
        assert.deepEqual(scorecard.evictions_regretted.by_plan, { evicted: 0, regretted: 0 });
        const later = await broker.simulate({ duration_ms: 20 }, { models: ['base'] });
        await broker.state(later, 'completed');
        await until(async () => (await look('placement')).scorecard.prewarm.coverage === 0.024, 'one of 41');

        const { placement } = await look('placement', `?machine=${first.id}&model=base`);
        assert.equal(placement.length, 1);
        assert.ok(['disk', 'ram', 'gpu'].includes(placement[0].tier_wanted), JSON.stringify(placement[0]));
        assert.match(placement[0].why, /uses per hour expected here/);
        assert.equal((await look('placement', '?machine=nobody')).total, 0);
        assert.deepEqual((await look('affinity')).collections, [], 'one model alone goes with nothing');

        const run = (...args) => w.run(args, { EMP_BROKER: broker.url });
        assert.match((await run('plan')).stdout, new RegExp(`${first.id} +base +(disk|ram|gpu) +(disk|ram|gpu) `));
        assert.match((await run('plan')).stdout, /^models there before the job: 2\.4 % of 41 jobs$/m);
        assert.match((await run('plan', '--explain', 'base')).stdout, new RegExp(`^${first.id}: .*uses per hour expected here`));
        assert.match((await run('plan', '--explain', 'nothing')).stdout, /^nothing: no copy of it stands anywhere/);
        assert.match((await run('models', '--forecast')).stdout, new RegExp(`base +[0-9.]+ .* new +${first.id}`));
        assert.equal(JSON.parse((await run('plan', '--json')).stdout).placement[0].modelId, 'base');

        const metrics = (await broker.get('/metrics')).text;
        for (const name of ['emp_plans_total', 'emp_plan_seconds_total', 'emp_plan_copies_wanted', 'emp_jobs_models_there_total{before="yes"}']) assert.ok(Number(new RegExp(`^${name} (.+)$`, 'm').exec(metrics)?.[1]) > 0, name);
    }));

    it('models that jobs name together are one collection', limits, within(async (w) => {
        const origin = await w.origin();
        const broker = await w.broker({ config: config([origin.add('base', 1000), origin.add('style', 1000), origin.add('alone', 1000)]) });
        await w.agent(broker, { slots: 4 }).start();
        const submit = (models) => Array.from({ length: 10 }, () => broker.simulate({ duration_ms: 5 }, { models }));
        for (const id of await Promise.all([...submit(['base', 'style']), ...submit(['alone'])])) await broker.state(id, 'completed');
        const collections = async () => (await broker.get('/api/intelligence/affinity')).body.collections;
        await until(async () => (await collections()).length > 0, 'a collection');
        const found = (await collections()).map((c) => c.models.toSorted());
        assert.deepEqual(found, [['base', 'style']]);
    }));

    it('switched off, it tells that', limits, within(async (w) => {
        const broker = await w.broker({ config: config([], { enabled: false }) });
        for (const [list, member] of Object.entries({ forecast: 'models', patterns: 'models', affinity: 'collections', placement: 'placement', predictions: 'predictions' })) {
            const { body } = await broker.get(`/api/intelligence/${list}`);
            assert.deepEqual([body.enabled, body.planned_at, body[member], body.total], [false, null, [], 0], list);
        }
        for (const args of [['plan'], ['models', '--forecast']]) assert.match((await w.run(args, { EMP_BROKER: broker.url })).stdout, /switched off/);
    }));

    it('switched off, models come when jobs ask', limits, within(async (w) => {
        const { origin, broker, first } = await used(w, { enabled: false });
        await w.agent(broker, { slots: 4, config: slow }).start();
        await first.stop();
        await sleep(4000);
        assert.equal(origin.count('base'), 1);
    }));
});
