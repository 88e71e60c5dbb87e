<?php
// php-redis (the C extension), as an application uses it. Prints "ok" when all of it held.

function equal($got, $expected, string $what): void {
  if ($got !== $expected) {
    fwrite(STDERR, "$what: expected " . var_export($expected, true) . ", got " . var_export($got, true) . "\n");
    exit(1);
  }
}

function connect(): Redis {
  $redis = new Redis();
  $socket = getenv('SOCKET');
  $socket ? $redis->connect($socket) : $redis->connect('127.0.0.1', (int) getenv('PORT'));
  return $redis;
}

$redis = connect();
$other = connect();
for ($i = 0; $i < 100; $i++) {
  equal($redis->set('k', "v$i"), true, 'SET');
  equal($other->get('k'), "v$i", 'GET of what another connection wrote');
}
equal($redis->get('nothing'), false, 'GET of nothing');
equal($redis->mGet(['k', 'nothing']), ['v99', false], 'MGET');
$binary = implode('', array_map('chr', range(0, 255)));
equal($redis->set('bin', $binary), true, 'SET of bytes');
equal($redis->get('bin'), $binary, 'GET of bytes');
equal($redis->hMSet('h', ['a' => '1', 'b' => '2']), true, 'HMSET');
equal($redis->hGetAll('h'), ['a' => '1', 'b' => '2'], 'HGETALL');
equal($redis->zAdd('z', 1.5, 'm'), 1, 'ZADD');
equal($redis->zRange('z', 0, -1, true), ['m' => 1.5], 'ZRANGE');

equal($redis->multi()->set('t', '1')->incr('t')->get('t')->exec(), [true, 2, '2'], 'MULTI');
equal($redis->pipeline()->set('p', '1')->incr('p')->get('p')->exec(), [true, 2, '2'], 'a pipeline');
$redis->watch('t');
$other->set('t', '7');
equal($redis->multi()->set('t', '8')->exec(), false, 'EXEC of a watched key that changed');
equal($redis->get('t'), '7', 'nothing of it ran');

equal($redis->eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", ['t', 3], 1), 10, 'EVAL');
equal($redis->get('t'), '10', 'GET after the script');
equal($redis->lPush('k', 'x'), false, 'WRONGTYPE');
equal(str_starts_with($redis->getLastError(), 'WRONGTYPE'), true, 'the error is told');
equal($other->rPush('q', 'job'), 1, 'RPUSH');
equal($redis->blPop(['q'], 5), ['q', 'job'], 'BLPOP');

// Sessions as PHP keeps them, through the extension's own handler.
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', getenv('SOCKET') ? 'unix://' . getenv('SOCKET') : 'tcp://127.0.0.1:' . getenv('PORT'));
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
ini_set('redis.session.locking_enabled', '1');
foreach ([1, 2, 3] as $visit) {
  session_id('visitor');
  equal(session_start(), true, 'a session starts');
  $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
  equal($_SESSION['visits'], $visit, 'the session remembers');
  session_write_close();
}

equal($redis->select(2), true, 'SELECT');
equal($redis->get('k'), false, 'another database is empty');
equal($redis->select(0), true, 'SELECT');
for ($i = 0; $i < 300; $i++) {
  $redis->set("scan:$i", '1');
}
$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$cursor = null;
$seen = [];
while ($keys = $redis->scan($cursor, 'scan:*', 50)) {
  $seen = array_merge($seen, $keys);
}
equal(count(array_unique($seen)), 300, 'SCAN');
equal($redis->flushAll(), true, 'FLUSHALL');
equal($redis->get('k'), false, 'GET after FLUSHALL');
echo "ok\n";
