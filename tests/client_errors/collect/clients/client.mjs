// One request by a Node library; what a person would see of the error goes to standard output.
// Usage: client.mjs LIBRARY DIRECTORY_WITH_NODE_MODULES; the environment is that of client.py. NODE_EXTRA_CA_CERTS names
// the authorities.
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import process from 'node:process';

const [library, directory] = process.argv.slice(2);
const require = createRequire((directory || '/tmp') + '/x.js');
const { URL: url, TIMEOUT, PROXY, WARM, HTTP2, SHAPE } = process.env;
const timeout = Number(TIMEOUT || 1) * 1000;
const load = async (name) => { try { return require(name); } catch { return import(require.resolve(name)); } };

function exhaust() {
  const fs = require('node:fs');
  require('node:child_process').execSync(`prlimit --pid ${process.pid} --nofile=64:64`);
  try { for (;;) fs.openSync('/dev/null'); } catch { /* none is left */ }
}

const undiciOptions = {};

const clients = {
  async fetch() {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeout) });
    await answer.text();
    if (!answer.ok) throw new Error(`Request failed: ${answer.status} ${answer.statusText}`);
  },
  async http() {
    const module = await import(url.startsWith('https') ? 'node:https' : 'node:http');
    const agent = new module.Agent({ keepAlive: true });
    await new Promise((resolve, reject) => {
      const request = module.get(url, { agent, timeout }, (answer) => {
        answer.on('error', reject);
        answer.on('aborted', () => reject(new Error('aborted')));
        answer.on('end', resolve);
        answer.resume();
        if (answer.statusCode >= 400) reject(new Error(`Request Failed. Status Code: ${answer.statusCode}`));
      });
      request.on('timeout', () => request.destroy(new Error('socket timeout')));
      request.on('error', reject);
    });
  },
  async http2() {
    const { connect } = await import('node:http2');
    await new Promise((resolve, reject) => {
      const session = connect(url);
      session.on('error', reject);
      session.setTimeout(timeout, () => reject(new Error('session timeout')));
      const stream = session.request({ ':path': '/health' });
      stream.on('error', reject);
      stream.on('end', resolve);
      stream.resume();
    });
  },
  async axios() {
    const axios = (await load('axios')).default;
    let proxy = false;
    if (PROXY) { const p = new URL(PROXY); proxy = { protocol: 'http', host: p.hostname, port: Number(p.port) }; }
    await axios.get(url, { timeout, proxy });
  },
  async undici() {
    const { request, Agent, ProxyAgent, setGlobalDispatcher } = await load('undici');
    setGlobalDispatcher(PROXY ? new ProxyAgent({ uri: PROXY, connectTimeout: timeout, headersTimeout: timeout })
      : new Agent({ connect: { timeout }, headersTimeout: timeout, bodyTimeout: timeout, allowH2: !!HTTP2 }));
    const answer = await request(url, undiciOptions);
    await answer.body.text();
    if (answer.statusCode >= 400) throw new Error(`Request failed: ${answer.statusCode}`);
  },
  async got() {
    const { default: got } = await load('got');
    await got(url, { timeout: { request: timeout * 4, connect: timeout, lookup: timeout * 4, secureConnect: timeout, response: timeout }, retry: { limit: 0 }, http2: !!HTTP2 });
  },
  async 'node-fetch'() {
    const module = await load('node-fetch');
    const answer = await (module.default || module)(url, { timeout });
    await answer.text();
    if (!answer.ok) throw new Error(`HTTP ${answer.status} ${answer.statusText}`);
  },
  async superagent() {
    const module = await load('superagent');
    await (module.default || module).get(url).timeout({ response: timeout, deadline: timeout * 4 });
  },
  async needle() {
    const module = await load('needle');
    await (module.default || module)('get', url, { response_timeout: timeout, open_timeout: timeout, read_timeout: timeout, ...(PROXY ? { proxy: PROXY } : {}) });
  },
  async ky() {
    const { default: ky } = await load('ky');
    await ky.get(url, { timeout, retry: 0 }).text();
  },
};

const shown = (error) => {
  if (SHAPE === 'repr') return JSON.stringify({ level: 'error', msg: error.message, code: error.code, cause: error.cause && { message: error.cause.message, code: error.cause.code } });
  if (SHAPE === 'trace') return error.stack + (error.cause ? `\n  [cause]: ${error.cause.stack || error.cause}` : '');
  // console.error(error), without the bulk of a request object that some libraries hang on it.
  return inspect(error, { depth: library === 'ky' ? 3 : 1, breakLength: 120 });
};
const give = (error) => { process.stdout.write(shown(error) + '\n', () => process.exit(1)); };
process.on('uncaughtException', give);
try {
  if (WARM) await clients[library]();
  if (process.env.DESCRIPTORS) exhaust();
  await clients[library]();
  process.exit(0);
} catch (error) {
  give(error);
}
