#!/usr/bin/env node
// Derives the quantile tables that src/sim/scenarios/*.yaml carry, from published data sets:
//
//   tools/scenario-tables.mjs DATA-DIR
//
// DATA-DIR holds salad/, genai/, sizes/ and servegen/ as their publishers gave them. Prints YAML, key by key, to be pasted;
// what a table is made of stands in its "source". Of the trace only days before 2025-02-11 are looked at: the
// later ones are for judging policies, so nothing may be fitted to them.
import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const dir = process.argv[2];
if (!dir) {
    console.error('usage: tools/scenario-tables.mjs DATA-DIR');
    process.exit(2);
}
const FIT_END = '2025-02-11';
const BIG = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1];
const SHARES = [0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1];

const rows = (text) => {
    const [head, ...lines] = text.trim().split(/\r?\n/).map((l) => l.split(','));
    return lines.map((l) => Object.fromEntries(head.map((h, i) => [h, l[i] ?? ''])));
};
const csv = (path) => rows(readFileSync(join(dir, path), 'utf8'));
const packed = (path, ...more) => execFileSync('tar', ['-xOf', join(dir, path), ...more], { maxBuffer: 1 << 28 }).toString();
const round = (v) => Number(v.toPrecision(4));
const show = (points) => `[${points.map(([s, v]) => `[${Number(s.toFixed(5))}, ${round(v)}]`).join(', ')}]`;
const sorted = (values) => values.filter(Number.isFinite).sort((a, b) => a - b);
const sum = (values) => values.reduce((a, b) => a + b, 0);

function quantiles(values, shares = SHARES) {
    const v = sorted(values);
    return shares.map((s) => [s, v[Math.min(v.length - 1, Math.floor(s * v.length))]]);
}
// Without the last percent at either end, where a window of few requests says little.
function clipped(values) {
    const v = sorted(values);
    return quantiles(v.slice(Math.floor(v.length / 100), Math.ceil(v.length * 0.99)), BIG);
}
function table(key, source, points) {
    console.log(`${key}:\n  source: "${source}"\n  at: ${show(points)}`);
}
// A histogram's bins as a distribution, straight inside each bin.
function histogram(bins) {
    const total = sum(bins.map((b) => b.n));
    let seen = 0;
    const out = [[0, bins[0].low]];
    for (const b of bins.filter((x) => x.n > 0)) {
        seen += b.n;
        out.push([seen / total, b.high]);
    }
    return out;
}
// Cumulative share of the most used, as rank by share.
function ranks(counts) {
    const v = [...counts].sort((a, b) => b - a);
    const total = sum(v);
    const at = [0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000].filter((r) => r < v.length);
    return [...at, v.length].map((r) => [sum(v.slice(0, r)) / total, r]);
}
const count = (list) => {
    const m = new Map();
    for (const x of list) m.set(x, (m.get(x) ?? 0) + 1);
    return m;
};

