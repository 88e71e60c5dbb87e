# redis-rb, as an application uses it. Prints "ok" when all of it held.
require 'redis'

def equal(got, expected, what)
  abort "#{what}: expected #{expected.inspect}, got #{got.inspect}" unless got == expected
end

WHERE = ENV['SOCKET'].to_s.empty? ? { host: '127.0.0.1', port: ENV['PORT'].to_i } : { path: ENV['SOCKET'] }
redis = Redis.new(**WHERE, id: 'ruby-smoke')
other = Redis.new(**WHERE)
equal redis.ping, 'PONG', 'PING'
equal redis.call('CLIENT', 'GETNAME'), 'ruby-smoke', 'CLIENT GETNAME'
100.times do |i|
  equal redis.set('k', "v#{i}"), 'OK', 'SET'
  equal other.get('k'), "v#{i}", 'GET of what another connection wrote'
end
equal redis.get('nothing'), nil, 'GET of nothing'
equal redis.mget('k', 'nothing'), ['v99', nil], 'MGET'
binary = (0..255).map(&:chr).join.b * 100
redis.set('bin', binary)
equal redis.get('bin').b == binary, true, 'bytes'
equal redis.hset('h', 'a', '1'), 1, 'HSET'
equal redis.hgetall('h'), { 'a' => '1' }, 'HGETALL'
redis.zadd('z', 1.5, 'm')
equal redis.zrange('z', 0, -1, with_scores: true), [['m', 1.5]], 'ZRANGE'
equal redis.pipelined { |p| p.set('p', 1); p.incr('p'); p.get('p') }, ['OK', 2, '2'], 'a pipeline'
equal redis.multi { |t| t.set('t', 1); t.incr('t'); t.get('t') }, ['OK', 2, '2'], 'MULTI'
lost = redis.watch('t') do
  other.set('t', 7)
  redis.multi { |t| t.set('t', 8) }
end
equal lost, nil, 'EXEC of a watched key that changed'
equal redis.get('t'), '7', 'nothing of it ran'
equal redis.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", keys: ['t'], argv: [3]), 10, 'EVAL'
sha = redis.script(:load, "return redis.call('GET', KEYS[1])")
equal redis.evalsha(sha, keys: ['t']), '10', 'EVALSHA'
begin
  redis.lpush('k', 'x')
  abort 'LPUSH to a string succeeded'
rescue Redis::CommandError => e
  equal e.message.start_with?('WRONGTYPE'), true, e.message
end
waiter = Thread.new { redis.dup.blpop('q', timeout: 10) }
other.rpush('q', 'job')
equal waiter.value, %w[q job], 'BLPOP'
heard = nil
subscriber = Redis.new(**WHERE)
subscriber.subscribe('news') do |on|
  on.subscribe { other.publish('news', 'hello') }
  on.message do |_, message|
    heard = message
    subscriber.unsubscribe('news')
  end
end
equal heard, 'hello', 'the message arrives'
equal subscriber.get('k'), 'v99', 'the connection is an ordinary one again'
300.times { |i| redis.set("scan:#{i}", 1) }
equal redis.scan_each(match: 'scan:*', count: 50).to_a.uniq.size, 300, 'SCAN'
redis.flushall
equal redis.get('k'), nil, 'GET after FLUSHALL'
puts 'ok'
