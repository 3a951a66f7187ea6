/* The sample set: inputs, made here by real programs, the jobs on them, and the check of what came
 * back. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SENTENCES = {
    eng: ['The quick brown fox runs over the green hill', 'and seven white birds sing in the old garden',
        'while the children listen near the river bank', 'until the evening comes with a cold north wind',
        'An old man reads his book under the oak tree', 'because the summer was warm and very long'],
    deu: ['Der schnelle braune Fuchs springt über die Wiese', 'während sieben Vögel im alten Baum singen',
        'und die Kinder spielen fröhlich vor der Tür', 'bis der Abend kommt mit kühlem Nordwind',
        'Ein alter Mann liest sein Buch unter der Eiche', 'denn der Sommer war warm und schön'],
    fra: ['Le petit garçon mange une pomme rouge', 'devant la fenêtre ouverte de la maison',
        'pendant que sa mère prépare le dîner', 'au bord de la rivière sous un ciel étoilé',
        'Un vieil homme lit son livre sous le chêne', 'parce que la soirée était belle et claire'],
    spa: ['El niño pequeño come una manzana muy roja', 'mientras siete aves cantan en el jardín',
        'de la casa antigua cerca del camino', 'hasta la mañana cuando vuelve su madre',
        'Un hombre viejo lee su libro bajo el árbol', 'porque el otoño llegó con mucha lluvia'],
    ita: ['La città dorme ancora sotto una luna chiara', 'e sette uccelli bianchi cantano nel giardino',
        'della vecchia casa più lontano del fiume', 'perché il vento è caldo e leggero',
        'Un vecchio legge il suo libro sotto la quercia', 'finché la sera arriva così tranquilla'],
};
const LANGUAGES = Object.keys(SENTENCES);
const PAGES = 18;
const LINES = 36;
const PICTURES = 12;
const CLIP_WIDTHS = [640, 960, 1280];
const FONT = '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf';

/* First guesses of run times; the broker learns the rest. */
const GUESS_S = { image: 0.2, ocr: 1.5, transcode: 10 };

const call = promisify(execFile);
const base64 = (path) => ({ base64: readFileSync(path).toString('base64') });

/* ---------------------------------------------------------------- models */

/* Where Debian keeps tesseract's language models. */
function tessdata() {
    const root = '/usr/share/tesseract-ocr';
    const versions = existsSync(root) ? readdirSync(root) : [];
    const dir = versions.map((v) => join(root, v, 'tessdata'))
        .find((d) => LANGUAGES.every((l) => existsSync(join(d, `${l}.traineddata`))));
    if (!dir) throw new Error(`${root} lacks a model of ${LANGUAGES.join(', ')} (Debian packages tesseract-ocr-…)`);
    return dir;
}

/* What the origin serves: name → path. */
export function originFiles() {
    const dir = tessdata();
    return new Map(LANGUAGES.map((l) => [`${l}.traineddata`, join(dir, `${l}.traineddata`)]));
}

/* The catalogue: one model per language. */
export function catalogue(originUrl, files) {
    return [...files].map(([file, path]) => {
        const content = readFileSync(path);
        return {
            name: `tesseract-${file.split('.')[0]}`,
            kind: 'ocr',
            bytes: content.length,
            sha256: createHash('sha256').update(content).digest('hex'),
            urls: [`${originUrl}/${file}`],
            path: `tessdata/${file}`,
        };
    });
}

/* ---------------------------------------------------------------- inputs */

/* Page n: its language, and lines that no other page has in this order. */
function pageText(n) {
    const language = LANGUAGES[n % LANGUAGES.length];
    const all = SENTENCES[language];
    const step = [1, 5][n % 2]; // both prime to 6: all sentences come
    const lines = Array.from({ length: LINES }, (_, i) => all[(n + i * step + Math.floor(i / 6)) % all.length]);
    return { language, lines };
}

async function drawPage(path, lines) {
    const draw = lines.flatMap((line, i) => ['-annotate', `+150+${150 + i * 58}`, line]);
    await call('convert', ['-size', '1654x2339', 'xc:white', '-font', FONT, '-pointsize', '36',
        '-fill', 'black', ...draw, '-colorspace', 'Gray', '-depth', '8', path]);
}

async function paintPicture(path, n) {
    await call('convert', ['-seed', String(n), '-size', '320x240', 'plasma:tomato-steelblue', '-depth', '8', path]);
}

