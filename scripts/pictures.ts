// Draws the diagrams of scripts/sequences.json, in English and Chinese, to docs/images: for light and dark.
import fs from 'node:fs';
import path from 'node:path';
import { TOMBSTONE_MS } from '../module/record/SessionRecord';
import { HEAD_START } from '../module/request/StoreKeeper';
import { svg, textAt } from './svg';

const LANGUAGES = [ 'en', 'zh-CN' ] as const;
type Language = typeof LANGUAGES[number];
/** In each language, or code, which is the same in both. */
type Text = string | Record<Language, string>;

/** An arrow between two lanes, or a box on one. */
interface Item {
  step?: number;
  from?: string;
  to?: string;
  /** Whether the arrow is an answer. */
  reply?: boolean;
  at?: string;
  /** Whether the box is what a store has. */
  record?: boolean;
  text: Text;
}

interface Picture {
  name: string;
  title: Text;
  /** `brief`: the lane has a line from its first item to its last one only. */
  lanes: Record<string, { x: number; name: Text; brief?: boolean }>;
  /** The items of a row happen at the same time. */
  panels: Array<{ title?: Text; rows: Item[][] }>;
  footer: Text[];
}

const WIDTH = 830;
const MARGIN = 16;
const LINE = 17;
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f; text-anchor: middle }
  .title { font-size: 16px; font-weight: 600; text-anchor: start } .panel { font-weight: 600; text-anchor: start } .lane { font-weight: 600 }
  .small { font-size: 12px; fill: #57606a; text-anchor: start } .step { font-size: 11px; font-weight: 600; fill: #ffffff }
  .ground { fill: #ffffff; stroke: #d0d7de } .line { stroke: #afb8c1; stroke-dasharray: 3 4; fill: none } .brief { stroke: #afb8c1; stroke-width: 5; fill: none }
  .head { fill: #ddf4ff; stroke: #54aeff } .note { fill: #f6f8fa; stroke: #8c959f } .record { fill: #fff8c5; stroke: #d4a72c }
  .arrow { stroke: #24292f; stroke-width: 1.3; fill: none } .reply { stroke-dasharray: 5 3 } .point { fill: #24292f } .badge { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .step { fill: #0d1117 } .ground { fill: #0d1117; stroke: #3d444d } .line, .brief { stroke: #656c76 }
    .head { fill: #121d2f; stroke: #388bfd } .note { fill: #212830; stroke: #656c76 } .record { fill: #272115; stroke: #9e6a03 }
    .arrow { stroke: #e6edf3 } .point { fill: #e6edf3 } .badge { fill: #79c0ff }
  }`;

const FACTS: Record<string, number> = { tombstone: TOMBSTONE_MS / 1000, headStart: HEAD_START };

const inLanguage = (text: Text, language: Language) => (typeof text === 'string' ? text : text[language]).replace(/\{(\w+)\}/g, (_, name) => String(FACTS[name]));

/** More than any font needs, in px. */
const widthOf = (text: string) => [ ...text ].reduce((sum, char) => sum + (char > '\u2E80' ? 13.5 : 7.2), 0);

function drawBox(x: number, y: number, lines: string[], kind: string): string[] {
  const width = Math.round(Math.max(...lines.map(widthOf)) * (kind === 'head' ? 1.1 : 1) + 24);
  return [
    `<rect x="${x - width / 2}" y="${y}" width="${width}" height="${boxHeight(lines)}" rx="${kind === 'record' ? 0 : 5}" class="${kind}"/>`,
    ...lines.map((line, i) => textAt(x, y + 19 + i * LINE, line, kind === 'head' ? 'lane' : '')),
  ];
}

const boxHeight = (lines: string[]) => lines.length * LINE + 12;

function drawArrow(from: number, to: number, y: number, label: string, reply: boolean, isMarked: boolean): string[] {
  const ahead = Math.sign(to - from);
  const start = from + ahead * (isMarked ? 9 : 0);
  return [
    `<path d="M${start} ${y}H${to - ahead * 8}" class="arrow${reply ? ' reply' : ''}"/>`,
    `<path d="M${to} ${y}l${-ahead * 9} -4.5v9z" class="point"/>`,
    textAt((from + to) / 2, y - 7, label),
  ];
}

const drawStep = (step: number, x: number, y: number) => [ `<circle cx="${x}" cy="${y}" r="9" class="badge"/>`, textAt(x, y + 4, String(step), 'step') ];

/** Draws the rows of a panel below `top`; resolves to what is behind, what is in front, and where they end. */
function drawPanel({ lanes, panels }: Picture, index: number, top: number, language: Language) {
  const { title, rows } = panels[index];
  const front: string[] = [];
  let y = top;
  if (title) front.push(textAt(MARGIN, y += 14, inLanguage(title, language), 'panel'));
  const begin = y += 16;
  for (const { x, name } of Object.values(lanes)) front.push(...drawBox(x, y, [ inLanguage(name, language) ], 'head'));
  y += boxHeight([ '' ]);
  const spans: Record<string, number[]> = {};
  for (const row of rows) {
    const boxes = row.filter(({ at }) => at !== undefined).map(({ text }) => boxHeight(inLanguage(text, language).split('\n')));
    const height = Math.max(0, ...boxes);
    y += height ? 12 : 34;
    for (const { at, from, to, text, record, reply = false, step } of row) {
      for (const name of [ at, from, to ]) if (name !== undefined) (spans[name] ??= []).push(y, y + height);
      if (at !== undefined) {
        const { x } = lanes[at];
        const lines = inLanguage(text, language).split('\n');
        const box = drawBox(x, y, lines, record ? 'record' : 'note');
        front.push(...box);
        if (step !== undefined) front.push(...drawStep(step, Number(/x="([\d.]+)"/.exec(box[0])![1]), y));
      } else {
        front.push(...drawArrow(lanes[from!].x, lanes[to!].x, y, inLanguage(text, language), reply, step !== undefined));
        if (step !== undefined) front.push(...drawStep(step, lanes[from!].x, y));
      }
    }
    y += height;
  }
  const end = y + 12;
  const behind = Object.entries(lanes).map(([ name, { x, brief }]) => (brief
    ? `<path d="M${x} ${Math.min(...spans[name])}V${Math.max(...spans[name])}" class="brief"/>`
    : `<path d="M${x} ${begin}V${end}" class="line"/>`));
  return { parts: [ ...behind, ...front ], end };
}

function draw(picture: Picture, language: Language): string {
  const title = inLanguage(picture.title, language);
  const parts = [ textAt(MARGIN, 30, title, 'title') ];
  let y = 40;
  for (const index of picture.panels.keys()) {
    const panel = drawPanel(picture, index, y, language);
    parts.push(...panel.parts);
    y = panel.end + 18;
  }
  for (const line of picture.footer) parts.push(textAt(MARGIN, y += 18, inLanguage(line, language), 'small'));
  const height = y + 14;
  return svg(title, WIDTH, height, STYLE, [ `<rect x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="6" class="ground"/>`, ...parts ]);
}

/** All diagrams, by their files from the repository. */
export function pictures(): Map<string, string> {
  const all = JSON.parse(fs.readFileSync(path.join(__dirname, 'sequences.json'), 'utf8')) as Picture[];
  return new Map(all.flatMap(picture => LANGUAGES.map(language =>
    [ `docs/images/${picture.name}${language === 'en' ? '' : `.${language}`}.svg`, draw(picture, language) ] as const)));
}

if (require.main === module) {
  for (const [ file, content ] of pictures()) {
    fs.writeFileSync(path.join(__dirname, '..', file), content);
    console.log(`drawn: ${file}`);
  }
}
