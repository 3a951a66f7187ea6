// The sample set: real inputs, made here by real programs; the jobs on them; and the check of what came back.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const TEXTS = {
  eng: ['The quick brown fox runs', 'over the green hill near', 'the bank of the river', 'while seven white birds', 'sing in the old garden',
    'and the children listen', 'until the evening comes', 'with a cold north wind'],
  deu: ['Der schnelle braune Fuchs', 'springt über die Wiese', 'und schläft im Garten', 'während sieben Vögel', 'im alten Baum singen',
    'und die Kinder spielen', 'bis der Abend kommt', 'mit kühlem Nordwind'],
  fra: ['Le petit garçon mange', 'une pomme rouge devant', 'la fenêtre ouverte', 'pendant que sa mère', 'prépare le dîner',
    'dans la vieille maison', 'au bord de la rivière', 'sous un ciel étoilé'],
  spa: ['El niño pequeño come', 'una manzana muy roja', 'por la tarde con su madre', 'mientras siete aves', 'cantan en el jardín',
    'de la casa antigua', 'cerca del camino', 'hasta la mañana'],
};
export const LANGUAGES = Object.keys(TEXTS);

/** Where Debian keeps tesseract's language models. */
function tessdata() {
  const root = '/usr/share/tesseract-ocr';
  const dir = existsSync(root) ? readdirSync(root).map((v) => join(root, v, 'tessdata')).find((d) => existsSync(d)) : undefined;
  if (!dir) throw new Error('tesseract-ocr is not installed');
  return dir;
}

/** The catalogue: one model per language, and the files that the origin serves. */
export function catalogue(originUrl) {
  const files = new Map();
  const models = LANGUAGES.map((language) => {
    const path = join(tessdata(), `${language}.traineddata`);
    const content = readFileSync(path);
    const file = `${language}.traineddata`;
    files.set(file, path);
    return {
      name: `tesseract-${language}`,
      kind: 'ocr',
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
      urls: originUrl ? [`${originUrl}/${file}`] : [],
      path: `tessdata/${file}`,
    };
  });
  return { models, files };
}

/** A page is its text four times over. */
const page = (language) => [0, 1, 2, 3].flatMap(() => TEXTS[language]);

const run = (program, args) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
const input = (path) => ({ base64: readFileSync(path).toString('base64') });

function makePage(dir, language) {
  const path = join(dir, `page-${language}.png`);
  const draw = page(language).flatMap((line, i) => ['-annotate', `+200+${240 + i * 96}`, line]);
  run('convert', ['-size', '2480x3508', 'xc:white', '-font', 'DejaVu-Sans', '-pointsize', '56', '-fill', 'black', ...draw, '-colors', '16', path]);
  return path;
}

function makePicture(dir, n) {
  const path = join(dir, `picture-${n}.png`);
  run('convert', ['-size', '320x240', '-seed', String(n), 'plasma:tomato-steelblue', '-depth', '8', path]);
  return path;
}

function makeClip(dir) {
  const path = join(dir, 'clip.mp4');
  run('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=size=960x540:rate=25:duration=8',
    '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '30', path]);
  return path;
}

const PNG_AT = { width: 16, height: 20 };

async function checkImage(job, outputs) {
  const png = await outputs('result.png');
  const width = png.readUInt32BE(PNG_AT.width);
  return width === job.expect.width ? null : `is ${width} wide instead of ${job.expect.width}`;
}

async function checkText(job, outputs, result) {
  const words = (s) => s.normalize('NFC').split(/\s+/).filter(Boolean).join(' ');
  const got = words(typeof result === 'string' ? result : result?.stdout ?? '');
  return got === words(job.expect.text) ? null : `read "${got}"`;
}

async function checkClip(job, outputs, result, dir) {
  const path = join(dir, 'transcoded.mp4');
  writeFileSync(path, await outputs('clip.mp4'));
  const probe = execFileSync('ffprobe', ['-v', 'error', '-select_streams', 'v:0', '-show_entries', 'stream=width,codec_name',
    '-of', 'csv=p=0', path], { encoding: 'utf8' }).trim();
  return probe === `h264,${job.expect.width}` ? null : `is ${probe}`;
}

/** The jobs, each { title, request, expect, check }. They carry a first guess of their duration; the broker learns the rest. */
export function sampleJobs(dir) {
  mkdirSync(dir, { recursive: true });
  const jobs = [];
  const clip = input(makeClip(dir));
  for (const width of [480, 640]) {
    jobs.push({
      title: `transcode to ${width} wide`,
      request: { service_required: 'transcode', estimated_duration_s: 8, payload: { width, inputs: { 'clip.mp4': clip } } },
      expect: { width },
      check: checkClip,
    });
  }
  const pages = Object.fromEntries(LANGUAGES.map((l) => [l, input(makePage(dir, l))]));
  for (const language of ['eng', 'deu', 'eng', 'fra', 'spa', 'deu', 'eng', 'spa', 'fra', 'eng']) {
    jobs.push({
      title: `read a page in ${language}`,
      request: { service_required: 'ocr', estimated_duration_s: 2, models: [`tesseract-${language}`], payload: { language, inputs: { 'page.png': pages[language] } } },
      expect: { text: page(language).join(' ') },
      check: checkText,
    });
  }
  for (let n = 0; n < 12; n++) {
    const width = 64 + 16 * n;
    jobs.push({
      title: `picture to ${width} wide`,
      request: { service_required: 'image', estimated_duration_s: 0.2, payload: { size: `${width}x`, modulate: '100,130', inputs: { 'picture.png': input(makePicture(dir, n)) } } },
      expect: { width },
      check: checkImage,
    });
  }
  return jobs;
}