// ── SALAD ──
const bins = (path, low, high, n) => csv(path).map((r) => ({ low: +r[low], high: +r[high], n: +r[n] }));
table('fleet.link_mbit_per_s', 'download rates of 200 nodes, SALAD documentation, CC-BY-4.0',
    histogram(bins('salad/bandwidth_download_hist.csv', 'mbps_low', 'mbps_high', 'nodes')));
{
    // Kaplan-Meier: runs that were still up when the observation ended are in "all" and not in "stopped".
    const all = bins('salad/uptime_hist_all_282.csv', 'bin_low_hours', 'bin_high_hours', 'instance_runs');
    const stopped = bins('salad/uptime_hist_stopped_182.csv', 'bin_low_hours', 'bin_high_hours', 'instance_runs');
    const within = (low, high) => sum(stopped.map((b) => (b.n * Math.max(0, Math.min(high, b.high) - Math.max(low, b.low))) / (b.high - b.low)));
    let risk = sum(all.map((b) => b.n));
    let alive = 1;
    const out = [[0, all[0].low]];
    for (const b of all) {
        const ended = Math.min(within(b.low, b.high), risk);
        alive *= 1 - ended / risk;
        risk -= Math.max(b.n, ended);
        if (alive < 1 && ended > 0) out.push([1 - alive, b.high]);
        if (risk <= 0) break;
    }
    const reached = out.at(-1)[0];
    console.log(`churn.outlives: ${round(1 - reached)}`);
    table('churn.uptime_h', 'uptimes of 282 instance runs, SALAD documentation, CC-BY-4.0; Kaplan-Meier, as 100 were still up at the end',
        out.map(([s, v]) => [s / reached, v]));
}
{
    let best = 0;
    const out = [];
    for (const r of csv('salad/startup_curve.csv')) {
        const n = +r.instances_running_of_100;
        if (n > best) out.push([(best = n) / 100, +r.minute_since_start]);
    }
    table('churn.startup_min', 'start-up of 100 instances with a 5.5 GB image, SALAD documentation, CC-BY-4.0', [[0, out[0][1] - 1], ...out]);
}
{
    const fits = ['RTX 3090', 'RTX 3090 Ti', 'RTX 4090']; // 24 GB each
    const cells = new Map();
    for (const r of csv('salad/sd15_total_time_by_gpu.csv'))
        if (r.cell === 'all_nodes' && fits.includes(r.gpu)) {
            const k = [r.backend, r.batch, r.image_px].join();
            cells.set(k, { ...cells.get(k), [r.gpu]: +r.mean_total_time_s });
        }
    const whole = [...cells.values()].filter((c) => fits.every((g) => c[g] > 0));
    const time = (g) => Math.exp(sum(whole.map((c) => Math.log(c[g] / c['RTX 4090']))) / whole.length);
    const price = JSON.parse(readFileSync(join(dir, 'salad/gpu-cost.json')));
    const stats = JSON.parse(readFileSync(join(dir, 'sizes/gpu-stats.2025-12-07.json'))).models;
    const n = (g) => {
        const s = stats.find((m) => m.name === g)?.stats;
        return s ? (s.rented?.all?.[0]?.count ?? 0) + (s.available?.all?.[0]?.count ?? 0) : 0;
    };
    console.log(`fleet.gpus_source: "24 GB types; time: geometric mean of ${whole.length} cells of SALAD's image benchmark (MIT), all nodes; prices: SALAD; shares: counts on vast.ai, 2025-12-07"`);
    console.log('fleet.gpus:');
    for (const g of fits) console.log(`  - {name: ${g}, share: ${n(g)}, time: ${round(time(g))}, usd_per_h: ${price[g]}}`);
}

// ── load times: Alibaba's GenAI cluster trace ──
const latency = (name) => rows(packed(`genai/${name}.tar.gz`)).map((r) => +r.value);
const alibaba = (what) => `Alibaba cluster-trace GenAI 2025, ${what}`;
{
    const base = latency('basemodel_update_latency_anon'), lora = latency('lora_update_latency_anon'), net = latency('controlnet_latency_data_anon');
    const part = (v, from, to) => v.filter((x) => x >= from && x < to);
    table('models.base.load_disk_ms', alibaba('base model updates of 10 s and more (the cold mode of two)'), quantiles(part(base, 10000, 1e9)));
    table('models.base.load_ram_ms', alibaba('base model updates below 5 s (the cached mode of two)'), quantiles(part(base, 0, 5000)));
    table('models.lora.load_disk_ms', alibaba('LoRA updates of 2 s and more'), quantiles(part(lora, 2000, 1e9)));
    table('models.lora.load_ram_ms', alibaba('LoRA updates below 2 s (the fast mode)'), quantiles(part(lora, 0, 2000)));
    table('models.controlnet.load_disk_ms', alibaba('ControlNet updates of 1 s and more'), quantiles(part(net, 1000, 1e9)));
    table('models.controlnet.load_ram_ms', alibaba('ControlNet updates below 1 s (the fast mode)'), quantiles(part(net, 0, 1000)));
}

// ── sizes ──
function family(name, share, source, bytes) {
    if (bytes.length === 1) bytes = [bytes[0], bytes[0]];
    console.log(`  - {name: ${name}, share: ${share}, source: "${source}",\n     gb: ${show(quantiles(bytes.map((b) => b / 1e9), BIG))}}`);
}
const horde = csv('sizes/image_model_sizes.csv');
const comfy = csv('sizes/comfyui_manager_model_sizes.csv').filter((r) => +r.size_bytes_approx > 0);
const comfyOf = (types, base = /./) => comfy.filter((r) => types.includes(r.type) && base.test(r.base)).map((r) => +r.size_bytes_approx);
{
    const of = (...b) => horde.filter((r) => b.includes(r.baseline)).map((r) => +r.size_bytes).filter((x) => x > 0);
    const sd1 = of('stable diffusion 1', 'stable diffusion 2'), xl = of('stable_diffusion_xl'), flux = of('flux_1');
    console.log('models.base.families:');
    const source = 'checkpoints of the AI Horde; shares: their number';
    family('sd1', sd1.length, source, sd1);
    family('sdxl', xl.length, source, xl);
    family('flux', flux.length, source, flux);
    const all = csv('sizes/civitai_versions.csv').filter((r) => r.type === 'LORA' && +r.primary_size_kb > 0).map((r) => +r.primary_size_kb * 1024);
    const ends = quantiles(all, [0.01, 0.99]).map(([, v]) => v); // beyond them: empty files, and checkpoints under a wrong name
    const civit = all.filter((b) => b >= ends[0] && b <= ends[1]);
    console.log('models.lora.families:');
    family('sd1', sd1.length, 'LoRA versions on Civitai (SD 1.x era); shares as of bases', civit);
    family('sdxl', xl.length + flux.length, 'LoRAs of the ComfyUI-Manager list, SDXL and Flux', comfyOf(['lora'], /SDXL|FLUX/i));
    console.log('models.controlnet.families:');
    family('all', 1, 'ControlNets of the ComfyUI-Manager list', comfyOf(['controlnet', 'T2I-Adapter']));
    console.log('models.text.families:');
    const tags = csv('sizes/ollama_tag_sizes.csv').filter((r) => r.tag.endsWith(':latest') && +r.size_bytes < 20e9 && +r.size_bytes > 1e9);
    family('all', 1, 'default tags of 1 to 20 GB in the Ollama library', tags.map((r) => +r.size_bytes));
}

