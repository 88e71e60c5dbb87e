<?php
// Predis (PHP without an extension), as an application uses it. Prints "ok" when all of it held.
require_once 'Predis/Autoloader.php';
Predis\Autoloader::register();

function equal($got, $expected, string $what): void {
  if ($got !== $expected) {
    fwrite(STDERR, "$what: expected " . var_export($expected, true) . ", got " . var_export($got, true) . "\n");
    exit(1);
  }
}

$where = getenv('SOCKET') ? ['scheme' => 'unix', 'path' => getenv('SOCKET')]
                          : ['host' => '127.0.0.1', 'port' => (int) getenv('PORT')];
$redis = new Predis\Client($where);
$other = new Predis\Client($where + ['database' => 0]);
for ($i = 0; $i < 100; $i++) {
  equal((string) $redis->set('k', "v$i"), 'OK', 'SET');
  equal($other->get('k'), "v$i", 'GET of what another connection wrote');
}
equal($redis->get('nothing'), null, 'GET of nothing');
equal($redis->mget('k', 'nothing'), ['v99', null], 'MGET');
equal($redis->hmset('h', ['a' => '1'])->getPayload(), 'OK', 'HMSET');
equal($redis->hgetall('h'), ['a' => '1'], 'HGETALL');
$replies = $redis->pipeline(function ($pipe) {
  $pipe->set('p', '1');
  $pipe->incr('p');
  $pipe->get('p');
});
equal(array_slice($replies, 1), [2, '2'], 'a pipeline');
$replies = $redis->transaction(['cas' => true, 'watch' => 'p', 'retry' => 3], function ($transaction) {
  $value = (int) $transaction->get('p');
  $transaction->multi();
  $transaction->set('p', $value + 1);
  $transaction->get('p');
});
equal($replies[1], '3', 'check and set');
equal($redis->eval("return redis.call('GET', KEYS[1])", 1, 'p'), '3', 'EVAL');
try {
  $redis->lpush('k', ['x']);
  equal(true, false, 'LPUSH to a string succeeded');
} catch (Predis\Response\ServerException $error) {
  equal($error->getErrorType(), 'WRONGTYPE', 'the error is told');
}
for ($i = 0; $i < 300; $i++) {
  $redis->set("scan:$i", '1');
}
equal(count(array_unique(iterator_to_array(new Predis\Collection\Iterator\Keyspace($redis, 'scan:*'), false))), 300, 'SCAN');
$heard = null;
$loop = $redis->pubSubLoop();
$loop->subscribe('news');
foreach ($loop as $message) {
  if ($message->kind === 'subscribe') {
    equal($other->publish('news', 'hello'), 1, 'PUBLISH');
  } elseif ($message->kind === 'message') {
    $heard = $message->payload;
    $loop->unsubscribe('news');
  }
}
unset($loop);
equal($heard, 'hello', 'the message arrives');
equal($redis->get('k'), 'v99', 'the connection is an ordinary one again');
$redis->flushall();
echo "ok\n";
