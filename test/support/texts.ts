import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { ROOT } from './docs';

/** What stands for a part of a text that differs. */
export const HOLE = '…';

/** A text of the source that is for people to read: a message, or a part of one. */
export interface Text {
  /** With `…` for what differs. */
  text: string;
  /** Where it is: the file and the line. */
  at: string;
}

const FOLDERS = [ 'app', 'config', 'module' ];
const FILES = [ 'app.ts', 'agent.ts', 'index.ts' ];

/** Has the texts of servers and drivers, and none of the plugin's. */
const RULES = path.join('module', 'store', 'failureOf.ts');

/** All texts in the source from which messages are made: literals that are sentences, or parts of some. */
export function textsInSource(): Text[] {
  const nested = FOLDERS.flatMap(folder => fs.readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts')).map(name => path.join(folder, name))
    .filter(file => file !== RULES));
  return [ ...FILES, ...nested.sort() ].flatMap(textsIn);
}

function textsIn(file: string): Text[] {
  const source = ts.createSourceFile(file, fs.readFileSync(path.join(ROOT, file), 'utf8'), ts.ScriptTarget.ES2022, true);
  const found: Text[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isImportDeclaration(node) || ts.isTypeNode(node) || ts.isTaggedTemplateExpression(node)) return;
    if (isText(node)) {
      const text = textOf(node).replace(/%[sdj]/g, HOLE).replace(/\s+/g, ' ')
        .trim();
      if (isProse(text)) found.push({ text, at: `${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}` });
      holesOf(node).forEach(visit);
      return;
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const isSum = (node: ts.Node): node is ts.BinaryExpression =>
  ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken;

const isText = (node: ts.Node): node is ts.Expression =>
  ts.isStringLiteralLike(node) || ts.isTemplateExpression(node) || (isSum(node) && (isText(node.left) || isText(node.right)));

function textOf(node: ts.Node): string {
  if (ts.isParenthesizedExpression(node)) return textOf(node.expression);
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) return node.head.text + node.templateSpans.map(({ literal }) => HOLE + literal.text).join('');
  return isSum(node) && isText(node) ? textOf(node.left) + textOf(node.right) : HOLE;
}

/** What is put into a text, where there may be others. */
function holesOf(node: ts.Node): ts.Node[] {
  if (ts.isTemplateExpression(node)) return node.templateSpans.map(({ expression }) => expression);
  if (isSum(node)) return [ node.left, node.right ].flatMap(side => (isText(side) ? holesOf(side) : [ side ]));
  return [];
}

/** A statement of a store; GRANT is for people to run. */
const SQL = /^(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE) /;

/** Three words and more, or a line of the log; no script of Redis, and no SQL. */
const isProse = (text: string) => /^\[(egg-tegg-)?session\]|[A-Za-z'’]+ [a-z'’…]+,? [a-z'’…]+/.test(text) && !text.includes('redis.call') && !SQL.test(text) && !/^ *(--|local) /m.test(text);

/** What finds a text where parts of it are shown, or left out. */
export const patternOf = (text: string) =>
  new RegExp(text.split(HOLE).map(part => part.replace(/[^\w\s]/g, '\\$&')).join('[^]*?'));