// ── video workflows ──
{
    const size = new Map(comfy.map((r) => [r.filename.toLowerCase(), +r.size_bytes_approx]));
    const video = [];
    for (const line of readFileSync(join(dir, 'sizes/workflows_dev.jsonl'), 'utf8').trim().split('\n')) {
        const w = JSON.parse(line);
        const makes = w.class_types.some((c) => /videocombine|savevideo|createvideo|savewebm|wanvideo|hunyuanvideo|ltxv|cogvideo|mochi/i.test(c));
        const files = [...new Set(w.models.map((m) => m.file.split(/[\\/]/).at(-1).toLowerCase()))];
        if (makes && files.length) video.push(files);
    }
    const main = [], other = [];
    for (const files of video) {
        const known = files.map((f) => size.get(f)).filter((b) => b > 0).sort((a, b) => b - a);
        if (known.length && known[0] >= 1e9) main.push(known[0]);
        other.push(...known.slice(1));
    }
    console.log('models.video.families:');
    family('all', 1, `largest model of each of ${main.length} video workflows (ComfyUI examples), sizes of ComfyUI-Manager`, main);
    console.log('models.other.families:');
    family('all', 1, `the ${other.length} other models of those workflows whose size is known`, other);
    table('video.extra_count', `model files beside the first in ${video.length} video workflows (ComfyUI examples)`, quantiles(video.map((f) => f.length - 1), BIG));
    console.log(`# video: ${video.length} workflows, ${count(video.map((f) => f.join())).size} different sets, ${count(video.flat()).size} files`);
}

// ── arrivals of text: ServeGen ──
{
    const sums = new Map();
    for (const t of packed('servegen/servegen_dev.tar.xz', '--wildcards', 'language/m-small/*').trim().split('\n')) {
        const [start, rate, cv] = t.split(',').map(Number);
        const w = sums.get(start) ?? { rate: 0, var: 0 };
        w.rate += rate;
        w.var += rate * cv * cv; // of independent streams the variances of counts add up
        sums.set(start, w);
    }
    const windows = [...sums].sort((a, b) => a[0] - b[0]).map(([start, w]) => ({ hour: Math.floor(start / 3600) % 24, rate: w.rate, cv: Math.sqrt(w.var / w.rate) }));
    const hours = Array.from({ length: 24 }, (_, h) => sum(windows.filter((w) => w.hour === h).map((w) => w.rate)));
    const mean = hours.map((h, i) => h / windows.filter((w) => w.hour === i).length);
    console.log(`text.hours: [${hours.map((h) => round((h / sum(hours)) * 100)).join(', ')}]`);
    table('text.rate', 'Alibaba ServeGen, m-small, all clients together, 14 days', quantiles(windows.map((w) => w.rate / mean[w.hour]), BIG));
    table('text.cv', 'Alibaba ServeGen, m-small, rate-weighted over clients', clipped(windows.map((w) => w.cv)));
}