/* Four seconds, 100 frames. */
async function shootClip(path) {
    await call('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', '-f', 'lavfi',
        '-i', 'testsrc2=size=1280x720:rate=25:duration=4', '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '30', path]);
}

/* Runs the tasks, as many at once as there are cores; results in order. */
async function inParallel(tasks) {
    const results = [];
    let next = 0;
    const lane = async () => {
        while (next < tasks.length) {
            const n = next++;
            results[n] = await tasks[n]();
        }
    };
    await Promise.all(cpus().map(lane));
    return results;
}

/* ---------------------------------------------------------------- jobs and their checks */

const words = (text) => text.normalize('NFC').split(/\s+/).filter(Boolean).join(' ');

async function clipJob(clip, width) {
    return {
        title: `clip to ${width} wide`,
        request: {
            service_required: 'transcode',
            estimated_duration_s: GUESS_S.transcode,
            payload: { width, inputs: { 'clip.mp4': clip } },
        },
        async check({ output, dir }) {
            const path = join(dir, `clip-${width}.mp4`);
            writeFileSync(path, await output('clip.mp4'));
            const { stdout } = await call('ffprobe', ['-v', 'error', '-select_streams', 'v:0', '-count_frames',
                '-show_entries', 'stream=codec_name,width,nb_read_frames', '-of', 'csv=p=0', path]);
            const wanted = `h264,${width},100`;
            return stdout.trim() === wanted ? null : `ffprobe says ${stdout.trim()} instead of ${wanted}`;
        },
    };
}

async function pageJob(dir, n) {
    const { language, lines } = pageText(n);
    const path = join(dir, `page-${n}.png`);
    await drawPage(path, lines);
    return {
        title: `page ${n + 1} (${language})`,
        request: {
            service_required: 'ocr',
            estimated_duration_s: GUESS_S.ocr,
            models: [`tesseract-${language}`],
            payload: { language, inputs: { 'page.png': base64(path) } },
        },
        async check({ output }) {
            const got = words((await output('page.txt')).toString('utf8'));
            return got === words(lines.join(' ')) ? null : `the text that was read is not the one drawn: "${got.slice(0, 60)}…"`;
        },
    };
}

async function pictureJob(dir, n) {
    const width = 64 + 16 * n;
    const height = width * 3 / 4;
    const path = join(dir, `picture-${n}.png`);
    await paintPicture(path, n);
    return {
        title: `picture to ${width} wide`,
        request: {
            service_required: 'image',
            estimated_duration_s: GUESS_S.image,
            payload: { size: `${width}x${height}`, modulate: '100,130', inputs: { 'picture.png': base64(path) } },
        },
        async check({ output, result }) {
            const png = await output('result.png');
            const size = `${png.readUInt32BE(16)}x${png.readUInt32BE(20)}`; // of its IHDR
            if (size !== `${width}x${height}`) return `is ${size} instead of ${width}x${height}`;
            return result?.width === width ? null : `its result is ${JSON.stringify(result)}`;
        },
    };
}

/* The jobs: {title, request, check}. `check` gets {output, result, dir} (output(name): the bytes of an
 * output file), and says what is wrong, or null. */
export async function sampleJobs(dir) {
    mkdirSync(dir, { recursive: true });
    const clipPath = join(dir, 'clip.mp4');
    await shootClip(clipPath);
    const clip = base64(clipPath);
    return inParallel([
        ...CLIP_WIDTHS.map((width) => () => clipJob(clip, width)),
        ...Array.from({ length: PAGES }, (_, n) => () => pageJob(dir, n)),
        ...Array.from({ length: PICTURES }, (_, n) => () => pictureJob(dir, n)),
    ]);
}

/* One job of each kind, as files for `emp submit --file`: {service: path}. */
export async function sampleFiles(dir) {
    mkdirSync(dir, { recursive: true });
    const clipPath = join(dir, 'clip.mp4');
    await shootClip(clipPath);
    const jobs = [await pictureJob(dir, 0), await pageJob(dir, 1), await clipJob(base64(clipPath), 960)];
    return Object.fromEntries(jobs.map(({ request }) => {
        const path = join(dir, `${request.service_required}.json`);
        writeFileSync(path, `${JSON.stringify(request)}\n`);
        return [request.service_required, path];
    }));
}
