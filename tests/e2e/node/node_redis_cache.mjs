// node-redis with its own client-side cache on: CLIENT TRACKING by the client itself, through the daemon.
// Prints "ok" when all of it held.
import { assert, eventually, load, port, socketPath } from './common.mjs';

const { createClient, BasicClientSideCache } = load('redis');
const socket = socketPath ? { path: socketPath } : { port, host: '127.0.0.1' };
const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' });
const make = async (options) => {
  const client = createClient({ socket, RESP: 3, ...options });
  client.on('error', (error) => {
    console.error(error);
    process.exit(1);
  });
  await client.connect();
  return client;
};
const redis = await make({ clientSideCache: cache });
const other = await make({});

for (let i = 0; i < 50; i++) {
  await other.set('k', String(i));
  await eventually(async () => (await redis.get('k')) === String(i), `the client's cache hears of write ${i}`);
}
const before = cache.stats().hitCount;
for (let i = 0; i < 20; i++) assert.equal(await redis.get('k'), '49');
assert.ok(cache.stats().hitCount >= before + 19, 'reads come from the cache of the client');
await redis.set('k', 'own');
await eventually(async () => (await redis.get('k')) === 'own', 'an own write is seen');
assert.equal(await redis.get('nothing'), null);
await other.hSet('h', 'f', '1');
assert.deepEqual({ ...(await redis.hGetAll('h')) }, { f: '1' });
await other.hSet('h', 'f', '2');
await eventually(async () => (await redis.hGetAll('h')).f === '2', 'a hash that changed');
await other.flushAll();
await eventually(async () => (await redis.get('k')) === null, 'FLUSHALL empties the cache of the client');
redis.destroy();
other.destroy();
console.log('ok');