// ── the shape of the trace ──
{
    const all = csv('genai/genai_joined_dev.csv').filter((r) => r.base_model && r.exec_s && !['PENDING', 'PROCESSING'].includes(r.status) && r.created < FIT_END);
    const timed = all.filter((r) => r.created).map((r) => ({ ...r, at: Date.parse(r.created.replace(' ', 'T') + 'Z') / 1000, day: r.created.slice(0, 10) }));
    const perDay = count(timed.map((r) => r.day));
    const work = new Set([...perDay].filter(([, n]) => n > 1000).map(([d]) => d)); // holidays end with the 5th
    const days = timed.filter((r) => work.has(r.day));
    const hour = (r) => +r.created.slice(11, 13);
    const source = `Alibaba cluster-trace GenAI 2025, joined trace before ${FIT_END}`;
    const loras = (r) => r.loras.split(';').filter(Boolean).map((l) => l.replace(/:[^:]*$/, ''));
    console.log(`generator.source: "${source}; hours and bursts of its ${work.size} full workdays"`);
    console.log(`generator.jobs_per_workday: ${Math.round(days.length / work.size)}`);
    const rest = [...perDay].filter(([d]) => !work.has(d) && d !== '2025-02-05');
    console.log(`generator.weekend_share: ${round(sum(rest.map(([, n]) => n)) / rest.length / (days.length / work.size))}`);
    const hours = Array.from({ length: 24 }, (_, h) => days.filter((r) => hour(r) === h).length);
    console.log(`generator.hours: [${hours.join(', ')}]`);
    const ten = count(days.map((r) => r.created.slice(0, 15)));
    // Of busy hours alone: in a quiet one, three jobs in ten minutes are chance and no burst. What chance (a Poisson law) adds
    // in the busy ones is taken off again, for the generator adds it anew.
    const factors = [], chance = [];
    for (const d of work) for (let h = 0; h < 24; h++) if (hours[h] > 400) for (let m = 0; m < 6; m++) {
        const bin = ten.get(`${d} ${String(h).padStart(2, '0')}:${m}`) ?? 0;
        factors.push(bin / (hours[h] / work.size / 6));
        chance.push(1 / (hours[h] / work.size / 6));
    }
    const spread = sum(factors.map((f) => (f - 1) ** 2)) / factors.length;
    const shrink = Math.sqrt(Math.max(0, 1 - sum(chance) / chance.length / spread));
    table('generator.burst', `${source}; hours with more than 100 jobs, less a Poisson law's part`, quantiles(factors.map((f) => Math.max(0, 1 + (f - 1) * shrink)), [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1]));
    const last = new Map(), sessions = [];
    const gaps = [];
    let follow = 0, sameBase = 0, sameLoras = 0;
    for (const r of timed) {
        const p = last.get(r.user);
        if (p && r.at - p.at < 1800) {
            follow++;
            gaps.push(r.at - p.at);
            if (p.base_model === r.base_model) {
                sameBase++;
                sameLoras += loras(p).join() === loras(r).join();
            }
        } else sessions.push(r.user);
        last.set(r.user, r);
    }
    console.log(`generator.follow_share: ${round(follow / timed.length)}\ngenerator.follow_same_base: ${round(sameBase / follow)}\ngenerator.follow_same_loras: ${round(sameLoras / sameBase)}`);
    table('generator.follow_s', `${source}; gaps below 30 minutes`, quantiles(gaps));
    table('generator.base_rank', source, ranks(count(all.map((r) => r.base_model)).values()));
    table('generator.lora_rank', source, ranks(count(all.flatMap(loras)).values()));
    table('generator.user_rank', `${source}; sessions`, ranks(count(sessions).values()));
    const seen = new Set(all.filter((r) => !r.created).flatMap((r) => [r.base_model, ...loras(r)]));
    let bases = 0, news = 0;
    for (const r of days) {
        if (!seen.has(r.base_model)) { bases++; seen.add(r.base_model); }
        for (const l of loras(r)) if (!seen.has(l)) { news++; seen.add(l); }
    }
    console.log(`generator.new_bases_per_day: ${round(bases / work.size)}\ngenerator.new_loras_per_day: ${round(news / work.size)}`);
    const used = days.map((r) => loras(r).length);
    console.log(`generator.lora_job_share: ${round(used.filter((n) => n).length / used.length)}`);
    console.log(`generator.lora_counts: [${[1, 2, 3, 4].map((n) => all.filter((r) => (n < 4 ? loras(r).length === n : loras(r).length >= n)).length).join(', ')}]`);
    const home = new Map();
    for (const r of all) for (const l of loras(r)) home.set(l, [...(home.get(l) ?? []), r.base_model]);
    console.log(`generator.lora_home_share: ${round(sum([...home.values()].map((b) => Math.max(...count(b).values()))) / sum([...home.values()].map((b) => b.length)))}`);
    table('generator.exec_s', source, quantiles(timed.map((r) => Math.max(1, +r.exec_s))));
    const log = timed.map((r) => Math.log(Math.max(1, +r.exec_s)));
    const mean = sum(log) / log.length;
    const by = new Map();
    timed.forEach((r, i) => by.set(r.base_model, [...(by.get(r.base_model) ?? []), log[i]]));
    const between = sum([...by.values()].map((v) => v.length * (sum(v) / v.length - mean) ** 2));
    console.log(`generator.exec_base_share: ${round(between / sum(log.map((x) => (x - mean) ** 2)))}`);
}
