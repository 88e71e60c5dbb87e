"""A walk through the commands of Redis 7.0 over every data type, one command a line.

Deterministic by construction: run twice on one server from an empty database, the replies are the
same bytes, so what differs is what stands in between. Commands whose replies depend on time, chance
or connection ids are left to cases of their own.
"""

import shlex

_LINES = r"""
# strings
SET s hello
GET s
GET s
SET s2 "with spaces"
GET s2
SET empty ""
GET empty
GET nothing
GET nothing
STRLEN s
STRLEN nothing
APPEND s " world"
GET s
GETRANGE s 0 4
GETRANGE s -5 -1
SUBSTR s 0 2
SETRANGE s 6 Redis
GET s
GETSET s new
GET s
GETDEL s
GET s
SET s v1 NX
SET s v2 NX
SET s v3 XX
SET nothing v XX
SET s v4 GET
SET s v5 EX 1000
TTL s
PERSIST s
TTL s
GETEX s EX 500
TTL s
GETEX s PERSIST
SETEX se 1000 value
PSETEX pse 1000000 value
SETNX snx 1
SETNX snx 2
GET snx
MSET a 1 b 2 c 3
MGET a b c
MGET a nothing c
MGET nothing1 nothing2
MGET a a a
MSETNX a 1 d 4
MSETNX d 4 e 5
MGET a b c d e
INCR counter
INCR counter
INCRBY counter 10
DECR counter
DECRBY counter 3
GET counter
INCRBYFLOAT counter 0.5
GET counter
INCR s
LCS a b
LCS s s2 LEN
SET bin "\x00\x01\xff\r\n"
GET bin
SET num 12345
GET num
SET neg -1
GET neg
SET big 9223372036854775807
INCR big
GET big
# keys
EXISTS a b nothing
TYPE a
TYPE nothing
DEL a nothing
EXISTS a
UNLINK b c
TOUCH d e nothing
RENAME d d2
GET d
GET d2
RENAMENX d2 e
RENAMENX d2 d3
GET d3
RENAME nothing x
COPY d3 d4
COPY d3 d4
COPY d3 d4 REPLACE
GET d4
EXPIRE d4 1000
EXPIRE d4 2000 GT
EXPIRE d4 100 GT
EXPIRE d4 100 LT
EXPIRE nothing 10
TTL d4
TTL d3
TTL nothing
PTTL nothing
PTTL d3
EXPIREAT d4 33000000000
EXPIRETIME d4
PEXPIREAT d4 33000000000000
PEXPIRETIME d4
PEXPIRE d4 1000000
PERSIST d4
PERSIST d4
EXPIRETIME d4
KEYS d*
DBSIZE
OBJECT ENCODING d4
OBJECT REFCOUNT d3
OBJECT ENCODING nothing
DUMP num
RESTORE restored 0 "\x00\xc19\x30\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00"
# lists
RPUSH l 1 2 3
LPUSH l 0
LRANGE l 0 -1
LRANGE nothing 0 -1
LLEN l
LLEN nothing
LINDEX l 0
LINDEX l 100
LINSERT l BEFORE 2 1.5
LINSERT l AFTER missing x
LINSERT nothing AFTER a b
LSET l 0 zero
LSET l 100 x
LREM l 1 1.5
LTRIM l 0 2
LRANGE l 0 -1
LPOP l
LPOP l 2
LPOP l
LPOP nothing 3
RPOP nothing
LPUSHX nothing 1
RPUSHX nothing 1
RPUSH l a b c d e
LPUSHX l z
RPUSHX l y
LPOS l c
LPOS l nope
LPOS l a COUNT 0
RPOP l
RPOP l 2
RPOPLPUSH l l2
LMOVE l l2 LEFT RIGHT
LMOVE nothing l2 LEFT LEFT
LRANGE l2 0 -1
LMPOP 2 nothing l2 LEFT COUNT 5
LMPOP 1 nothing LEFT
BLPOP l 0.05
BRPOP l 0.05
BLMPOP 0.05 1 l RIGHT
BLMOVE l2 l LEFT LEFT 0.01
BLPOP nothing 0.01
GET l2
RPUSH l2 x
GET l2
MGET l2 num
# hashes
HSET h f1 v1 f2 v2
HSET h f1 v1b
HGET h f1
HGET h nothing
HGET nothing f
HMSET h f3 3 f4 4
HMGET h f1 f2 nothing
HMGET nothing f1
HGETALL h
HGETALL nothing
HKEYS h
HVALS h
HKEYS nothing
HLEN h
HSTRLEN h f2
HEXISTS h f1
HEXISTS h nothing
HDEL h f1 nothing
HSETNX h f2 x
HSETNX h f9 x
HINCRBY h f3 5
HINCRBYFLOAT h f3 1.25
HINCRBY h f2 1
HSCAN h 0
HRANDFIELD nothing
HSET h odd
# sets
SADD st 1 2 3
SADD st 3
SMEMBERS st
SMEMBERS nothing
SCARD st
SISMEMBER st 1
SISMEMBER st 9
SMISMEMBER st 1 9
SREM st 1 9
SADD st2 2 3 4
SINTER st st2
SUNION st st2
SDIFF st2 st
SINTERCARD 2 st st2
SINTERSTORE st3 st st2
SUNIONSTORE st4 st st2
SDIFFSTORE st5 st2 st
SMEMBERS st4
SMOVE st st2 2
SMOVE st st2 99
SMEMBERS st2
SADD one x
SPOP one
SRANDMEMBER nothing
SPOP nothing
SPOP nothing 2
SSCAN st2 0
# sorted sets
ZADD z 1 a 2 b 3 c
ZADD z 2.5 b
ZADD z NX 9 a
ZADD z XX CH 4 a
ZADD z GT 1 a
ZADD z INCR 1.5 a
ZADD z NX INCR 1 a
ZRANGE z 0 -1
ZRANGE z 0 -1 WITHSCORES
ZRANGE z 0 1 REV
ZRANGE z (1 +inf BYSCORE
ZRANGE z - + BYLEX
ZREVRANGE z 0 -1 WITHSCORES
ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 0 2
ZREVRANGEBYSCORE z +inf -inf
ZRANGEBYLEX z - +
ZREVRANGEBYLEX z + -
ZLEXCOUNT z - +
ZSCORE z a
ZSCORE z nothing
ZSCORE nothing a
ZMSCORE z a nothing b
ZRANK z a
ZRANK z nothing
ZREVRANK z a
ZCARD z
ZCOUNT z 1 3
ZINCRBY z 10 c
ZADD zi inf up -inf down 0 mid
ZRANGE zi 0 -1 WITHSCORES
ZADD z2 1 a 5 q
ZUNION 2 z z2
ZUNION 2 z z2 WITHSCORES
ZINTER 2 z z2 WITHSCORES
ZDIFF 2 z z2 WITHSCORES
ZINTERCARD 2 z z2
ZUNIONSTORE z3 2 z z2 WEIGHTS 2 3 AGGREGATE MAX
ZINTERSTORE z4 2 z z2
ZDIFFSTORE z5 2 z z2
ZRANGESTORE z6 z 0 1
ZRANGE z3 0 -1 WITHSCORES
ZPOPMIN z3
ZPOPMAX z3 2
ZPOPMIN nothing
ZMPOP 2 nothing z MIN
ZMPOP 1 nothing MAX
BZPOPMIN z2 0.05
BZPOPMAX z2 0.05
BZPOPMIN nothing 0.01
BZMPOP 0.05 1 z MAX
ZREM z a b nothing
ZREMRANGEBYRANK z6 0 0
ZREMRANGEBYSCORE z6 0 100
ZREMRANGEBYLEX z6 - +
ZSCAN zi 0
ZADD z notanumber x
# bits, hyperloglog, geo
SETBIT bits 7 1
SETBIT bits 7 0
SETBIT bits 100 1
GETBIT bits 100
GETBIT nothing 1
BITCOUNT bits
BITCOUNT bits 0 5 BIT
BITPOS bits 1
BITOP AND dest bits num
BITOP NOT dest bits
GET dest
BITFIELD bf SET u8 0 255 GET u8 0 INCRBY u2 100 1 OVERFLOW FAIL INCRBY u8 0 10
BITFIELD_RO bf GET u8 0
PFADD hll a b c
PFADD hll a
PFCOUNT hll
PFADD hll2 c d
PFMERGE hll3 hll hll2
PFCOUNT hll3
PFCOUNT hll hll2 nothing
GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEODIST geo Palermo Catania km
GEODIST geo Palermo nothing
GEOHASH geo Palermo Catania
GEOPOS geo Palermo nothing
GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHDIST WITHCOORD
GEOSEARCHSTORE geo2 geo FROMMEMBER Palermo BYRADIUS 500 km
GEORADIUS geo 15 37 200 km WITHDIST ASC
GEORADIUS_RO geo 15 37 200 km ASC
GEORADIUSBYMEMBER geo Palermo 200 km ASC
ZRANGE geo2 0 -1
# streams
XADD x 1-1 f v
XADD x 1-2 f v2 g w
XADD x 1-1 f v
XLEN x
XRANGE x - +
XREVRANGE x + - COUNT 1
XREAD COUNT 10 STREAMS x 0
XREAD STREAMS x 99
XREAD STREAMS nothing 0
XREAD BLOCK 10 STREAMS x $
XGROUP CREATE x grp 0
XGROUP CREATE x grp 0
XGROUP CREATECONSUMER x grp c0
XREADGROUP GROUP grp c1 COUNT 1 STREAMS x >
XPENDING x grp
XACK x grp 1-1
XACK x grp 9-9
XPENDING x grp
XCLAIM x grp c2 0 1-1
XAUTOCLAIM x grp c2 0 0
XINFO GROUPS x
XINFO STREAM nothing
XSETID x 2-0
XDEL x 1-2
XTRIM x MAXLEN 0
XGROUP SETID x grp 0
XGROUP DELCONSUMER x grp c1
XGROUP DESTROY x grp
XLEN x
# sorting, scripts
RPUSH tosort 3 1 2
SORT tosort
SORT tosort DESC LIMIT 0 2
SORT_RO tosort
SET w_1 30
SET w_2 20
SET w_3 10
SORT tosort BY w_* GET "#" GET w_*
SORT tosort STORE sorted
LRANGE sorted 0 -1
EVAL "return 1" 0
EVAL "return {1,2,{3,'x'}}" 0
EVAL "return redis.call('GET', KEYS[1])" 1 num
EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 ev value
GET ev
EVAL "return redis.error_reply('MY own error')" 0
EVAL "return redis.status_reply('FINE')" 0
EVAL "return nil" 0
EVAL "return redis.call('NOSUCH')" 0
EVAL_RO "return redis.call('GET', KEYS[1])" 1 num
EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
SCRIPT LOAD "return 7"
SCRIPT EXISTS ffffffffffffffffffffffffffffffffffffffff
EVAL "redis.setresp(3); return {double=3.5}" 0
FUNCTION LOAD REPLACE "#!lua name=e2e\nredis.register_function('fe2e', function(keys, args) return args[1] end)"
FCALL fe2e 0 hello
FCALL nosuch 0
FUNCTION DELETE e2e
# scans over small key spaces
SCAN 0 MATCH onlyone:* COUNT 10000
SCAN notacursor
# errors
GET
GET a b
SET a
MGET
NOSUCHCOMMAND
NOSUCHCOMMAND with args "and spaces"
get s
gEt s
LPUSH s x
GET h
STRLEN h
INCR h
EXPIRE s notanumber
SET s v EX 0
SET s v EX notanumber
SET s v NX XX
HGET h
ZADD z
OBJECT NOSUCH s
XADD x 0-0 f v
EVAL "syntax error here" 0
EVAL "return 1" notanumber
EVAL "return 1" 5 a
SELECT notanumber
BLPOP s 0.05
BLPOP l notanumber
COMMAND COUNT
COMMAND INFO get
COMMAND GETKEYS MSET a 1 b 2
COMMAND DOCS nosuch
MEMORY NOSUCH
CONFIG GET maxmemory-policy
LOLWUT VERSION 1 1 1 1
PING
PING hello
ECHO hello
ECHO ""
TIME x
FLUSHDB
DBSIZE
GET num
SET last 1
FLUSHALL
GET last
"""


def _unescape(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def corpus():
    """The commands, each a list of bytes."""
    commands = []
    for line in _LINES.strip().split("\n"):
        if not line.startswith("# "):
            lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
            lexer.whitespace_split = True
            lexer.commenters = ""
            lexer.escape = ""
            commands.append([_unescape(word) for word in lexer])
    return commands
