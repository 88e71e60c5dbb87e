-- redis-lua, as an application uses it. Prints "ok" when all of it held.
local redis = require 'redis'

local function equal(got, expected, what)
  if got ~= expected then
    error(what .. ': expected ' .. tostring(expected) .. ', got ' .. tostring(got))
  end
end

local port = tonumber(os.getenv('PORT'))
local client, other = redis.connect('127.0.0.1', port), redis.connect('127.0.0.1', port)
equal(client:ping(), true, 'PING')
for i = 1, 100 do
  equal(client:set('k', 'v' .. i), true, 'SET')
  equal(other:get('k'), 'v' .. i, 'GET of what another connection wrote')
end
equal(client:get('nothing'), nil, 'GET of nothing')
client:hset('h', 'a', '1')
equal(client:hgetall('h').a, '1', 'HGETALL')
local replies = client:pipeline(function(p) p:set('p', 1) p:incr('p') p:get('p') end)
equal(replies[2], 2, 'a pipeline')
equal(replies[3], '2', 'a pipeline')
replies = client:transaction(function(t) t:set('t', 1) t:incr('t') end)
equal(replies[2], 2, 'MULTI')
replies = client:transaction({ watch = 't', cas = true, retry = 2 }, function(t)
  local value = t:get('t')
  t:multi()
  t:set('t', value + 5)
end)
equal(client:get('t') + 0, 7, 'check and set')
equal(client:eval("return redis.call('GET', KEYS[1])", 1, 't') + 0, 7, 'EVAL')
local fine, problem = pcall(client.lpush, client, 'k', 'x')
equal(fine, false, 'LPUSH to a string')
equal(tostring(problem):find('WRONGTYPE') ~= nil, true, 'the error is told')
-- (Its loop leaves the confirmation of the unsubscription unread: that connection is not used again.)
for message, abort in redis.connect('127.0.0.1', port):pubsub({ subscribe = 'news' }) do
  if message.kind == 'subscribe' then
    equal(other:publish('news', 'hello'), 1, 'PUBLISH')
  elseif message.kind == 'message' then
    equal(message.payload, 'hello', 'the message')
    abort()
  end
end
equal(client:get('k'), 'v100', 'the others go on')
client:flushall()
equal(client:get('k'), nil, 'GET after FLUSHALL')
print('ok')
