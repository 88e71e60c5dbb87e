// ioredis, as an application uses it. Prints "ok" when all of it held.
import { assert, eventually, load, port, socketPath } from './common.mjs';

const Redis = load('ioredis');
const make = (options = {}) => new Redis(socketPath ? { path: socketPath, ...options } : { port, host: '127.0.0.1', ...options });

const redis = make({ connectionName: 'ioredis-smoke' });
const other = make();

assert.equal(await redis.ping(), 'PONG');
assert.equal(await redis.client('GETNAME'), 'ioredis-smoke');
for (let i = 0; i < 200; i++) {
  assert.equal(await redis.set('k', String(i)), 'OK');
  assert.equal(await other.get('k'), String(i));
}
const many = await Promise.all(Array.from({ length: 500 }, () => redis.get('k')));
assert.ok(many.every((value) => value === '199'));
assert.deepEqual(await redis.mget('k', 'nothing'), ['199', null]);
const binary = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
await redis.set('bin', binary);
for (let i = 0; i < 3; i++) {
  assert.deepEqual(await redis.getBuffer('bin'), binary);
}

const results = await redis.pipeline().set('p', '1').incr('p').get('p').lpush('p', 'x').get('p').exec();
assert.deepEqual(results.slice(0, 3), [[null, 'OK'], [null, 2], [null, '2']]);
assert.match(results[3][0].message, /WRONGTYPE/);
assert.deepEqual(results[4], [null, '2']);

assert.deepEqual(await redis.multi().set('m', '1').incr('m').get('m').exec(), [[null, 'OK'], [null, 2], [null, '2']]);
await redis.watch('m');
await other.set('m', '10');
assert.equal(await redis.multi().set('m', '3').exec(), null);

await redis.hset('h', { a: '1', b: '2' });
assert.deepEqual(await redis.hgetall('h'), { a: '1', b: '2' });
await redis.zadd('z', 1.5, 'm');
assert.deepEqual(await redis.zrange('z', 0, -1, 'WITHSCORES'), ['m', '1.5']);

redis.defineCommand('addTwo', { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], 2)" });
await redis.set('lua', '1');
assert.equal(await redis.get('lua'), '1');
assert.equal(await redis.addTwo('lua'), 3);
assert.equal(await redis.get('lua'), '3');

const subscriber = make();
const heard = [];
subscriber.on('message', (channel, message) => heard.push([channel, message]));
await subscriber.subscribe('news');
assert.equal(await redis.publish('news', 'hello'), 1);
await eventually(() => heard.length === 1, 'the message arrives');
assert.deepEqual(heard[0], ['news', 'hello']);

const blocked = make();
const popped = blocked.blpop('q', 0);
await other.get('k');
await other.rpush('q', 'job');
assert.deepEqual(await popped, ['q', 'job']);

let seen = 0;
for (let i = 0; i < 300; i++) await redis.set(`scan:${i}`, '1');
for await (const keys of redis.scanStream({ match: 'scan:*', count: 50 })) seen += keys.length;
assert.ok(seen >= 300);

for (const client of [redis, other, subscriber, blocked]) client.disconnect();
console.log('ok');
