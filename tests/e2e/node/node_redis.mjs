// node-redis, as an application uses it, in the protocol named by RESP. Prints "ok" when all of it held.
import { assert, eventually, load, port, socketPath } from './common.mjs';

const { createClient } = load('redis');
const RESP = Number(process.env.RESP);
const socket = socketPath ? { path: socketPath } : { port, host: '127.0.0.1' };
const make = async () => {
  const client = createClient({ socket, RESP, name: 'node-redis-smoke' });
  client.on('error', (error) => {
    console.error(error);
    process.exit(1);
  });
  await client.connect();
  return client;
};

const redis = await make();
const other = await make();

assert.equal(await redis.ping(), 'PONG');
assert.equal(await redis.clientGetName(), 'node-redis-smoke');
for (let i = 0; i < 200; i++) {
  assert.equal(await redis.set('k', String(i)), 'OK');
  assert.equal(await other.get('k'), String(i));
}
const many = await Promise.all(Array.from({ length: 500 }, () => redis.get('k')));
assert.ok(many.every((value) => value === '199'));
assert.deepEqual(await redis.mGet(['k', 'nothing']), ['199', null]);
assert.equal(await redis.get('nothing'), null);

assert.deepEqual(await redis.multi().set('m', '1').incr('m').get('m').exec(), ['OK', 2, '2']);
await redis.hSet('h', { a: '1', b: '2' });
assert.deepEqual({ ...(await redis.hGetAll('h')) }, { a: '1', b: '2' });
await redis.zAdd('z', { score: 1.5, value: 'm' });
assert.equal(await redis.zScore('z', 'm'), 1.5);
assert.deepEqual(await redis.zRangeWithScores('z', 0, -1), [{ score: 1.5, value: 'm' }]);
await redis.sAdd('s', ['1', '2']);
assert.deepEqual([...(await redis.sMembers('s'))].sort(), ['1', '2']);
assert.equal(await redis.sIsMember('s', '1'), 1);

await redis.set('lua', '1');
assert.equal(await redis.get('lua'), '1');
assert.equal(await redis.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", { keys: ['lua'], arguments: ['2'] }), 3);
assert.equal(await redis.get('lua'), '3');

const subscriber = await make();
const heard = [];
await subscriber.subscribe('news', (message, channel) => heard.push([channel, message]));
assert.equal(await redis.publish('news', 'hello'), 1);
await eventually(() => heard.length === 1, 'the message arrives');
assert.deepEqual(heard[0], ['news', 'hello']);
await subscriber.unsubscribe('news');

const blocked = await make();
const popped = blocked.blPop('q', 0);
await other.get('k');
await other.rPush('q', 'job');
assert.deepEqual({ ...(await popped) }, { key: 'q', element: 'job' });

let seen = 0;
for (let i = 0; i < 300; i++) await redis.set(`scan:${i}`, '1');
for await (const keys of redis.scanIterator({ MATCH: 'scan:*', COUNT: 50 })) seen += Array.isArray(keys) ? keys.length : 1;
assert.ok(seen >= 300);

for (const client of [redis, other, subscriber, blocked]) client.destroy();
console.log('ok');
