// Node's HTTP parser as a reader: streams on stdin, each with its length as four bytes, low end first; a line of JSON a stream
// on stdout. Fed byte by byte, so that it is known at which byte a request was whole.   reader.js strict|lenient
'use strict';
const { readFileSync, writeSync } = require('fs');
const { HTTPParser, methods } = require('_http_common');
const all = process.binding('http_parser').allMethods || methods;
const flags = process.argv[2] === 'lenient' ? HTTPParser.kLenientAll : HTTPParser.kLenientNone;

function place(target, fields) {
  const host = fields.filter(([name]) => name.toLowerCase() === 'host').map(([, value]) => value);
  try {
    const url = new URL(/^[a-z]+:\/\//i.test(target) ? target : 'http://' + host[0] + '/');
    return [url.hostname, Number(url.port || 80)];
  } catch {
    return null;
  }
}

function read(stream) {
  const requests = [];
  let request = null;
  let pairs = [];
  let url = '';
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {}, 1 << 20, flags);
  parser[HTTPParser.kOnHeaders | 0] = (headers, more) => {
    pairs.push(...headers);
    url += more;
  };
  parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, headers, method, target) => {
    if (headers) pairs.push(...headers);
    const fields = [];
    for (let i = 0; i < pairs.length; i += 2) fields.push([pairs[i], pairs[i + 1]]);
    target = url + (target || '');
    request = { method: all[method], target, minor, fields, place: place(target, fields), body: [], whole: false };
    requests.push(request);
    pairs = [];
    url = '';
    return 0;
  };
  parser[HTTPParser.kOnBody | 0] = (bytes, offset, length) => {
    request.body.push((offset === undefined ? bytes : bytes.subarray(offset, offset + length)).toString('latin1'));
  };
  const piece = stream.length > 4000 ? 499 : 1; // long lines byte by byte take too long
  let at = 0;
  parser[HTTPParser.kOnMessageComplete | 0] = () => {
    request.whole = true;
    request.end = piece === 1 ? at + 1 : null;
    pairs = []; // trailers, which bring the target once more
    url = '';
  };
  for (; at < stream.length; at += piece) {
    const result = parser.execute(stream.subarray(at, at + piece));
    if (result instanceof Error) return { requests, stop: 'refused', why: result.reason || result.code };
  }
  return { requests, stop: 'more', why: '' };
}

const input = readFileSync(0);
let out = [];
for (let at = 0; at < input.length;) {
  const n = input.readUInt32LE(at);
  out.push(JSON.stringify(read(input.subarray(at + 4, at + 4 + n))));
  at += 4 + n;
}
let text = Buffer.from(out.join('\n') + '\n');
while (text.length) text = text.subarray(writeSync(1, text));
