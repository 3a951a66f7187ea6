/* The simulator's report in a browser, opened from the disk: everything is drawn, nothing is wanted from anywhere, and it can be read. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { limits, within } from '../integration/lib.mjs';
import { browser, withPage } from './browser.mjs';

const POLICIES = ['incumbent', 'affinity', 'emp', 'unlimited'];
const SCENARIO = `like: mixed
about: a small fleet of three pools whose machines vanish
fleet:
  pools:
    - {name: fast-lane, machines: 1, slots: 1, gpu_memory: 24gb, ram: 32gb, disk: 40gb, jobs: [text]}
    - {name: standard, machines: 3, slots: 1, gpu_memory: 24gb, ram: 32gb, disk: 60gb, jobs: [trace]}
    - {name: heavy, machines: 2, slots: 2, gpu_memory: 48gb, ram: 64gb, disk: 200gb, jobs: [video]}
churn: {on: true, outlives: 0, uptime_h: {source: by hand, at: [[0, 0.5], [1, 3]]}}
generator: {days: 1, history: 300, jobs_per_workday: 800}
text: {jobs_per_hour: 20}
video: {jobs_per_hour: 3}
`;

/* In the page: what a reader would see of each drawing. */
const LOOK = `[...document.querySelectorAll('svg')].map((svg) => {
    const box = svg.getBoundingClientRect();
    const seen = [...svg.querySelectorAll('rect, polyline, path')].filter((e) => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0; });
    const texts = [...svg.querySelectorAll('text')].map((t) => ({ text: t.textContent, box: t.getBoundingClientRect() }));
    const over = texts.flatMap((a, i) => texts.slice(i + 1).filter((b) => a.box.left < b.box.right && b.box.left < a.box.right && a.box.top < b.box.bottom && b.box.top < a.box.bottom)
        .map((b) => a.text + ' | ' + b.text));
    const out = texts.filter((t) => t.box.left < box.left - 1 || t.box.right > box.right + 1 || t.box.bottom > box.bottom + 1).map((t) => t.text);
    const colours = new Set(seen.map((e) => getComputedStyle(e).fill + getComputedStyle(e).stroke));
    const heading = [...document.querySelectorAll('h2, h3')].filter((h) => h.compareDocumentPosition(svg) & Node.DOCUMENT_POSITION_FOLLOWING).pop();
    return { label: svg.getAttribute('aria-label'), under: heading.textContent, width: box.width, height: box.height, shapes: seen.length, colours: colours.size, lines: svg.querySelectorAll('polyline').length,
        titles: svg.querySelectorAll('title').length, texts: texts.map((t) => t.text), over, out };
})`;

const options = { ...limits, skip: browser ? false : 'no Chromium here (Debian: chromium-headless-shell), and none in EMP_TEST_BROWSER' };

test('the report can be read without anything beside it', options, within(async (w) => {
    const report = w.path('report.html'), figures = w.path('figures.json');
    writeFileSync(w.path('small.yaml'), SCENARIO);
    const run = await w.run(['sim', 'run', w.path('small.yaml'), '--policy', POLICIES.join(','), '--seeds', '1..2', '--json', figures, '--report', report]);
    assert.equal(run.status, 0, run.output);
    const runs = JSON.parse(readFileSync(figures, 'utf8')).runs;

    await withPage({ width: 1200 }, async (page) => {
        await page.open(pathToFileURL(report).href);
        assert.deepEqual(page.problems, [], 'the console is silent');
        assert.deepEqual(page.requests, [pathToFileURL(report).href], 'nothing else is asked for');
        assert.equal(await page.run('document.title'), 'emp sim: small');

        /* The table: a column for each policy, and the figures that the JSON has. */
        const rows = await page.run(`[...document.querySelectorAll('table tr')].map((tr) => [...tr.children].map((c) => c.childNodes[0]?.textContent ?? ''))`);
        assert.deepEqual(rows[0].slice(1), POLICIES);
        assert.ok(rows.length > 25, `${rows.length} rows`);
        const within10 = rows.find((r) => r[0].startsWith('within 10 s'));
        POLICIES.forEach((policy, i) => {
            const shares = runs.filter((r) => r.policy === policy).map((r) => 100 * r.within_10s);
            assert.equal(shares.length, 2);
            assert.ok(Math.abs(within10[i + 1] - (shares[0] + shares[1]) / 2) < 0.006, `${policy}: ${within10[i + 1]} of ${shares}`);
        });
        const marked = await page.run(`[...document.querySelectorAll('td.best')].map((td) => document.querySelectorAll('th')[td.cellIndex].textContent)`);
        assert.ok(marked.length > 5 && !marked.includes('unlimited'), `the best are marked, and a bound is none of them: ${marked}`);

        /* The drawings: waits, then for each policy the queue, then for each the machines. */
        const drawings = await page.run(LOOK);
        assert.deepEqual(drawings.map((d) => d.under), ['Waits', ...POLICIES, ...POLICIES]);
        for (const d of drawings) {
            assert.ok(d.width > 800 && d.height > 100, `${d.label}: ${d.width} × ${d.height}`);
            assert.deepEqual(d.out, [], `${d.label}, ${d.under}: all text is inside`);
            assert.deepEqual(d.over, [], `${d.label}, ${d.under}: no text lies on another`);
        }
        assert.equal(drawings[0].lines, POLICIES.length);
        assert.equal(drawings[0].colours, POLICIES.length);
        for (const queue of drawings.slice(1, 1 + POLICIES.length)) {
            assert.match(queue.label, /wait and .* run, over time/);
            assert.equal(queue.shapes, 2);
            assert.ok(queue.texts.length >= 5, `times at the axis: ${queue.texts}`);
        }
        for (const machines of drawings.slice(1 + POLICIES.length)) {
            assert.match(machines.label, /each machine did/);
            assert.ok(machines.titles > 50 && machines.colours > 5, `${machines.under}: ${machines.titles} stretches in ${machines.colours} colours`);
            for (const name of ['fast-lane 1', 'standard 2', '3', 'heavy 5', '6']) assert.ok(machines.texts.includes(name), `${name} of ${machines.texts}`);
        }
        /* Every colour of a drawing is explained, and it reads from top to bottom. */
        assert.deepEqual(await page.run(`[...document.querySelectorAll('h2')].map((h) => h.textContent)`), ['Figures', 'Waits', 'Queue', 'Machines in the busiest hour', 'Assumptions']);
        assert.ok(await page.run(`[...document.querySelectorAll('.key span')].every((s) => s.textContent && s.querySelector('i').getBoundingClientRect().width > 5)`));
        assert.match(await page.run('document.body.textContent'), /SALAD documentation, CC-BY-4\.0/);

        /* The page never moves sideways, on a small screen neither: a wide table does by itself. */
        for (const width of [1200, 700, 400]) {
            await page.resize(width, 800);
            assert.ok(await page.run('document.documentElement.scrollWidth <= innerWidth'), `${width} wide`);
        }
        if (process.env.EMP_TEST_SCREENSHOT) {
            await page.resize(1200, 800);
            writeFileSync(process.env.EMP_TEST_SCREENSHOT, await page.screenshot());
        }
    });
}));
