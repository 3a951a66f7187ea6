/* A page in a real browser: Debian's Chromium, headless, spoken to over a pipe (the DevTools protocol, a JSON object and a NUL a
 * message). No packages, no ports. $EMP_TEST_BROWSER names another one. */
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

function found(name) {
    return (process.env.PATH ?? '').split(':').map((dir) => path.join(dir, name)).find((file) => {
        try {
            accessSync(file, constants.X_OK);
            return true;
        } catch {
            return false;
        }
    });
}

export const browser = process.env.EMP_TEST_BROWSER ?? ['chromium-headless-shell', 'chromium', 'google-chrome'].map(found).find(Boolean);

/* Calls `use(page)`; ends the browser whatever happens. page: open(url), run(expression), screenshot(), and what was seen since the
 * page was opened: requests [url], problems [text of errors and warnings of the console, exceptions, failed requests]. */
export async function withPage({ width = 1200, height = 900 }, use) {
    const profile = mkdtempSync(path.join(tmpdir(), 'emp-browser-'));
    const child = spawn(browser, ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--remote-debugging-pipe',
        `--user-data-dir=${profile}`, `--window-size=${width},${height}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    const ended = new Promise((done) => child.on('exit', done).on('error', done)); // not close: its helpers hold the pipes a while longer
    const page = { requests: [], problems: [] };
    const waiting = new Map(), events = new Map();
    let number = 0, rest = '';

    ended.then(() => waiting.forEach(({ fail }) => fail(new Error('the browser has ended'))));
    child.stdio[3].on('error', () => {}); // it has ended: the above says so
    child.stdio[4].setEncoding('utf8').on('data', (text) => {
        const messages = (rest + text).split('\0');
        rest = messages.pop();
        for (const m of messages.map((t) => JSON.parse(t))) {
            const call = waiting.get(m.id);
            waiting.delete(m.id);
            if (m.error) call?.fail(new Error(m.error.message));
            else if (m.id) call?.done(m.result);
            else events.get(m.method)?.(m.params);
        }
    });
    const send = (method, params = {}, sessionId = page.session) => new Promise((done, fail) => {
        waiting.set(++number, { done, fail });
        child.stdio[3].write(`${JSON.stringify({ id: number, method, params, sessionId })}\0`);
    });

    events.set('Network.requestWillBeSent', (p) => page.requests.push(p.request.url));
    events.set('Network.loadingFailed', (p) => page.problems.push(`request failed: ${p.errorText}`));
    events.set('Runtime.exceptionThrown', (p) => page.problems.push(p.exceptionDetails.text));
    events.set('Runtime.consoleAPICalled', (p) => {
        if (['error', 'warning', 'assert'].includes(p.type)) page.problems.push(`console.${p.type}: ${p.args.map((a) => a.value).join(' ')}`);
    });
    events.set('Log.entryAdded', (p) => page.problems.push(`${p.entry.source}: ${p.entry.text}`));
    page.open = async (url) => {
        page.requests.length = page.problems.length = 0;
        const loaded = new Promise((done) => events.set('Page.loadEventFired', done));
        await send('Page.navigate', { url });
        await loaded;
    };
    page.run = async (expression) => {
        const r = await send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
        if (r.exceptionDetails) throw new Error(r.exceptionDetails.exception?.description ?? r.exceptionDetails.text);
        return r.result.value;
    };
    /* PNG; the whole page, or a part of it: {x, y, width, height}. */
    page.screenshot = async (part) => {
        const { cssContentSize: all } = await send('Page.getLayoutMetrics');
        const clip = { x: 0, y: 0, width: all.width, height: all.height, ...part, scale: 1 };
        return Buffer.from((await send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip })).data, 'base64');
    };
    page.resize = (w, h) => send('Emulation.setDeviceMetricsOverride', { width: w, height: h, deviceScaleFactor: 1, mobile: false });
    try {
        const { targetInfos } = await send('Target.getTargets');
        const target = targetInfos.find((t) => t.type === 'page');
        page.session = (await send('Target.attachToTarget', { targetId: target.targetId, flatten: true })).sessionId;
        for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
        return await use(page);
    } finally {
        send('Browser.close', {}, undefined).catch(() => {}); // it ends its helpers, who write into the profile
        const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
        await ended;
        clearTimeout(late);
        for (const pipe of child.stdio.slice(3)) pipe.destroy();
        rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    }
}
