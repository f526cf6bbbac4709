// Node's http and https with an agent that makes a CONNECT; and fetch where NODE_USE_ENV_PROXY is known (Node 22.21, 24).
// usage: node client.js SHA256
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const http = require('http');
const https = require('https');
const tls = require('tls');

const proxy = { host: 'proxy-pod', port: 8080 };
const sha = (data) => crypto.createHash('sha256').update(data).digest('hex');

class TunnelAgent extends https.Agent {
	createConnection(options, done) {
		const at = `${options.host}:${options.port}`;
		const connect = http.request({ ...proxy, method: 'CONNECT', path: at, headers: { host: at } });
		connect.once('connect', (reply, socket) => {
			if (reply.statusCode !== 200) {
				socket.destroy();
				return done(new Error(`CONNECT: ${reply.statusCode} ${reply.headers['proxy-status']}`));
			}
			done(null, tls.connect({ ...options, socket, servername: options.servername || options.host }));
		});
		connect.once('error', done);
		connect.end();
	}
}
const agents = { 'https:': new TunnelAgent({ keepAlive: true }), 'http:': new http.Agent({ keepAlive: true }) };

function ask(method, url, body) {
	const to = new URL(url);
	const options = to.protocol === 'http:'
		? { ...proxy, path: url, headers: { host: to.host } } : { host: to.hostname, port: 443, path: to.pathname };
	return new Promise((resolve, reject) => {
		const request = (to.protocol === 'http:' ? http : https).request({ ...options, method, agent: agents[to.protocol] }, (reply) => {
			const pieces = [];
			reply.on('data', (p) => pieces.push(p)).on('error', reject)
				.on('end', () => resolve({ status: reply.statusCode, data: Buffer.concat(pieces) }));
		});
		request.on('error', reject);
		for (let at = 0; body && at < body.length; at += 70000) request.write(body.subarray(at, at + 70000));
		request.end();
	});
}

async function byAgent(want) {
	const upload = crypto.randomBytes(5 << 20);
	for (const scheme of ['http', 'https']) {
		assert.equal(sha((await ask('GET', `${scheme}://storage.googleapis.com/bytes/16m.bin`)).data), want);
		const said = JSON.parse((await ask('POST', `${scheme}://test.googleapis.com/hash`, upload)).data);
		assert.deepEqual([said.sha256, said.chunked], [sha(upload), true]);
	}
	const denied = await ask('GET', 'http://example.com/');
	assert.equal(denied.status, 403);
	assert.match(denied.data.toString(), /not-listed/);
	await assert.rejects(ask('GET', 'https://example.com/'), /403.*not-listed/);
	console.log('agent ok');
}

async function byFetch(want) {
	const bytes = async (url) => Buffer.from(await (await fetch(url)).arrayBuffer());
	assert.equal(sha(await bytes('http://storage.googleapis.com/bytes/16m.bin')), want);
	assert.equal(sha(await bytes('https://storage.googleapis.com/bytes/16m.bin')), want);
	await assert.rejects(fetch('https://example.com/'));
	console.log('fetch ok');
}

async function main() {
	await byAgent(process.argv[2]);
	if (process.allowedNodeEnvironmentFlags.has('--use-env-proxy')) await byFetch(process.argv[2]);
	for (const agent of Object.values(agents)) agent.destroy();
}
main().catch((e) => { console.error(e); process.exit(1); });
